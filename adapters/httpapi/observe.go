package httpapi

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
)

// observe logs every request once it is answered, errors included. Neither bodies, queries nor cookies are logged: they
// hold what opens accounts.
func (s *server) observe(c *fiber.Ctx) error {
	begun := time.Now()
	id := requestID(c)
	if err := c.Next(); err != nil {
		if err := s.renderProblem(c, err); err != nil {
			return err
		}
	}
	level := slog.LevelInfo
	if strings.HasSuffix(c.Path(), "z") { // probes ask every few seconds
		level = slog.LevelDebug
	}
	s.log.LogAttrs(c.UserContext(), level, "request",
		slog.String("request_id", id), slog.String("method", c.Method()), slog.String("path", clip(c.Path())),
		slog.Int("status", c.Response().StatusCode()), slog.Duration("took", time.Since(begun)), slog.String("ip", s.clientIP(c)))
	return nil
}

// clip keeps a client from filling the log with one request.
func clip(path string) string {
	const longest = 200
	return path[:min(len(path), longest)]
}

// recoverPanic turns a panic into an internal error; its value and stack are for the log alone.
func (s *server) recoverPanic(c *fiber.Ctx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return c.Next()
}
