package tracing

import (
	"context"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// recorder is a tracer and what it recorded.
func recorder(ratio float64, clients bool) (*Tracer, *tracetest.SpanRecorder) {
	r := tracetest.NewSpanRecorder()
	return New(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(r)).Tracer("test"), ratio, clients), r
}

// path is what a request does to its context on its way.
func path(ctx context.Context) {
	ctx, span := Start(ctx, "put")
	_, call := CallRepeated(ctx, "call")
	call.Int("bytes", 1)
	call.Fail("failed")
	call.End()
	span.End()
}

func TestOffAllocatesNothing(t *testing.T) {
	chosen, _ := recorder(0, true)
	for name, tracer := range map[string]*Tracer{"off": nil, "not chosen": chosen} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if n := testing.AllocsPerRun(100, func() {
			ctx, span := tracer.Request(ctx, "S3", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
			path(ctx)
			span.End()
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkOff(b *testing.B) {
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	b.ReportAllocs()
	var tracer *Tracer
	for b.Loop() {
		ctx, span := tracer.Request(ctx, "S3", "")
		path(ctx)
		span.End()
	}
}

func BenchmarkOn(b *testing.B) {
	tracer := New(sdktrace.NewTracerProvider().Tracer("test"), 1, false)
	b.ReportAllocs()
	for b.Loop() {
		ctx, span := tracer.Request(b.Context(), "S3", "")
		path(ctx)
		span.End()
	}
}

// TestJoin carries a trace to another process, in a Context.
func TestJoin(t *testing.T) {
	here, sent := recorder(1, false)
	there, received := recorder(0, false) // the share is of requests only
	ctx, root := here.Request(t.Context(), "S3", "")
	_, call := Call(ctx, "call")
	message := call.Context()
	ctx, span := there.Join(t.Context(), "answer", message)
	_, inner := Start(ctx, "fsync")
	for _, s := range []Span{inner, span, call, root} {
		s.End()
	}
	for i, want := range []string{"call", "S3"} {
		if s := sent.Ended()[i]; s.Name() != want || s.SpanContext().TraceID() != sent.Ended()[1].SpanContext().TraceID() {
			t.Errorf("span %d: %v", i, s)
		}
	}
	answer := received.Ended()[1]
	if answer.Parent().SpanID() != sent.Ended()[0].SpanContext().SpanID() || answer.SpanContext().TraceID() != sent.Ended()[0].SpanContext().TraceID() {
		t.Errorf("the answer has the parent %v, want %v", answer.Parent(), sent.Ended()[0].SpanContext())
	}
	if fsync := received.Ended()[0]; fsync.Parent().SpanID() != answer.SpanContext().SpanID() {
		t.Errorf("the step of the answer has the parent %v", fsync.Parent())
	}
	if (Context{}).Valid() || !message.Valid() {
		t.Error("valid and invalid contexts are not told apart")
	}
}

// TestClients: whose trace a request is part of, and that the share bounds both.
func TestClients(t *testing.T) {
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	const sampled, unsampled = "00-" + id + "-00f067aa0ba902b7-01", "00-" + id + "-00f067aa0ba902b7-00"
	for _, c := range []struct {
		name, header   string
		ratio          float64
		clients        bool
		spans, adopted int
	}{
		{"not told to", sampled, 1, false, 1, 0},
		{"told to", sampled, 1, true, 1, 1},
		{"not sampled by the client", unsampled, 1, true, 0, 0},
		{"not sampled, and not told to", unsampled, 1, false, 1, 0},
		{"beyond the share", sampled, 0, true, 0, 0},
		{"nonsense", "00-" + id, 1, true, 1, 0},
		{"none", "", 1, true, 1, 0},
	} {
		tracer, r := recorder(c.ratio, c.clients)
		_, span := tracer.Request(t.Context(), "S3", c.header)
		span.End()
		adopted := 0
		for _, s := range r.Ended() {
			if s.SpanContext().TraceID().String() == id {
				adopted++
			}
		}
		if len(r.Ended()) != c.spans || adopted != c.adopted {
			t.Errorf("%s: %d spans, %d in the client's trace; want %d and %d", c.name, len(r.Ended()), adopted, c.spans, c.adopted)
		}
	}
}

// TestRepeated: what an object of any size does leaves a bounded number of spans, and
// what comes last is among them.
func TestRepeated(t *testing.T) {
	tracer, r := recorder(1, false)
	ctx, root := tracer.Request(t.Context(), "S3", "")
	for range 10 * maxRepeated {
		piece, stripe := StartRepeated(ctx, "stripe")
		_, call := Call(piece, "call")
		call.End()
		stripe.End()
	}
	_, commit := Start(ctx, "commit")
	commit.End()
	root.End()
	if n := len(r.Ended()); n != 2*maxRepeated+2 {
		t.Errorf("%d spans, want %d", n, 2*maxRepeated+2)
	}
}
