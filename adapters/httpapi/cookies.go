package httpapi

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/domain"
)

// cookies writes and reads the two cookies. Over https their names carry the __Host- prefix, so that no other host and
// no plain connection can set them (RFC 6265bis, section 4.1.3.2); plain http is for localhost only.
type cookies struct {
	secure      bool
	lifetime    time.Duration
	bindingKeys [][]byte // the first one signs, all verify
}

func (k cookies) name(plain string) string {
	if k.secure {
		return "__Host-" + plain
	}
	return plain
}

func (k cookies) session() string { return k.name("keylodge_session") }
func (k cookies) browser() string { return k.name("keylodge_browser") }

// checkOnce refuses a request that brings two different cookies by a name of ours. A browser does that if somebody else has
// planted one, for a path or a parent domain; the first would count, and the first is the planted one. Nobody is to act in a
// session that is not theirs, nor are we to choose.
func (k cookies) checkOnce(c *fiber.Ctx) error {
	seen := map[string]string{}
	for name, value := range c.Request().Header.Cookies() {
		name, value := string(name), string(value)
		if name != k.session() && name != k.browser() {
			continue
		}
		if other, again := seen[name]; again && other != value {
			return domain.Invalid("Cookie", "duplicate_cookie", "two cookies by the name of "+name+" came; delete this site's cookies in the browser")
		}
		seen[name] = value
	}
	return nil
}

func (k cookies) setSession(c *fiber.Ctx, token domain.SessionToken) {
	c.Cookie(&fiber.Cookie{
		Name: k.session(), Value: token.Reveal(), Path: "/", MaxAge: int(k.lifetime.Seconds()),
		HTTPOnly: true, Secure: k.secure, SameSite: fiber.CookieSameSiteLaxMode,
	})
}

// renewSession gives the browser another token of its session, which lasts so long at most.
func (k cookies) renewSession(c *fiber.Ctx, token domain.SessionToken, lasts time.Duration) {
	k.lifetime = lasts
	k.setSession(c, token)
}

func (k cookies) clearSession(c *fiber.Ctx) {
	c.Cookie(&fiber.Cookie{
		Name: k.session(), Path: "/", Expires: time.Unix(1, 0),
		HTTPOnly: true, Secure: k.secure, SameSite: fiber.CookieSameSiteLaxMode,
	})
}

// sessionToken returns domain.ErrUnauthenticated if the request carries no token that could be one.
func (k cookies) sessionToken(c *fiber.Ctx) (domain.SessionToken, error) {
	return domain.ParseSessionToken(c.Cookies(k.session()))
}

// bind returns the binding of the browser that sent the request, giving it a cookie if it has none of ours. All
// ceremonies of one browser share it: two tabs, or autofill and a button, do not unbind each other.
func (k cookies) bind(c *fiber.Ctx) domain.Binding {
	if binding := k.binding(c); !binding.IsZero() {
		return binding
	}
	value := k.mintBrowser()
	c.Cookie(&fiber.Cookie{
		Name: k.browser(), Value: value.Reveal(), Path: "/",
		HTTPOnly: true, Secure: k.secure, SameSite: fiber.CookieSameSiteStrictMode,
	})
	return domain.BindTo(value)
}

// binding returns the zero binding for a request without a cookie of ours. A value that was not minted here does not
// count (OWASP: strict session management).
func (k cookies) binding(c *fiber.Ctx) domain.Binding {
	value := c.Cookies(k.browser())
	nonce, mac, found := strings.Cut(value, ".")
	if !found {
		return domain.Binding{}
	}
	for _, key := range k.bindingKeys {
		if hmac.Equal([]byte(mac), []byte(sign(key, nonce))) {
			return domain.BindTo(domain.NewSecret(value))
		}
	}
	return domain.Binding{}
}

func (k cookies) mintBrowser() domain.Secret {
	nonce := rand.Text()
	return domain.NewSecret(nonce + "." + sign(k.bindingKeys[0], nonce))
}

func sign(key []byte, nonce string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(nonce))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func (s *server) guardCookies(c *fiber.Ctx) error {
	if err := s.cookies.checkOnce(c); err != nil {
		return err
	}
	return c.Next()
}
