package metrics

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	// scrapeTimeout bounds one answer; a target or a metadata server that hangs
	// must not hold the whole scrape.
	scrapeTimeout = 8 * time.Second
	// askTimeout bounds one question to a part of the process.
	askTimeout = 3 * time.Second
	// maxScrapes is how many scrapes are answered at once; more get 503.
	maxScrapes = 4
)

// Set is the metrics of one process.
type Set struct {
	reg *prometheus.Registry
	now func() time.Time
}

// New makes a set with the metrics of the Go runtime and of the process.
func New(version string) *Set {
	s := &Set{reg: prometheus.NewRegistry(), now: time.Now}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "weft_build_info", Help: "Which Weft this is; always 1.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	build.Set(1)
	s.reg.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return s
}

// Handler answers GET /metrics.
func (s *Set) Handler() http.Handler {
	return promhttp.HandlerFor(s.reg, promhttp.HandlerOpts{
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: maxScrapes,
		Timeout:             scrapeTimeout,
	})
}

// Serve answers at http://addr/metrics until ctx ends. The error is why it could
// not listen, or stopped before; nil after ctx ended. Whoever reaches addr may
// read: there is no authentication.
func (s *Set) Serve(ctx context.Context, addr string, log *slog.Logger) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return s.ServeOn(ctx, l, log)
}

// ServeOn is Serve at a listener, which it closes.
func (s *Set) ServeOn(ctx context.Context, l net.Listener, log *slog.Logger) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", s.Handler())
	srv := &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 2 * scrapeTimeout, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	err := srv.Serve(l)
	if errors.Is(err, http.ErrServerClosed) && ctx.Err() != nil {
		return nil
	}
	return err
}

// field is one number of a T as a metric.
type field[T any] struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*T) float64
}

// counter and gauge make fields; the labels are given with each value.
func counter[T any](name, help string, value func(*T) float64, labels ...string) field[T] {
	return field[T]{prometheus.NewDesc(name, help, labels, nil), prometheus.CounterValue, value}
}

func gauge[T any](name, help string, value func(*T) float64, labels ...string) field[T] {
	return field[T]{prometheus.NewDesc(name, help, labels, nil), prometheus.GaugeValue, value}
}

// emit sends every field of v.
func emit[T any](ch chan<- prometheus.Metric, fields []field[T], v *T, labels ...string) {
	for _, f := range fields {
		ch <- prometheus.MustNewConstMetric(f.desc, f.kind, f.value(v), labels...)
	}
}

func describe[T any](ch chan<- *prometheus.Desc, fields []field[T]) {
	for _, f := range fields {
		ch <- f.desc
	}
}

// upDesc tells which parts answered.
func upDesc(part string) *prometheus.Desc {
	return prometheus.NewDesc("weft_collector_up", "Whether this part of the process answered the last scrape (1) or not (0).",
		nil, prometheus.Labels{"collector": part})
}

func upMetric(desc *prometheus.Desc, err error) prometheus.Metric {
	up := 1.0
	if err != nil {
		up = 0
	}
	return prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, up)
}

func bool01(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// unixSeconds is 0 for the zero time.
func unixSeconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
