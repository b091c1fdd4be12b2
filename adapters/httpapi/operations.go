package httpapi

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"

	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/domain"
)

// Meter receives the metrics of the API.
type Meter interface {
	// ObserveRequest counts a request. Route is the pattern that matched, or "none".
	ObserveRequest(method, route string, status int, duration time.Duration)
	CountRejection(reason domain.Reason)
	// CountSignIn counts a session that was opened with a passkey or by recovery.
	CountSignIn()
	// CountSignInStep counts what became of a way to sign in.
	CountSignInStep(step domain.SignInStep, family domain.BrowserFamily)
	CountAnomaly(anomaly domain.Anomaly)
	// CountRateLimited counts a request that a limit rejected.
	CountRateLimited(policy domain.RatePolicy)
}

// NewOperations builds the API for monitoring: health and metrics. It is served on a listener that is not public.
func NewOperations(usecases application.UseCases, metrics http.Handler, log *slog.Logger) *fiber.App {
	s := &server{usecases: usecases, log: log}
	app := s.newApp()
	app.Use(s.recoverPanic, s.withDeadline)
	app.Get(livezPath, s.livez)
	app.Get(readyzPath, s.readyz)
	app.Get("/metrics", adaptor.HTTPHandler(metrics))
	return app
}
