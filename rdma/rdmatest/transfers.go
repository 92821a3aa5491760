package rdmatest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/weftstore/weft/rdma"
)

// task is what the handler does next: tests run client and server in one
// process, so the request need not say it.
type task func(ctx context.Context, p rdma.Peer) error

// worker is a handler that runs tasks and hands out their errors.
type worker struct {
	next atomic.Pointer[task]
	errs chan error
}

func newWorker() *worker { return &worker{errs: make(chan error, 1)} }

func (w *worker) handle(ctx context.Context, p rdma.Peer, _, rep []byte) int {
	w.errs <- (*w.next.Load())(ctx, p)
	return copy(rep, "done")
}

// do runs f at the server. It gives f's error and dials again when the call
// failed, as it may after a refused transfer.
func (w *worker) do(t *testing.T, e *env, s rdma.Server, f task) error {
	t.Helper()
	w.next.Store(&f)
	c, err := e.client.Dial(ctx(t), s.Addr())
	if err != nil {
		t.Fatalf("Dial: %v", err)
	}
	defer c.Close()
	_, callErr := c.Call(ctx(t), []byte("do"), make([]byte, 16))
	err = wait(t, w.errs, "the handler's task")
	if callErr != nil && (err == nil || !errors.Is(callErr, rdma.ErrPeer)) {
		t.Errorf("call: %v, the task's error: %v", callErr, err)
	}
	return err
}

func pull(r rdma.Remote, use func(p []byte) error) task {
	return func(ctx context.Context, p rdma.Peer) error { return p.Pull(ctx, r, use) }
}

func push(r rdma.Remote, fill func(p []byte) error) task {
	return func(ctx context.Context, p rdma.Peer) error { return p.Push(ctx, r, fill) }
}

func nop([]byte) error { return nil }

func testRegion(t *testing.T, e *env) {
	r := e.register(t, 5000)
	b := r.Bytes()
	page := os.Getpagesize()
	if len(b) < 5000 || len(b)%page != 0 || uintptr(unsafe.Pointer(&b[0]))%uintptr(page) != 0 {
		t.Errorf("region of %d bytes at %p is not of whole pages", len(b), &b[0])
	}
	for i, v := range b {
		if v != 0 {
			t.Fatalf("byte %d of a new region is %d", i, v)
		}
	}
	for _, bad := range [][2]int{{-1, 1}, {0, len(b) + 1}, {len(b), 1}, {1, -1}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Remote(%d, %d) did not panic", bad[0], bad[1])
				}
			}()
			r.Remote(bad[0], bad[1])
		}()
	}
	if got := r.Remote(100, 50); got.Len != 50 || got.Addr-r.Remote(0, 1).Addr != 100 {
		t.Errorf("Remote(100, 50) = length %d", got.Len)
	}
	if _, err := e.client.Register(0); err == nil {
		t.Error("a region of 0 bytes was registered")
	}
	for range 2 {
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}

func testPullPush(t *testing.T, e *env) {
	w := newWorker()
	s := e.serve(t, w.handle)
	const guard = 64
	r := e.register(t, rdma.MaxBulk+2*guard)
	for _, n := range []int{0, 1, 511, 4096, 32<<10 + 1, 1 << 20, rdma.MaxBulk} {
		mem := r.Bytes()[:n+2*guard]
		pattern(mem, uint64(n))
		err := w.do(t, e, s, pull(r.Remote(guard, n), func(p []byte) error {
			want := make([]byte, n+2*guard)
			pattern(want, uint64(n))
			if string(p) != string(want[guard:guard+n]) {
				return fmt.Errorf("pulled %d bytes that are not those of the client", len(p))
			}
			return nil
		}))
		if err != nil {
			t.Errorf("pull of %d bytes: %v", n, err)
		}
		err = w.do(t, e, s, push(r.Remote(guard, n), func(p []byte) error {
			if len(p) != n {
				return fmt.Errorf("%d bytes to fill, want %d", len(p), n)
			}
			pattern(p, uint64(n)+1)
			return nil
		}))
		if err != nil {
			t.Errorf("push of %d bytes: %v", n, err)
		}
		if at := differs(mem[guard:guard+n], uint64(n)+1); at >= 0 {
			t.Errorf("push of %d bytes: byte %d is wrong", n, at)
		}
		around := make([]byte, n+2*guard)
		pattern(around, uint64(n))
		if string(mem[:guard]) != string(around[:guard]) || string(mem[guard+n:]) != string(around[guard+n:]) {
			t.Errorf("push of %d bytes wrote outside its window", n)
		}
	}
}

func testTransferTooLarge(t *testing.T, e *env) {
	w := newWorker()
	s := e.serve(t, w.handle)
	r := e.register(t, rdma.MaxBulk+1)
	remote := r.Remote(0, rdma.MaxBulk+1)
	wantError(t, "pull", w.do(t, e, s, pull(remote, nop)), rdma.ErrTooLarge)
	wantError(t, "push", w.do(t, e, s, push(remote, nop)), rdma.ErrTooLarge)
}

func testBadRemote(t *testing.T, e *env) {
	w := newWorker()
	s := e.serve(t, w.handle)
	r := e.register(t, 64<<10)
	size := len(r.Bytes())
	pattern(r.Bytes(), 3)
	for name, spoil := range map[string]func(m *rdma.Remote){
		"key off by one": func(m *rdma.Remote) { m.RKey++ },
		"key 0":          func(m *rdma.Remote) { m.RKey = 0 },
		"before":         func(m *rdma.Remote) { m.Addr-- },
		"beyond":         func(m *rdma.Remote) { m.Addr += uint64(size) - 4095 },
		"far beyond":     func(m *rdma.Remote) { m.Addr += 1 << 40 },
		"address 0":      func(m *rdma.Remote) { m.Addr = 0 },
		"wrapping":       func(m *rdma.Remote) { m.Addr = ^uint64(0) - 100 },
	} {
		remote := r.Remote(0, 4096)
		spoil(&remote)
		wantError(t, "pull, "+name, w.do(t, e, s, pull(remote, nop)), rdma.ErrRemote)
		err := w.do(t, e, s, push(remote, func(p []byte) error { clear(p); return nil }))
		wantError(t, "push, "+name, err, rdma.ErrRemote)
	}
	if at := differs(r.Bytes(), 3); at >= 0 {
		t.Errorf("refused transfers changed byte %d", at)
	}
	if err := w.do(t, e, s, pull(r.Remote(0, 4096), nop)); err != nil {
		t.Errorf("pull after refused ones: %v", err)
	}
}

func testClosedRegion(t *testing.T, e *env) {
	w := newWorker()
	s := e.serve(t, w.handle)
	r := e.register(t, 4096)
	remote := r.Remote(0, 4096)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	wantError(t, "pull", w.do(t, e, s, pull(remote, nop)), rdma.ErrRemote)
	wantError(t, "push", w.do(t, e, s, push(remote, nop)), rdma.ErrRemote)
	next := e.register(t, 4096) // may get the same address: the old key must not open it
	wantError(t, "pull with an old key", w.do(t, e, s, pull(remote, nop)), rdma.ErrRemote)
	if err := w.do(t, e, s, pull(next.Remote(0, 4096), nop)); err != nil {
		t.Errorf("pull from a new region: %v", err)
	}
}

func testCloseRegionUnderTransfer(t *testing.T, e *env) {
	w := newWorker()
	s := e.serve(t, w.handle)
	r := e.register(t, 1<<20)
	remote := r.Remote(0, 1<<20)
	inside, closed := make(chan struct{}), make(chan error, 1)
	go func() {
		<-inside
		closed <- r.Close()
	}()
	err := w.do(t, e, s, push(remote, func(p []byte) error {
		inside <- struct{}{}
		pattern(p, 1) // with Close under way: must not fault
		return nil
	}))
	if err != nil {
		wantError(t, "push into a closing region", err, rdma.ErrRemote)
	}
	if err := wait(t, closed, "Close of the region"); err != nil {
		t.Errorf("Close: %v", err)
	}
	wantError(t, "push into a closed region", w.do(t, e, s, push(remote, nop)), rdma.ErrRemote)
}

func testCallbackErrors(t *testing.T, e *env) {
	w := newWorker()
	s, c := e.start(t, w.handle)
	r := e.register(t, 4096)
	boom := errors.New("callback failed")
	fail := func([]byte) error { return boom }
	for name, f := range map[string]task{"pull": pull(r.Remote(0, 4096), fail), "push": push(r.Remote(0, 4096), fail)} {
		w.next.Store(&f)
		// The target's trouble is not the fabric's: the connection stays.
		if n, err := c.Call(ctx(t), []byte("do"), make([]byte, 16)); n != 4 || err != nil {
			t.Errorf("%s: call: %d, %v", name, n, err)
		}
		wantError(t, name, wait(t, w.errs, "the task"), boom)
	}
	over := func(_ context.Context, p rdma.Peer) error {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		called := false
		err := p.Pull(ended, r.Remote(0, 4096), func([]byte) error { called = true; return nil })
		if called {
			return errors.New("a canceled pull lent memory")
		}
		return err
	}
	wantError(t, "canceled pull", w.do(t, e, s, over), context.Canceled)
}

// testNoWriteAfterCall: a handler that goes on pushing until it is stopped must
// not reach the caller's memory once Call has returned.
func testNoWriteAfterCall(t *testing.T, e *env) {
	started, stopped := make(chan struct{}, 1), make(chan struct{})
	r := e.register(t, 256<<10)
	remote := r.Remote(0, 256<<10)
	s, c := e.start(t, func(ctx context.Context, p rdma.Peer, req, rep []byte) int {
		defer close(stopped)
		for i := 0; ; i++ {
			err := p.Push(ctx, remote, func(p []byte) error { pattern(p[:64], uint64(i)); return nil })
			if i == 0 {
				started <- struct{}{}
			}
			if err != nil {
				return 0
			}
		}
	})
	call, cancel := context.WithTimeout(t.Context(), patience)
	done := make(chan error, 1)
	go func() {
		_, err := c.Call(call, []byte{1}, make([]byte, 8))
		if err != nil {
			pattern(r.Bytes(), 77) // the memory is ours again
		}
		done <- err
	}()
	wait(t, started, "the first push")
	cancel()
	wantError(t, "call", wait(t, done, "its end"), context.Canceled, rdma.ErrPeer)
	wait(t, stopped, "the end of the handler")
	if err := s.Close(); err != nil { // nothing of the server's is under way any more
		t.Error(err)
	}
	if at := differs(r.Bytes(), 77); at >= 0 {
		t.Errorf("byte %d was written after Call had returned", at)
	}
}

func testStats(t *testing.T, e *env) {
	w := newWorker()
	s, c := e.start(t, w.handle)
	r := e.register(t, 8192)
	atClient, atServer := e.client.Stats(), e.server.Stats()
	if atClient.RegisteredBytes < 8192 || atServer.Listeners < 1 || atClient.Connections < 1 {
		t.Errorf("gauges: client %+v, server %+v", atClient, atServer)
	}
	for i, f := range []task{pull(r.Remote(0, 100), nop), push(r.Remote(0, 200), nop)} {
		w.next.Store(&f)
		if _, err := c.Call(ctx(t), nil, make([]byte, 16)); err != nil || <-w.errs != nil {
			t.Fatalf("call %d: %v", i, err)
		}
	}
	bad := r.Remote(0, 100)
	bad.RKey++
	_ = w.do(t, e, s, pull(bad, nop))
	client, server := e.client.Stats(), e.server.Stats()
	if client.Calls-atClient.Calls != 3 {
		t.Errorf("%d calls counted, want 3", client.Calls-atClient.Calls)
	}
	if server.Pulls-atServer.Pulls != 1 || server.Pushes-atServer.Pushes != 1 ||
		server.PulledBytes-atServer.PulledBytes != 100 || server.PushedBytes-atServer.PushedBytes != 200 ||
		server.TransferErrors-atServer.TransferErrors != 1 {
		t.Errorf("transfers: before %+v, after %+v", atServer, server)
	}
	_, err := c.Call(ctx(t), make([]byte, rdma.MaxMessage+1), nil)
	if now := e.client.Stats(); err == nil || now.CallErrors <= client.CallErrors {
		t.Errorf("a failed call (%v) was not counted", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if now := e.client.Stats(); now.RegisteredBytes != atClient.RegisteredBytes-8192 {
		t.Errorf("%d bytes registered after Close, %d before", now.RegisteredBytes, atClient.RegisteredBytes)
	}
}

// testPool: blocks as a gateway uses them, with released ones poisoned.
func testPool(t *testing.T, e *env) {
	w := newWorker()
	s := e.serve(t, w.handle)
	pool, err := rdma.NewPool(e.client, 8*64<<10, 64<<10)
	if err != nil {
		t.Fatal(err)
	}
	pool.Poison(true)
	limit, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for round := range 20 {
		blocks, err := pool.Acquire(limit, 3)
		if err != nil {
			t.Fatal(err)
		}
		for i, b := range blocks {
			seed := uint64(round*8 + i)
			fill := func(p []byte) error { pattern(p, seed); return nil }
			if err := w.do(t, e, s, push(b.Remote(4096, 8192), fill)); err != nil {
				t.Fatalf("push: %v", err)
			}
			if at := differs(b.Bytes()[4096:4096+8192], seed); at >= 0 {
				t.Fatalf("round %d, block %d: byte %d is wrong", round, i, at)
			}
		}
		for _, b := range blocks {
			b.Release()
		}
	}
	all, ok := pool.TryAcquire(8)
	if !ok {
		t.Fatal("not all blocks came back")
	}
	for i, b := range all {
		for j, v := range b.Bytes() {
			if v != 0xDB && v != 0 {
				t.Fatalf("block %d: byte %d was written after its release", i, j)
			}
		}
		b.Release()
	}
	if err := pool.Close(); err != nil {
		t.Error(err)
	}
}
