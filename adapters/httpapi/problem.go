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

// problem is an error as a client sees it: RFC 9457, with a stable code of ours.
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

// statusByKind is the only place that maps the domain's failures to HTTP.
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

// Failures that only exist in HTTP.
var (
	errCrossOrigin = &domain.Error{Kind: domain.KindForbidden, Code: "cross_origin_rejected", Message: "this page is not on an origin that may call this server; add it to KEYLODGE_ORIGINS, or that of an app to KEYLODGE_APP_ORIGINS"}

	errCSRF = &domain.Error{Kind: domain.KindForbidden, Code: "csrf_rejected", Message: "send the session's CSRF token in the X-CSRF-Token header; GET /v1/csrf gives one"}

	httpErrors = map[int]*domain.Error{
		http.StatusNotFound:                    {Code: "not_found", Message: "there is nothing at this address"},
		http.StatusMethodNotAllowed:            {Code: "method_not_allowed", Message: "this address does not take this method; see the Allow header"},
		http.StatusRequestEntityTooLarge:       {Code: "body_too_large", Message: "the body is larger than 64 KiB"},
		http.StatusUnsupportedMediaType:        {Code: "unsupported_media_type", Message: "send the body as application/json, uncompressed"},
		http.StatusRequestHeaderFieldsTooLarge: {Code: "invalid_request", Message: "the request's headers are too large"},
		http.StatusRequestTimeout:              {Code: "invalid_request", Message: "the request took too long to arrive"},
	}
	errBadHTTP  = &domain.Error{Code: "invalid_request", Message: "the request is not valid HTTP"}
	errInternal = &domain.Error{Code: "internal", Message: "something went wrong on the server; quote the request id to its operator"}
)

// retryAfter is how long a client should wait before it asks an unavailable server again, in seconds.
const retryAfter = "2"

// problemOf translates any error. What is not known to be the client's doing is internal and says nothing of itself.
func problemOf(err error) problem {
	var broken *domain.Error
	var refused *fiber.Error
	switch {
	case errors.As(err, &broken):
		p := newProblem(statusByKind[broken.Kind], broken)
		if broken == domain.ErrAuthenticatorNotAccepted {
			// Its type is that of every refused answer; what its caller can do is its own.
			p.Title, p.Detail = domain.ErrPasskeyRejected.Message, broken.Message
		}
		var invalid *domain.InvalidInput
		if errors.As(err, &invalid) {
			p.Detail = invalid.Error()
			for _, f := range invalid.Fields {
				p.Errors = append(p.Errors, invalidField{f.Field, f.Code, f.Message})
			}
		}
		return p
	case errors.As(err, &refused) && (refused.Code < http.StatusInternalServerError || refused.Code == http.StatusBadGateway):
		// 502 is what Fiber makes of a connection that broke while the request was read.
		if known, found := httpErrors[refused.Code]; found {
			return newProblem(refused.Code, known)
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

// renderProblem answers with err, and tells the log what the client is not told.
func (s *server) renderProblem(c *fiber.Ctx, err error) error {
	p := problemOf(err)
	p.RequestID = requestID(c)
	c.Locals(codeKey, p.Code)
	s.setSecureHeaders(c) // it may never have come to secureHeaders
	s.logEarlyRejection(c, p)
	s.logFailure(p, err, c)
	body, unwritten := json.Marshal(p)
	if unwritten != nil {
		return unwritten
	}
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
	c.Set(fiber.HeaderContentType, "application/problem+json")
	return c.Status(p.Status).Send(body)
}

func (s *server) logFailure(p problem, err error, c *fiber.Ctx) {
	id := slog.String("request_id", p.RequestID)
	var rejection *domain.Rejection
	if errors.As(err, &rejection) {
		s.meter.CountRejection(rejection.Reason)
		s.log.Warn("ceremony rejected", id, slog.String("code", p.Code), slog.String("reason", string(rejection.Reason)),
			slog.String("detail", rejection.Detail), slog.String("ip", s.clientIP(c)))
	}
	var odd *ceremony.AnomalyError
	if errors.As(err, &odd) {
		outcome := "refused"
		if odd.Credential.Status() == domain.CredentialSuspended {
			outcome = "suspended"
		}
		s.recordAnomaly(c, odd.Anomaly, odd.Credential, outcome)
	}
	if errors.Is(err, domain.ErrRefreshTokenReused) {
		s.log.Warn("a refresh token was used again; its session was ended", id, slog.String("ip", s.clientIP(c)))
	}
	if p.Status >= http.StatusInternalServerError && !errors.Is(err, domain.ErrLimiterUnavailable) { // which is logged once, when it begins
		s.log.Error("request failed", id, slog.String("code", p.Code), slog.Any("error", err))
	}
}
