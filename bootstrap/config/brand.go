package config

import (
	"errors"
	"net/url"
	"os"
	"strings"

	"github.com/keylodge/keylodge/adapters/httpapi"
	"github.com/keylodge/keylodge/adapters/smtp"
	"github.com/keylodge/keylodge/adapters/webui"
	"github.com/keylodge/keylodge/domain"
)

// brand reads the files, the colours and the links that the operator makes their own.
func (p *parser) brand(config *Config, e environment) {
	config.Brand = webui.NewBrand(p.accent(e.AccentColor, e.AccentColorDark), p.brandFiles(e.BrandDir))
	config.Links = httpapi.Links{
		Terms:   p.webLink("LINKS_TERMS", e.LinksTerms),
		Privacy: p.webLink("LINKS_PRIVACY", e.LinksPrivacy),
		Imprint: p.webLink("LINKS_IMPRINT", e.LinksImprint),
		Support: p.supportLink(e.LinksSupport),
		Home:    p.webLink("LINKS_HOME", e.LinksHome),
	}
	config.SecuredBy = oneOf(p, "SECURED_BY", e.SecuredBy, "on", "off") == "on"
}

func (p *parser) brandFiles(folder string) map[string][]byte {
	if folder == "" {
		return nil
	}
	files, err := webui.ReadBrandFiles(os.DirFS(folder))
	switch {
	case err != nil:
		for _, problem := range splitErrors(err) {
			p.addError("BRAND_DIR", problem, "correct or remove the file; docs/guides/brand-and-languages.md lists the files")
		}
	case len(files) == 0:
		p.addError("BRAND_DIR", "the folder contains no file of a brand", "add for example logo.svg, or remove this setting")
	}
	return files
}

// splitErrors returns the texts of joined errors.
func splitErrors(err error) (texts []string) {
	if joined, isJoined := errors.AsType[interface {
		error
		Unwrap() []error
	}](err); isJoined {
		for _, part := range joined.Unwrap() {
			texts = append(texts, splitErrors(part)...)
		}
		return texts
	}
	return []string{err.Error()}
}

// accent reads the colour of each mode. The one of the dark mode is derived if it is not set.
func (p *parser) accent(light, dark string) webui.Accent {
	if light == "" {
		if dark != "" {
			p.addError("ACCENT_COLOR_DARK", "has no effect without KEYLODGE_ACCENT_COLOR", "set KEYLODGE_ACCENT_COLOR, or remove this setting")
		}
		return webui.Accent{}
	}
	accent := webui.NewAccent(p.color("ACCENT_COLOR", light, webui.LightScheme))
	if dark != "" {
		accent.Dark = p.color("ACCENT_COLOR_DARK", dark, webui.DarkScheme)
	}
	return accent
}

func (p *parser) color(setting, s string, scheme webui.Scheme) webui.Color {
	color, err := webui.ParseColor(s)
	if err != nil {
		p.addError(setting, err.Error(), "write for example #0a5fb4")
		return color
	}
	if enough, err := scheme.Check(color); err != nil {
		p.addError(setting, err.Error(), "write for example "+enough.String())
	}
	return color
}

const webLinkFix = "write an address that begins with https://, for example https://example.org/privacy"

// webLink returns "" for no link, and after an error.
func (p *parser) webLink(setting, s string) string {
	if s == "" {
		return ""
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme != "https" || u.Hostname() == "" || strings.ContainsAny(s, " \"<>\\"):
		p.addError(setting, "not an https URL", webLinkFix)
	case u.User != nil:
		p.addError(setting, "contains a user name or a password, which every client could read", webLinkFix)
	default:
		return u.String()
	}
	return ""
}

// supportLink accepts an e-mail address, too, as a mailto: URL.
func (p *parser) supportLink(s string) string {
	address, isAddress := strings.CutPrefix(s, "mailto:")
	if !isAddress {
		return p.webLink("LINKS_SUPPORT", s)
	}
	if email, err := domain.ParseEmail("email", address); err != nil || email == "" {
		p.addError("LINKS_SUPPORT", "not an e-mail address after mailto:", "write for example mailto:support@example.org")
		return ""
	}
	return s
}

// emailBrand returns the part of the brand that e-mails show.
func (c Config) emailBrand() smtp.Brand {
	brand := smtp.Brand{Links: smtp.Links{Terms: c.Links.Terms, Privacy: c.Links.Privacy, Imprint: c.Links.Imprint, Support: c.Links.Support}}
	if accent := c.Brand.Accent; !accent.IsZero() {
		brand.Accent, brand.DarkAccent = accent.Light.String(), accent.Dark.String()
	}
	return brand
}
