package httpapi

import (
	"bytes"
	"crypto/rand"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/domain"
)

// cookies writes and reads the cookies. Over https their names carry the __Host- prefix, so that no other host and
// no plain connection can set them (RFC 6265bis, section 4.1.3.2); plain http is for localhost only.
type cookies struct {
	secure      bool
	ceremonyTTL time.Duration
	bindingKeys domain.KeyRing[domain.Binding]
}

// The names of the cookies on plain http.
const (
	sessionCookie  = "keylodge_session"
	browserCookie  = "keylodge_browser"
	ceremonyCookie = "keylodge_ceremony_" // with the id of the challenge
)

func (k cookies) prefix() string {
	if k.secure {
		return "__Host-"
	}
	return ""
}

func (k cookies) sessionName() string { return k.prefix() + sessionCookie }
func (k cookies) browserName() string { return k.prefix() + browserCookie }

// ceremonyName is the name of the cookie of one ceremony that a browser without a browser cookie began.
func (k cookies) ceremonyName(id domain.ChallengeID) string {
	return k.prefix() + ceremonyCookie + id.String()
}

// sets reports whether this server sets cookies of that name.
func (k cookies) sets(name []byte) bool {
	plain, prefixed := bytes.CutPrefix(name, []byte(k.prefix()))
	return prefixed && (string(plain) == sessionCookie || string(plain) == browserCookie || bytes.HasPrefix(plain, []byte(ceremonyCookie)))
}

// rejectDuplicates rejects a request that has two different cookies of the same name, if this server sets cookies of that name. A
// browser sends two if an attacker has set one for a path or a parent domain. The attacker's may come first.
func (k cookies) rejectDuplicates(c *fiber.Ctx) error {
	var seen map[string][]byte
	for name, value := range c.Request().Header.Cookies() {
		if !k.sets(name) {
			continue
		}
		if other, duplicate := seen[string(name)]; duplicate && !bytes.Equal(other, value) {
			return domain.Invalid("Cookie", "duplicate_cookie", "two different cookies have the name "+string(name)+"; delete this site's cookies in the browser")
		}
		if seen == nil {
			seen = map[string][]byte{}
		}
		seen[string(name)] = value
	}
	return c.Next()
}

func (k cookies) setSession(c *fiber.Ctx, token domain.SessionToken, lifetime time.Duration) {
	c.Cookie(&fiber.Cookie{
		Name: k.sessionName(), Value: token.Reveal(), Path: "/", MaxAge: seconds(lifetime),
		HTTPOnly: true, Secure: k.secure, SameSite: fiber.CookieSameSiteLaxMode,
	})
}

func (k cookies) clearSession(c *fiber.Ctx) {
	c.Cookie(&fiber.Cookie{
		Name: k.sessionName(), Path: "/", Expires: time.Unix(1, 0),
		HTTPOnly: true, Secure: k.secure, SameSite: fiber.CookieSameSiteLaxMode,
	})
}

// sessionToken returns the token of the session cookie, or domain.ErrUnauthenticated if it is missing or malformed.
func (k cookies) sessionToken(c *fiber.Ctx) (domain.SessionToken, error) {
	return domain.ParseSessionToken(c.Cookies(k.sessionName()))
}

// browser is the browser that begins a ceremony.
type browser struct {
	binding  domain.Binding // zero for a client that sends no cookies
	newValue domain.Secret  // the value of the cookies to set; empty if the browser has a browser cookie
}

// loadOrNewBrowser returns the browser that sent the request. All ceremonies of a browser share its cookie, so that two tabs, or
// autofill and a button, do not invalidate each other's ceremonies.
func (k cookies) loadOrNewBrowser(c *fiber.Ctx) browser {
	if binding := k.readBinding(c, k.browserName()); !binding.IsZero() {
		return browser{binding: binding}
	}
	value := k.newBrowserValue()
	return browser{domain.BindTo(value), value}
}

// setBrowser sets the cookies of a browser that had none. The browser cookie is for later ceremonies, the other one for this ceremony
// only: if a browser without cookies begins several at once, each response replaces the browser cookie.
func (k cookies) setBrowser(c *fiber.Ctx, id domain.ChallengeID, value domain.Secret) {
	if value.IsZero() {
		return
	}
	browser := fiber.Cookie{
		Name: k.browserName(), Value: value.Reveal(), Path: "/",
		HTTPOnly: true, Secure: k.secure, SameSite: fiber.CookieSameSiteStrictMode,
	}
	ceremony := browser
	ceremony.Name, ceremony.MaxAge = k.ceremonyName(id), seconds(k.ceremonyTTL)
	c.Cookie(&browser)
	c.Cookie(&ceremony)
}

// binding returns the binding of the browser that completes a ceremony: by the cookie of that ceremony, or else by the browser
// cookie. It is zero for a request without either.
func (k cookies) binding(c *fiber.Ctx, id domain.ChallengeID) domain.Binding {
	if binding := k.readBinding(c, k.ceremonyName(id)); !binding.IsZero() {
		return binding
	}
	return k.readBinding(c, k.browserName())
}

// readBinding returns the binding to the cookie of that name. It is zero if this server has not signed the value (OWASP: strict
// session management).
func (k cookies) readBinding(c *fiber.Ctx, name string) domain.Binding {
	value := c.Cookies(name)
	nonce, signature, _ := strings.Cut(value, ".")
	if !k.bindingKeys.Verify(nonce, signature) {
		return domain.Binding{}
	}
	return domain.BindTo(domain.NewSecret(value))
}

func (k cookies) newBrowserValue() domain.Secret {
	nonce := rand.Text()
	return domain.NewSecret(nonce + "." + k.bindingKeys.Sign(nonce))
}
