package webui

import (
	"bytes"
	"compress/gzip"
	"html"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/locales"
)

const documentName = "index.html"

// Page is what differs between installations in the document of the page.
type Page struct {
	Name      string // of the relying party
	Brand     Brand
	SecuredBy bool             // show "Secured by Keylodge"
	Language  locales.Language // in a browser without a supported language
}

// render returns the document. It replaces sections of it, each between two comments with its name.
func (p Page) render(files fs.FS) (*resource, error) {
	document, err := fs.ReadFile(files, documentName)
	if err != nil {
		return nil, err
	}
	document = bytes.Replace(document, []byte(`<html lang="en"`), []byte(`<html lang="en" data-language="`+string(p.Language)+`"`), 1)
	urls, name := p.Brand.URLs(), html.EscapeString(p.Name)
	replace := func(section, markup string) {
		pattern := regexp.MustCompile("(?s)<!--" + section + "-->.*?<!--/" + section + "-->")
		document = pattern.ReplaceAllLiteral(document, []byte(markup))
	}
	if url := urls["logo"]; url != "" {
		dark := urls["logo-dark"]
		if dark != "" {
			dark = `<source srcset="` + dark + `" media="(prefers-color-scheme: dark)">`
		}
		replace("logo", "<picture>"+dark+`<img class="logo" src="`+url+`" alt="`+name+`" width="132" height="33"></picture>`)
	}
	replace("name", name)
	if url := urls["favicon"]; url != "" {
		replace("favicon", `<link rel="icon" href="`+url+`">`)
	}
	if url := urls["theme"]; url != "" {
		replace("theme", `<link rel="stylesheet" href="`+url+`">`)
	}
	if url := urls["background"]; url != "" {
		replace("background", `<img src="`+url+`" alt="" width="360" height="450">`)
	}
	if !p.SecuredBy {
		replace("secured", "")
	}
	document = regexp.MustCompile("<!--/?[a-z]+-->").ReplaceAllLiteral(document, nil)
	var compressed bytes.Buffer
	writer, err := gzip.NewWriterLevel(&compressed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := writer.Write(document); err != nil {
		return nil, err
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	forms := []form{newForm("gzip", compressed.Bytes()), newForm("", document)}
	return &resource{contentType: contentTypes[".html"], cacheControl: cacheControl(documentName), forms: forms}, nil
}

// notPages are the beginnings of paths that programs request, which get the problem document of the API.
var notPages = []string{"/v1/", "/.well-known/", "/assets/", "/kit/", "/brand/"}

// serveMissing answers a user who opens a path that does not exist with the document and status 404. Its script says so.
func serveMissing(document *resource) fiber.Handler {
	return func(c *fiber.Ctx) error {
		isRead := c.Method() == fiber.MethodGet || c.Method() == fiber.MethodHead
		if !isRead || !strings.Contains(c.Get(fiber.HeaderAccept), contentTypeHTML) || slices.ContainsFunc(notPages, func(prefix string) bool { return strings.HasPrefix(c.Path(), prefix) }) {
			return c.Next()
		}
		c.Request().Header.Del(fiber.HeaderIfNoneMatch) // 304 would say that the path exists
		c.Status(fiber.StatusNotFound)
		return document.serve(c)
	}
}

const contentTypeHTML = "text/html"
