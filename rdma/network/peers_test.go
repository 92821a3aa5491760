package network

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/internal/tcp"
	"github.com/weftstore/weft/rdma/internal/wire"
)

// The other end in these tests has the secret and speaks the wire's protocol (package
// tcp tests those that do not), but breaks that of calls.

const patience = 20 * time.Second

// loner is one end of lanes without an engine.
type loner struct{ wire.Network }

func newLoner(t *testing.T, o rdma.Options) loner {
	t.Helper()
	o.Secret = secret
	o, err := o.Complete()
	if err != nil {
		t.Fatal(err)
	}
	n, err := tcp.New(wire.Config{Options: o, Session: newSession(), Counters: &wire.Counters{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return loner{n}
}

// ears hear what comes on a lane, and answer by a script.
type ears struct {
	lane   wire.Lane
	got    chan wire.Message
	script func(l wire.Lane, m wire.Message) // may be nil
	broken chan error
}

func (e *ears) Receive(m wire.Message) wire.Work {
	if m.Hold != nil {
		defer m.Hold.Release()
	}
	if e.script != nil {
		e.script(e.lane, m)
	}
	m.Body, m.Hold = nil, nil
	e.got <- m
	return nil
}

func (e *ears) Heard() {}

func (e *ears) Broken(err error) { e.broken <- err }

func listen(l wire.Lane, script func(l wire.Lane, m wire.Message)) *ears {
	e := &ears{lane: l, got: make(chan wire.Message, 4096), script: script, broken: make(chan error, 1)}
	l.Start(e)
	return e
}

func await[T any](t *testing.T, ch <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(patience):
		t.Fatalf("%s does not happen", what)
	}
	return v
}

// noLeaks compares goroutines and file descriptors with those of now when the test
// and what it has opened afterwards has ended.
func noLeaks(t *testing.T) {
	t.Helper()
	files := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	g, f := runtime.NumGoroutine(), files()
	t.Cleanup(func() {
		for end := time.Now().Add(patience); runtime.NumGoroutine() > g || files() > f; runtime.Gosched() {
			if time.Now().After(end) {
				buf := make([]byte, 1<<16)
				t.Fatalf("%d goroutines and %d files, %d and %d before:\n%s", runtime.NumGoroutine(), files(), g, f, buf[:runtime.Stack(buf, true)])
			}
		}
	})
}

// TestLyingAnswerers: replies that fit no call, and messages of the other direction,
// break the lane; the calls on it end with ErrPeer.
func TestLyingAnswerers(t *testing.T) {
	reply := func(l wire.Lane, id uint64, body string) {
		_ = l.Send(wire.Message{Kind: wire.Reply, ID: id, Body: []byte(body)})
	}
	for name, tc := range map[string]struct {
		script func(l wire.Lane, m wire.Message)
		ok     bool // the call itself is answered
	}{
		"never called":      {func(l wire.Lane, m wire.Message) { reply(l, m.ID+1<<16, "x") }, false},
		"an earlier call":   {func(l wire.Lane, m wire.Message) { reply(l, m.ID-1<<16, "x") }, false},
		"a slot too far":    {func(l wire.Lane, m wire.Message) { reply(l, m.ID|0xffff, "x") }, false},
		"a slot not in use": {func(l wire.Lane, m wire.Message) { reply(l, m.ID^1, "x") }, false},
		"twice":             {func(l wire.Lane, m wire.Message) { reply(l, m.ID, "x"); reply(l, m.ID, "x") }, true},
		"a call":            {func(l wire.Lane, m wire.Message) { _ = l.Send(wire.Message{Kind: wire.Call, ID: m.ID}) }, false},
		"a ping":            {func(l wire.Lane, m wire.Message) { _ = l.Send(wire.Message{Kind: wire.Ping, ID: m.ID}) }, false},
		"a cancellation":    {func(l wire.Lane, m wire.Message) { _ = l.Send(wire.Message{Kind: wire.Cancel, ID: m.ID}) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			o := rdma.Options{Lanes: 1, Slots: 4}
			client := open(t, TCP, o)
			lanes := make(chan *ears, 100)
			l, err := newLoner(t, o).Listen("127.0.0.1:0", nil, func(w wire.Lane) {
				e := &ears{lane: w, got: make(chan wire.Message, 64), script: tc.script, broken: make(chan error, 1)}
				w.Start(e)
				lanes <- e
			})
			if err != nil {
				t.Fatal(err)
			}
			c, err := client.Dial(t.Context(), l.Addr())
			if err != nil {
				t.Fatal(err)
			}
			first := await(t, lanes, "the lane")
			_, err = c.Call(t.Context(), []byte("hello"), make([]byte, 8))
			if tc.ok != (err == nil) || (err != nil && !errors.Is(err, rdma.ErrPeer)) {
				t.Errorf("call: %v", err)
			}
			if err := await(t, first.broken, "the end of the lane"); !errors.Is(err, rdma.ErrPeer) {
				t.Errorf("the lane ended with %v", err)
			}
			if err := errors.Join(c.Close(), l.Close()); err != nil {
				t.Error(err)
			}
			for len(lanes) > 0 {
				(<-lanes).lane.Break(rdma.ErrClosed)
			}
		})
	}
}

// TestLyingCallers: calls that are not made as agreed do not reach the handler beyond
// the slots, and break the lane; another caller does not notice.
func TestLyingCallers(t *testing.T) {
	for name, script := range map[string]func(l wire.Lane){
		"more than slots": func(l wire.Lane) {
			for i := range uint64(5) {
				_ = l.Send(wire.Message{Kind: wire.Call, ID: 1<<16 + i, Body: []byte("block")})
			}
		},
		"one twice": func(l wire.Lane) {
			for range 2 {
				_ = l.Send(wire.Message{Kind: wire.Call, ID: 1 << 16, Body: []byte("block")})
			}
		},
		"number 0":  func(l wire.Lane) { _ = l.Send(wire.Message{Kind: wire.Call, Body: []byte("block")}) },
		"a reply":   func(l wire.Lane) { _ = l.Send(wire.Message{Kind: wire.Reply, ID: 1, Body: []byte("x")}) },
		"a refusal": func(l wire.Lane) { _ = l.Send(wire.Message{Kind: wire.Refuse}) },
		"a pong":    func(l wire.Lane) { _ = l.Send(wire.Message{Kind: wire.Pong}) },
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			o := rdma.Options{Lanes: 1, Slots: 4}
			var handled atomic.Int64
			server, client := open(t, TCP, o), open(t, TCP, o)
			s, err := server.Serve("127.0.0.1:0", func(ctx context.Context, p rdma.Peer, req, rep []byte) int {
				if string(req) == "block" {
					handled.Add(1)
					<-ctx.Done()
				}
				return echo(ctx, p, req, rep)
			})
			if err != nil {
				t.Fatal(err)
			}
			c, err := client.Dial(t.Context(), s.Addr())
			if err != nil {
				t.Fatal(err)
			}
			lane, err := newLoner(t, o).Dial(t.Context(), s.Addr())
			if err != nil {
				t.Fatal(err)
			}
			e := listen(lane, nil)
			script(lane)
			if err := await(t, e.broken, "the end of the lane"); !errors.Is(err, rdma.ErrPeer) {
				t.Errorf("the lane ended with %v", err)
			}
			if n := handled.Load(); n > 4 {
				t.Errorf("%d calls were handled", n)
			}
			if n, err := c.Call(t.Context(), []byte("abc"), make([]byte, 8)); n != 3 || err != nil {
				t.Errorf("another caller: %d, %v", n, err)
			}
			if s := client.Stats(); s.Redials != 0 {
				t.Error("another caller's lane broke")
			}
			if err := errors.Join(c.Close(), s.Close()); err != nil { // waits for the handlers
				t.Error(err)
			}
		})
	}
}

// TestSilentCaller: one that only holds a lane is given up, and so is one whose bytes
// trickle, as only messages count; one that is idle but alive is not.
func TestSilentCaller(t *testing.T) {
	noLeaks(t)
	o := rdma.Options{Lanes: 1, KeepAlive: 100 * time.Millisecond}
	server, client := open(t, TCP, o), open(t, TCP, o)
	s, err := server.Serve("127.0.0.1:0", echo)
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.Dial(t.Context(), s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	lane, err := newLoner(t, o).Dial(t.Context(), s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	e := listen(lane, nil)
	if err := await(t, e.broken, "the end of a silent lane"); !errors.Is(err, rdma.ErrPeer) {
		t.Errorf("the lane ended with %v", err)
	}
	if took := time.Since(start); took < 3*o.KeepAlive {
		t.Errorf("a silent lane was given up after %s", took)
	}
	if n, err := c.Call(t.Context(), []byte("abc"), make([]byte, 8)); n != 3 || err != nil {
		t.Errorf("the idle caller: %d, %v", n, err)
	}
	if got := server.Stats(); got.KeepAliveKills != 1 || client.Stats().Redials != 0 {
		t.Errorf("%d kills, %d lanes made anew", got.KeepAliveKills, client.Stats().Redials)
	}
	if err := errors.Join(c.Close(), s.Close()); err != nil {
		t.Error(err)
	}
}

// TestRestart: a server that is started again at the same address, as another process
// would be, is dialed again; calls fail until then, in bounded time, and it sees the
// same session.
func TestRestart(t *testing.T) {
	noLeaks(t)
	for _, secure := range []bool{false, true} {
		o := rdma.Options{TLS: secure}
		client := open(t, TCP, o)
		handler := func(_ context.Context, p rdma.Peer, _, rep []byte) int {
			return len(binary.LittleEndian.AppendUint64(rep[:0], p.Session()))
		}
		server := open(t, TCP, o)
		s, err := server.Serve("127.0.0.1:0", handler)
		if err != nil {
			t.Fatal(err)
		}
		c, err := client.Dial(t.Context(), s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		was := make([]byte, 8)
		if _, err := c.Call(t.Context(), nil, was); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := server.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Call(t.Context(), nil, make([]byte, 8)); !errors.Is(err, rdma.ErrPeer) || !strings.Contains(err.Error(), "127.0.0.1") {
				t.Errorf("call to a server that is gone: %v", err)
			}
			server = open(t, TCP, o)
			if s, err = server.Serve(s.Addr(), handler); err != nil {
				t.Fatal(err)
			}
			is := make([]byte, 8)
			for end := time.Now().Add(patience); ; runtime.Gosched() {
				if _, err = c.Call(t.Context(), nil, is); err == nil || time.Now().After(end) {
					break
				}
			}
			if err != nil || string(is) != string(was) {
				t.Errorf("call after the restart: %v, session %x, before %x", err, is, was)
			}
		}
		for end := time.Now().Add(patience); client.Stats().Redials < 3; runtime.Gosched() { // counted after the first call may be made
			if time.Now().After(end) {
				t.Fatalf("%d redials", client.Stats().Redials)
			}
		}
		if err := errors.Join(c.Close(), s.Close()); err != nil {
			t.Error(err)
		}
	}
}
