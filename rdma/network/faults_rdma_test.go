package network

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/internal/verbs"
)

// Fault model: a peer may die, lose its link, answer late or not at all, name memory
// that is gone, or be a stranger. Whatever happens ends within a bounded time with the
// right error, memory that Call has given back is not written any more, and no queue
// pair, registration, file descriptor or goroutine is left.

// verbsPatience bounds what must happen: a queue pair gives up a dead link after some
// 20 s. It is no measure of speed.
const verbsPatience = 60 * time.Second

func limited(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), verbsPatience)
	t.Cleanup(cancel)
	return ctx
}

// small is enough for a test: registering memory takes long in the emulated machine.
func small() rdma.Options {
	return rdma.Options{Staging: 2 * rdma.MaxBulk, Lanes: 1, Grace: 200 * time.Millisecond, DialTimeout: 20 * time.Second}
}

// warm makes what a process keeps from its first use on: librdmacm has each device open.
var warm = sync.OnceFunc(func() {
	if t, err := New(Config{Kind: Verbs, Options: small()}); err == nil {
		_ = t.Close()
	}
})

// noRDMALeaks compares what the process has with what it had before, when all is closed.
func noRDMALeaks(t *testing.T) {
	t.Helper()
	warm()
	before := resources(t)
	t.Cleanup(func() {
		deadline := time.Now().Add(verbsPatience)
		for now := resources(t); ; now = resources(t) {
			if now == before {
				return
			}
			if time.Now().After(deadline) {
				t.Errorf("left behind: %s, before: %s", now, before)
				return
			}
			time.Sleep(50 * time.Millisecond) // the kernel frees some of them in its own time
		}
	})
}

// resources counts this process's file descriptors and RDMA objects.
func resources(t *testing.T) string {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%d goroutines, %d files", runtime.NumGoroutine(), len(fds))
	for _, kind := range []string{"qp", "cq", "mr", "pd", "cm_id"} {
		// Not in the test's context, which is over in clean-ups.
		out, err := exec.CommandContext(context.Background(), "rdma", "resource", "show", kind).Output()
		if err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintf(", %d %s", strings.Count(string(out), fmt.Sprintf("pid %d ", os.Getpid())), kind)
	}
	return text
}

// pushing is a handler that writes into the caller's memory as often as it is told.
type pushing struct {
	at      atomic.Pointer[rdma.Remote]
	times   atomic.Int64
	entered chan struct{}
	ended   chan error
}

func newPushing() *pushing {
	return &pushing{entered: make(chan struct{}, 1), ended: make(chan error, 64)}
}

func (h *pushing) handle(ctx context.Context, p rdma.Peer, req, rep []byte) int {
	var err error
	for i := int64(0); i < h.times.Load() && err == nil; i++ {
		err = p.Push(ctx, *h.at.Load(), func(b []byte) error { b[0]++; return nil })
		select {
		case h.entered <- struct{}{}:
		default:
		}
	}
	h.ended <- err
	return copy(rep, req)
}

// verbsRig is a caller with memory and an answerer.
type verbsRig struct {
	near, far *Transport
	server    rdma.Server
	conn      rdma.Conn
	memory    rdma.Region
	h         *pushing
}

func newVerbsRig(t *testing.T, o rdma.Options) *verbsRig {
	t.Helper()
	addr := railAddr(t, 1)
	noRDMALeaks(t)
	r := &verbsRig{near: open(t, Verbs, o), far: open(t, Verbs, o), h: newPushing()}
	var err error
	if r.server, err = r.far.Serve(addr, r.h.handle); err != nil {
		t.Fatal(err)
	}
	if r.memory, err = r.near.Register(1 << 20); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.memory.Close(); err != nil {
			t.Error(err)
		}
	})
	at := r.memory.Remote(0, 1<<20)
	r.h.at.Store(&at)
	if r.conn, err = r.near.Dial(limited(t), r.server.Addr()); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *verbsRig) call(ctx context.Context) error {
	_, err := r.conn.Call(ctx, []byte("x"), make([]byte, 8))
	return err
}

// works waits until calls get through, as they must when a lane was made anew.
func (r *verbsRig) works(t *testing.T) {
	t.Helper()
	r.h.times.Store(1)
	for ctx := limited(t); ; {
		err := r.call(ctx)
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("calls do not work again: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// moved waits for the handler's transfers, which must succeed.
func (r *verbsRig) moved(t *testing.T) {
	t.Helper()
	if err := <-r.h.ended; err != nil {
		t.Errorf("transfers: %v", err)
	}
}

// untouched poisons the caller's memory and checks that nobody writes to it.
func (r *verbsRig) untouched(t *testing.T) func() {
	b := r.memory.Bytes()
	for i := range b {
		b[i] = 0xDB
	}
	return func() {
		t.Helper()
		for i, v := range b {
			if v != 0xDB {
				t.Fatalf("byte %d was written after Call had returned", i)
			}
		}
	}
}

func TestRDMAReuse(t *testing.T) {
	reuseOver(t, Verbs, railAddr(t, 1), rdma.Options{Slots: 8, Staging: 2 * rdma.MaxBulk, DialTimeout: 20 * time.Second})
}

// TestRDMAStaleKey: memory that is closed after its key was used.
func TestRDMAStaleKey(t *testing.T) {
	r := newVerbsRig(t, small())
	r.works(t)
	r.moved(t)
	other, err := r.near.Register(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	at := other.Remote(0, 4096)
	good := r.h.at.Swap(&at)
	if err := r.call(limited(t)); err != nil {
		t.Fatal(err)
	}
	r.moved(t)
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	_ = r.call(limited(t)) // the lane may break before the reply
	if err := <-r.h.ended; !errors.Is(err, rdma.ErrRemote) {
		t.Errorf("push to memory that was closed: %v", err)
	}
	r.h.at.Store(good)
	r.works(t)
}

// TestRDMALinkDown: a pulled cable under transfers, and what is late after a deadline.
func TestRDMALinkDown(t *testing.T) {
	r := newVerbsRig(t, small())
	r.works(t)
	r.moved(t)
	r.h.times.Store(1 << 40)
	for len(r.h.entered) > 0 {
		<-r.h.entered
	}
	ctx, cancel := context.WithCancel(limited(t))
	done := make(chan error, 1)
	go func() { done <- r.call(ctx) }()
	<-r.h.entered
	link(t, "down")
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) && !errors.Is(err, rdma.ErrPeer) {
		t.Errorf("call over a dead link: %v", err)
	}
	check := r.untouched(t)
	if err := <-r.h.ended; err == nil {
		t.Error("the handler's transfers succeeded")
	}
	link(t, "up")
	r.h.times.Store(0)
	for limit := limited(t); r.call(limit) != nil && limit.Err() == nil; {
		time.Sleep(20 * time.Millisecond)
	}
	check()
	r.works(t)
}

func link(t *testing.T, state string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "ip", "link", "set", "port1", state).CombinedOutput(); err != nil {
		t.Fatalf("ip link: %v: %s", err, out)
	}
}

// TestRDMADeadline: the caller goes while transfers are under way.
func TestRDMADeadline(t *testing.T) {
	r := newVerbsRig(t, small())
	r.works(t)
	for round := range 5 {
		r.h.times.Store(1 << 40)
		for len(r.h.ended) > 0 {
			<-r.h.ended //nolint:errcheck // canceled
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(round*20+20)*time.Millisecond)
		// The handler has the same deadline, and may answer first.
		if err := r.call(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("call past its deadline: %v", err)
		}
		cancel()
		check := r.untouched(t)
		if err := <-r.h.ended; err == nil {
			t.Error("transfers went on past the deadline")
		}
		check()
		r.works(t)
	}
}

// TestRDMAStagingExhausted: more transfers than memory for them wait in turn, and give
// up with their context.
func TestRDMAStagingExhausted(t *testing.T) {
	addr := railAddr(t, 1)
	noRDMALeaks(t)
	near, far := open(t, Verbs, small()), open(t, Verbs, small())
	hold, held := make(chan struct{}), make(chan struct{}, 2)
	var at atomic.Pointer[rdma.Remote]
	server, err := far.Serve(addr, func(ctx context.Context, p rdma.Peer, req, rep []byte) int {
		err := p.Push(ctx, *at.Load(), func([]byte) error {
			if len(req) > 0 {
				held <- struct{}{}
				<-hold
			}
			return nil
		})
		if err != nil {
			return copy(rep, err.Error())
		}
		return 0
	})
	if err != nil {
		t.Fatal(err)
	}
	memory, err := near.Register(rdma.MaxBulk)
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close()
	all := memory.Remote(0, rdma.MaxBulk)
	at.Store(&all)
	conn, err := near.Dial(limited(t), server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	var calls sync.WaitGroup
	call := func(req string) {
		calls.Go(func() {
			if n, err := conn.Call(limited(t), []byte(req), make([]byte, 256)); n != 0 || err != nil {
				t.Errorf("call: %d, %v", n, err)
			}
		})
	}
	call("hold")
	call("hold")
	<-held
	<-held
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	if _, err := conn.Call(short, nil, make([]byte, 256)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("call without staging memory: %v", err)
	}
	cancel()
	for range 4 {
		call("")
	}
	close(hold)
	calls.Wait()
	if s := far.Stats(); s.StagingInUse != 0 || s.StagingWaiting != 0 {
		t.Errorf("staging memory left: %+v", s)
	}
}

// TestRDMAServerRestart: the answerer comes back at its address.
func TestRDMAServerRestart(t *testing.T) {
	r := newVerbsRig(t, small())
	r.works(t)
	addr := r.server.Addr()
	if err := r.server.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.call(limited(t)); !errors.Is(err, rdma.ErrPeer) {
		t.Errorf("call to a closed server: %v", err)
	}
	var err error
	for limit := limited(t); ; {
		if r.server, err = r.far.Serve(addr, r.h.handle); err == nil || limit.Err() != nil {
			break
		}
		time.Sleep(50 * time.Millisecond) // rdma_cm gives the port back in its own time
	}
	if err != nil {
		t.Fatal(err)
	}
	r.works(t)
	if s := r.near.Stats(); s.Redials == 0 {
		t.Error("no lane was made anew")
	}
}

// TestRDMAStrangers: whoever does not prove that it has the secret gets nothing.
func TestRDMAStrangers(t *testing.T) {
	r := newVerbsRig(t, small())
	r.works(t)
	handled := len(r.h.ended)
	o := small()
	o.Secret = []byte(strings.Repeat("x", rdma.MinSecret))
	stranger := open(t, Verbs, o)
	_, err := stranger.Dial(limited(t), r.server.Addr())
	if !errors.Is(err, rdma.ErrPeer) || !strings.Contains(err.Error(), "another secret") {
		t.Errorf("dial with a wrong secret: %v", err)
	}
	for name, private := range map[string][]byte{
		"version":  append([]byte("WFV9"), make([]byte, 52)...),
		"garbage":  []byte("GET / HTTP/1.1\r\n\r\n"),
		"nothing":  {},
		"kind":     append([]byte("WFV1\x09"), make([]byte, 51)...),
		"no proof": append([]byte("WFV1\x02\x00\x01\x00\x01\x00\x00\x00\x00\x00\x00\x00"), make([]byte, 40)...),
	} {
		if err := raw(t, r.server.Addr(), private); err == nil {
			t.Errorf("%s: the connection was accepted", name)
		}
	}
	if s := r.far.Stats(); s.AuthFailures < 6 {
		t.Errorf("%d authentication failures counted", s.AuthFailures)
	}
	if len(r.h.ended) != handled {
		t.Error("a stranger reached the handler")
	}
	r.works(t)
}

// raw asks for a connection with private data of its own.
func raw(t *testing.T, addr string, private []byte) error {
	t.Helper()
	ctx := limited(t)
	id, err := verbs.Resolve(ctx, netip.Addr{}, netip.MustParseAddrPort(addr), verbs.DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	defer id.Close()
	dev, err := verbs.Open(id.DeviceName())
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	cq, err := dev.NewCQ(4, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer cq.Close()
	qp, err := id.NewQP(dev, cq, verbs.QPConfig{Send: 1, Recv: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer qp.Close()
	p := verbs.DefaultParams()
	p.Private = private
	_, err = id.Connect(ctx, p)
	return err
}

// TestRDMAPeerKilled: the process at the other end dies under transfers, which run in
// either direction.
func TestRDMAPeerKilled(t *testing.T) {
	addr := railAddr(t, 1)
	for _, verb := range []string{"push", "pull"} {
		t.Run("answerer dies under "+verb, func(t *testing.T) {
			noRDMALeaks(t)
			p := spawn(t, "serve "+verb, addr)
			near := open(t, Verbs, small())
			memory, err := near.Register(1 << 20)
			if err != nil {
				t.Fatal(err)
			}
			defer memory.Close()
			conn, err := near.Dial(limited(t), p.line(t))
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			w := memory.Remote(0, 1<<20)
			go func() {
				_, err := conn.Call(limited(t), fmt.Appendf(nil, "%d %d %d", w.Addr, w.RKey, w.Len), make([]byte, 64))
				done <- err
			}()
			p.line(t) // it moves bytes
			p.kill(t)
			if err := <-done; !errors.Is(err, rdma.ErrPeer) {
				t.Errorf("call to a process that was killed: %v", err)
			}
			r := &verbsRig{memory: memory}
			check := r.untouched(t)
			if _, err := conn.Call(limited(t), nil, nil); !errors.Is(err, rdma.ErrPeer) {
				t.Errorf("call after it: %v", err)
			}
			check()
		})
		t.Run("caller dies under "+verb, func(t *testing.T) {
			noRDMALeaks(t)
			far := open(t, Verbs, small())
			moving, ended := make(chan struct{}, 1), make(chan error, 1)
			server, err := far.Serve(addr, func(ctx context.Context, p rdma.Peer, req, _ []byte) int {
				ended <- move(ctx, p, verb, string(req), moving)
				return 0
			})
			if err != nil {
				t.Fatal(err)
			}
			p := spawn(t, "call", server.Addr())
			<-moving
			p.kill(t)
			if err := <-ended; err == nil {
				t.Error("transfers to a process that was killed go on")
			}
			if s := far.Stats(); s.StagingInUse != 0 {
				t.Errorf("staging memory left: %+v", s)
			}
		})
	}
}

// move pushes or pulls until that fails. moving is told when it works.
func move(ctx context.Context, p rdma.Peer, verb, where string, moving chan<- struct{}) error {
	var w rdma.Remote
	if _, err := fmt.Sscan(where, &w.Addr, &w.RKey, &w.Len); err != nil {
		return err
	}
	for {
		var err error
		if verb == "push" {
			err = p.Push(ctx, w, func([]byte) error { return nil })
		} else {
			err = p.Pull(ctx, w, func([]byte) error { return nil })
		}
		if err != nil {
			return err
		}
		select {
		case moving <- struct{}{}:
		default:
		}
	}
}

// process is another one of this test's binary.
type process struct {
	cmd *exec.Cmd
	out *bufio.Scanner
}

func spawn(t *testing.T, what, addr string) *process {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHelperProcess$")
	cmd.Env = append(os.Environ(), "WEFT_RDMA_HELPER="+what, "WEFT_RDMA_HELPER_ADDR="+addr)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &process{cmd, bufio.NewScanner(out)}
}

// line is the next one that it prints.
func (p *process) line(t *testing.T) string {
	t.Helper()
	if !p.out.Scan() {
		t.Fatal("the other process ended")
	}
	return p.out.Text()
}

func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Wait() // it was killed
}

// TestHelperProcess is the other process of TestRDMAPeerKilled.
func TestHelperProcess(t *testing.T) {
	what, addr := os.Getenv("WEFT_RDMA_HELPER"), os.Getenv("WEFT_RDMA_HELPER_ADDR")
	if what == "" {
		return
	}
	n := open(t, Verbs, small())
	if what == "call" {
		memory, err := n.Register(1 << 20)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := n.Dial(limited(t), addr)
		if err != nil {
			t.Fatal(err)
		}
		w := memory.Remote(0, 1<<20)
		_, err = conn.Call(limited(t), fmt.Appendf(nil, "%d %d %d", w.Addr, w.RKey, w.Len), make([]byte, 64))
		t.Fatalf("the call ended: %v", err)
	}
	_, verb, _ := strings.Cut(what, " ")
	moving := make(chan struct{}, 1)
	server, err := n.Serve(addr, func(ctx context.Context, p rdma.Peer, req, _ []byte) int {
		_ = move(ctx, p, verb, string(req), moving)
		return 0
	})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(server.Addr())
	<-moving
	fmt.Println("moving")
	<-t.Context().Done()
	<-limited(t).Done()
}
