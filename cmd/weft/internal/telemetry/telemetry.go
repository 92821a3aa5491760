// Package telemetry sends the spans of a process to a collector of OpenTelemetry, by
// OTLP over HTTP.
//
// Spans wait in a queue of fixed length and are sent in the background: when the
// collector is away or slow, what does not fit is dropped and no request waits. Start
// makes a Sender; its methods are safe for concurrent use.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/weftstore/weft/internal/tracing"
)

const (
	// queue is how many ended spans wait for the collector, of about 1 KiB each.
	queue = 4096
	// sendFor bounds one try to send.
	sendFor = 10 * time.Second
	// flushFor bounds the sending of what is left at the stop.
	flushFor = 5 * time.Second
	// defaultPath is where collectors take traces (OTLP specification, "OTLP/HTTP Request").
	defaultPath = "/v1/traces"
)

// Settings are what an operator may set. The TOML names are those of the flags.
type Settings struct {
	// Endpoint is the URL of the collector, http or https; "" is no tracing.
	Endpoint string `toml:"trace-endpoint"`
	// Ratio is the share of requests that are traced, 0 to 1.
	Ratio float64 `toml:"trace-ratio"`
	// Clients takes requests into the traces that their traceparent headers name.
	Clients bool `toml:"trace-clients"`
}

// Validate reports every problem at once.
func (s *Settings) Validate() error {
	var errs []error
	u, err := url.Parse(s.Endpoint)
	switch {
	case s.Endpoint == "":
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		errs = append(errs, errors.New("--trace-endpoint: want an http or https URL, such as http://127.0.0.1:4318"))
	case u.User != nil:
		errs = append(errs, errors.New("--trace-endpoint: give credentials as a header in OTEL_EXPORTER_OTLP_HEADERS, not in the URL"))
	}
	if !(s.Ratio >= 0 && s.Ratio <= 1) {
		errs = append(errs, fmt.Errorf("--trace-ratio %v: want a share of requests from 0 to 1", s.Ratio))
	}
	return errors.Join(errs...)
}

// Sender has the tracer of a process and what sends its spans. Close it.
type Sender struct {
	provider *sdktrace.TracerProvider
	tracer   *tracing.Tracer
}

// Start begins to send. service is what the process is: "weft-gateway" or "weft-node".
// Without an endpoint the Sender is nil, which has a nil Tracer and need not be closed.
func Start(ctx context.Context, s Settings, service, version string, log *slog.Logger) (*Sender, error) {
	if err := s.Validate(); err != nil || s.Endpoint == "" {
		return nil, err
	}
	u, err := url.Parse(s.Endpoint)
	if err != nil {
		return nil, err
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = defaultPath
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(u.String()), otlptracehttp.WithTimeout(sendFor),
		otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
	if err != nil {
		return nil, fmt.Errorf("--trace-endpoint: %w", err)
	}
	host, _ := os.Hostname() // "" will do
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSampler(sdktrace.AlwaysSample()), // package tracing chooses
		sdktrace.WithBatcher(&quiet{SpanExporter: exporter, log: log}, sdktrace.WithMaxQueueSize(queue), sdktrace.WithExportTimeout(2*sendFor)),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", service),
			attribute.String("service.version", version), attribute.String("host.name", host))),
		sdktrace.WithRawSpanLimits(limits),
	)
	return &Sender{provider: provider, tracer: tracing.New(provider.Tracer("github.com/weftstore/weft"), s.Ratio, s.Clients)}, nil
}

// limits of one span, well above what Weft sets.
var limits = sdktrace.SpanLimits{
	AttributeValueLengthLimit: 256, AttributeCountLimit: 32, EventCountLimit: 8, LinkCountLimit: 8,
	AttributePerEventCountLimit: 8, AttributePerLinkCountLimit: 8,
}

// Tracer makes the spans.
func (s *Sender) Tracer() *tracing.Tracer {
	if s == nil {
		return nil
	}
	return s.tracer
}

// Close sends what waits, for some seconds at most.
func (s *Sender) Close() {
	if s == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushFor)
	defer cancel()
	_ = s.provider.Shutdown(ctx) // spans that were not sent were told of
}

// quiet tells once that the collector does not take spans, and once that it does again.
type quiet struct {
	sdktrace.SpanExporter
	log  *slog.Logger
	away atomic.Bool
}

// ExportSpans implements sdktrace.SpanExporter. Its error is nil: the log has it.
func (q *quiet) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := q.SpanExporter.ExportSpans(ctx, spans)
	switch {
	case err != nil && !q.away.Swap(true):
		q.log.Warn("the trace collector takes no spans: they are dropped until it does", "err", err)
	case err == nil && q.away.Swap(false):
		q.log.Info("the trace collector takes spans again")
	}
	return nil
}
