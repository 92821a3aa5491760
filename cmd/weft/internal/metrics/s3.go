package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/weftstore/weft/iamapi"
	"github.com/weftstore/weft/s3api"
)

// Operations that are no row of the route table, or one without an implementation.
const (
	opUnknown       = "unknown"
	opUnimplemented = "unimplemented"
)

// statusClasses are the values of the label "status"; the first is for
// connections that ended before a status was sent.
var statusClasses = [...]string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"}

// durationBuckets are in seconds, from a small GET out of the page cache to a part
// of GiBs.
var durationBuckets = []float64{
	.00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60,
}

// opMetrics are the counters of one operation, found without a hash of labels.
type opMetrics struct {
	byClass        [len(statusClasses)]prometheus.Counter
	sent, received prometheus.Counter
	duration       prometheus.Observer
}

// Access counts requests, and passes them on to next, which may be nil. The label
// "operation" is a name of the route table that is implemented, "iam", "sts", "unimplemented" or
// "unknown"; there is none for buckets, keys, addresses or access keys.
func (s *Set) Access(next func(s3api.Access)) func(s3api.Access) {
	requests := s.counterVec("weft_s3_requests_total", "S3 requests by operation and class of the HTTP status.", "operation", "status")
	sent := s.counterVec("weft_s3_sent_bytes_total", "Bytes of response bodies.", "operation")
	received := s.counterVec("weft_s3_received_bytes_total", "Bytes of request bodies, as on the wire.", "operation")
	durations := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "weft_s3_request_duration_seconds", Help: "Time from the header of a request to the end of its response.",
		Buckets: durationBuckets,
	}, []string{"operation"})
	s.reg.MustRegister(durations)

	accounts := s.accounts()
	ops := map[string]*opMetrics{}
	add := func(name string) {
		if ops[name] != nil {
			return
		}
		m := &opMetrics{
			sent: sent.WithLabelValues(name), received: received.WithLabelValues(name),
			duration: durations.WithLabelValues(name),
		}
		for i, class := range statusClasses {
			m.byClass[i] = requests.WithLabelValues(name, class)
		}
		ops[name] = m
	}
	add(opUnknown)
	add(opUnimplemented)
	for _, r := range s3api.Routes() {
		if r.Implemented() {
			add(r.Operation)
		}
	}
	for _, service := range [...]string{"iam", "sts"} {
		add(service)
	}
	return func(a s3api.Access) {
		m := ops[a.Operation]
		switch {
		case m != nil:
		case a.Operation == "":
			m = ops[opUnknown]
		case iamapi.Service(a.Operation) != "":
			m = ops[iamapi.Service(a.Operation)]
		default:
			m = ops[opUnimplemented]
		}
		class := a.Status / 100
		if class < 1 || class >= len(statusClasses) {
			class = 0
		}
		m.byClass[class].Inc()
		m.sent.Add(float64(max(a.Sent, 0)))
		m.received.Add(float64(max(a.Received, 0)))
		m.duration.Observe(a.Duration.Seconds())
		accounts.access(&a)
		if next != nil {
			next(a)
		}
	}
}
