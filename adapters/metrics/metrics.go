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
	limited  *prometheus.CounterVec
	shared   prometheus.Gauge
	alone    *prometheus.CounterVec
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
			Name: "keylodge_passkey_findings_total", Help: "Uses of passkeys that were odd, as those of a copy are, whether they were allowed or refused.",
		}, []string{"finding"}),
		limited: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "keylodge_rate_limited_total", Help: "Calls refused because too many had come before, by the limit that was met.",
		}, []string{"policy"}),
		shared: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "keylodge_rate_limit_store_up", Help: "Whether the counts that servers share can be reached; 1 where this server counts by itself.",
		}),
		alone: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "keylodge_rate_limit_alone_total", Help: "Calls decided without the shared counts: counted on this server only, or shut out.",
		}, []string{"outcome"}),
	}
	m.shared.Set(1)
	m.registry.MustRegister(m.requests, m.rejected, m.signIns, m.findings, m.limited, m.shared, m.alone,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, reason := range domain.Reasons {
		m.rejected.WithLabelValues(string(reason))
	}
	for _, finding := range domain.Findings {
		m.findings.WithLabelValues(string(finding))
	}
	for _, policy := range domain.RatePolicies() {
		m.limited.WithLabelValues(string(policy))
	}
	for _, outcome := range []string{counted, shut} {
		m.alone.WithLabelValues(outcome)
	}
	return m
}

// Answered counts a request by its route's pattern, never by its path, of which there is no end.
func (m *Metrics) Answered(method, route string, status int, took time.Duration) {
	m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Observe(took.Seconds())
}

// Rejected counts a refused ceremony.
func (m *Metrics) Rejected(reason domain.Reason) { m.rejected.WithLabelValues(string(reason)).Inc() }

// SignedIn counts an opened session.
func (m *Metrics) SignedIn() { m.signIns.Inc() }

// Found counts an odd use of a passkey, whatever the policy did with it.
func (m *Metrics) Found(finding domain.Finding) { m.findings.WithLabelValues(string(finding)).Inc() }

// Limited counts a refused call.
func (m *Metrics) Limited(policy domain.RatePolicy) {
	m.limited.WithLabelValues(string(policy)).Inc()
}

// What becomes of a call while the shared counts are out of reach.
const (
	counted = "counted"
	shut    = "shut"
)

// CountsShared says whether the shared counts can be reached.
func (m *Metrics) CountsShared(reached bool) {
	m.shared.Set(0)
	if reached {
		m.shared.Set(1)
	}
}

// Alone counts a call that was decided without them.
func (m *Metrics) Alone(shutOut bool) {
	outcome := counted
	if shutOut {
		outcome = shut
	}
	m.alone.WithLabelValues(outcome).Inc()
}

// Handler answers with all metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
