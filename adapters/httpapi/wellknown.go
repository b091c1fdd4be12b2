package httpapi

import (
	"net/http"

	"github.com/gofiber/fiber/v2"
)

// WellKnown has the content of the optional documents at /.well-known/ (RFC 8615). A document without content answers 404.
type WellKnown struct {
	RelatedOrigins []string // origins on other domains that may use passkeys of the RP id
	AndroidApps    []AndroidApp
	AppleApps      []string // TEAMID.bundle.id
	ChangePassword string   // the URL of a page
}

// AndroidApp is an app that may use the passkeys of this site.
type AndroidApp struct {
	Package      string
	Fingerprints []string // the SHA-256 of each signing certificate, as AA:BB:…
}

// ChangePasswordPath redirects to WellKnown.ChangePassword.
const ChangePasswordPath = "/.well-known/change-password" //nolint:gosec // a path, and no password

func (s *server) routeWellKnown(app *fiber.App) {
	known := s.config.WellKnown
	app.Get("/.well-known/passkey-endpoints", s.passkeyEndpoints)
	app.Get("/.well-known/webauthn", staticJSON(len(known.RelatedOrigins) > 0, fiber.Map{"origins": known.RelatedOrigins}))
	app.Get("/.well-known/assetlinks.json", staticJSON(len(known.AndroidApps) > 0, assetLinks(known.AndroidApps)))
	app.Get("/.well-known/apple-app-site-association", staticJSON(len(known.AppleApps) > 0,
		fiber.Map{"webcredentials": fiber.Map{"apps": known.AppleApps}}))
	app.Get(ChangePasswordPath, s.changePassword)
}

// staticJSON serves a public document that does not change while the server runs, or 404 if it is not configured. The clients of such
// documents require application/json and follow no redirects.
func staticJSON(configured bool, content any) fiber.Handler {
	return func(c *fiber.Ctx) error {
		if !configured {
			return fiber.ErrNotFound
		}
		setPublicCache(c)
		return c.JSON(content)
	}
}

// setPublicCache allows every origin to read a response and every cache to store it: it contains no user data.
func setPublicCache(c *fiber.Ctx) {
	c.Set(fiber.HeaderCacheControl, "public, max-age=3600")
	c.Set("Cross-Origin-Resource-Policy", "cross-origin")
}

// passkeyEndpoints tells password managers on which page users add and manage passkeys (W3C, A Well-Known URL for Relying Party
// Passkey Endpoints).
func (s *server) passkeyEndpoints(c *fiber.Ctx) error {
	setPublicCache(c)
	page := s.config.PublicURL + "/account/passkeys"
	return c.JSON(fiber.Map{"enroll": page, "manage": page})
}

// changePassword redirects to the page where users change how they sign in (W3C, A Well-Known URL for Changing Passwords). Password
// managers request it once, so the redirect is not cached.
func (s *server) changePassword(c *fiber.Ctx) error {
	if s.config.WellKnown.ChangePassword == "" {
		return fiber.ErrNotFound
	}
	c.Set(fiber.HeaderCacheControl, "no-store")
	return c.Redirect(s.config.WellKnown.ChangePassword, http.StatusFound)
}

// assetLink is a statement of Digital Asset Links. For passkeys, Android requires both relations: handle_all_urls proves that the
// domain belongs to the app.
type assetLink struct {
	Relation []string    `json:"relation"`
	Target   assetTarget `json:"target"`
}

type assetTarget struct {
	Namespace    string   `json:"namespace"`
	Package      string   `json:"package_name"`
	Fingerprints []string `json:"sha256_cert_fingerprints"`
}

func assetLinks(apps []AndroidApp) []assetLink {
	links := make([]assetLink, len(apps))
	for i, app := range apps {
		links[i] = assetLink{
			Relation: []string{"delegate_permission/common.handle_all_urls", "delegate_permission/common.get_login_creds"},
			Target:   assetTarget{"android_app", app.Package, app.Fingerprints},
		}
	}
	return links
}
