package httpapi

import (
	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/application/timestamp"
)

type signingKey struct {
	ID        string          `json:"kid"`
	Algorithm string          `json:"alg"`
	State     string          `json:"state"`
	CreatedAt *timestamp.Time `json:"created_at"`
	SignsFrom *timestamp.Time `json:"signs_from"`
}

func (s *server) listSigningKeys(c *fiber.Ctx, usecases *admin.Service) error {
	keys, err := usecases.ListSigningKeys(c.UserContext())
	return answerSigningKeys(c, keys, err)
}

func (s *server) rotateSigningKeys(c *fiber.Ctx, usecases *admin.Service) error {
	keys, err := usecases.RotateSigningKeys(c.UserContext())
	return answerSigningKeys(c, keys, err)
}

func answerSigningKeys(c *fiber.Ctx, keys []signingkeys.Key, err error) error {
	if err != nil {
		return err
	}
	return c.JSON(fiber.Map{"items": mapSlice(keys, func(k signingkeys.Key) signingKey {
		return signingKey{k.ID, string(k.Algorithm), string(k.State), timestamp.Optional(k.CreatedAt), timestamp.Optional(k.SignsFrom)}
	})})
}
