package httpapi

import (
	"cmp"
	"errors"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/locales"
)

// ErrorPage is what a user reads instead of a problem document.
type ErrorPage struct {
	Language    locales.Language
	Code        string
	RequestID   string
	Back        domain.ReturnAddress // the page of an application that the user wanted; the zero value for none
	SignInAgain bool                 // a further sign-in helps, which opening Back begins
}

// showsErrorPage reports whether a browser shows the response as a page: a proxy sends on what forward auth answers to a user who opens
// a page of an application.
func (s *server) showsErrorPage(c *fiber.Ctx) bool {
	return s.config.RenderErrorPage != nil && c.Path() == forwardAuthPath && isNavigation(c) && strings.Contains(c.Get(fiber.HeaderAccept), fiber.MIMETextHTML)
}

// renderErrorPage answers with the page of a problem, after its headers.
func (s *server) renderErrorPage(c *fiber.Ctx, p problem, err error) error {
	language := cmp.Or(locales.Match(c.Get(fiber.HeaderAcceptLanguage)), s.config.Language)
	html, policy := s.config.RenderErrorPage(ErrorPage{
		Language: language, Code: p.Code, RequestID: p.RequestID, Back: stateOf(c).wanted,
		SignInAgain: needsSignIn(err) || errors.Is(err, domain.ErrAuthorizationCodeInvalid),
	})
	c.Set(fiber.HeaderContentSecurityPolicy, policy)
	c.Set(fiber.HeaderContentLanguage, string(language))
	c.Set(fiber.HeaderContentType, fiber.MIMETextHTMLCharsetUTF8)
	return c.Status(p.Status).Send(html)
}
