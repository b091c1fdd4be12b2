package httpapi

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
)

const headerCSRFToken = "X-CSRF-Token" //nolint:gosec // the name of a header

// csrfTokens proves that a request was made by a page that could read an answer of ours, which other sites' cannot: a
// signed double submit (OWASP, Cross-Site Request Forgery Prevention), where the token goes in a header beside the session
// cookie and is signed for that very session. Another site cannot plant one of another session, and nothing is stored.
type csrfTokens struct{ keys [][]byte } // the first one signs, all verify

// issue returns a token that is good for as long as the session is. Each one is different, so that a compressed answer
// gives nothing away (BREACH).
func (t csrfTokens) issue(session domain.SessionID) string {
	nonce := rand.Text()
	return nonce + "." + t.sign(t.keys[0], session, nonce)
}

// verify returns errCSRF unless the token was minted for the session.
func (t csrfTokens) verify(token string, session domain.SessionID) error {
	nonce, mac, found := strings.Cut(token, ".")
	if !found || len(token) > 128 {
		return errCSRF
	}
	for _, key := range t.keys {
		if hmac.Equal([]byte(mac), []byte(t.sign(key, session, nonce))) {
			return nil
		}
	}
	return errCSRF
}

func (t csrfTokens) sign(key []byte, session domain.SessionID, nonce string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(session.String() + "!" + nonce)) // the id is of fixed length
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// getCSRF gives a page that was reloaded a token for the session that its cookie holds.
func (s *server) getCSRF(c *fiber.Ctx, actor identity.Principal) error {
	if usesBearerToken(c) {
		return domain.ErrUnauthenticated // by cookie, which is what the token is for
	}
	return c.JSON(fiber.Map{"csrf_token": s.csrf.issue(actor.Session.ID())})
}
