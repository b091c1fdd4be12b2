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

// cookies writes and reads the cookies. Over https their names carry the __Host- prefix, so that no other host and
// no plain connection can set them (RFC 6265bis, section 4.1.3.2); plain http is for localhost only.
type cookies struct {
	secure      bool
	sessionTTL  time.Duration
	ceremonyTTL time.Duration
	bindingKeys [][]byte // the first one signs, all verify
}

func (k cookies) prefixed(plain string) string {
	if k.secure {
		return "__Host-" + plain
	}
	return plain
}

func (k cookies) sessionName() string { return k.prefixed("keylodge_session") }
func (k cookies) browserName() string { return k.prefixed("keylodge_browser") }

// ceremonyName is the name of the cookie of one ceremony that a browser without a browser cookie began.
func (k cookies) ceremonyName(id domain.ChallengeID) string { return k.ceremonyPrefix() + id.String() }
func (k cookies) ceremonyPrefix() string                    { return k.prefixed("keylodge_ceremony_") }

// rejectDuplicates refuses a request that brings two different cookies by a name of ours. A browser does that if another site has
// planted one, for a path or a parent domain; the first would count, and the first is the planted one. Two different
// session cookies are ambiguous.
func (k cookies) rejectDuplicates(c *fiber.Ctx) error {
	seen := map[string]string{}
	for name, value := range c.Request().Header.Cookies() {
		name, value := string(name), string(value)
		if name != k.sessionName() && name != k.browserName() && !strings.HasPrefix(name, k.ceremonyPrefix()) {
			continue
		}
		if other, again := seen[name]; again && other != value {
			return domain.Invalid("Cookie", "duplicate_cookie", "two cookies by the name of "+name+" came; delete this site's cookies in the browser")
		}
		seen[name] = value
	}
	return c.Next()
}

func (k cookies) setSession(c *fiber.Ctx, token domain.SessionToken) {
	c.Cookie(&fiber.Cookie{
		Name: k.sessionName(), Value: token.Reveal(), Path: "/", MaxAge: int(k.sessionTTL.Seconds()),
		HTTPOnly: true, Secure: k.secure, SameSite: fiber.CookieSameSiteLaxMode,
	})
}

// setRotatedSession gives the browser another token of its session, which lasts so long at most.
func (k cookies) setRotatedSession(c *fiber.Ctx, token domain.SessionToken, lasts time.Duration) {
	k.sessionTTL = lasts
	k.setSession(c, token)
}

func (k cookies) clearSession(c *fiber.Ctx) {
	c.Cookie(&fiber.Cookie{
		Name: k.sessionName(), Path: "/", Expires: time.Unix(1, 0),
		HTTPOnly: true, Secure: k.secure, SameSite: fiber.CookieSameSiteLaxMode,
	})
}

// sessionToken returns domain.ErrUnauthenticated if the request carries no token that could be one.
func (k cookies) sessionToken(c *fiber.Ctx) (domain.SessionToken, error) {
	return domain.ParseSessionToken(c.Cookies(k.sessionName()))
}

// browser is the browser that begins a ceremony.
type browser struct {
	binding  domain.Binding // zero for a client that will bring no cookie back
	newValue domain.Secret  // the value of the cookies that it gets; empty if it has a browser cookie
}

// loadOrNewBrowser returns the browser that sent the request. All ceremonies of a browser with a browser cookie share it: two tabs, or
// autofill and a button, do not unbind each other.
func (k cookies) loadOrNewBrowser(c *fiber.Ctx) browser {
	if binding := k.readBinding(c, k.browserName()); !binding.IsZero() {
		return browser{binding: binding}
	}
	value := k.newBrowserValue()
	return browser{domain.BindTo(value), value}
}

// setBrowser sets the cookies of a browser that had none. The browser cookie is for its later ceremonies. The other one is for this
// ceremony alone: of several that are begun before the first answer, each answer replaces the browser cookie of the one before.
func (k cookies) setBrowser(c *fiber.Ctx, id domain.ChallengeID, value domain.Secret) {
	if value.IsZero() {
		return
	}
	browser := fiber.Cookie{
		Name: k.browserName(), Value: value.Reveal(), Path: "/",
		HTTPOnly: true, Secure: k.secure, SameSite: fiber.CookieSameSiteStrictMode,
	}
	ceremony := browser
	ceremony.Name, ceremony.MaxAge = k.ceremonyName(id), int(k.ceremonyTTL.Seconds())
	c.Cookie(&browser)
	c.Cookie(&ceremony)
}

// binding returns the binding of the browser that answers the ceremony: that of the ceremony's own cookie, or else that of
// the browser cookie. It is zero for a request without either.
func (k cookies) binding(c *fiber.Ctx, id domain.ChallengeID) domain.Binding {
	if binding := k.readBinding(c, k.ceremonyName(id)); !binding.IsZero() {
		return binding
	}
	return k.readBinding(c, k.browserName())
}

// readBinding returns the binding to the cookie of that name, or the zero binding. A value that was not minted here does not count
// (OWASP: strict session management).
func (k cookies) readBinding(c *fiber.Ctx, name string) domain.Binding {
	value := c.Cookies(name)
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

func (k cookies) newBrowserValue() domain.Secret {
	nonce := rand.Text()
	return domain.NewSecret(nonce + "." + sign(k.bindingKeys[0], nonce))
}

func sign(key []byte, nonce string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(nonce))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
