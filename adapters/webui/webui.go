// Package webui serves Keylodge's own page: sign-up, sign-in, recovery and account management. The page is an ordinary
// client of the API at /v1. Its sources are in src; `make page` bundles them into dist, which is embedded.
package webui

import (
	"embed"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
)

//go:embed dist
var embedded embed.FS

// contentSecurityPolicy allows the page its own modules and calls to its own origin. It forbids inline scripts and styles,
// framing, form submission without a script, and markup from strings. Images may also be data: URLs: the QR code of an
// authenticator app contains a secret, so it is part of an answer and has no URL.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// permissionsPolicy allows passkeys to the page alone, and denies all other features of a browser. A feature that is not
// listed would be allowed, so all are listed that browsers know: they log a warning for an unknown name at each visit.
const permissionsPolicy = "publickey-credentials-create=(self), publickey-credentials-get=(self), " +
	"accelerometer=(), autoplay=(), camera=(), clipboard-read=(), clipboard-write=(self), display-capture=(), encrypted-media=(), fullscreen=(), geolocation=(), " +
	"gyroscope=(), hid=(), idle-detection=(), magnetometer=(), microphone=(), midi=(), payment=(), picture-in-picture=(), " +
	"screen-wake-lock=(), serial=(), usb=(), xr-spatial-tracking=()"

// headers are sent with the page and with each of its assets, so that they also protect an asset that is opened directly.
var headers = [...]struct{ name, value string }{
	{fiber.HeaderContentSecurityPolicy, contentSecurityPolicy},
	{"Cross-Origin-Opener-Policy", "same-origin"},
	{fiber.HeaderPermissionsPolicy, permissionsPolicy},
	{fiber.HeaderReferrerPolicy, "no-referrer"},
	{fiber.HeaderXContentTypeOptions, "nosniff"},
}

// hashedName matches the name of a file whose content never changes: `make page` puts a hash of the content into it. That of a script or
// a style sheet is the hash of the bundler, in upper case.
var hashedName = regexp.MustCompile(`-([a-z2-7]{12}|[A-Z2-7]{8})\.[a-z]+$`)

// pages are the paths of the document: its script shows what belongs to the path.
var pages = []string{
	"/", "/login", "/signup", "/recover", "/logout",
	"/account", "/account/passkeys", "/account/ways-back", "/account/devices", "/account/activity", "/account/profile", "/account/delete",
}

// Browsers keep a file with a hashed name for a year. They revalidate the others at each use, so that they load a new
// release at once.
func cacheControl(name string) string {
	if hashedName.MatchString(name) {
		return "public, max-age=31536000, immutable"
	}
	return "no-cache"
}

// Mount serves the page at its paths, its assets below /assets/, the kit below /kit/, the documents below /docs, and the files of the
// brand below /brand/, for GET and HEAD, from memory. Any other path is answered with the page and status 404 if a user opens it,
// except those of the API. It panics if an embedded file has no known content type or lacks a compressed form.
func Mount(app fiber.Router, page Page) {
	files, err := fs.Sub(embedded, "dist")
	if err != nil {
		panic(fmt.Errorf("reading the embedded page: %w", err))
	}
	documents, err := page.documents(files)
	if err != nil {
		panic(fmt.Errorf("rendering the page: %w", err))
	}
	for _, path := range pages {
		app.Get(path, documents.servePage)
	}
	page.Brand.mount(app)
	err = fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || isCompressed(name) || name == documentName {
			return err
		}
		r, err := load(files, name)
		if err != nil {
			return err
		}
		app.Get("/"+name, r.serve)
		return nil
	})
	if err != nil {
		panic(fmt.Errorf("reading the embedded page: %w", err))
	}
	if err := mountDocumentation(app); err != nil {
		panic(err)
	}
	app.Use(documents.serveMissing)
}

func isCompressed(name string) bool {
	return slices.ContainsFunc(encodings[:], func(e encoding) bool { return strings.HasSuffix(name, e.suffix) })
}
