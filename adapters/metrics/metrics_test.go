package metrics

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
)

func TestMetrics_Exposition(t *testing.T) {
	m := New()
	m.CountSignIn()
	m.CountSignIn()
	m.CountAnomaly(domain.AnomalyCounterRegressed)
	m.CountSignInStep(domain.SignInStep{Way: domain.WayImmediate, Outcome: domain.OutcomeNoPasskey}, domain.FamilySafari)
	m.CountRateLimited(domain.RateLogin.PerAccount())
	for _, rejected := range []bool{true, false, false} {
		m.CountFallback(rejected)
	}
	m.CountEmails(2, 1, 0)
	m.SetEmailBacklog(3, time.UnixMilli(1_700_000_000_250))
	m.SetSigningKey(time.Time{})
	m.SetVersion("1.2.3")
	m.ObserveJob("send e-mails", 250*time.Millisecond, false)
	m.SetRateLimitStoreUp(true)
	m.SetRateLimitStoreUp(false)
	response := httptest.NewRecorder()
	m.Handler().ServeHTTP(response, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, line := range []string{
		"keylodge_sign_ins_total 2",
		`keylodge_passkey_anomalies_total{anomaly="counter_regressed"} 1`,
		`keylodge_passkey_anomalies_total{anomaly="backup_eligibility_changed"} 0`,
		`keylodge_sign_in_steps_total{browser="safari",outcome="no_passkey",way="immediate"} 1`,
		`keylodge_sign_in_steps_total{browser="other",outcome="done",way="recovery"} 0`,
		"go_goroutines ",
		`keylodge_rate_limited_total{limit="login-account"} 1`,
		`keylodge_rate_limited_total{limit="recovery"} 0`,
		"keylodge_rate_limit_store_up 0",
		`keylodge_email_deliveries_total{outcome="sent"} 2`,
		`keylodge_email_deliveries_total{outcome="discarded"} 0`,
		"keylodge_emails_waiting 3",
		"keylodge_oldest_email_timestamp_seconds 1.70000000025e+09",
		"keylodge_signing_key_created_timestamp_seconds 0",
		`keylodge_build_info{goversion="` + runtime.Version() + `",version="1.2.3"} 1`,
		`keylodge_job_duration_seconds_sum{job_name="send e-mails"} 0.25`,
		`keylodge_job_failures_total{job_name="send e-mails"} 1`,
		`keylodge_rate_limit_fallback_total{outcome="local"} 2`,
		`keylodge_rate_limit_fallback_total{outcome="rejected"} 1`,
	} {
		if !strings.Contains(response.Body.String(), line) {
			t.Errorf("no %q in\n%s", line, response.Body)
		}
	}
}

// The alerts, the dashboard and the runbooks use metrics and label values that are exported from the start, so that
// they see the first increase.
func TestMetrics_DocumentedAlertsSelectExportedSeries(t *testing.T) {
	m := New()
	m.SetVersion("1.2.3")
	m.ObserveRequest(http.MethodGet, "/readyz", http.StatusOK, time.Second)
	m.ObserveJob("send e-mails", 0, true)
	response := httptest.NewRecorder()
	m.Handler().ServeHTTP(response, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	exported := response.Body.String()

	pages, err := filepath.Glob("../../docs/runbooks/*.md")
	if err != nil {
		t.Fatal(err)
	}
	selector := regexp.MustCompile(`(keylodge_[a-z_]+)(?:\{([a-z]+)(?:=|!=|=~)"([a-z_|]+)"\})?`)
	found := 0
	for _, page := range append(pages, "../../deploy/prometheus/keylodge.rules.yml", "../../deploy/grafana/keylodge.json") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, selected := range selector.FindAllStringSubmatch(string(text), -1) {
			name, label, values := selected[1], selected[2], selected[3]
			if !strings.Contains(exported, "\n"+name) {
				t.Errorf("%s: there is no metric %s", page, name)
			}
			for value := range strings.SplitSeq(values, "|") {
				if series := name + "{" + label + `="` + value + `"}`; label != "" && !strings.Contains(exported, "\n"+series) {
					t.Errorf("%s: %s is not exported from the start", page, series)
				}
			}
			found++
		}
	}
	if found < 10 {
		t.Errorf("the pages name %d metrics", found)
	}
}
