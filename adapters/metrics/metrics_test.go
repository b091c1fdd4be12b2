package metrics

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/domain"
)

func TestMetrics_Exposition(t *testing.T) {
	m := New()
	m.CountSignIn()
	m.CountSignIn()
	m.CountAnomaly(domain.AnomalyCounterRegressed)
	m.CountRateLimited(domain.RateLogin.PerAccount())
	for _, rejected := range []bool{true, false, false} {
		m.CountFallback(rejected)
	}
	m.SetRateLimitStoreUp(true)
	m.SetRateLimitStoreUp(false)
	response := httptest.NewRecorder()
	m.Handler().ServeHTTP(response, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, line := range []string{
		"keylodge_sign_ins_total 2",
		`keylodge_passkey_anomalies_total{anomaly="counter_regressed"} 1`,
		`keylodge_passkey_anomalies_total{anomaly="backup_eligibility_changed"} 0`,
		"go_goroutines ",
		`keylodge_rate_limited_total{limit="login-account"} 1`,
		`keylodge_rate_limited_total{limit="recovery"} 0`,
		"keylodge_rate_limit_store_up 0",
		`keylodge_rate_limit_fallback_total{outcome="local"} 2`,
		`keylodge_rate_limit_fallback_total{outcome="rejected"} 1`,
	} {
		if !strings.Contains(response.Body.String(), line) {
			t.Errorf("no %q in\n%s", line, response.Body)
		}
	}
}
