// Package metrics exports the server's metrics for Prometheus. No metric carries an address, a name or an id.
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

// Metrics are the metrics of one server.
type Metrics struct {
	registry  *prometheus.Registry
	requests  *prometheus.HistogramVec
	rejected  *prometheus.CounterVec
	signIns   prometheus.Counter
	steps     *prometheus.CounterVec
	anomalies *prometheus.CounterVec
	limited   *prometheus.CounterVec
	storeUp   prometheus.Gauge
	fallback  *prometheus.CounterVec
}

// New returns the metrics of this server, of Go's runtime and of the process. Every label value is exported from the start, at
// zero, so that an alert sees the first increase.
func New() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "keylodge_http_request_duration_seconds", Help: "Duration of HTTP requests.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, 1, 5},
		}, []string{"method", "route", "status"}),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "keylodge_ceremonies_rejected_total", Help: "Rejected ceremonies, by reason.",
		}, []string{"reason"}),
		signIns: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keylodge_sign_ins_total", Help: "Sessions opened with a passkey, sign-ups included.",
		}),
		steps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "keylodge_sign_in_steps_total", Help: "Ways to sign in, by outcome: begun is counted by the server, the others are reported by browsers.",
		}, []string{"way", "outcome", "browser"}),
		anomalies: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "keylodge_passkey_anomalies_total", Help: "Anomalies in the use of passkeys, which may indicate a cloned passkey; allowed and rejected uses alike.",
		}, []string{"anomaly"}),
		limited: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "keylodge_rate_limited_total", Help: "Requests rejected by a rate limit, by limit.",
		}, []string{"limit"}),
		storeUp: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "keylodge_rate_limit_store_up", Help: "1 if the shared rate-limit store is reachable or none is configured, else 0.",
		}),
		fallback: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "keylodge_rate_limit_fallback_total", Help: "Requests decided while the shared rate-limit store was unreachable: counted by this server alone (local) or rejected.",
		}, []string{"outcome"}),
	}
	m.storeUp.Set(1)
	m.registry.MustRegister(m.requests, m.rejected, m.signIns, m.steps, m.anomalies, m.limited, m.storeUp, m.fallback,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, reason := range domain.Reasons {
		m.rejected.WithLabelValues(string(reason))
	}
	for _, way := range domain.SignInWays {
		for _, outcome := range domain.SignInOutcomes {
			for _, family := range domain.BrowserFamilies {
				m.steps.WithLabelValues(string(way), string(outcome), string(family))
			}
		}
	}
	for _, anomaly := range domain.Anomalies {
		m.anomalies.WithLabelValues(string(anomaly))
	}
	for _, policy := range domain.RatePolicies() {
		m.limited.WithLabelValues(string(policy))
	}
	for _, outcome := range []string{outcomeLocal, outcomeRejected} {
		m.fallback.WithLabelValues(outcome)
	}
	return m
}

// ObserveRequest records a request under its route's pattern, not its path, which would be unbounded.
func (m *Metrics) ObserveRequest(method, route string, status int, took time.Duration) {
	m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Observe(took.Seconds())
}

// CountRejection counts a rejected ceremony.
func (m *Metrics) CountRejection(reason domain.Reason) {
	m.rejected.WithLabelValues(string(reason)).Inc()
}

// CountSignIn counts an opened session.
func (m *Metrics) CountSignIn() { m.signIns.Inc() }

// CountSignInStep counts what became of a way to sign in. It has no identity.
func (m *Metrics) CountSignInStep(step domain.SignInStep, family domain.BrowserFamily) {
	m.steps.WithLabelValues(string(step.Way), string(step.Outcome), string(family)).Inc()
}

// CountAnomaly counts an anomaly in the use of a passkey, under every policy.
func (m *Metrics) CountAnomaly(anomaly domain.Anomaly) {
	m.anomalies.WithLabelValues(string(anomaly)).Inc()
}

// CountRateLimited counts a request that a rate limit rejected.
func (m *Metrics) CountRateLimited(policy domain.RatePolicy) {
	m.limited.WithLabelValues(string(policy)).Inc()
}

// Outcomes of a request while the shared rate-limit store is unreachable.
const (
	outcomeLocal    = "local"
	outcomeRejected = "rejected"
)

// SetRateLimitStoreUp reports whether the shared rate-limit store is reachable.
func (m *Metrics) SetRateLimitStoreUp(up bool) {
	m.storeUp.Set(0)
	if up {
		m.storeUp.Set(1)
	}
}

// CountFallback counts a request that was decided while the shared rate-limit store was unreachable.
func (m *Metrics) CountFallback(rejected bool) {
	outcome := outcomeLocal
	if rejected {
		outcome = outcomeRejected
	}
	m.fallback.WithLabelValues(outcome).Inc()
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
