package httpapi_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/adapters/buckets"
	"github.com/keylodge/keylodge/adapters/httpapi"
	"github.com/keylodge/keylodge/adapters/metrics"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/ratelimit"
	"github.com/keylodge/keylodge/domain"
)

// oneCallLimiter allows one request of each class and network.
func oneCallLimiter() application.UseCases {
	limits := domain.RateLimits{}
	for _, class := range domain.RateClasses {
		limits[class.PerNetwork()] = domain.RateLimit{Quota: 1, Window: time.Hour}
	}
	return application.UseCases{RateLimit: &ratelimit.Service{
		Limits: limits, Key: domain.RateKey("key"), Clock: clock{}, Local: buckets.New(clock{}, buckets.Max),
	}}
}

// Every route that signs in or changes something is limited before any lookup, except those of this list.
// Requirement: ASVS-6.3.1
func TestRoutes_MutationsAreRateLimited(t *testing.T) {
	unlimited := []string{ // revoking sessions must always be possible
		"DELETE /v1/session", "DELETE /v1/me/sessions", "DELETE /v1/me/sessions/:id",
	}
	api := func() *fiber.App {
		return httpapi.New(httpapi.Config{Origins: []string{publicURL}, RPID: "localhost", BindingKeys: [][]byte{make([]byte, 32)}},
			oneCallLimiter(), metrics.New(), slog.New(slog.DiscardHandler))
	}
	checked := 0
	for _, route := range api().GetRoutes(true) {
		if !strings.HasPrefix(route.Path, "/v1/") || slices.Contains([]string{http.MethodGet, http.MethodHead}, route.Method) {
			continue
		}
		checked++
		app := api()
		var got *http.Response
		for range 2 {
			request := httptest.NewRequest(route.Method, strings.Replace(route.Path, ":id", "01890000-0000-7000-8000-000000000001", 1), nil)
			request.Header.Set("Origin", publicURL)
			var err error
			if got, err = app.Test(request, -1); err != nil {
				t.Fatal(err)
			}
		}
		name := route.Method + " " + route.Path
		// API keys cannot be guessed, and a program of the operator may send any number of requests.
		free := slices.Contains(unlimited, name) || strings.HasPrefix(route.Path, "/v1/admin/")
		if limited := got.StatusCode == http.StatusTooManyRequests; limited == free {
			t.Errorf("%s: limited = %t", name, limited)
		} else if limited && (got.Header.Get("Retry-After") != "3600" || !strings.HasSuffix(got.Header.Get("RateLimit"), ";r=0;t=3600") ||
			!strings.HasSuffix(got.Header.Get("RateLimit-Policy"), ";q=1;w=3600") ||
			!strings.Contains(got.Header.Get("Access-Control-Expose-Headers"), "RateLimit, RateLimit-Policy")) {
			t.Errorf("%s: %v", name, got.Header)
		}
	}
	if checked < 25 {
		t.Errorf("found only %d routes", checked)
	}
}

// A request that is not JSON or comes from a page of another site is rejected before it is counted.
func TestRateLimit_IgnoresRequestsRejectedEarlier(t *testing.T) {
	app := httpapi.New(httpapi.Config{BindingKeys: [][]byte{make([]byte, 32)}}, oneCallLimiter(), metrics.New(), slog.New(slog.DiscardHandler))
	for range 3 {
		request := httptest.NewRequest(http.MethodPost, "/v1/login/options", strings.NewReader("a=b"))
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if got, err := app.Test(request, -1); err != nil || got.StatusCode != http.StatusUnsupportedMediaType || got.Header.Get("RateLimit") != "" {
			t.Fatalf("%v, %v", got, err)
		}
		request = httptest.NewRequest(http.MethodPost, "/v1/login/options", nil)
		request.Header.Set("Origin", "https://evil.example")
		if got, err := app.Test(request, -1); err != nil || got.StatusCode != http.StatusForbidden || got.Header.Get("RateLimit") != "" {
			t.Fatalf("%v, %v", got, err)
		}
	}
}
