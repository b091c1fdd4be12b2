package httpapi_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/adapters/metrics"
	"github.com/keylodge/keylodge/domain"
)

// metricsAfter returns the metrics after one request to an API with the given store.
func metricsAfter(t *testing.T, s store, method, path string) string {
	t.Helper()
	meter := metrics.New()
	callMetered(t, s, meter, method, path, "")
	response := httptest.NewRecorder()
	meter.Handler().ServeHTTP(response, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return response.Body.String()
}

func TestMetrics_RequestsByRoute(t *testing.T) {
	for _, c := range []struct {
		store        store
		method, path string
		want         string
	}{
		{storeReturning(nil), http.MethodGet, "/livez?x=1", `method="GET",route="/livez",status="200"`},
		{storeReturning(errors.New("internal error")), http.MethodGet, "/readyz", `method="GET",route="/readyz",status="500"`},
		{storeReturning(nil), http.MethodGet, "/v1/anything", `method="GET",route="none",status="404"`},
		{storeReturning(nil), http.MethodPost, "/v1/session", `method="POST",route="none",status="405"`},
		{storeReturning(nil), http.MethodGet, "/v1/session", `method="GET",route="/v1/session",status="401"`},
	} {
		line := "keylodge_http_request_duration_seconds_count{" + c.want + "} 1"
		if got := metricsAfter(t, c.store, c.method, c.path); !strings.Contains(got, line) {
			t.Errorf("%s %s: no %s in\n%s", c.method, c.path, line, got)
		}
	}
}

func TestMetrics_RejectionsByReason(t *testing.T) {
	rejects := func(context.Context) error { return domain.Reject(domain.ReasonCounterRegressed, "") }
	got := metricsAfter(t, rejects, http.MethodGet, "/readyz")
	for _, line := range []string{
		`keylodge_ceremonies_rejected_total{reason="counter_regressed"} 1`,
		`keylodge_ceremonies_rejected_total{reason="malformed"} 0`,
		"keylodge_sign_ins_total 0",
	} {
		if !strings.Contains(got, line) {
			t.Errorf("no %s in\n%s", line, got)
		}
	}
}
