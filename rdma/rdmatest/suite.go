// Package rdmatest is the conformance suite of the fabric: every transport runs
// it, so that what works in one process works between machines. It is not a
// benchmark and injects no faults into wires; transports test those themselves.
//
// A test starts its own server and connections on transports that NewPair makes.
// What a transport may choose, the suite leaves open: after a transfer that the
// other end refused, the connection may be broken and must be dialed again.
package rdmatest

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/weftstore/weft/rdma"
)

// NewPair makes the transports of a client and a server, which may be the same
// one, and the address to serve at, such as "" or "127.0.0.1:0". It closes them
// with t.Cleanup.
type NewPair func(t *testing.T) (client, server rdma.Transport, addr string)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// Run runs the suite.
func Run(t *testing.T, pair NewPair) {
	for _, tc := range []struct {
		name string
		run  func(t *testing.T, e *env)
	}{
		{"Echo", testEcho},
		{"ConcurrentCalls", testConcurrentCalls},
		{"HandlersRunConcurrently", testHandlersRunConcurrently},
		{"TooLarge", testTooLarge},
		{"Region", testRegion},
		{"PullPush", testPullPush},
		{"TransferTooLarge", testTransferTooLarge},
		{"BadRemote", testBadRemote},
		{"ClosedRegion", testClosedRegion},
		{"CloseRegionUnderTransfer", testCloseRegionUnderTransfer},
		{"CallbackErrors", testCallbackErrors},
		{"OverBeforeCall", testOverBeforeCall},
		{"Deadline", testDeadline},
		{"NoWriteAfterCall", testNoWriteAfterCall},
		{"CloseConnUnderCall", testCloseConnUnderCall},
		{"CloseServerUnderCall", testCloseServerUnderCall},
		{"CloseTransport", testCloseTransport},
		{"Dial", testDial},
		{"Stats", testStats},
		{"Pool", testPool},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			t.Cleanup(func() { noLeaks(t, before) }) // runs after those of pair
			e := &env{}
			e.client, e.server, e.addr = pair(t)
			tc.run(t, e)
		})
	}
}

// noLeaks waits until there are no more goroutines than before the test.
func noLeaks(t *testing.T, before int) {
	deadline := time.Now().Add(patience)
	for runtime.NumGoroutine() > before {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, %d before the test:\n%s",
				runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
		runtime.Gosched()
	}
}

// env is what a test runs on.
type env struct {
	client, server rdma.Transport
	addr           string
}

// serve starts a server that is closed with the test.
func (e *env) serve(t *testing.T, h rdma.Handler) rdma.Server {
	t.Helper()
	s, err := e.server.Serve(e.addr, h)
	if err != nil {
		t.Fatalf("Serve: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close server: %v", err)
		}
	})
	return s
}

// dial connects; the connection is closed with the test.
func (e *env) dial(t *testing.T, s rdma.Server) rdma.Conn {
	t.Helper()
	c, err := e.client.Dial(ctx(t), s.Addr())
	if err != nil {
		t.Fatalf("Dial: %v", err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close connection: %v", err)
		}
	})
	return c
}

// start is serve and dial.
func (e *env) start(t *testing.T, h rdma.Handler) (rdma.Server, rdma.Conn) {
	t.Helper()
	s := e.serve(t, h)
	return s, e.dial(t, s)
}

// register maps memory at the client that is closed with the test.
func (e *env) register(t *testing.T, n int) rdma.Region {
	t.Helper()
	r, err := e.client.Register(n)
	if err != nil {
		t.Fatalf("Register(%d): %v", n, err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("close region: %v", err)
		}
	})
	return r
}

// ctx is a context that ends when something hangs.
func ctx(t *testing.T) context.Context {
	t.Helper()
	c, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return c
}

// wait waits for a channel.
func wait[T any](t *testing.T, ch <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(patience):
		t.Fatalf("%s does not happen", what)
	}
	return v
}

// wantError fails unless err is one of those wanted.
func wantError(t *testing.T, what string, err error, wanted ...error) {
	t.Helper()
	for _, w := range wanted {
		if errors.Is(err, w) {
			return
		}
	}
	t.Errorf("%s: error %v, want one of %v", what, err, wanted)
}

func echo(_ context.Context, _ rdma.Peer, req, rep []byte) int { return copy(rep, req) }

// pattern fills p with bytes that depend on the seed and the position.
func pattern(p []byte, seed uint64) {
	x := seed*0x9E3779B97F4A7C15 + 1
	for i := range p {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		p[i] = byte(x)
	}
}

// differs is the first position where p is not the pattern, or -1.
func differs(p []byte, seed uint64) int {
	want := make([]byte, len(p))
	pattern(want, seed)
	for i := range p {
		if p[i] != want[i] {
			return i
		}
	}
	return -1
}
