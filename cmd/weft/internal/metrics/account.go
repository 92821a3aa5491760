package metrics

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weftstore/weft/s3api"
)

// maxAccounts bounds the values of the label "account"; later ones are "other".
const maxAccounts = 256

// accountMetrics are the counters of one account.
type accountMetrics struct {
	requests, failed, sent, received prometheus.Counter
	seconds                          prometheus.Counter
}

// accounts finds them without a hash of labels.
type accounts struct {
	requests, bytes, seconds *prometheus.CounterVec

	mu    sync.RWMutex
	known map[string]*accountMetrics
}

func (s *Set) accounts() *accounts {
	a := &accounts{known: map[string]*accountMetrics{},
		requests: s.counterVec("weft_account_requests_total", "Requests by account; \"none\" is for those that nobody signed.", "account", "failed"),
		bytes:    s.counterVec("weft_account_bytes_total", "Bytes of bodies by account.", "account", "direction"),
		seconds:  s.counterVec("weft_account_request_seconds_total", "Time that requests took, by account.", "account"),
	}
	a.add("none")
	a.add("other")
	return a
}

func (a *accounts) add(name string) *accountMetrics {
	m := &accountMetrics{
		requests: a.requests.WithLabelValues(name, "no"), failed: a.requests.WithLabelValues(name, "yes"),
		sent: a.bytes.WithLabelValues(name, "sent"), received: a.bytes.WithLabelValues(name, "received"),
		seconds: a.seconds.WithLabelValues(name),
	}
	a.known[name] = m
	return m
}

func (a *accounts) find(name string) *accountMetrics {
	if name == "" {
		name = "none"
	}
	a.mu.RLock()
	m, n := a.known[name], len(a.known)
	a.mu.RUnlock()
	if m != nil {
		return m
	}
	if n >= maxAccounts {
		return a.find("other")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if m = a.known[name]; m != nil {
		return m
	}
	return a.add(name)
}

func (a *accounts) access(r *s3api.Access) {
	m := a.find(r.Account)
	if r.Status/100 == 2 || r.Status/100 == 3 {
		m.requests.Inc()
	} else {
		m.failed.Inc()
	}
	m.sent.Add(float64(max(r.Sent, 0)))
	m.received.Add(float64(max(r.Received, 0)))
	m.seconds.Add(r.Duration.Seconds())
}

// BucketLogs shows how many lines of buckets' access logs were lost.
func (s *Set) BucketLogs(lost func() int64) {
	s.reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "weft_bucket_logging_lost_lines_total", Help: "Lines of buckets' access logs that could not be delivered, or that their target refused.",
	}, func() float64 { return float64(lost()) }))
}

// Audit shows how many lines an audit log lost.
func (s *Set) Audit(lost func() int64) {
	s.reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "weft_audit_lost_lines_total", Help: "Lines of the audit log that could not be written.",
	}, func() float64 { return float64(lost()) }))
}
