package httpapi

import "github.com/gofiber/fiber/v2"

// getConfig is what a client may know before anybody signs in.
func (s *server) getConfig(c *fiber.Ctx) error {
	return c.JSON(publicConfig{
		RPID: s.config.RPID, RPName: s.config.RPName,
		Registration: string(s.config.Registration), Email: "optional",
		Recovery: recoveryConfig{Policy: string(s.config.Recovery)},
	})
}

type publicConfig struct {
	RPID         string         `json:"rp_id"`
	RPName       string         `json:"rp_name"`
	Registration string         `json:"registration"`
	Email        string         `json:"email"`
	Recovery     recoveryConfig `json:"recovery"`
}

type recoveryConfig struct {
	Policy string `json:"policy"`
}
