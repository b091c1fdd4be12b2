package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/adapters/httpapi"
	"github.com/keylodge/keylodge/adapters/metrics"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/maintenance"
	"github.com/keylodge/keylodge/application/ratelimit"
	"github.com/keylodge/keylodge/application/sessioncache"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// store calls a function of the test instead of a database.
type store func(context.Context) error

func (s store) View(ctx context.Context, _ func(ports.Tx) error) error   { return s(ctx) }
func (s store) Update(ctx context.Context, _ func(ports.Tx) error) error { return s(ctx) }
func (store) OtherCommits() (uint64, bool)                               { return 0, false }

type clock struct{}

func (clock) Now() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

// call sends one request to an API with the given store, and returns the response, its body and the log.
func call(t *testing.T, s store, method, path, body string, headers ...string) (response *http.Response, read, log string) {
	t.Helper()
	return callMetered(t, s, metrics.New(), method, path, body, headers...)
}

// callMetered is call with a given Meter.
func callMetered(t *testing.T, s store, meter httpapi.Meter, method, path, body string, headers ...string) (response *http.Response, read, log string) {
	t.Helper()
	var lines bytes.Buffer
	api := httpapi.New(httpapi.Config{PublicURL: "http://localhost:8080", BindingKeys: [][]byte{make([]byte, 32)}}, application.UseCases{
		Sessions:    &sessions.Service{Store: sessioncache.New(s), Clock: clock{}, Issuer: newIssuer(t)},
		Maintenance: &maintenance.Service{Store: s},
		RateLimit:   &ratelimit.Service{},
	}, meter, slog.New(slog.NewJSONHandler(&lines, &slog.HandlerOptions{Level: slog.LevelDebug})))
	request := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := api.Test(request, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	all, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(all), lines.String()
}

func storeReturning(err error) store { return func(context.Context) error { return err } }

// The details of an internal error are logged under the request id. The response says only whether to try again.
// Requirement: ASVS-16.5.1
func TestProblem_InternalDetailIsLoggedOnly(t *testing.T) {
	for name, c := range map[string]struct {
		store  store
		status int
		code   string
		level  string
	}{
		"an outage":           {storeReturning(fmt.Errorf("hunter2: %w", domain.ErrUnavailable)), 503, "unavailable", "ERROR"},
		"a timeout":           {storeReturning(fmt.Errorf("hunter2: %w", context.DeadlineExceeded)), 503, "unavailable", "ERROR"},
		"a cancellation":      {storeReturning(fmt.Errorf("hunter2: %w", context.Canceled)), 503, "unavailable", "ERROR"},
		"an unknown error":    {storeReturning(errors.New("hunter2")), 500, "internal", "ERROR"},
		"an error with 501":   {storeReturning(fiber.NewError(http.StatusNotImplemented, "hunter2")), 500, "internal", "ERROR"},
		"a broken connection": {storeReturning(fiber.NewError(http.StatusBadGateway, "hunter2")), 400, "invalid_request", ""},
		"a panic":             {func(context.Context) error { panic("hunter2") }, 500, "internal", "ERROR"},
		"a rejection":         {storeReturning(domain.Reject(domain.ReasonSignatureInvalid, "hunter2")), 422, "passkey_rejected", "WARN"},
		"a slow request":      {storeReturning(fiber.NewError(http.StatusRequestTimeout, "hunter2")), 408, "invalid_request", ""},
		"an unusual status":   {storeReturning(fiber.NewError(http.StatusTeapot, "hunter2")), 400, "invalid_request", ""},
	} {
		t.Run(name, func(t *testing.T) {
			response, body, log := call(t, c.store, http.MethodGet, "/readyz", "")
			var problem struct {
				Code      string `json:"code"`
				RequestID string `json:"request_id"`
			}
			if err := json.Unmarshal([]byte(body), &problem); err != nil || response.StatusCode != c.status || problem.Code != c.code || problem.RequestID != response.Header.Get("X-Request-Id") {
				t.Errorf("%d %s, %v", response.StatusCode, body, err)
			}
			if strings.Contains(body, "hunter2") || strings.Contains(body, "signature_invalid") {
				t.Errorf("the response contains the detail: %s", body)
			}
			if retry := response.Header.Get("Retry-After"); (retry != "") != (c.status == 503) {
				t.Errorf("status %d has Retry-After %q", c.status, retry)
			}
			if response.Header.Get("X-Content-Type-Options") != "nosniff" || response.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("headers: %v", response.Header)
			}
			for line := range strings.Lines(log) {
				if strings.Contains(line, `"msg":"request"`) {
					continue
				}
				for _, part := range []string{`"level":"` + c.level + `"`, "hunter2", `"request_id":"` + problem.RequestID + `"`} {
					if !strings.Contains(line, part) {
						t.Errorf("no %s in %s", part, line)
					}
				}
			}
			if lines := strings.Count(log, "\n"); (lines == 2) != (c.level != "") {
				t.Errorf("%d lines: %s", lines, log)
			}
		})
	}
}

// Requirement: ASVS-16.5.1
func TestSession_OutageKeepsCookie(t *testing.T) {
	token := "kls_" + strings.Repeat("A", 43)
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		response, body, _ := call(t, storeReturning(domain.ErrUnavailable), method, "/v1/session", "", "Cookie", "keylodge_session="+token)
		if response.StatusCode != 503 || response.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %d %v %s", method, response.StatusCode, response.Header, body)
		}
	}
}

func TestRequest_HasDeadline(t *testing.T) {
	hasDeadline := false
	call(t, func(ctx context.Context) error {
		_, hasDeadline = ctx.Deadline()
		return nil
	}, http.MethodGet, "/readyz", "")
	if !hasDeadline {
		t.Error("the store gets a context without a deadline")
	}
}

// Requirement: ASVS-16.2.5
func TestRequestLog_OmitsSecrets(t *testing.T) {
	response, _, log := call(t, storeReturning(nil), http.MethodDelete, "/v1/session?email=hunter2", `{"hunter2":"hunter2"}`,
		"Content-Type", "application/json", "Cookie", "keylodge_session=hunter2; keylodge_browser=hunter2", "X-Request-Id", "request-17")
	var line struct {
		Level, Msg, Method, Path string
		RequestID                string `json:"request_id"`
		ClientRequestID          string `json:"client_request_id"`
		Status                   int
	}
	if err := json.Unmarshal([]byte(log), &line); err != nil {
		t.Fatalf("%v in %s", err, log)
	}
	if line.Level != "INFO" || line.Msg != "request" || line.Method != http.MethodDelete || line.Path != "/v1/session" || line.Status != 204 ||
		line.RequestID != response.Header.Get("X-Request-Id") || line.ClientRequestID != "request-17" {
		t.Errorf("logged %+v", line)
	}
	if strings.Contains(log, "hunter2") {
		t.Errorf("logged %s", log)
	}
	for _, probe := range []string{"/livez", "/readyz"} {
		if _, _, log := call(t, storeReturning(nil), http.MethodGet, probe, ""); !strings.Contains(log, `"level":"DEBUG"`) {
			t.Errorf("%s is not logged at DEBUG: %s", probe, log)
		}
	}
}

// Requirement: ASVS-4.2.1
func TestNew_SetsConnectionTimeouts(t *testing.T) {
	limits := httpapi.New(httpapi.Config{}, application.UseCases{RateLimit: &ratelimit.Service{}}, metrics.New(), slog.New(slog.DiscardHandler)).Config()
	for name, limit := range map[string]time.Duration{"reading": limits.ReadTimeout, "writing": limits.WriteTimeout, "waiting": limits.IdleTimeout} {
		if limit <= 0 || limit > time.Minute {
			t.Errorf("timeout for %s is %s", name, limit)
		}
	}
}
