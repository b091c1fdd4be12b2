// Package webui serves Keylodge's own page: sign-up, sign-in, recovery and account management. The page is an ordinary
// client of the API at /v1. Its HTML, CSS and JavaScript need no build step and have no dependencies.
package webui

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/gofiber/fiber/v2"
)

//go:embed static
var staticFiles embed.FS

// contentSecurityPolicy allows the page its own modules and calls to its own origin. It forbids inline scripts and styles,
// framing, form submission without a script, and markup from strings. Images may also be data: URLs: the QR code of an
// authenticator app contains a secret, so it is part of an answer and has no URL.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// permissionsPolicy allows passkeys to the page alone, and denies all other features of a browser. A feature that is not
// listed would be allowed, so all are listed.
const permissionsPolicy = "publickey-credentials-create=(self), publickey-credentials-get=(self), " +
	"accelerometer=(), autoplay=(), bluetooth=(), camera=(), clipboard-read=(), clipboard-write=(self), display-capture=(), encrypted-media=(), fullscreen=(), geolocation=(), " +
	"gyroscope=(), hid=(), idle-detection=(), magnetometer=(), microphone=(), midi=(), payment=(), picture-in-picture=(), " +
	"screen-wake-lock=(), serial=(), usb=(), web-share=(), xr-spatial-tracking=()"

// headers are sent with the page and with each of its assets, so that they also protect an asset that is opened directly.
// Browsers revalidate cached files at each use, so that they load a new release at once.
var headers = [...]struct{ name, value string }{
	{fiber.HeaderCacheControl, "no-cache"},
	{fiber.HeaderContentSecurityPolicy, contentSecurityPolicy},
	{"Cross-Origin-Opener-Policy", "same-origin"},
	{"Cross-Origin-Resource-Policy", "same-origin"},
	{fiber.HeaderPermissionsPolicy, permissionsPolicy},
	{fiber.HeaderReferrerPolicy, "no-referrer"},
	{fiber.HeaderXContentTypeOptions, "nosniff"},
}

// contentTypes are listed here because the types that package mime knows depend on the machine.
var contentTypes = map[string]string{
	".css":  "text/css; charset=utf-8",
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// Mount serves the page at / and its assets below /assets/, for GET and HEAD, from memory. It panics if an embedded file
// has no known content type.
func Mount(app fiber.Router) {
	files, err := fs.ReadDir(staticFiles, "static")
	if err != nil {
		panic(fmt.Errorf("reading the embedded page: %w", err))
	}
	for _, file := range files {
		app.Get(urlPath(file.Name()), serve(load(file.Name())))
	}
}

func urlPath(name string) string {
	if name == "index.html" {
		return "/"
	}
	return "/assets/" + name
}

// resource is an embedded file with its headers.
type resource struct {
	contentType string
	etag        string
	body        []byte
}

func load(name string) resource {
	body, err := staticFiles.ReadFile(path.Join("static", name))
	if err != nil {
		panic(fmt.Errorf("reading the embedded page: %w", err))
	}
	contentType, known := contentTypes[path.Ext(name)]
	if !known {
		panic(fmt.Errorf("embedded page: no content type for %s", name))
	}
	digest := sha256.Sum256(body)
	return resource{contentType, `"` + base64.RawURLEncoding.EncodeToString(digest[:16]) + `"`, body}
}

func serve(r resource) fiber.Handler {
	return func(c *fiber.Ctx) error {
		for _, h := range headers {
			c.Set(h.name, h.value)
		}
		c.Set(fiber.HeaderETag, r.etag)
		if etagMatches(c.Get(fiber.HeaderIfNoneMatch), r.etag) {
			c.Status(fiber.StatusNotModified)
			return nil
		}
		c.Set(fiber.HeaderContentType, r.contentType)
		return c.Send(r.body)
	}
}

// etagMatches makes the weak comparison that RFC 9110, section 13.1.2, requires for If-None-Match.
func etagMatches(ifNoneMatch, etag string) bool {
	for candidate := range strings.SplitSeq(ifNoneMatch, ",") {
		candidate = strings.TrimSpace(candidate)
		if candidate == "*" || strings.TrimPrefix(candidate, "W/") == etag {
			return true
		}
	}
	return false
}
