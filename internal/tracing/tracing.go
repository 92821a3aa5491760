package tracing

import (
	"context"
	"math/rand/v2"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// maxRepeated bounds the repeated spans of one request in one process.
const maxRepeated = 256

// Tracer begins traces. A nil *Tracer begins none.
type Tracer struct {
	spans   trace.Tracer
	ratio   float64
	clients bool
}

// New makes a tracer of the spans of t, which should record all that it is asked for.
// ratio is the share of requests that are traced, 0 to 1. clients says that a request
// with a traceparent becomes part of that trace; which requests are traced remains this
// tracer's choice, but that a trace which its client does not record is not recorded
// here either.
func New(t trace.Tracer, ratio float64, clients bool) *Tracer {
	return &Tracer{spans: t, ratio: ratio, clients: clients}
}

// scope is what a context carries: a span and what is left of the request's share.
type scope struct {
	tracer *Tracer
	span   trace.Span
	left   *atomic.Int32
}

type scopeKey struct{}

// Request begins the trace of a request, if it is chosen. traceparent is the header of
// that name (W3C Trace Context), "" without one. End the span.
func (t *Tracer) Request(ctx context.Context, name, traceparent string) (context.Context, Span) {
	if t == nil || rand.Float64() >= t.ratio {
		return ctx, Span{}
	}
	if t.clients && traceparent != "" {
		carrier := propagation.MapCarrier{"traceparent": traceparent}
		parent := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), carrier))
		if parent.IsValid() && !parent.IsSampled() {
			return ctx, Span{}
		}
		ctx = trace.ContextWithRemoteSpanContext(ctx, parent)
	}
	return t.root(ctx, name)
}

// Join begins a span in a trace of another process. End the span.
func (t *Tracer) Join(ctx context.Context, name string, parent Context) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	sc := trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID(parent[:16]), SpanID: trace.SpanID(parent[16:]), TraceFlags: trace.FlagsSampled, Remote: true,
	})
	return t.root(trace.ContextWithRemoteSpanContext(ctx, sc), name)
}

func (t *Tracer) root(ctx context.Context, name string) (context.Context, Span) {
	left := new(atomic.Int32)
	left.Store(maxRepeated)
	return (&scope{tracer: t, left: left}).child(ctx, name, trace.SpanKindServer)
}

func (s *scope) child(ctx context.Context, name string, kind trace.SpanKind) (context.Context, Span) {
	ctx, span := s.tracer.spans.Start(ctx, name, trace.WithSpanKind(kind))
	next := &scope{tracer: s.tracer, span: span, left: s.left}
	return context.WithValue(ctx, scopeKey{}, next), Span{next}
}

func scopeOf(ctx context.Context) *scope {
	s, _ := ctx.Value(scopeKey{}).(*scope)
	return s
}

// Start begins a span below that of ctx, if it has one. End it.
func Start(ctx context.Context, name string) (context.Context, Span) {
	return start(ctx, name, trace.SpanKindInternal)
}

// StartRepeated is Start for what happens any number of times in a request. Beyond
// maxRepeated the context has no span any more.
func StartRepeated(ctx context.Context, name string) (context.Context, Span) {
	return startRepeated(ctx, name, trace.SpanKindInternal)
}

// Call is Start for a request to another process.
func Call(ctx context.Context, name string) (context.Context, Span) {
	return start(ctx, name, trace.SpanKindClient)
}

// CallRepeated is Call as StartRepeated is Start.
func CallRepeated(ctx context.Context, name string) (context.Context, Span) {
	return startRepeated(ctx, name, trace.SpanKindClient)
}

func start(ctx context.Context, name string, kind trace.SpanKind) (context.Context, Span) {
	s := scopeOf(ctx)
	if s == nil {
		return ctx, Span{}
	}
	return s.child(ctx, name, kind)
}

func startRepeated(ctx context.Context, name string, kind trace.SpanKind) (context.Context, Span) {
	s := scopeOf(ctx)
	if s == nil {
		return ctx, Span{}
	}
	if s.left.Add(-1) < 0 {
		s.left.Store(0)
		return context.WithValue(ctx, scopeKey{}, (*scope)(nil)), Span{}
	}
	return s.child(ctx, name, kind)
}

// Span is one step of a request. The zero value is one that is not recorded.
type Span struct{ scope *scope }

// Recorded says whether anybody will see the span.
func (s Span) Recorded() bool { return s.scope != nil }

// Name gives the span another name.
func (s Span) Name(name string) {
	if s.scope != nil {
		s.scope.span.SetName(name)
	}
}

// Int adds an attribute.
func (s Span) Int(key string, value int64) {
	if s.scope != nil {
		s.scope.span.SetAttributes(attribute.Int64(key, value))
	}
}

// String adds an attribute.
func (s Span) String(key, value string) {
	if s.scope != nil {
		s.scope.span.SetAttributes(attribute.String(key, value))
	}
}

// Fail says that the step failed. code is one of few, and no text with a key, a path or
// a secret in it.
func (s Span) Fail(code string) {
	if s.scope != nil {
		s.scope.span.SetStatus(codes.Error, code)
		s.scope.span.SetAttributes(attribute.String("error.type", code))
	}
}

// End ends the span. Ended again it stays as it was.
func (s Span) End() {
	if s.scope != nil {
		s.scope.span.End()
	}
}

// ContextSize is the length of a Context in bytes.
const ContextSize = 24

// Context names a span in a message to another process: the trace's id (16 bytes) and
// the span's (8), as W3C Trace Context has them. The zero value names none.
type Context [ContextSize]byte

// Valid says whether both ids are other than zero.
func (c Context) Valid() bool {
	return trace.TraceID(c[:16]).IsValid() && trace.SpanID(c[16:]).IsValid()
}

// Context of the span; the zero value when it is not recorded.
func (s Span) Context() (c Context) {
	if s.scope != nil {
		sc := s.scope.span.SpanContext()
		trace, span := sc.TraceID(), sc.SpanID()
		copy(c[:16], trace[:])
		copy(c[16:], span[:])
	}
	return c
}
