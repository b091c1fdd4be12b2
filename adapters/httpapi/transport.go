package httpapi

import (
	"log/slog"
	"net"
	"slices"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/keylodge/keylodge/adapters/httpapi/internal/edge"
)

// LimitListener limits the connections of a listener to 4096. The apps of this package must be served through it.
func LimitListener(listener net.Listener, log *slog.Logger) net.Listener {
	return edge.LimitListener(listener, log)
}

// newApp returns a Fiber app without routes that rejects ambiguous requests and unknown methods.
func (s *server) newApp() *fiber.App {
	app := fiber.New(s.fiberConfig())
	server := app.Server()
	handle := server.Handler
	server.Handler = func(request *fasthttp.RequestCtx) {
		// Fiber itself would answer an unknown method without this package's middleware.
		if method := string(request.Method()); method == fiber.MethodConnect || !slices.Contains(app.Config().RequestMethods, method) {
			s.rejectEarly(app, request, fiber.ErrMethodNotAllowed)
			return
		}
		handle(request)
	}
	edge.Protect(server, func(request *fasthttp.RequestCtx, err error) { s.rejectEarly(app, request, err) })
	return app
}

// rejectEarly answers a request that reaches no route.
func (s *server) rejectEarly(app *fiber.App, request *fasthttp.RequestCtx, err error) {
	c := app.AcquireCtx(request)
	defer app.ReleaseCtx(c)
	if err == fiber.ErrMethodNotAllowed { //nolint:errorlint // it is this value
		c.Set(fiber.HeaderAllow, "GET, HEAD, POST, PATCH, DELETE")
	}
	if err := s.renderProblem(c, err); err != nil {
		// Meaning: An error response could not be written. There is nothing to do unless it repeats.
		s.log.Error("writing a response failed", slog.Any("error", err))
	}
}
