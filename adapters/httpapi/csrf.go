package httpapi

import (
	"crypto/rand"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
)

const headerCSRFToken = "X-CSRF-Token" //nolint:gosec // the name of a header

// csrfTokens issues and verifies CSRF tokens: signed double submit (OWASP, Cross-Site Request Forgery Prevention). A page sends the
// token in a header beside the session cookie, which proves that it can read this server's responses; pages of other sites cannot.
// A token is valid for one session only, and nothing is stored.
type csrfTokens struct {
	keys domain.KeyRing[domain.SessionID]
}

// issue returns a token that is valid as long as the session. Each one is different, so that the size of a compressed response does
// not reveal it (BREACH).
func (t csrfTokens) issue(session domain.SessionID) string {
	nonce := rand.Text()
	return nonce + "." + t.keys.Sign(csrfMessage(session, nonce))
}

// verify returns errCSRF unless the token was issued for the session.
func (t csrfTokens) verify(token string, session domain.SessionID) error {
	nonce, signature, _ := strings.Cut(token, ".")
	if len(token) > 128 || !t.keys.Verify(csrfMessage(session, nonce), signature) {
		return errCSRF
	}
	return nil
}

// csrfMessage is unambiguous, since the session's id has a fixed length.
func csrfMessage(session domain.SessionID, nonce string) string {
	return session.String() + "!" + nonce
}

// getCSRF returns a token for the session of the cookie, for a page that was reloaded.
func (s *server) getCSRF(c *fiber.Ctx, principal identity.Principal) error {
	if usesBearerToken(c) {
		return domain.ErrUnauthenticated // a bearer session needs no CSRF token
	}
	return c.JSON(fiber.Map{"csrf_token": s.csrf.issue(principal.Session.ID())})
}
