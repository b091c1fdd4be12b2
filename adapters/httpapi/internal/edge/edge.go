// Package edge reads HTTP from the network for fasthttp: it limits the connections, and rejects requests that another program
// could read in another way.
package edge

import (
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// Limits of a request.
const (
	MaxHeaderSize = 16 << 10
	MaxBodySize   = 64 << 10
)

// Protect makes a server reject ambiguous requests: reject writes the response to one. The server must accept its connections
// through LimitListener.
func Protect(server *fasthttp.Server, reject func(*fasthttp.RequestCtx, error)) {
	server.CloseOnShutdown = true // so that clients send no further request on a connection that closes
	server.ConnState = trackConnState
	server.HeaderReceived = dropExpectIfTooLarge
	handleError := server.ErrorHandler
	server.ErrorHandler = func(request *fasthttp.RequestCtx, err error) {
		drainOnClose(request)
		handleError(request, err)
	}
	handle := server.Handler
	server.Handler = func(request *fasthttp.RequestCtx) {
		chunked, err := checkFraming(&request.Request)
		if chunked || err != nil {
			// The start of the next request is unknown after an ambiguous one, and disputed after a chunked body: programs differ
			// most about where chunks end. So the connection ends with the response.
			drainOnClose(request)
			request.SetConnectionClose()
		}
		if err != nil {
			reject(request, err)
			return
		}
		handle(request)
	}
}

// drainOnClose lets the client receive the response although it may still be sending its request.
func drainOnClose(request *fasthttp.RequestCtx) {
	if c, ok := request.Conn().(*connection); ok {
		c.setDrainOnClose()
	}
}

// dropExpectIfTooLarge answers a request with Expect: 100-continue and a body that is too large with 413 instead of 100.
func dropExpectIfTooLarge(header *fasthttp.RequestHeader) fasthttp.RequestConfig {
	if header.ContentLength() > MaxBodySize {
		header.Del(fiber.HeaderExpect)
	}
	return fasthttp.RequestConfig{}
}
