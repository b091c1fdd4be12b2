// Package metrics counts what the server does, in the form that Prometheus reads. No metric carries an address, a name or
// an id.
package metrics

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/keylodge/keylodge/domain"
)

// Metrics are those of one server.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
	rejected *prometheus.CounterVec
	signIns  prometheus.Counter
	findings *prometheus.CounterVec
}

// New starts to count, Go's runtime and the process among it. Every reason and finding is there from the start, at zero,
// so that an alert can tell a first one from none.
func New() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "keylodge_http_request_duration_seconds", Help: "Requests answered, and how long it took.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, 1, 5},
		}, []string{"method", "route", "status"}),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "keylodge_ceremonies_rejected_total", Help: "Ceremonies refused, by reason.",
		}, []string{"reason"}),
		signIns: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keylodge_sign_ins_total", Help: "Sessions opened by a passkey, sign-ups among them.",
		}),
		findings: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "keylodge_passkey_findings_total", Help: "Odd uses of passkeys that were allowed by policy.",
		}, []string{"finding"}),
	}
	m.registry.MustRegister(m.requests, m.rejected, m.signIns, m.findings,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, reason := range domain.Reasons {
		m.rejected.WithLabelValues(string(reason))
	}
	for _, finding := range domain.Findings {
		m.findings.WithLabelValues(string(finding))
	}
	return m
}

// Answered counts a request by its route's pattern, never by its path, of which there is no end.
func (m *Metrics) Answered(method, route string, status int, took time.Duration) {
	m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Observe(took.Seconds())
}

// Rejected counts a refused ceremony.
func (m *Metrics) Rejected(reason domain.Reason) { m.rejected.WithLabelValues(string(reason)).Inc() }

// SignedIn counts an opened session, and what was odd about it.
func (m *Metrics) SignedIn(finding domain.Finding) {
	m.signIns.Inc()
	if finding != domain.FindingNone {
		m.findings.WithLabelValues(string(finding)).Inc()
	}
}

// Handler answers with all metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
