package httpapi

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
)

const forwardAuthPath = "/v1/forward-auth"

// Headers with which reverse proxies describe the request that they ask about: those of Caddy and Traefik, and those of nginx.
const (
	headerForwardedURI   = "X-Forwarded-Uri"
	headerForwardedProto = fiber.HeaderXForwardedProto
	headerForwardedHost  = fiber.HeaderXForwardedHost
	headerOriginalURL    = "X-Original-Url"
)

// Headers that tell the application who the user is.
const (
	headerRemoteUser   = "Remote-User"
	headerRemoteEmail  = "Remote-Email"
	headerRemoteName   = "Remote-Name"
	headerRemoteGroups = "Remote-Groups"
)

// forwardAuth answers a reverse proxy that asks whether a request may reach an application: with 200 and the user, with a redirect to
// sign in, or with 401.
//
// Only trusted proxies may ask, since the headers decide which application's rules apply. The path of the callback ends a sign-in, so
// that one address is all that a proxy needs.
func (s *server) forwardAuth(c *fiber.Ctx) error {
	original, err := s.originalRequest(c)
	if err != nil {
		return err
	}
	stateOf(c).wanted = original.address
	if original.isCallback() {
		return s.finishForwardAuth(c, original)
	}
	principal, err := s.usecases.ForwardAuth.Check(c.UserContext(), original.address.Application(), original.cookies.token(c), s.client(c))
	switch {
	case err == nil:
		setRemoteUser(c, principal)
		return nil
	case !needsSignIn(err):
		return err
	case !original.mayRedirect || !isNavigation(c):
		return domain.ErrUnauthenticated // also for domain.ErrStepUpRequired: at the application, only another sign-in helps
	}
	callback, challenge := s.usecases.ForwardAuth.Begin(original.address, original.cookies.loadOrSetBrowser(c))
	query := url.Values{"return_to": {callback.String()}, "code_challenge": {challenge.String()}}
	return c.Redirect(s.config.PublicURL+"/login?"+query.Encode(), http.StatusSeeOther)
}

// finishForwardAuth sets the cookie of the application's host, and returns to the page that the user wanted.
func (s *server) finishForwardAuth(c *fiber.Ctx, original originalRequest) error {
	query, badQuery := url.ParseQuery(original.query)
	destination, err := s.config.Applications.ForwardAuthAddress(original.address.Application().Origin, query.Get("path"))
	if err != nil {
		return err
	}
	stateOf(c).wanted = destination
	if badQuery != nil {
		return domain.Invalid("path", "invalid_query", "the query of the callback is not valid")
	}
	if err := s.admit(c, domain.RateRefresh, s.callerNetwork(c)); err != nil {
		return err
	}
	signIn, err := s.usecases.ForwardAuth.Finish(c.UserContext(), destination, query.Get("code"), original.cookies.browser(c), s.client(c))
	if errors.Is(err, domain.ErrAuthorizationCodeInvalid) {
		// Another tab has finished its sign-in first, or the user went back: a user who is signed in needs no code.
		if _, err := s.usecases.ForwardAuth.Check(c.UserContext(), destination.Application(), original.cookies.token(c), s.client(c)); err == nil {
			return c.Redirect(destination.String(), http.StatusSeeOther)
		}
	}
	if err != nil {
		return err
	}
	original.cookies.setToken(c, signIn.Token, signIn.ExpiresIn)
	// Meaning: A user reached an application behind a reverse proxy, which asks this server about each request.
	s.logAccountEvent(c, signIn.Principal, "signed in to an application by forward auth")
	return c.Redirect(destination.String(), http.StatusSeeOther)
}

// needsSignIn reports whether a sign-in helps.
func needsSignIn(err error) bool {
	var domainErr *domain.Error
	return errors.Is(err, domain.ErrStepUpRequired) || errors.As(err, &domainErr) && domainErr.Kind == domain.KindUnauthenticated
}

// isNavigation reports whether a user opens a page: a script or an image cannot show the page of this server.
func isNavigation(c *fiber.Ctx) bool {
	if mode := c.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	return strings.Contains(c.Get(fiber.HeaderAccept), "text/html")
}

// setRemoteUser sets the headers that the proxy sends on to the application. The name is UTF-8, as in a browser's form. An address
// that is not verified is omitted: an application could take it for its owner's. A header without a value is empty, since proxies would
// otherwise keep what the client has sent.
func setRemoteUser(c *fiber.Ctx, principal identity.Principal) {
	var email domain.Email
	if principal.User.EmailVerified() {
		email = principal.User.Email()
	}
	c.Set(headerRemoteUser, principal.User.ID().String())
	c.Set(headerRemoteEmail, string(email))
	c.Set(headerRemoteName, string(principal.User.DisplayName()))
	c.Set(headerRemoteGroups, strings.Join(principal.User.Groups().Strings(), ","))
}

// originalRequest is the request that a reverse proxy asks about.
type originalRequest struct {
	address     domain.ReturnAddress
	path, query string
	mayRedirect bool // the proxy sends the response to the browser, unless it is 2xx
	cookies     forwardAuthCookies
}

// originalRequest returns what the proxy says about the original request. nginx knows only 2xx, 401 and 403, and says it in
// X-Original-URL; a proxy that sends X-Forwarded-Uri also passes redirects on. A request with both is rejected: a client could add the
// one that its proxy does not set, and choose another application.
func (s *server) originalRequest(c *fiber.Ctx) (original originalRequest, err error) {
	if !s.isTrustedProxy(peerAddress(c)) {
		return original, errProxyNotTrusted
	}
	var origin, uri string
	switch full, forwarded := singleHeader(c, headerOriginalURL), singleHeader(c, headerForwardedURI); {
	case full != "" && forwarded == "":
		origin, uri = splitOrigin(full)
	case forwarded != "" && full == "":
		origin, uri = singleHeader(c, headerForwardedProto)+"://"+singleHeader(c, headerForwardedHost), forwarded
		original.mayRedirect = true
	default:
		return original, domain.Invalid(headerForwardedURI, "required", "the proxy must send either X-Forwarded-Uri, X-Forwarded-Proto and X-Forwarded-Host, or X-Original-URL, each once")
	}
	original.address, err = s.config.Applications.ForwardAuthAddress(origin, uri)
	original.path, original.query, _ = strings.Cut(uri, "?")
	original.cookies = newForwardAuthCookies(origin)
	return original, err
}

func (r originalRequest) isCallback() bool {
	return r.mayRedirect && r.path == domain.ForwardAuthCallbackPath
}

// singleHeader returns the value of a header, or "" unless there is exactly one.
func singleHeader(c *fiber.Ctx, name string) string {
	values := c.Request().Header.PeekAll(name)
	if len(values) != 1 {
		return ""
	}
	return string(values[0])
}

// splitOrigin splits a URL into its origin and the rest. The origin is compared byte for byte, so no other parser can disagree.
func splitOrigin(s string) (origin, rest string) {
	scheme, afterScheme, _ := strings.Cut(s, "://")
	end := strings.IndexAny(afterScheme, "/?#")
	if end < 0 {
		end = len(afterScheme)
	}
	return scheme + "://" + afterScheme[:end], afterScheme[end:]
}

// forwardAuthCookies are the cookies on the host of an application. On localhost all ports share their cookies, so the names have the
// port there.
type forwardAuthCookies struct {
	secure              bool
	tokenName, flowName string
}

// forwardAuthFlowTTL is how long a user may take to sign in.
const forwardAuthFlowTTL = time.Hour

func newForwardAuthCookies(origin string) forwardAuthCookies {
	const token, flow = "keylodge_forward_auth", "keylodge_forward_auth_flow"
	if strings.HasPrefix(origin, "https://") {
		return forwardAuthCookies{true, "__Host-" + token, "__Host-" + flow}
	}
	suffix := ""
	if u, err := url.Parse(origin); err == nil {
		suffix = "_" + u.Port()
	}
	return forwardAuthCookies{false, token + suffix, flow + suffix}
}

func (k forwardAuthCookies) token(c *fiber.Ctx) string { return c.Cookies(k.tokenName) }

// browser returns the secret of the browser that began a sign-in, or zero.
func (k forwardAuthCookies) browser(c *fiber.Ctx) domain.Secret {
	if value := c.Cookies(k.flowName); len(value) == len(rand.Text()) {
		return domain.NewSecret(value)
	}
	return domain.Secret{}
}

// loadOrSetBrowser returns the secret of the browser. All tabs share it, so that none invalidates the sign-in of another.
func (k forwardAuthCookies) loadOrSetBrowser(c *fiber.Ctx) domain.Secret {
	secret := k.browser(c)
	if secret.IsZero() {
		secret = domain.NewSecret(rand.Text())
	}
	k.set(c, k.flowName, secret.Reveal(), forwardAuthFlowTTL)
	return secret
}

// setToken sets the token, and ends the sign-in.
func (k forwardAuthCookies) setToken(c *fiber.Ctx, token domain.Secret, lifetime time.Duration) {
	k.set(c, k.tokenName, token.Reveal(), lifetime)
	k.set(c, k.flowName, "", -1)
}

// set sets a cookie, or deletes it if the lifetime is negative. Lax: the browser returns from this server's page, which may be on
// another site.
func (k forwardAuthCookies) set(c *fiber.Ctx, name, value string, lifetime time.Duration) {
	cookie := &fiber.Cookie{Name: name, Value: value, Path: "/", HTTPOnly: true, Secure: k.secure, SameSite: fiber.CookieSameSiteLaxMode}
	if lifetime < 0 {
		cookie.Expires = time.Unix(1, 0)
	} else {
		cookie.MaxAge = seconds(lifetime)
	}
	c.Cookie(cookie)
}
