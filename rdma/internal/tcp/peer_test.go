package tcp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/internal/region"
	"github.com/weftstore/weft/rdma/internal/wire"
)

// The other end in these tests is a script: it speaks the protocol up to the point
// where it breaks it, stops, or leaves.

const (
	patience  = 20 * time.Second
	shakeTime = time.Second // DialTimeout
)

var (
	goodSecret  = bytes.Repeat([]byte("s"), rdma.MinSecret)
	otherSecret = bytes.Repeat([]byte("t"), rdma.MinSecret)
	sessions    atomic.Uint64
)

// plainAndTLS runs a test for both.
func plainAndTLS(t *testing.T, run func(t *testing.T, tls bool)) {
	t.Run("plain", func(t *testing.T) { run(t, false) })
	t.Run("TLS", func(t *testing.T) { run(t, true) })
}

// newNetwork makes one end.
func newNetwork(t testing.TB, o rdma.Options) *Network {
	t.Helper()
	if o.Secret == nil {
		o.Secret = goodSecret
	}
	if o.DialTimeout == 0 {
		o.DialTimeout = shakeTime
	}
	o, err := o.Complete()
	if err != nil {
		t.Fatal(err)
	}
	n, err := New(wire.Config{Options: o, Session: sessions.Add(1), Counters: &wire.Counters{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// tap is a wire.Receiver that keeps what it is told.
type tap struct {
	lane   wire.Lane
	got    chan wire.Message
	heard  atomic.Int64
	broken chan error
}

func newTap(l wire.Lane) *tap {
	return &tap{lane: l, got: make(chan wire.Message, 1024), broken: make(chan error, 2)}
}

func (r *tap) Receive(m wire.Message) wire.Work {
	m.Body = bytes.Clone(m.Body)
	if m.Hold != nil {
		m.Hold.Release()
		m.Hold = nil
	}
	r.got <- m
	return nil
}

func (r *tap) Heard() { r.heard.Add(1) }

func (r *tap) Broken(err error) { r.broken <- err }

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

// noLeaks compares goroutines and file descriptors at the end of the test with those
// of now. It is called before anything registers a Cleanup.
func noLeaks(t *testing.T) {
	t.Helper()
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	t.Cleanup(func() {
		deadline := time.Now().Add(patience)
		for runtime.NumGoroutine() > goroutines || openFiles(t) > files {
			if time.Now().After(deadline) {
				buf := make([]byte, 1<<16)
				t.Fatalf("%d goroutines and %d files, %d and %d before:\n%s", runtime.NumGoroutine(), openFiles(t),
					goroutines, files, buf[:runtime.Stack(buf, true)])
			}
			runtime.Gosched()
		}
	})
}

func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// answerer is an answering end with an honest caller beside the script, which must not
// notice anything.
type answerer struct {
	n      *Network
	addr   string
	taken  chan *tap // lanes that have authenticated
	honest *tap      // the calling end of the honest lane
	far    *tap      // its answering end
}

func newAnswerer(t *testing.T, o rdma.Options) *answerer {
	t.Helper()
	noLeaks(t)
	a := &answerer{n: newNetwork(t, o), taken: make(chan *tap, 300)}
	l, err := a.n.Listen("127.0.0.1:0", nil, func(l wire.Lane) {
		to := newTap(l)
		l.Start(to)
		a.taken <- to
	})
	if err != nil {
		t.Fatal(err)
	}
	a.addr = l.Addr()
	lane, err := newNetwork(t, o).Dial(t.Context(), a.addr)
	if err != nil {
		t.Fatal(err)
	}
	a.honest = newTap(lane)
	lane.Start(a.honest)
	a.far = wait(t, a.taken, "the honest lane")
	t.Cleanup(func() {
		a.stillServes(t)
		lane.Break(rdma.ErrClosed)
		a.far.lane.Break(rdma.ErrClosed)
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		for len(a.taken) > 0 {
			(<-a.taken).lane.Break(rdma.ErrClosed)
		}
	})
	return a
}

// stillServes sends a message over the honest lane and back, and makes a new one.
func (a *answerer) stillServes(t *testing.T) {
	t.Helper()
	_ = a.honest.lane.Send(wire.Message{Kind: wire.Ping, ID: 5})
	if m := wait(t, a.far.got, "a ping over the honest lane"); m.Kind != wire.Ping || m.ID != 5 {
		t.Errorf("over the honest lane came %+v", m)
	}
	_ = a.far.lane.Send(wire.Message{Kind: wire.Pong, ID: 6})
	if m := wait(t, a.honest.got, "a pong over the honest lane"); m.Kind != wire.Pong || m.ID != 6 {
		t.Errorf("over the honest lane came %+v", m)
	}
	if len(a.far.broken)+len(a.honest.broken) > 0 {
		t.Error("the honest lane broke")
	}
	lane, err := newNetwork(t, a.n.cfg.Options).Dial(context.Background(), a.addr)
	if err != nil {
		t.Errorf("a second honest caller: %v", err)
		return
	}
	lane.Break(rdma.ErrClosed)
	wait(t, a.taken, "its lane").lane.Break(rdma.ErrClosed)
}

// connect opens a bare connection of the script.
func (a *answerer) connect(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", a.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// join authenticates the script, and gives the lane that the answerer has then.
func (a *answerer) join(t *testing.T) (net.Conn, *tap) {
	t.Helper()
	n := newNetwork(t, a.n.cfg.Options)
	c, err := n.shake(t.Context(), a.connect(t), n.call)
	if err != nil {
		t.Fatal(err)
	}
	return c.conn, wait(t, a.taken, "the lane of the script")
}

// caller is a calling end of a lane whose answering end is the script.
type caller struct {
	*tap
	n      *Network
	script net.Conn
	memory []byte
}

const memoryKey = 77

func newCaller(t *testing.T, o rdma.Options) *caller {
	t.Helper()
	noLeaks(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := &caller{n: newNetwork(t, o)}
	far := newNetwork(t, o)
	agreed := make(chan net.Conn, 1)
	go func() {
		defer close(agreed)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		if a, err := far.shake(context.Background(), conn, far.answer); err == nil {
			agreed <- a.conn
		}
	}()
	lane, err := c.n.Dial(t.Context(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.tap, c.script = newTap(lane), wait(t, agreed, "the handshake")
	c.memory, err = region.Map(rdma.MaxBulk, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	reg, err := c.n.Register(memoryKey, c.memory)
	if err != nil {
		t.Fatal(err)
	}
	lane.Start(c.tap)
	t.Cleanup(func() {
		c.script.Close()
		lane.Break(rdma.ErrClosed)
		if err := errors.Join(reg.Close(), region.Unmap(c.memory)); err != nil {
			t.Error(err)
		}
	})
	return c
}

// send writes a frame that says it has length bytes, and these.
func send(t *testing.T, c net.Conn, h head, body []byte) {
	t.Helper()
	if _, err := c.Write(bytesOf(h, body)); err != nil {
		t.Fatalf("the script writes: %v", err)
	}
}

func bytesOf(h head, body []byte) []byte {
	p := make([]byte, headSize, headSize+len(body))
	h.encode(p)
	return append(p, body...)
}

// frameOf reads a frame.
func frameOf(t *testing.T, c net.Conn) (head, []byte) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	p := make([]byte, headSize)
	if _, err := io.ReadFull(c, p); err != nil {
		t.Fatalf("the script reads: %v", err)
	}
	var h head
	if err := h.decode(p); err != nil {
		t.Fatal(err)
	}
	if h.Kind == kindPull {
		return h, nil
	}
	body := make([]byte, h.Length)
	if _, err := io.ReadFull(c, body); err != nil {
		t.Fatalf("the script reads: %v", err)
	}
	return h, body
}

// wantBroken waits for the end of a lane and looks for its cause.
func (r *tap) wantBroken(t *testing.T, cause string) {
	t.Helper()
	err := wait(t, r.broken, "the end of the lane")
	if !errors.Is(err, rdma.ErrPeer) || !strings.Contains(err.Error(), cause) {
		t.Errorf("the lane ended with %q, want ErrPeer and %q", err, cause)
	}
	r.lane.Break(errors.New("again"))
	if len(r.broken) > 0 {
		t.Error("Broken was told twice")
	}
}
