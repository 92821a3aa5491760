package telemetry

import (
	"bytes"
	"compress/gzip"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// spansOf decodes an export request.
func spansOf(t *testing.T, r *http.Request) int {
	body, err := gzip.NewReader(r.Body)
	if err != nil {
		t.Error(err)
		return 0
	}
	p, err := io.ReadAll(body)
	var req collector.ExportTraceServiceRequest
	if err != nil || proto.Unmarshal(p, &req) != nil {
		t.Errorf("not an export request: %v", err)
	}
	n := 0
	for _, rs := range req.ResourceSpans {
		for _, ss := range rs.ScopeSpans {
			n += len(ss.Spans)
		}
	}
	return n
}

// TestCollectorHangs: requests go on, and no more than the queue waits for it.
func TestCollectorHangs(t *testing.T) {
	var mu sync.Mutex
	got := 0
	hang, here := make(chan struct{}), make(chan struct{}, 64)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		here <- struct{}{}
		<-hang
		if r.URL.Path != defaultPath {
			t.Errorf("sent to %s", r.URL.Path)
		}
		n := spansOf(t, r)
		mu.Lock()
		got += n
		mu.Unlock()
	}))
	defer srv.Close()
	s, err := Start(t.Context(), Settings{Endpoint: srv.URL, Ratio: 1}, "test", "1", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	request := func() {
		_, span := s.Tracer().Request(t.Context(), "S3", "")
		span.End()
	}
	for range queue {
		request()
	}
	<-here // it hangs from now on
	for range 3 * queue {
		request()
	}
	close(hang)
	s.Close()
	const batch = 512 // of the SDK: one is being sent, one is being made up
	if got < queue || got > queue+2*batch {
		t.Errorf("%d spans came, of %d; the queue has %d", got, 4*queue, queue)
	}
}

// TestCollectorAway: the log tells once that it is away, and once that it is back.
func TestCollectorAway(t *testing.T) {
	t.Setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1")
	var mu sync.Mutex
	status, asked := http.StatusBadRequest, make(chan struct{}, 64) // which is not tried again
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		w.WriteHeader(status)
		asked <- struct{}{}
	}))
	defer srv.Close()
	var text bytes.Buffer
	s, err := Start(t.Context(), Settings{Endpoint: srv.URL, Ratio: 1}, "test", "1", slog.New(slog.NewTextHandler(&text, nil)))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		if i == 3 {
			mu.Lock()
			status = http.StatusOK
			mu.Unlock()
		}
		_, span := s.Tracer().Request(t.Context(), "S3", "")
		span.End()
		<-asked
	}
	s.Close()
	if log := text.String(); strings.Count(log, "takes no spans") != 1 || strings.Count(log, "takes spans again") != 1 {
		t.Errorf("log:\n%s", log)
	}
}

func TestSettings(t *testing.T) {
	for _, bad := range []Settings{
		{Endpoint: "127.0.0.1:4318"}, {Endpoint: "grpc://host:4317"}, {Endpoint: "http://"}, {Endpoint: "http://user:secret@host"},
		{Ratio: 1.1}, {Ratio: -1},
	} {
		if err := bad.Validate(); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	s, err := Start(t.Context(), Settings{Ratio: 1}, "test", "1", nil)
	if s.Tracer() != nil || err != nil {
		t.Errorf("tracing without an endpoint: %v", err)
	}
	s.Close()
}
