package rdmatest

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weftstore/weft/rdma"
)

func testEcho(t *testing.T, e *env) {
	_, c := e.start(t, echo)
	for _, n := range []int{0, 1, 7, 4096, rdma.MaxMessage - 1, rdma.MaxMessage} {
		req, rep := make([]byte, n), make([]byte, n)
		pattern(req, uint64(n))
		got, err := c.Call(ctx(t), req, rep)
		if err != nil || got != n || !bytes.Equal(req, rep) {
			t.Errorf("echo of %d bytes: %d, %v, equal %v", n, got, err, bytes.Equal(req, rep))
		}
	}
	// A reply shorter than its buffer leaves the rest alone.
	rep := bytes.Repeat([]byte{7}, 64)
	if n, err := c.Call(ctx(t), []byte("abc"), rep); n != 3 || err != nil || rep[3] != 7 || rep[63] != 7 {
		t.Errorf("short reply: %d, %v, %v", n, err, rep)
	}
}

func testConcurrentCalls(t *testing.T, e *env) {
	s := e.serve(t, echo)
	var all sync.WaitGroup
	for i := range 4 {
		c := e.dial(t, s)
		for j := range 4 {
			all.Go(func() {
				req, rep := make([]byte, 512), make([]byte, rdma.MaxMessage)
				for k := range 50 {
					pattern(req, uint64(i<<16|j<<8|k))
					n, err := c.Call(t.Context(), req[:1+k*10], rep)
					if err != nil || !bytes.Equal(rep[:n], req[:1+k*10]) {
						t.Errorf("call %d/%d/%d: %d, %v", i, j, k, n, err)
						return
					}
				}
			})
		}
	}
	all.Wait()
}

func testHandlersRunConcurrently(t *testing.T, e *env) {
	var meet sync.WaitGroup
	meet.Add(2)
	_, c := e.start(t, func(_ context.Context, _ rdma.Peer, req, rep []byte) int {
		meet.Done()
		meet.Wait()
		return copy(rep, req)
	})
	done := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := c.Call(t.Context(), []byte{1}, make([]byte, 1))
			done <- err
		}()
	}
	for range 2 {
		if err := wait(t, done, "two handlers at once"); err != nil {
			t.Error(err)
		}
	}
}

func testTooLarge(t *testing.T, e *env) {
	var handled atomic.Int64
	_, c := e.start(t, func(_ context.Context, _ rdma.Peer, req, rep []byte) int {
		handled.Add(1)
		if len(rep) != rdma.MaxMessage {
			t.Errorf("handler's reply buffer has %d bytes", len(rep))
		}
		return copy(rep, req)
	})
	_, err := c.Call(ctx(t), make([]byte, rdma.MaxMessage+1), make([]byte, rdma.MaxMessage))
	wantError(t, "large request", err, rdma.ErrTooLarge)
	if handled.Load() != 0 {
		t.Error("the large request was handled")
	}
	rep := make([]byte, 9)
	_, err = c.Call(ctx(t), make([]byte, 10), rep)
	wantError(t, "reply larger than the caller's buffer", err, rdma.ErrTooLarge)
	if n, err := c.Call(ctx(t), make([]byte, 9), rep); n != 9 || err != nil {
		t.Errorf("call after one that was too large: %d, %v", n, err)
	}
}

func testOverBeforeCall(t *testing.T, e *env) {
	var handled atomic.Int64
	s, c := e.start(t, func(_ context.Context, _ rdma.Peer, _, _ []byte) int {
		handled.Add(1)
		return 0
	})
	over, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.Call(over, []byte{1}, make([]byte, 8))
	wantError(t, "canceled call", err, context.Canceled)
	if handled.Load() != 0 {
		t.Error("a call that was over was handled")
	}
	_, err = e.client.Dial(over, s.Addr())
	wantError(t, "canceled dial", err, context.Canceled)
}

func testDeadline(t *testing.T, e *env) {
	ended := make(chan error, 4)
	_, c := e.start(t, func(ctx context.Context, _ rdma.Peer, req, rep []byte) int {
		if len(req) == 1 {
			<-ctx.Done()
			ended <- ctx.Err()
		}
		return copy(rep, req)
	})
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := c.Call(short, []byte{1}, make([]byte, 8))
	// The handler's answer may come before the caller has seen the end of its context.
	if over, _ := short.Deadline(); err != nil || time.Now().Before(over) {
		wantError(t, "call past its deadline", err, context.DeadlineExceeded)
	}
	if wait(t, ended, "the end of the handler's context") == nil {
		t.Error("the handler's context ended without an error")
	}

	canceled, cancel2 := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := c.Call(canceled, []byte{1}, make([]byte, 8))
		done <- err
	}()
	cancel2()
	wantError(t, "canceled call", wait(t, done, "the end of a canceled call"), context.Canceled)
	if n, err := c.Call(ctx(t), []byte{1, 2}, make([]byte, 8)); n != 2 || err != nil {
		t.Errorf("call after those: %d, %v", n, err)
	}
}

// blocking is a handler that says when it runs and waits for the end of its
// context or of release.
func blocking(entered chan<- struct{}, release <-chan struct{}, ended chan<- error) rdma.Handler {
	return func(ctx context.Context, _ rdma.Peer, req, rep []byte) int {
		entered <- struct{}{}
		select {
		case <-ctx.Done():
			ended <- ctx.Err()
		case <-release:
			ended <- nil
		}
		return copy(rep, req)
	}
}

func testCloseConnUnderCall(t *testing.T, e *env) {
	entered, ended := make(chan struct{}, 8), make(chan error, 8)
	s, c := e.start(t, blocking(entered, nil, ended))
	done := make(chan error, 3)
	for i := range 3 {
		go func() {
			call := t.Context()
			if i == 0 {
				call = context.Background() // cannot end by itself
			}
			_, err := c.Call(call, []byte{1}, make([]byte, 8))
			done <- err
		}()
	}
	for range 3 {
		wait(t, entered, "the handler")
	}
	if err := c.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	for range 3 {
		wantError(t, "call under way", wait(t, done, "the end of a call under way"), rdma.ErrClosed)
		if wait(t, ended, "the end of a handler's context") == nil {
			t.Error("a handler was not told")
		}
	}
	_, err := c.Call(ctx(t), []byte{1}, make([]byte, 8))
	wantError(t, "call on a closed connection", err, rdma.ErrClosed)
	if err := c.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	e.dial(t, s) // the server still answers
}

func testCloseServerUnderCall(t *testing.T, e *env) {
	entered, ended, release := make(chan struct{}, 1), make(chan error, 1), make(chan struct{})
	s, c := e.start(t, blocking(entered, release, ended))
	answered, closed := make(chan error, 1), make(chan error, 1)
	go func() {
		n, err := c.Call(t.Context(), []byte{1, 2}, make([]byte, 8))
		if err == nil && n != 2 {
			err = fmt.Errorf("reply of %d bytes", n)
		}
		answered <- err
	}()
	wait(t, entered, "the handler")
	go func() { closed <- s.Close() }()
	// Until Close has begun, new connections are taken.
	deadline := time.Now().Add(patience)
	for {
		extra, err := e.client.Dial(ctx(t), s.Addr())
		if err != nil {
			wantError(t, "dial a closing server", err, rdma.ErrPeer)
			break
		}
		_ = extra.Close()
		if time.Now().After(deadline) {
			t.Fatal("a closing server takes connections")
		}
	}
	select {
	case err := <-closed:
		t.Fatalf("Close returned with a handler under way: %v", err)
	default:
	}
	close(release)
	if err := wait(t, answered, "the answer"); err != nil {
		t.Errorf("call under way when the server closed: %v", err)
	}
	if err := wait(t, closed, "the server's Close"); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the handler's context ended: %v", err)
	}
	_, err := c.Call(ctx(t), []byte{1}, make([]byte, 8))
	wantError(t, "call to a closed server", err, rdma.ErrPeer)
}

func testCloseTransport(t *testing.T, e *env) {
	entered, ended := make(chan struct{}, 1), make(chan error, 1)
	_, c := e.start(t, blocking(entered, nil, ended))
	done := make(chan error, 1)
	go func() {
		_, err := c.Call(t.Context(), []byte{1}, make([]byte, 8))
		done <- err
	}()
	wait(t, entered, "the handler")
	if err := e.client.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	wantError(t, "call under way", wait(t, done, "its end"), rdma.ErrClosed)
	_, err := c.Call(ctx(t), []byte{1}, make([]byte, 8))
	wantError(t, "call on a closed transport", err, rdma.ErrClosed)
	_, err = e.client.Dial(ctx(t), "anywhere")
	wantError(t, "dial on a closed transport", err, rdma.ErrClosed)
	_, err = e.client.Register(4096)
	wantError(t, "register with a closed transport", err, rdma.ErrClosed)
	_, err = e.client.Serve(e.addr, echo)
	wantError(t, "serve on a closed transport", err, rdma.ErrClosed)
}

func testDial(t *testing.T, e *env) {
	s, err := e.server.Serve(e.addr, echo)
	if err != nil {
		t.Fatal(err)
	}
	if other, err := e.server.Serve(s.Addr(), echo); err == nil {
		t.Error("an address was served twice")
		_ = other.Close()
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = e.client.Dial(ctx(t), s.Addr())
	wantError(t, "dial where nobody serves", err, rdma.ErrPeer)
	if err := s.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}
