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

// observe logs and counts every request, and renders its error. It logs no bodies, queries or cookies, which contain credentials.
func (s *server) observe(c *fiber.Ctx) error {
	start := time.Now()
	state := stateOf(c)
	state.observed = true
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
	duration := time.Since(start)
	s.meter.ObserveRequest(c.Method(), route, c.Response().StatusCode(), duration)
	attributes := []slog.Attr{
		slog.String("request_id", state.id), slog.String("method", c.Method()), slog.String("path", truncate(c.Path())),
		slog.Int("status", c.Response().StatusCode()), slog.Float64("took_ms", float64(duration.Microseconds())/1000), slog.String("ip", s.clientIP(c)),
	}
	if sent := clientRequestID(c); sent != "" {
		attributes = append(attributes, slog.String("client_request_id", sent))
	}
	if !state.apiKey.IsZero() {
		attributes = append(attributes, slog.String("api_key_id", state.apiKey.String()))
	}
	if state.errorCode != "" {
		attributes = append(attributes, slog.String("code", state.errorCode))
	}
	level := slog.LevelInfo
	if path := c.Path(); path == livezPath || path == readyzPath {
		level = slog.LevelDebug // probes send one every few seconds
	}
	// Meaning: A request was answered. api_key_id is the key of a request to the admin API; code is that of an error; probes of /livez and /readyz have the level DEBUG.
	s.log.LogAttrs(c.UserContext(), level, "request", attributes...)
	return nil
}

// logAccountEvent logs a change that a user made to their account (OWASP ASVS 5.0, 16.3.1).
func (s *server) logAccountEvent(c *fiber.Ctx, principal identity.Principal, message string, more ...slog.Attr) {
	s.log.LogAttrs(c.UserContext(), slog.LevelInfo, message, append([]slog.Attr{slog.String("request_id", stateOf(c).id),
		slog.String("user_id", principal.User.ID().String()), slog.String("session_id", principal.Session.ID().String())}, more...)...)
}

// recordAnomaly counts and logs an anomaly in the use of a passkey; docs/runbooks/passkey-may-be-cloned.md starts from that log
// line. It does nothing for AnomalyNone.
func (s *server) recordAnomaly(c *fiber.Ctx, anomaly domain.Anomaly, credential *domain.Credential, outcome string) {
	if anomaly == domain.AnomalyNone {
		return
	}
	s.meter.CountAnomaly(anomaly)
	level := slog.LevelInfo
	if anomaly.IndicatesClone() {
		level = slog.LevelWarn
	}
	// Meaning: The use of a passkey was unusual, as anomaly says. With the level WARN it may be cloned:
	// docs/runbooks/passkey-may-be-cloned.md.
	s.log.LogAttrs(c.UserContext(), level, "passkey anomaly", slog.String("request_id", stateOf(c).id),
		slog.String("anomaly", string(anomaly)), slog.String("outcome", outcome), slog.String("user_id", credential.UserID().String()),
		slog.String("passkey_id", credential.ID().String()), slog.String("ip", s.clientIP(c)))
}

// unrouted reports whether no route matched the request.
func unrouted(err error) bool {
	var routing *fiber.Error
	return errors.As(err, &routing) && (routing.Code == http.StatusNotFound || routing.Code == http.StatusMethodNotAllowed)
}

// logEarlyRejection logs a request that was rejected before it reached observe: too large, too slow, or not valid HTTP. Its method and
// path may be unknown.
func (s *server) logEarlyRejection(c *fiber.Ctx, p problem) {
	if stateOf(c).observed {
		return
	}
	// Meaning: A request was too large, too slow, or not valid HTTP. If a proxy sends such requests, correct its configuration.
	s.log.LogAttrs(c.UserContext(), slog.LevelInfo, "request rejected", slog.String("request_id", p.RequestID),
		slog.Int("status", p.Status), slog.String("code", p.Code), slog.String("ip", s.clientIP(c)))
}

// truncate limits a path to 200 bytes and escapes what is not printable, so that a client can neither fill the log nor send control
// characters to a terminal (OWASP ASVS 5.0, 16.4.1). JSON alone does not escape all of them.
func truncate(path string) string {
	const maxLength = 200
	quoted := strconv.Quote(path[:min(len(path), maxLength)])
	return quoted[1 : len(quoted)-1]
}

// recoverPanic turns a panic into an internal error. Its value and stack are logged only.
func (s *server) recoverPanic(c *fiber.Ctx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return c.Next()
}
