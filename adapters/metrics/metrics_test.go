package metrics

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/domain"
)

func TestSignInsAndFindingsAreCounted(t *testing.T) {
	m := New()
	m.SignedIn(domain.FindingNone)
	m.SignedIn(domain.FindingCounterRegressed)
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, line := range []string{
		"keylodge_sign_ins_total 2",
		`keylodge_passkey_findings_total{finding="counter_regressed"} 1`,
		`keylodge_passkey_findings_total{finding="backup_eligibility_changed"} 0`,
		"go_goroutines ",
	} {
		if !strings.Contains(answer.Body.String(), line) {
			t.Errorf("no %q in\n%s", line, answer.Body)
		}
	}
}
