package webui

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html"
	"strings"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/locales"
)

// ErrorPage is what a user reads whose browser shows an error of the API as a page.
type ErrorPage struct {
	Language  locales.Language
	Code      string // of the problem
	RequestID string
	// Back is the page of an application that the user wanted; the zero value for none.
	Back domain.ReturnAddress
	// SignInAgain says that a further sign-in helps, which opening Back begins.
	SignInAgain bool
}

//go:embed errorpage.css
var errorPageStyle string

//go:embed errorpage.html
var errorPageMarkup string

// ErrorPages renders error pages. A proxy can show them on the host of an application, so they load nothing and run no script.
type ErrorPages struct {
	service       string // the name of the relying party
	style, policy string
}

// NewErrorPages returns the error pages in the brand of a page.
func NewErrorPages(page Page) ErrorPages {
	style := errorPageStyle
	if !page.Brand.Accent.IsZero() {
		style += page.Brand.Accent.stylesheet()
	}
	digest := sha256.Sum256([]byte(style))
	policy := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(digest[:]) +
		"'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
	return ErrorPages{page.Name, style, policy}
}

// Render returns an error page in HTML, and its content security policy.
func (p ErrorPages) Render(e ErrorPage) (document []byte, policy string) {
	texts := locales.Of(e.Language)
	text, known := texts.Errors[e.Code]
	if !known {
		text = texts.Errors["internal"]
	}
	values := map[string]string{"name": html.EscapeString(e.Back.Application().Name), "id": html.EscapeString(e.RequestID)}
	expand := func(m locales.Message) string { return m.Expand(html.EscapeString, values) }
	label, next := texts.ErrorPage.Back, ""
	if e.SignInAgain {
		label = texts.ErrorPage.SignIn
	}
	if address := e.Back.String(); address != "" {
		next = `<p><a href="` + html.EscapeString(address) + `">` + expand(label) + `</a></p>`
	}
	return []byte(strings.NewReplacer(
		"{language}", string(texts.Language), "{direction}", texts.Direction, "{service}", html.EscapeString(p.service), "{style}", p.style,
		"{title}", expand(texts.ErrorPage.Title), "{text}", expand(text), "{code}", html.EscapeString(e.Code), "{next}", next, "{reference}", expand(texts.ErrorPage.Reference),
	).Replace(errorPageMarkup)), p.policy
}
