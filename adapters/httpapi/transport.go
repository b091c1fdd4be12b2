package httpapi

import (
	"log/slog"
	"slices"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// chunkedLength is what fasthttp says is the length of a body that came in chunks.
const chunkedLength = -1

// newApp is a Fiber app without routes, with everything set that happens to a request before it comes to one. Its listener
// goes through Guard.
func (s *server) newApp() *fiber.App {
	app := fiber.New(s.fiberConfig())
	server := app.Server()
	server.CloseOnShutdown = true // so that clients send no further request on a connection that closes
	server.ConnState = trackConnState
	server.HeaderReceived = dropExpectIfTooLarge
	unreadable := server.ErrorHandler
	server.ErrorHandler = func(request *fasthttp.RequestCtx, err error) {
		drainOnClose(request)
		unreadable(request, err)
	}
	handle := server.Handler
	server.Handler = func(request *fasthttp.RequestCtx) {
		if err := checkFraming(&request.Request); err != nil {
			drainOnClose(request)
			request.SetConnectionClose() // the start of the next request is unknown
			s.rejectEarly(app, request, err)
			return
		}
		if request.Request.Header.ContentLength() == chunkedLength {
			// Programs have disagreed about where chunks end more than about anything else. So nothing is read behind them.
			drainOnClose(request)
			request.SetConnectionClose()
		}
		// Fiber would answer a method that it does not know by itself, past everything that all answers have in common.
		if method := string(request.Method()); method == fiber.MethodConnect || !slices.Contains(app.Config().RequestMethods, method) {
			s.rejectEarly(app, request, fiber.ErrMethodNotAllowed)
			return
		}
		handle(request)
	}
	return app
}

// rejectEarly answers a request that does not come to a route.
func (s *server) rejectEarly(app *fiber.App, request *fasthttp.RequestCtx, err error) {
	c := app.AcquireCtx(request)
	defer app.ReleaseCtx(c)
	if err == fiber.ErrMethodNotAllowed { //nolint:errorlint // it is that one
		c.Set(fiber.HeaderAllow, "GET, HEAD, POST, PATCH, DELETE")
	}
	if err := s.renderProblem(c, err); err != nil {
		s.log.Error("an answer could not be written", slog.Any("error", err))
	}
}

// drainOnClose has the client read its answer although it may be sending still.
func drainOnClose(request *fasthttp.RequestCtx) {
	if c, ours := request.Conn().(*connection); ours {
		c.setDrainOnClose()
	}
}

// dropExpectIfTooLarge lets a client that asks beforehand (Expect: 100-continue) hear of a body that is too large, and not that
// it may go on.
func dropExpectIfTooLarge(header *fasthttp.RequestHeader) fasthttp.RequestConfig {
	if header.ContentLength() > maxBodySize {
		header.Del(fiber.HeaderExpect)
	}
	return fasthttp.RequestConfig{}
}
