package webui

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"fmt"
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

// documents are the forms of the document: in each language, at the paths of the page and at those that do not exist.
type documents struct {
	fallback       locales.Language
	pages, missing map[locales.Language]*resource
}

func (p Page) documents(files fs.FS) (documents, error) {
	all := documents{cmp.Or(p.Language, locales.English), map[locales.Language]*resource{}, map[locales.Language]*resource{}}
	source, err := fs.ReadFile(files, documentName)
	if err != nil {
		return all, err
	}
	for _, language := range locales.Languages() {
		page, err := translate(files, source, language, all.fallback)
		if err != nil {
			return all, err
		}
		page = p.brand(page) // the name may look like a placeholder
		if all.pages[language], err = newDocument(page, language); err != nil {
			return all, err
		}
		// The script does not look for a session there.
		if all.missing[language], err = newDocument(replaceSection(page, "session", ""), language); err != nil {
			return all, err
		}
	}
	return all, nil
}

// serve answers with a document in the language of the user's browser. A user may have chosen another one, which only the script knows.
func (d documents) serve(c *fiber.Ctx, in map[locales.Language]*resource) error {
	c.Vary(fiber.HeaderAcceptLanguage)
	return in[cmp.Or(locales.Match(c.Get(fiber.HeaderAcceptLanguage)), d.fallback)].serve(c)
}

func (d documents) servePage(c *fiber.Ctx) error { return d.serve(c, d.pages) }

// serveMissing answers a user who opens a path that does not exist with the document and status 404. Its script says so.
func (d documents) serveMissing(c *fiber.Ctx) error {
	isRead := c.Method() == fiber.MethodGet || c.Method() == fiber.MethodHead
	if !isRead || !strings.Contains(c.Get(fiber.HeaderAccept), contentTypeHTML) || slices.ContainsFunc(notPages, func(prefix string) bool { return strings.HasPrefix(c.Path(), prefix) }) {
		return c.Next()
	}
	c.Request().Header.Del(fiber.HeaderIfNoneMatch) // 304 would say that the path exists
	c.Status(fiber.StatusNotFound)
	return d.serve(c, d.missing)
}

// notPages are the beginnings of paths that programs request, which get the problem document of the API.
var notPages = []string{"/v1/", "/.well-known/", "/assets/", "/kit/", "/brand/"}

const contentTypeHTML = "text/html"

// brand puts the name and the brand into the document.
func (p Page) brand(document []byte) []byte {
	urls, name := p.Brand.URLs(), html.EscapeString(p.Name)
	replace := func(section, markup string) { document = replaceSection(document, section, markup) }
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
	return document
}

// replaceSection replaces sections of the document, each between two comments with its name.
func replaceSection(document []byte, section, markup string) []byte {
	return regexp.MustCompile("(?s)<!--"+section+"-->.*?<!--/"+section+"-->").ReplaceAllLiteral(document, []byte(markup))
}

// translate puts the texts of a language into the document, and the script with the messages, so that a browser loads it beside the
// others.
func translate(files fs.FS, document []byte, language, fallback locales.Language) ([]byte, error) {
	messages, err := fs.Glob(files, "assets/"+string(language)+"-????????.js")
	if err != nil || len(messages) != 1 {
		return nil, fmt.Errorf("the scripts with the messages in %s are %q: %w", language, messages, err)
	}
	texts := locales.Of(language)
	values := []string{"{language}", string(language), "{direction}", texts.Direction, "{fallback}", string(fallback), "{messages}", "/" + messages[0]}
	for placeholder, text := range map[string]locales.Message{
		"{description}": texts.Document.Description, "{loading}": texts.Document.Loading, "{late}": texts.Document.Late, "{again}": texts.Document.Again,
		"{no_script_title}": texts.Document.NoScriptTitle, "{no_script}": texts.Document.NoScript,
	} {
		values = append(values, placeholder, html.EscapeString(string(text)))
	}
	return []byte(strings.NewReplacer(values...).Replace(string(document))), nil
}

func newDocument(document []byte, language locales.Language) (*resource, error) {
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
	return &resource{contentType: contentTypes[".html"], cacheControl: cacheControl(documentName), language: string(language), forms: forms}, nil
}
