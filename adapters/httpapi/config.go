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
		Brand:        brandOf(s.config.Brand),
		Applications: mapSlice(s.config.Applications, func(a domain.Application) applicationConfig { return applicationConfig{a.Origin, a.Name} }),
	})
}

type publicConfig struct {
	RPID         string         `json:"rp_id"`
	RPName       string         `json:"rp_name"`
	Registration string         `json:"registration"`
	Email        string         `json:"email"`
	Recovery     recoveryConfig `json:"recovery"`
	Mail         string         `json:"mail"`

	Language     locales.Language    `json:"language"`
	Languages    []locales.Language  `json:"languages"`
	Brand        brandConfig         `json:"brand"`
	Applications []applicationConfig `json:"applications"`
}

// Brand is what the operator makes their own of a page.
type Brand struct {
	Files     map[string]string // paths on this server, by purpose: logo, logo-dark, favicon, background and theme
	Links     Links
	SecuredBy bool // show "Secured by Keylodge"
}

// Links are the operator's pages: https URLs, or mailto: for Support. "" if there is none.
type Links struct{ Terms, Privacy, Imprint, Support, Home string }

type brandConfig struct {
	Logo       *string `json:"logo"`
	LogoDark   *string `json:"logo_dark"`
	Favicon    *string `json:"favicon"`
	Background *string `json:"background"`
	Stylesheet *string `json:"stylesheet"`
	Links      struct {
		Terms   *string `json:"terms"`
		Privacy *string `json:"privacy"`
		Imprint *string `json:"imprint"`
		Support *string `json:"support"`
		Home    *string `json:"home"`
	} `json:"links"`
	SecuredBy bool `json:"secured_by"`
}

func brandOf(b Brand) (config brandConfig) {
	config.Logo, config.LogoDark, config.Favicon = optional(b.Files["logo"]), optional(b.Files["logo-dark"]), optional(b.Files["favicon"])
	config.Background, config.Stylesheet = optional(b.Files["background"]), optional(b.Files["theme"])
	links := &config.Links
	links.Terms, links.Privacy, links.Imprint = optional(b.Links.Terms), optional(b.Links.Privacy), optional(b.Links.Imprint)
	links.Support, links.Home = optional(b.Links.Support), optional(b.Links.Home)
	config.SecuredBy = b.SecuredBy
	return config
}

type applicationConfig struct {
	Origin string `json:"origin"`
	Name   string `json:"name"`
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
