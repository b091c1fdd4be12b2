// Package httpapi is the HTTP API: each handler parses the request, executes a use case, and renders the response. Its contract is
// docs/reference/api-conventions.md. Only problem.go maps errors to statuses.
package httpapi

import (
	"cmp"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/adapters/httpapi/internal/edge"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/locales"
)

// Config configures the API.
type Config struct {
	PublicURL       string   // the origin of the server, without a trailing slash
	OwnsSubdomains  bool     // whether all subdomains of the host belong to this server
	Origins         []string // every allowed origin, including PublicURL
	AppOrigins      []string // of web views, extensions and applications on other sites: allowed, without cookies
	Applications    domain.Applications
	RPID            string
	RPName          string
	Language        locales.Language // of the page in a browser without a supported language
	Brand           Brand
	Registration    domain.RegistrationPolicy
	Recovery        domain.RecoveryPolicy
	Mail            domain.EmailPolicy
	SessionTTL      time.Duration
	ChallengeTTL    time.Duration
	BindingKeys     domain.KeyRing[domain.Binding]   // for the browser's cookies
	CSRFKeys        domain.KeyRing[domain.SessionID] // for CSRF tokens
	TrustedProxies  []netip.Prefix
	MinResponseTime time.Duration // of responses whose time could reveal whether an account exists
	WellKnown       WellKnown
	// AuthenticatorName returns the name of a model, or "" for an unknown one.
	AuthenticatorName func(domain.AAGUID) string
	// BrowserFamily returns the family of a browser by its User-Agent header.
	BrowserFamily func(userAgent string) domain.BrowserFamily
	// RenderErrorPage returns an error page in HTML, and its content security policy. If it is nil, users read
	// problem documents.
	RenderErrorPage  func(ErrorPage) (html []byte, policy string)
	ReadWriteTimeout time.Duration // for reading a request and for writing a response; 0 means ten seconds
	RequestTimeout   time.Duration // for the time between both; 0 means eight seconds
}

type server struct {
	config   Config
	usecases application.UseCases
	log      *slog.Logger
	meter    Meter
	cookies  cookies
	csrf     csrfTokens

	strictTransport string // Strict-Transport-Security, or "" for none
}

// Timeouts of a connection. They limit how long a slow client occupies a goroutine and a buffer.
const (
	readTimeout    = 10 * time.Second
	writeTimeout   = 10 * time.Second
	idleTimeout    = 60 * time.Second
	requestTimeout = 8 * time.Second
)

// New builds the API. The caller may add routes, and must serve it through LimitListener.
func New(config Config, usecases application.UseCases, meter Meter, log *slog.Logger) *fiber.App {
	s := &server{
		config: config, usecases: usecases, meter: meter, log: log,
		csrf: csrfTokens{config.CSRFKeys}, strictTransport: config.strictTransport(),
		cookies: cookies{
			secure:      strings.HasPrefix(config.PublicURL, "https://"),
			ceremonyTTL: config.ChallengeTTL,
			bindingKeys: config.BindingKeys,
		},
	}
	app := s.newApp()
	app.Use(s.observe, s.recoverPanic, s.secureHeaders, s.withDeadline)
	s.route(app)
	return app
}

func (s *server) fiberConfig() fiber.Config {
	return fiber.Config{
		AppName:                 "Keylodge",
		DisableStartupMessage:   true,
		Immutable:               true, // otherwise Fiber reuses the memory of its strings
		CaseSensitive:           true,
		StrictRouting:           true,
		EnableTrustedProxyCheck: true, // without a list of proxies: Fiber takes neither scheme nor host from a header
		BodyLimit:               edge.MaxBodySize,
		ReadBufferSize:          edge.MaxHeaderSize,
		ReadTimeout:             cmp.Or(s.config.ReadWriteTimeout, readTimeout),
		WriteTimeout:            cmp.Or(s.config.ReadWriteTimeout, writeTimeout),
		IdleTimeout:             idleTimeout,

		DisablePreParseMultipartForm: true, // no route accepts a form; requireJSON rejects it
		ErrorHandler:                 s.renderProblem,
	}
}

// withDeadline sets a context with a timeout, which Fiber's own context does not have.
func (s *server) withDeadline(c *fiber.Ctx) error {
	ctx := &deadline{at: time.Now().Add(cmp.Or(s.config.RequestTimeout, requestTimeout))}
	defer ctx.end()
	c.SetUserContext(ctx)
	return c.Next()
}
