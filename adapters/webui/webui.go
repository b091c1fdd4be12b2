// Package webui serves Keylodge's own page: sign up, sign in, and all that people do with their account. The page is a
// client of /v1 like any other and is written in what browsers run as it is: no build step, nobody else's code.
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

// contentSecurityPolicy lets the page run its own modules and talk to its own origin, and nothing else: no inline
// script or style, no frames around it, no form that leaves without a script, no string that becomes markup. Images may also
// come as data: the QR code of an authenticator app holds a secret, so that it is part of an answer and has no address.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// permissionsPolicy lets the page ask for passkeys, as nobody else in it may, and for nothing else that a browser could give. A
// feature that is not named would be allowed, so they are named.
const permissionsPolicy = "publickey-credentials-create=(self), publickey-credentials-get=(self), " +
	"accelerometer=(), autoplay=(), bluetooth=(), camera=(), clipboard-read=(), clipboard-write=(self), display-capture=(), encrypted-media=(), fullscreen=(), geolocation=(), " +
	"gyroscope=(), hid=(), idle-detection=(), magnetometer=(), microphone=(), midi=(), payment=(), picture-in-picture=(), " +
	"screen-wake-lock=(), serial=(), usb=(), web-share=(), xr-spatial-tracking=()"

// headers go out with the page and with each of its assets, so that an asset opened by itself is held to them too.
// A browser keeps what it got and asks every time whether it is still good, which makes a release visible at once.
var headers = [...]struct{ name, value string }{
	{fiber.HeaderCacheControl, "no-cache"},
	{fiber.HeaderContentSecurityPolicy, contentSecurityPolicy},
	{"Cross-Origin-Opener-Policy", "same-origin"},
	{"Cross-Origin-Resource-Policy", "same-origin"},
	{fiber.HeaderPermissionsPolicy, permissionsPolicy},
	{fiber.HeaderReferrerPolicy, "no-referrer"},
	{fiber.HeaderXContentTypeOptions, "nosniff"},
}

// contentTypes are written out, since what package mime knows depends on the machine.
var contentTypes = map[string]string{
	".css":  "text/css; charset=utf-8",
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// Mount serves the page at / and its assets below /assets/, to GET and HEAD. Everything is in memory beforehand. It
// panics if a file of an unknown type was embedded.
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

// resource is one embedded file, ready to be sent.
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

// etagMatches compares weakly, as RFC 9110, section 13.1.2, asks for If-None-Match.
func etagMatches(ifNoneMatch, etag string) bool {
	for candidate := range strings.SplitSeq(ifNoneMatch, ",") {
		candidate = strings.TrimSpace(candidate)
		if candidate == "*" || strings.TrimPrefix(candidate, "W/") == etag {
			return true
		}
	}
	return false
}
