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
	registry  *prometheus.Registry
	requests  *prometheus.HistogramVec
	rejected  *prometheus.CounterVec
	signIns   prometheus.Counter
	anomalies *prometheus.CounterVec
	limited   *prometheus.CounterVec
	storeUp   prometheus.Gauge
	fallback  *prometheus.CounterVec
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
		anomalies: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "keylodge_passkey_findings_total", Help: "Uses of passkeys that were odd, as those of a copy are, whether they were allowed or refused.",
		}, []string{"finding"}),
		limited: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "keylodge_rate_limited_total", Help: "Calls refused because too many had come before, by the limit that was met.",
		}, []string{"policy"}),
		storeUp: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "keylodge_rate_limit_store_up", Help: "Whether the counts that servers share can be reached; 1 where this server counts by itself.",
		}),
		fallback: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "keylodge_rate_limit_alone_total", Help: "Calls decided without the shared counts: counted on this server only, or shut out.",
		}, []string{"outcome"}),
	}
	m.storeUp.Set(1)
	m.registry.MustRegister(m.requests, m.rejected, m.signIns, m.anomalies, m.limited, m.storeUp, m.fallback,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, reason := range domain.Reasons {
		m.rejected.WithLabelValues(string(reason))
	}
	for _, finding := range domain.Anomalies {
		m.anomalies.WithLabelValues(string(finding))
	}
	for _, policy := range domain.RatePolicies() {
		m.limited.WithLabelValues(string(policy))
	}
	for _, outcome := range []string{outcomeLocal, outcomeRejected} {
		m.fallback.WithLabelValues(outcome)
	}
	return m
}

// ObserveRequest counts a request by its route's pattern, never by its path, of which there is no end.
func (m *Metrics) ObserveRequest(method, route string, status int, took time.Duration) {
	m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Observe(took.Seconds())
}

// CountRejection counts a refused ceremony.
func (m *Metrics) CountRejection(reason domain.Reason) {
	m.rejected.WithLabelValues(string(reason)).Inc()
}

// CountSignIn counts an opened session.
func (m *Metrics) CountSignIn() { m.signIns.Inc() }

// CountAnomaly counts an odd use of a passkey, whatever the policy did with it.
func (m *Metrics) CountAnomaly(finding domain.Anomaly) {
	m.anomalies.WithLabelValues(string(finding)).Inc()
}

// CountRateLimited counts a refused call.
func (m *Metrics) CountRateLimited(policy domain.RatePolicy) {
	m.limited.WithLabelValues(string(policy)).Inc()
}

// What becomes of a call while the shared counts are out of reach.
const (
	outcomeLocal    = "counted"
	outcomeRejected = "shut"
)

// SetRateLimitStoreUp says whether the shared counts can be reached.
func (m *Metrics) SetRateLimitStoreUp(reached bool) {
	m.storeUp.Set(0)
	if reached {
		m.storeUp.Set(1)
	}
}

// CountFallback counts a call that was decided without them.
func (m *Metrics) CountFallback(shutOut bool) {
	outcome := outcomeLocal
	if shutOut {
		outcome = outcomeRejected
	}
	m.fallback.WithLabelValues(outcome).Inc()
}

// Handler answers with all metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
