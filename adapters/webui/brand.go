package webui

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// Brand is what the operator makes their own of the page. The zero value is the page as it is.
type Brand struct {
	Accent Accent
	files  map[string][]byte // by name
}

// brandFiles are the files that a folder may contain, with the bytes that each begins with; an SVG contains its element.
var brandFiles = map[string]struct{ contentType, signature string }{
	"logo.svg":        {"image/svg+xml", "<svg"},
	"logo-dark.svg":   {"image/svg+xml", "<svg"},
	"favicon.svg":     {"image/svg+xml", "<svg"},
	"favicon.ico":     {"image/x-icon", "\x00\x00\x01\x00"},
	"favicon.png":     {"image/png", "\x89PNG\r\n\x1a\n"},
	"background.svg":  {"image/svg+xml", "<svg"},
	"background.jpg":  {"image/jpeg", "\xff\xd8\xff"},
	"background.png":  {"image/png", "\x89PNG\r\n\x1a\n"},
	"background.webp": {"image/webp", "RIFF"},
}

const maxBrandFile = 1 << 20 // bytes

// ReadBrandFiles reads the files of a brand from a folder. It returns one error for each file that is unknown, too large, or not of
// the type that its name says, and for a second file of the same purpose. Names that begin with a dot are skipped.
func ReadBrandFiles(folder fs.FS) (map[string][]byte, error) {
	entries, err := fs.ReadDir(folder, ".")
	if err != nil {
		return nil, err
	}
	files, purposes := map[string][]byte{}, map[string]string{}
	var errs error
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasPrefix(name, ".") {
			continue
		}
		body, err := readBrandFile(folder, name)
		purpose := strings.TrimSuffix(name, path.Ext(name))
		if other := purposes[purpose]; err == nil && other != "" {
			err = fmt.Errorf("%s and %s have the same purpose", other, name)
		}
		purposes[purpose] = name
		files[name], errs = body, errors.Join(errs, err)
	}
	return files, errs
}

func readBrandFile(folder fs.FS, name string) ([]byte, error) {
	kind, known := brandFiles[name]
	if !known {
		return nil, fmt.Errorf("%s is none of %s", name, strings.Join(slices.Sorted(maps.Keys(brandFiles)), ", "))
	}
	info, err := fs.Stat(folder, name)
	switch {
	case err != nil:
		return nil, err
	case info.Size() > maxBrandFile:
		return nil, fmt.Errorf("%s has %d bytes, more than %d", name, info.Size(), maxBrandFile)
	}
	body, err := fs.ReadFile(folder, name)
	if err != nil {
		return nil, err
	}
	at := bytes.Index(body, []byte(kind.signature))
	if at < 0 || at > 0 && kind.contentType != "image/svg+xml" {
		return nil, fmt.Errorf("%s is not of the type %s", name, kind.contentType)
	}
	return body, nil
}

// NewBrand returns the brand of an accent and of files from ReadBrandFiles.
func NewBrand(accent Accent, files map[string][]byte) Brand { return Brand{accent, files} }

const themeFile = "theme.css"

// all returns the files with the style sheet of the accent.
func (b Brand) all() map[string][]byte {
	all := map[string][]byte{}
	maps.Copy(all, b.files)
	if !b.Accent.IsZero() {
		all[themeFile] = []byte(b.Accent.stylesheet())
	}
	return all
}

// URLs returns the path of each file by its purpose: logo, logo-dark, favicon, background or theme. A path contains a hash of the
// content, so that it never changes its content.
func (b Brand) URLs() map[string]string {
	urls := map[string]string{}
	for name, body := range b.all() {
		urls[strings.TrimSuffix(name, path.Ext(name))] = brandPath(hashed(name, body))
	}
	return urls
}

func brandPath(name string) string { return "/brand/" + name }

// hashed returns the name with a hash, as hashedName matches it.
func hashed(name string, body []byte) string {
	digest := sha256.Sum256(body)
	extension := path.Ext(name)
	return strings.TrimSuffix(name, extension) + "-" + strings.ToLower(base32.StdEncoding.EncodeToString(digest[:])[:12]) + extension
}

// brandPolicy makes an SVG inert that is opened as a document: no scripts, no loading, and an origin of its own.
const brandPolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; sandbox"

// mount serves the files below /brand/: by their names, which browsers revalidate, and by names with a hash, which they keep.
func (b Brand) mount(app fiber.Router) {
	for name, body := range b.all() {
		contentType := contentTypes[".css"]
		if name != themeFile {
			contentType = brandFiles[name].contentType
		}
		for _, served := range []string{name, hashed(name, body)} {
			r := &resource{contentType: contentType, cacheControl: cacheControl(served), forms: []form{newForm("", body)}}
			app.Get(brandPath(served), func(c *fiber.Ctx) error {
				err := r.serve(c)
				c.Set(fiber.HeaderContentSecurityPolicy, brandPolicy)
				return err
			})
		}
	}
}
