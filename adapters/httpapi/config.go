package httpapi

import (
	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/locales"
)

// getConfig returns the public part of the configuration.
func (s *server) getConfig(c *fiber.Ctx) error {
	return c.JSON(publicConfig{
		RPID: s.config.RPID, RPName: s.config.RPName,
		Registration: string(s.config.Registration), Email: "optional",
		Recovery: recoveryConfig{Policy: string(s.config.Recovery)}, Mail: mailConfig(s.config.Mail),
		Language: s.config.Language, Languages: locales.Languages(),
	})
}

type publicConfig struct {
	RPID         string         `json:"rp_id"`
	RPName       string         `json:"rp_name"`
	Registration string         `json:"registration"`
	Email        string         `json:"email"`
	Recovery     recoveryConfig `json:"recovery"`
	Mail         string         `json:"mail"`

	Language  locales.Language   `json:"language"`
	Languages []locales.Language `json:"languages"`
}

func mailConfig(p domain.EmailPolicy) string {
	if p.Enabled() {
		return "on"
	}
	return "off"
}

type recoveryConfig struct {
	Policy string `json:"policy"`
}
