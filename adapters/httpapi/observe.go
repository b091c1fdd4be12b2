package httpapi

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
)

// observe logs every request once it is answered, errors included. Neither bodies, queries nor cookies are logged: they
// hold what opens accounts.
func (s *server) observe(c *fiber.Ctx) error {
	begun := time.Now()
	id := requestID(c)
	c.Locals(observedKey, true)
	route := ""
	if err := c.Next(); err != nil {
		if unrouted(err) {
			route = "none"
		}
		if err := s.renderProblem(c, err); err != nil {
			return err
		}
	}
	if route == "" {
		route = c.Route().Path
	}
	took := time.Since(begun)
	s.meter.ObserveRequest(c.Method(), route, c.Response().StatusCode(), took)
	attributes := []slog.Attr{
		slog.String("request_id", id), slog.String("method", c.Method()), slog.String("path", truncate(c.Path())),
		slog.Int("status", c.Response().StatusCode()), slog.Float64("took_ms", float64(took.Microseconds())/1000), slog.String("ip", s.clientIP(c)),
	}
	if sent := clientRequestID(c); sent != "" {
		attributes = append(attributes, slog.String("client_request_id", sent))
	}
	if code, refused := c.Locals(codeKey).(string); refused {
		attributes = append(attributes, slog.String("code", code))
	}
	level := slog.LevelInfo
	if path := c.Path(); path == livezPath || path == readyzPath {
		level = slog.LevelDebug // probes ask every few seconds
	}
	s.log.LogAttrs(c.UserContext(), level, "request", attributes...)
	return nil
}

// logAccountEvent logs what a user did to their account (OWASP ASVS 5.0, 16.3.1).
func (s *server) logAccountEvent(c *fiber.Ctx, actor identity.Principal, what string, more ...slog.Attr) {
	s.log.LogAttrs(c.UserContext(), slog.LevelInfo, what, append([]slog.Attr{slog.String("request_id", requestID(c)),
		slog.String("user_id", actor.User.ID().String()), slog.String("session_id", actor.Session.ID().String())}, more...)...)
}

// recordAnomaly counts an odd use of a passkey and tells the operator's log, where docs/runbooks/passkey-may-be-cloned.md begins.
// Without a finding it does nothing.
func (s *server) recordAnomaly(c *fiber.Ctx, finding domain.Anomaly, credential *domain.Credential, outcome string) {
	if finding == domain.AnomalyNone {
		return
	}
	s.meter.CountAnomaly(finding)
	level := slog.LevelInfo
	if finding.IndicatesClone() {
		level = slog.LevelWarn
	}
	s.log.LogAttrs(c.UserContext(), level, "passkey anomaly", slog.String("request_id", requestID(c)),
		slog.String("anomaly", string(finding)), slog.String("outcome", outcome), slog.String("user_id", credential.UserID().String()),
		slog.String("passkey_id", credential.ID().String()), slog.String("ip", s.clientIP(c)))
}

// unrouted reports whether no route took the request.
func unrouted(err error) bool {
	var refused *fiber.Error
	return errors.As(err, &refused) && (refused.Code == http.StatusNotFound || refused.Code == http.StatusMethodNotAllowed)
}

const (
	observedKey = "observed"
	codeKey     = "code"
)

// logEarlyRejection logs a request that was refused before it came to observe: too large, too slow, or hardly HTTP. Little
// of it is known.
func (s *server) logEarlyRejection(c *fiber.Ctx, p problem) {
	if c.Locals(observedKey) != nil {
		return
	}
	s.log.LogAttrs(c.UserContext(), slog.LevelInfo, "request refused", slog.String("request_id", p.RequestID),
		slog.Int("status", p.Status), slog.String("code", p.Code), slog.String("ip", s.clientIP(c)))
}

// truncate keeps a client from filling the log with one request, and from writing control characters to the terminal of its reader: what
// cannot be printed is escaped, which JSON leaves undone for much of it (OWASP ASVS 5.0, 16.4.1).
func truncate(path string) string {
	const longest = 200
	quoted := strconv.Quote(path[:min(len(path), longest)])
	return quoted[1 : len(quoted)-1]
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
