package httpapi

import (
	"log/slog"
	"slices"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// lengthOfChunks is what fasthttp says is the length of a body that came in chunks.
const lengthOfChunks = -1

// newApp is a Fiber app without routes, with everything set that happens to a request before it comes to one. Its listener
// goes through Guard.
func (s *server) newApp() *fiber.App {
	app := fiber.New(s.fiberConfig())
	server := app.Server()
	server.CloseOnShutdown = true // so that nobody sends another request on a connection that is about to go
	server.ConnState = followConnection
	server.HeaderReceived = expectNoTooLarge
	unreadable := server.ErrorHandler
	server.ErrorHandler = func(request *fasthttp.RequestCtx, err error) {
		lingerOn(request)
		unreadable(request, err)
	}
	handle := server.Handler
	server.Handler = func(request *fasthttp.RequestCtx) {
		if err := checkFraming(&request.Request); err != nil {
			lingerOn(request)
			request.SetConnectionClose() // where the next request begins is anybody's guess
			s.refuse(app, request, err)
			return
		}
		if request.Request.Header.ContentLength() == lengthOfChunks {
			// Programs have disagreed about where chunks end more than about anything else. So nothing is read behind them.
			lingerOn(request)
			request.SetConnectionClose()
		}
		// Fiber would answer a method that it does not know by itself, past everything that all answers have in common.
		if method := string(request.Method()); method == fiber.MethodConnect || !slices.Contains(app.Config().RequestMethods, method) {
			s.refuse(app, request, fiber.ErrMethodNotAllowed)
			return
		}
		handle(request)
	}
	return app
}

// refuse answers a request that does not come to a route.
func (s *server) refuse(app *fiber.App, request *fasthttp.RequestCtx, err error) {
	c := app.AcquireCtx(request)
	defer app.ReleaseCtx(c)
	if err == fiber.ErrMethodNotAllowed { //nolint:errorlint // it is that one
		c.Set(fiber.HeaderAllow, "GET, HEAD, POST, PATCH, DELETE")
	}
	if err := s.renderProblem(c, err); err != nil {
		s.log.Error("an answer could not be written", slog.Any("error", err))
	}
}

// lingerOn has the client read its answer although it may be sending still.
func lingerOn(request *fasthttp.RequestCtx) {
	if c, ours := request.Conn().(*connection); ours {
		c.linger()
	}
}

// expectNoTooLarge lets a client that asks beforehand (Expect: 100-continue) hear of a body that is too large, and not that
// it may go on.
func expectNoTooLarge(header *fasthttp.RequestHeader) fasthttp.RequestConfig {
	if header.ContentLength() > maxBodySize {
		header.Del(fiber.HeaderExpect)
	}
	return fasthttp.RequestConfig{}
}
