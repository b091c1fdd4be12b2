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

// Meter counts what the API does.
type Meter interface {
	// ObserveRequest counts a request. Route is the pattern that matched, or "none".
	ObserveRequest(method, route string, status int, took time.Duration)
	CountRejection(reason domain.Reason)
	// CountSignIn counts a session opened, with what was odd about it and allowed.
	CountSignIn()
	CountAnomaly(finding domain.Anomaly)
	// CountRateLimited counts a call that was refused because too many had come before.
	CountRateLimited(policy domain.RatePolicy)
}

// NewOperations builds what the operator's tools ask, on a listener that the public does not reach: health and metrics.
func NewOperations(usecases application.UseCases, metrics http.Handler, log *slog.Logger) *fiber.App {
	s := &server{usecases: usecases, log: log}
	app := s.newApp()
	app.Use(s.recoverPanic, s.withDeadline)
	app.Get(livezPath, s.livez)
	app.Get(readyzPath, s.readyz)
	app.Get("/metrics", adaptor.HTTPHandler(metrics))
	return app
}
