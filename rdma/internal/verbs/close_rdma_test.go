package verbs

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestRDMADisconnect(t *testing.T) {
	a, b := connect(t, DefaultParams(), DefaultParams())
	a.recv(10, 2)
	b.recv(20, 2)
	if err := a.id.Disconnect(); err != nil {
		t.Fatal(err)
	}
	e, err := b.id.NextEvent(soon(t))
	if err != nil || e.Type != CMDisconnected {
		t.Fatalf("event %v, %v", e.Type, err)
	}
	a.want(10, Flushed)
	a.want(11, Flushed)
	if err := b.id.Disconnect(); err != nil {
		t.Fatal(err)
	}
	b.want(20, Flushed)
	b.want(21, Flushed)
	if err := a.id.Disconnect(); err != nil {
		t.Errorf("once more: %v", err)
	}
}

func TestRDMAFail(t *testing.T) {
	a, b := connect(t, DefaultParams(), DefaultParams())
	b.recv(20, qpDepth)
	if err := b.qp.Fail(); err != nil {
		t.Fatal(err)
	}
	for i := range uint64(qpDepth) {
		b.want(20+i, Flushed)
	}
	if s, err := b.qp.State(); s != QPError || err != nil {
		t.Errorf("state %d, %v", s, err)
	}
	a.recv(1, 3)
	if err := a.qp.Close(); !errors.Is(err, ErrBusy) {
		t.Errorf("closed a QP that was not drained: %v", err)
	}
	if err := a.qp.Drain(soon(t)); err != nil {
		t.Fatal(err)
	}
	for i := range uint64(3) { // before Drain returned
		select {
		case c := <-a.got:
			if c.ID != 1+i || c.Status != Flushed {
				t.Errorf("%+v", c)
			}
		case <-soon(t).Done():
			t.Fatal("receives were not flushed")
		}
	}
	if _, err := a.qp.PostRecv([]RecvWR{{ID: 1}}); !errors.Is(err, ErrClosed) {
		t.Errorf("posted while draining: %v", err)
	}
	if err := a.qp.Drain(soon(t)); err != nil {
		t.Errorf("drained twice: %v", err)
	}
}

// A queue pair that was never connected can be drained and closed.
func TestRDMAUnconnected(t *testing.T) {
	r := rails(t)
	e := newEnd(t, r[0].info.Name)
	defer e.close()
	id, err := Resolve(soon(t), r[0].addr, netip.AddrPortFrom(r[1].addr, 9), DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	e.newQP(id)
	if s, err := e.qp.State(); s != QPInit || err != nil {
		t.Errorf("state %d, %v", s, err)
	}
	e.recv(1, 2)
	if err := e.qp.Drain(soon(t)); err != nil {
		t.Fatal(err)
	}
	e.want(1, Flushed)
	e.want(2, Flushed)
}

// A queue pair whose connection is given up by the other end while it is accepted can be drained and closed, however far
// it came.
func TestRDMAGivenUp(t *testing.T) {
	r := rails(t)
	l, err := Listen(netip.AddrPortFrom(r[1].addr, 0), 8, DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var states [QPError + 1]int
	giveUp := func(after time.Duration) {
		a, b := newEnd(t, r[0].info.Name), newEnd(t, r[1].info.Name)
		defer b.close()
		id, err := Resolve(soon(t), r[0].addr, l.Addr(), DefaultOptions())
		if err != nil {
			t.Fatal(err)
		}
		a.newQP(id)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		var asking sync.WaitGroup
		asking.Go(func() {
			_, _ = id.Connect(ctx, DefaultParams()) // it may have been accepted before
			a.close()
		})
		defer asking.Wait()
		asked, err := l.Accept(soon(t))
		if err != nil {
			t.Fatal(err)
		}
		b.newQP(asked)
		b.recv(1, 2)
		time.AfterFunc(after, cancel)
		_ = asked.Accept(soon(t), DefaultParams()) // or given up before
		if state, err := b.qp.State(); err == nil {
			states[state]++
		}
	}
	for i := range 160 {
		giveUp(time.Duration(i) * 25 * time.Microsecond)
	}
	t.Logf("states after it: %v", states)
}

func TestRDMACloseOrder(t *testing.T) {
	a, _ := connect(t, DefaultParams(), DefaultParams())
	for name, close := range map[string]func() error{"device": a.dev.Close, "completion queue": a.cq.Close, "identifier": a.id.Close} {
		if err := close(); !errors.Is(err, ErrBusy) {
			t.Errorf("closed a %s in use: %v", name, err)
		}
	}
	a.close()
	for name, close := range map[string]func() error{
		"device": a.dev.Close, "completion queue": a.cq.Close, "identifier": a.id.Close, "region": a.mr.Close, "queue pair": a.qp.Close,
	} {
		if err := close(); err != nil {
			t.Errorf("closed a %s again: %v", name, err)
		}
	}
	var out [1]Completion
	for name, err := range map[string]error{
		"PostSend":   second(a.qp.PostSend([]SendWR{{}})),
		"PostRecv":   second(a.qp.PostRecv([]RecvWR{{}})),
		"State":      second(a.qp.State()),
		"Fail":       a.qp.Fail(),
		"Poll":       second(a.cq.Poll(out[:], 0)),
		"Wait":       second(a.cq.Wait(t.Context(), out[:])),
		"NewCQ":      second(a.dev.NewCQ(4, 0)),
		"Register":   second(a.dev.Register(make([]byte, 1), LocalWrite)),
		"NextEvent":  second(a.dev.NextEvent(t.Context())),
		"Disconnect": a.id.Disconnect(),
		"event":      second(a.id.NextEvent(t.Context())),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s after Close: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestRDMARefused(t *testing.T) {
	r := rails(t)
	ctx := soon(t)
	l, err := Listen(netip.AddrPortFrom(r[1].addr, 0), 8, DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	dial := func(port uint16, private string) error {
		e := newEnd(t, r[0].info.Name)
		defer e.close()
		id, err := Resolve(ctx, r[0].addr, netip.AddrPortFrom(r[1].addr, port), DefaultOptions())
		if err != nil {
			return err
		}
		e.newQP(id)
		p := DefaultParams()
		p.Private = []byte(private)
		_, err = id.Connect(ctx, p)
		return err
	}
	go func() {
		id, err := l.Accept(ctx)
		if err != nil {
			t.Error(err)
			return
		}
		if !strings.HasPrefix(string(id.Private()), "hello\x00") {
			t.Errorf("asked %q", id.Private())
		}
		if err := id.Reject([]byte("no")); err != nil {
			t.Error(err)
		}
		if err := id.Close(); err != nil {
			t.Error(err)
		}
	}()
	var reject *RejectError
	if err := dial(l.Addr().Port(), "hello"); !errors.As(err, &reject) || reject.Reason != RejectConsumer ||
		!strings.HasPrefix(string(reject.Private), "no") {
		t.Errorf("rejected: %v %+v", err, reject)
	}
	if err := dial(l.Addr().Port(), strings.Repeat("x", MaxPrivate+1)); err == nil {
		t.Error("too much private data was taken")
	}
	// Accept that is given up, and one that Close ends.
	short, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := l.Accept(short); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled Accept: %v", err)
	}
	port := l.Addr().Port()
	go l.Close()
	if _, err := l.Accept(ctx); !errors.Is(err, ErrClosed) {
		t.Errorf("Accept of a closed listener: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := dial(port, ""); !errors.As(err, &reject) || reject.Reason != RejectNoListener {
		t.Errorf("nobody listens: %v", err)
	}
	if _, err := Listen(netip.MustParseAddrPort("192.0.2.1:0"), 8, DefaultOptions()); err == nil {
		t.Error("listens at a foreign address")
	}
	if _, err := Open("absent0"); !errors.Is(err, syscall.ENODEV) {
		t.Errorf("Open of an absent device: %v", err)
	}
}

// Objects of this process that the kernel knows: descriptors, and what the devices hold.
func resources(t *testing.T) (fds int, rdma string) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("rdma", "resource", "show").CombinedOutput()
	if err != nil {
		t.Fatalf("rdma resource show: %v: %s", err, out)
	}
	return len(entries), string(out)
}

func TestRDMANoLeaks(t *testing.T) {
	r := rails(t)
	cycle := func() {
		a, b := newEnd(t, r[0].info.Name), newEnd(t, r[1].info.Name)
		join(t, r, a, b, DefaultParams(), DefaultParams())
		b.recv(1, 4)
		a.send(a.local(2, OpSend, 0, 100))
		b.want(1, Success)
		a.want(2, Success)
		a.close()
		b.close()
	}
	cycle() // opens what stays open: librdmacm keeps its devices
	fds, before := resources(t)
	for range 100 {
		cycle()
	}
	nowFDs, after := resources(t)
	if nowFDs != fds || after != before {
		t.Errorf("%d descriptors, before %d\n%s\nbefore\n%s", nowFDs, fds, after, before)
	}
	t.Logf("%d descriptors\n%s", nowFDs, after)
}
