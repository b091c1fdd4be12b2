// Package metrics exports the server's metrics for Prometheus. No metric carries an address, a name or an id.
package metrics

import (
	"net/http"
	"runtime"
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

	jobDuration    *prometheus.SummaryVec
	jobFailures    *prometheus.CounterVec
	jobLastSuccess *prometheus.GaugeVec
	emails         *prometheus.CounterVec
	emailsWaiting  prometheus.Gauge
	oldestEmail    prometheus.Gauge
	signingKey     prometheus.Gauge
	build          *prometheus.GaugeVec
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
		jobDuration: prometheus.NewSummaryVec(prometheus.SummaryOpts{
			Name: "keylodge_job_duration_seconds", Help: "Duration of the runs of background jobs, failed ones included.",
		}, []string{"job_name"}),
		jobFailures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "keylodge_job_failures_total", Help: "Failed runs of background jobs.",
		}, []string{"job_name"}),
		jobLastSuccess: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "keylodge_job_last_success_timestamp_seconds", Help: "When a background job last succeeded, in Unix time.",
		}, []string{"job_name"}),
		emails: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "keylodge_email_deliveries_total", Help: "Attempts of this server to send an e-mail: sent, to be retried, or discarded.",
		}, []string{"outcome"}),
		emailsWaiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "keylodge_emails_waiting", Help: "E-mails in the database that wait to be sent.",
		}),
		oldestEmail: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "keylodge_oldest_email_timestamp_seconds", Help: "When the oldest e-mail that waits was queued, in Unix time; 0 if none waits.",
		}),
		signingKey: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "keylodge_signing_key_created_timestamp_seconds", Help: "When the key that signs access tokens was created, in Unix time; 0 if KEYLODGE_JWT_KEY_FILE provides it.",
		}),
		build: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "keylodge_build_info", Help: "1, with the versions of the program and of Go.",
		}, []string{"version", "goversion"}),
	}
	m.storeUp.Set(1)
	m.registry.MustRegister(m.requests, m.rejected, m.signIns, m.steps, m.anomalies, m.limited, m.storeUp, m.fallback,
		m.jobDuration, m.jobFailures, m.jobLastSuccess, m.emails, m.emailsWaiting, m.oldestEmail, m.signingKey, m.build,
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
	for _, outcome := range []string{emailSent, emailRetried, emailDiscarded} {
		m.emails.WithLabelValues(outcome)
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

// SetVersion records the version of the program.
func (m *Metrics) SetVersion(version string) {
	m.build.WithLabelValues(version, runtime.Version()).Set(1)
}

// ObserveJob records a run of a background job.
func (m *Metrics) ObserveJob(name string, took time.Duration, succeeded bool) {
	m.jobDuration.WithLabelValues(name).Observe(took.Seconds())
	failures := m.jobFailures.WithLabelValues(name) // exported at zero with the first run
	if !succeeded {
		failures.Inc()
		return
	}
	m.jobLastSuccess.WithLabelValues(name).SetToCurrentTime()
}

// Outcomes of an attempt to send an e-mail.
const (
	emailSent      = "sent"
	emailRetried   = "retried"
	emailDiscarded = "discarded"
)

// CountEmails counts e-mails whose delivery was attempted.
func (m *Metrics) CountEmails(sent, retried, discarded int) {
	m.emails.WithLabelValues(emailSent).Add(float64(sent))
	m.emails.WithLabelValues(emailRetried).Add(float64(retried))
	m.emails.WithLabelValues(emailDiscarded).Add(float64(discarded))
}

// SetEmailBacklog records the e-mails that wait, and when the oldest of them was queued.
func (m *Metrics) SetEmailBacklog(waiting int, oldestSince time.Time) {
	m.emailsWaiting.Set(float64(waiting))
	m.oldestEmail.Set(unixSeconds(oldestSince))
}

// SetSigningKey records when the key that signs was created.
func (m *Metrics) SetSigningKey(createdAt time.Time) { m.signingKey.Set(unixSeconds(createdAt)) }

// unixSeconds returns 0 for the zero time.
func unixSeconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
