package httpapi

import (
	_ "embed"

	"github.com/gofiber/fiber/v2"
)

// openAPI describes the API to programs: an OpenAPI 3.1 document, made from openapi.yaml by `make generate`.
//
//go:embed openapi.json
var openAPI []byte

func (s *server) getOpenAPI(c *fiber.Ctx) error {
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	return c.Send(openAPI)
}
