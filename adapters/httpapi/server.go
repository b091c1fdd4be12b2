// Package httpapi is the HTTP API: it parses, executes a use case, and renders. Its contract is docs/api.md; problem.go is
// the only place that knows statuses.
package httpapi

import (
	"cmp"
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/adapters/httpapi/internal/edge"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/domain"
)

// Config is what the API needs to know of the installation.
type Config struct {
	PublicURL       string   // the origin that people see, without a trailing slash
	OwnsSubdomains  bool     // that nothing but this server and what belongs to it has a name below its host
	Origins         []string // every allowed origin, the public one among them
	AppOrigins      []string // of web views and extensions: allowed, without cookies
	RPID            string
	RPName          string
	Registration    domain.RegistrationPolicy
	Recovery        domain.RecoveryPolicy
	Mail            domain.EmailPolicy
	SessionTTL      time.Duration
	ChallengeTTL    time.Duration
	BindingKeys     [][]byte // for the browser's cookies: the first one signs, all verify
	CSRFKeys        [][]byte // likewise for CSRF tokens
	TrustedProxies  []netip.Prefix
	MinResponseTime time.Duration // how long answers take at least whose time could tell of accounts
	WellKnown       WellKnown
	// AuthenticatorName returns the name of a model, or "" for an unknown one.
	AuthenticatorName func(domain.AAGUID) string
	ReadWriteTimeout  time.Duration // with a request that is arriving, and with an answer that is taken; 0 for ten seconds
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

// Limits of a connection. A slow client costs a goroutine and a buffer for so long and no longer.
const (
	readTimeout    = 10 * time.Second
	writeTimeout   = 10 * time.Second
	idleTimeout    = 60 * time.Second
	requestTimeout = 8 * time.Second
)

// New builds the API. Nothing listens yet, and further routes may be added.
func New(config Config, usecases application.UseCases, meter Meter, log *slog.Logger) *fiber.App {
	s := &server{
		config: config, usecases: usecases, meter: meter, log: log,
		csrf: csrfTokens{config.CSRFKeys}, strictTransport: config.strictTransport(),
		cookies: cookies{
			secure:      strings.HasPrefix(config.PublicURL, "https://"),
			sessionTTL:  config.SessionTTL,
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
		Immutable:               true, // Fiber reuses the memory of its strings otherwise
		CaseSensitive:           true,
		StrictRouting:           true,
		EnableTrustedProxyCheck: true, // with no proxies listed: no header tells Fiber a scheme or a host
		BodyLimit:               edge.MaxBodySize,
		ReadBufferSize:          edge.MaxHeaderSize,
		ReadTimeout:             cmp.Or(s.config.ReadWriteTimeout, readTimeout),
		WriteTimeout:            cmp.Or(s.config.ReadWriteTimeout, writeTimeout),
		IdleTimeout:             idleTimeout,

		DisablePreParseMultipartForm: true, // no endpoint takes a form; let it be refused as any other body is
		ErrorHandler:                 s.renderProblem,
	}
}

// withDeadline gives every request a context that ends: Fiber's own never does.
func (s *server) withDeadline(c *fiber.Ctx) error {
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	c.SetUserContext(ctx)
	return c.Next()
}
