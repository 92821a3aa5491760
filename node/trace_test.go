package node

import (
	"context"
	"slices"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/weftstore/weft/internal/tracing"
	"github.com/weftstore/weft/rdma"
)

func recorder() (*tracing.Tracer, *tracetest.SpanRecorder) {
	r := tracetest.NewSpanRecorder()
	return tracing.New(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(r)).Tracer("test"), 1, false), r
}

// names of ended spans below a span, in the order of their ends.
func names(r *tracetest.SpanRecorder, parent string) (list []string) {
	ids := map[string]string{}
	for _, s := range r.Ended() {
		ids[s.SpanContext().SpanID().String()] = s.Name()
	}
	for _, s := range r.Ended() {
		if ids[s.Parent().SpanID().String()] == parent {
			list = append(list, s.Name())
		}
	}
	return list
}

// TestTrace: what a node does is part of the caller's trace.
func TestTrace(t *testing.T) {
	tracer, spans := recorder()
	r := newRig(t, func(c *Config) { c.Tracer = tracer })
	src, crcs := r.data(40000)
	put := func(ctx context.Context, id byte) {
		t.Helper()
		if err := r.target.Append(ctx, testID(id), nil, src, crcs); err != nil {
			t.Fatal(err)
		}
		if err := r.target.Read(ctx, testID(id), 0, src); err != nil {
			t.Fatal(err)
		}
	}
	put(t.Context(), 1)
	if n := len(spans.Ended()); n != 0 {
		t.Fatalf("%d spans of requests that are not traced", n)
	}
	ctx, root := tracer.Request(t.Context(), "S3", "")
	put(ctx, 2)
	err := r.target.Verify(ctx, testID(9)) // there is none
	root.End()
	if err == nil {
		t.Error("a chunk that is not there was verified")
	}
	for parent, want := range map[string][]string{
		"S3":          {"node.append", "node.read", "node.verify"},
		"node.append": {"pull", "write", "node.append"},
		"node.read":   {"read", "push", "node.read"},
		"node.verify": {"node.verify"},
	} {
		if got := names(spans, parent); !slices.Equal(got, want) {
			t.Errorf("below %s: %q, want %q", parent, got, want)
		}
	}
	for _, s := range spans.Ended() {
		if s.Name() == "node.verify" && s.Status().Description != "chunk not found" {
			t.Errorf("a failed request has the status %v", s.Status())
		}
	}
}

// oldConn is a node from before trace contexts.
type oldConn struct {
	rdma.Conn
	refused int
}

func (c *oldConn) Call(ctx context.Context, req, rep []byte) (int, error) {
	if req[2] != 0 {
		c.refused++
		return putError(rep, protocolError("bad header")), nil
	}
	return c.Conn.Call(ctx, req, rep)
}

// TestTraceOldNode: a node that knows no traces is asked without, after one refusal.
func TestTraceOldNode(t *testing.T) {
	tracer, _ := recorder()
	r := newRig(t, nil)
	conn, err := r.fabric.Dial(t.Context(), r.server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	old := &oldConn{Conn: conn}
	target := NewClient(old).Target(r.target.ID())
	src, crcs := r.data(40000)
	ctx, root := tracer.Request(t.Context(), "S3", "")
	defer root.End()
	for id := range byte(3) {
		if err := target.Append(ctx, testID(id+1), nil, src, crcs); err != nil {
			t.Fatal(err)
		}
	}
	if old.refused != 1 {
		t.Errorf("%d requests were refused, want 1", old.refused)
	}
}
