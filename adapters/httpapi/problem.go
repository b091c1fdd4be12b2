package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/domain"
)

// problem is the problem document of an error (RFC 9457), extended by a stable code.
type problem struct {
	Type      string         `json:"type"`
	Title     string         `json:"title"`
	Status    int            `json:"status"`
	Code      string         `json:"code"`
	Detail    string         `json:"detail,omitempty"`
	RequestID string         `json:"request_id"`
	Errors    []invalidField `json:"errors,omitempty"`
}

type invalidField struct {
	Field  string `json:"field"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// statusByKind maps the kinds of the domain's errors to statuses.
var statusByKind = map[domain.Kind]int{
	domain.KindInvalid:         http.StatusBadRequest,
	domain.KindUnauthenticated: http.StatusUnauthorized,
	domain.KindForbidden:       http.StatusForbidden,
	domain.KindNotFound:        http.StatusNotFound,
	domain.KindConflict:        http.StatusConflict,
	domain.KindGone:            http.StatusGone,
	domain.KindRejected:        http.StatusUnprocessableEntity,
	domain.KindRateLimited:     http.StatusTooManyRequests,
	domain.KindUnavailable:     http.StatusServiceUnavailable,
}

// Errors that only HTTP has.
var (
	errCrossOrigin = &domain.Error{Kind: domain.KindForbidden, Code: "cross_origin_rejected", Message: "the origin of this page is not allowed; add it to KEYLODGE_ORIGINS, or to KEYLODGE_APP_ORIGINS for an app"}

	errCSRF = &domain.Error{Kind: domain.KindForbidden, Code: "csrf_rejected", Message: "the CSRF token is missing or invalid; send that of the session in X-CSRF-Token, for example from GET /v1/csrf"}

	errProxyNotTrusted = &domain.Error{Kind: domain.KindForbidden, Code: "proxy_not_trusted", Message: "this request must come from a reverse proxy; add its address to KEYLODGE_TRUSTED_PROXIES"}

	httpErrors = map[int]*domain.Error{
		http.StatusNotFound:                    {Code: "not_found", Message: "this path does not exist"},
		http.StatusMethodNotAllowed:            {Code: "method_not_allowed", Message: "this path does not support this method; see the Allow header"},
		http.StatusRequestEntityTooLarge:       {Code: "body_too_large", Message: "the body is larger than 64 KiB"},
		http.StatusUnsupportedMediaType:        {Code: "unsupported_media_type", Message: "send the body as application/json, uncompressed"},
		http.StatusRequestHeaderFieldsTooLarge: {Code: "invalid_request", Message: "the request's headers are too large"},
		http.StatusRequestTimeout:              {Code: "invalid_request", Message: "the request took too long to arrive"},
	}
	errBadHTTP  = &domain.Error{Code: "invalid_request", Message: "the request is not valid HTTP"}
	errInternal = &domain.Error{Code: "internal", Message: "an error occurred on the server; quote the request id to its operator"}
)

// retryAfter is the Retry-After of an unavailable server, in seconds.
const retryAfter = "2"

// problemOf returns the problem document of any error. An unknown error becomes "internal", without its details.
func problemOf(err error) problem {
	var domainErr *domain.Error
	var fiberErr *fiber.Error
	switch {
	case errors.As(err, &domainErr):
		p := newProblem(statusByKind[domainErr.Kind], domainErr)
		if domainErr == domain.ErrAuthenticatorNotAccepted {
			// It has the type of every rejected passkey, and a detail of its own.
			p.Title, p.Detail = domain.ErrPasskeyRejected.Message, domainErr.Message
		}
		var invalid *domain.InvalidInput
		if errors.As(err, &invalid) {
			p.Detail = invalid.Error()
			for _, f := range invalid.Fields {
				p.Errors = append(p.Errors, invalidField{f.Field, f.Code, f.Message})
			}
		}
		return p
	case errors.As(err, &fiberErr) && (fiberErr.Code < http.StatusInternalServerError || fiberErr.Code == http.StatusBadGateway):
		// Fiber returns 502 if reading the request failed.
		if e, found := httpErrors[fiberErr.Code]; found {
			return newProblem(fiberErr.Code, e)
		}
		return newProblem(http.StatusBadRequest, errBadHTTP)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return newProblem(http.StatusServiceUnavailable, domain.ErrUnavailable)
	}
	return newProblem(http.StatusInternalServerError, errInternal)
}

func newProblem(status int, e *domain.Error) problem {
	return problem{Type: "urn:keylodge:problem:" + e.Code, Title: e.Message, Status: status, Code: e.Code}
}

// renderProblem answers with the problem document of err, or with its page, and logs what the client does not receive.
func (s *server) renderProblem(c *fiber.Ctx, err error) error {
	p := problemOf(err)
	state := stateOf(c)
	p.RequestID, state.errorCode = state.id, p.Code
	s.setSecureHeaders(c) // the request may not have reached secureHeaders
	s.logEarlyRejection(c, p)
	s.logFailure(p, err, c)
	c.Set(fiber.HeaderCacheControl, "no-store")
	if p.Status == http.StatusUnauthorized {
		setWWWAuthenticate(c)
	}
	var wait *domain.RetryAfterError
	if errors.As(err, &wait) {
		c.Set(fiber.HeaderRetryAfter, strconv.Itoa(max(ceilSeconds(wait.Delay), 1)))
	}
	if p.Status == http.StatusServiceUnavailable {
		c.Set(fiber.HeaderRetryAfter, retryAfter)
	}
	if s.showsErrorPage(c) {
		return s.renderErrorPage(c, p, err)
	}
	body, marshalErr := json.Marshal(p)
	if marshalErr != nil {
		return marshalErr
	}
	c.Set(fiber.HeaderContentType, "application/problem+json")
	return c.Status(p.Status).Send(body)
}

func (s *server) logFailure(p problem, err error, c *fiber.Ctx) {
	id := slog.String("request_id", p.RequestID)
	var rejection *domain.Rejection
	if errors.As(err, &rejection) {
		s.meter.CountRejection(rejection.Reason)
		// Meaning: A registration, a sign-in or a step-up was rejected. docs/reference/events.md explains reason, which the
		// client does not receive.
		s.log.Warn("ceremony rejected", id, slog.String("code", p.Code), slog.String("reason", string(rejection.Reason)),
			slog.String("detail", rejection.Detail), slog.String("ip", s.clientIP(c)))
	}
	var anomaly *ceremony.AnomalyError
	if errors.As(err, &anomaly) {
		outcome := "rejected"
		if anomaly.Credential.Status() == domain.CredentialSuspended {
			outcome = "suspended"
		}
		s.recordAnomaly(c, anomaly.Anomaly, anomaly.Credential, outcome)
	}
	if errors.Is(err, domain.ErrRefreshTokenReused) {
		// Meaning: A refresh token was used twice: it was copied, or an app stores it in two places. The user must sign in again.
		s.log.Warn("refresh token reused; its session was revoked", id, slog.String("ip", s.clientIP(c)))
	}
	if errors.Is(err, domain.ErrAuthorizationCodeReused) {
		// Meaning: An authorization code was redeemed twice: it was copied, or an application repeats requests. The session from the
		// first redemption was revoked.
		s.log.Warn("authorization code reused; its session was revoked", id, slog.String("ip", s.clientIP(c)))
	}
	if p.Status >= http.StatusInternalServerError && !errors.Is(err, domain.ErrLimiterUnavailable) { // the limiter logs its own outage once
		// Meaning: A request failed with status 5xx. error has the cause; keylodge doctor checks the database.
		s.log.Error("request failed", id, slog.String("code", p.Code), slog.Any("error", err))
	}
}
