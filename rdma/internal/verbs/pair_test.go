package verbs

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The tests of files *_rdma_test.go run on two RDMA devices of this machine, such as scripts/rdma/vm makes, when
// WEFT_RDMA_TEST is set. Then they fail rather than skip.

// patience is how long a test waits for what must come. It is no measure of speed.
const patience = 60 * time.Second

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// rail is a device with an address.
type rail struct {
	info Info
	addr netip.Addr
}

var devices = sync.OnceValues(Devices)

// rails are two active devices with IPv4 addresses.
func rails(t *testing.T) [2]rail {
	t.Helper()
	if os.Getenv("WEFT_RDMA_TEST") == "" {
		t.Skip("needs RDMA devices: run it by scripts/rdma/vm with WEFT_RDMA_TEST=1")
	}
	infos, err := devices()
	if err != nil {
		t.Fatal(err)
	}
	var found []rail
	for _, info := range infos {
		for _, port := range info.Ports {
			for _, g := range port.GIDs {
				if port.State == PortActive && g.Type == "RoCE v2" && g.Addr.Is4() {
					found = append(found, rail{info, g.Addr})
				}
			}
		}
	}
	if len(found) < 2 {
		t.Fatalf("two active devices with IPv4 addresses are needed: %+v", infos)
	}
	return [2]rail{found[0], found[1]}
}

const (
	bufLen  = 1 << 20
	qpDepth = 64
)

// end is one end of a connection with everything it stands on.
type end struct {
	t   *testing.T
	dev *Device
	cq  *CQ
	mem []byte
	mr  *MR
	id  *ID
	qp  *QP

	pump   sync.WaitGroup
	got    chan Completion
	closed bool
}

func newEnd(t *testing.T, device string) *end {
	t.Helper()
	e := &end{t: t, got: make(chan Completion, 4*qpDepth)}
	var err error
	if e.dev, err = Open(device); err != nil {
		t.Fatal(err)
	}
	if e.cq, err = e.dev.NewCQ(2*qpDepth+2, 0); err != nil {
		t.Fatal(err)
	}
	if e.mem, err = syscall.Mmap(-1, 0, bufLen, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE); err != nil {
		t.Fatal(err)
	}
	if e.mr, err = e.dev.Register(e.mem, LocalWrite|RemoteWrite|RemoteRead); err != nil {
		t.Fatal(err)
	}
	e.pump.Go(func() {
		defer close(e.got)
		var buf [16]Completion
		for {
			n, err := e.cq.Wait(context.Background(), buf[:])
			if err != nil {
				if !errors.Is(err, ErrClosed) {
					t.Errorf("Wait: %v", err)
				}
				return
			}
			for _, c := range buf[:n] {
				e.got <- c
			}
		}
	})
	return e
}

func (e *end) newQP(id *ID) {
	e.t.Helper()
	e.id = id
	var err error
	if e.qp, err = id.NewQP(e.dev, e.cq, QPConfig{Send: qpDepth, Recv: qpDepth, Inline: 64}); err != nil {
		e.t.Fatal(err)
	}
}

// close takes everything down in order; nothing of it may fail. Once is enough.
func (e *end) close() {
	e.t.Helper()
	if e.closed {
		return
	}
	e.closed = true
	if e.qp != nil {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := e.qp.Drain(ctx); err != nil {
			e.t.Errorf("Drain: %v", err)
		}
		if err := e.qp.Close(); err != nil {
			e.t.Error(err)
		}
	}
	if e.id != nil {
		if err := e.id.Close(); err != nil {
			e.t.Error(err)
		}
	}
	for _, err := range []error{e.mr.Close(), e.cq.Close(), e.dev.Close(), syscall.Munmap(e.mem)} {
		if err != nil {
			e.t.Error(err)
		}
	}
	e.pump.Wait()
}

// next is the next completion.
func (e *end) next() Completion {
	e.t.Helper()
	select {
	case c, ok := <-e.got:
		if ok {
			return c
		}
		e.t.Fatal("the completion queue was closed")
	case <-time.After(patience):
		e.t.Fatal("no completion")
	}
	return Completion{}
}

// want takes a completion and checks it.
func (e *end) want(id uint64, status Status) Completion {
	e.t.Helper()
	c := e.next()
	if c.ID != id || c.Status != status {
		e.t.Fatalf("completion %d %s, want %d %s: %v", c.ID, c.Status, id, status, c.Status.Err())
	}
	return c
}

func (e *end) send(wrs ...SendWR) {
	e.t.Helper()
	if n, err := e.qp.PostSend(wrs); n != len(wrs) || err != nil {
		e.t.Fatalf("PostSend = %d, %v", n, err)
	}
}

// recv posts n receives of 4 KiB each with the IDs from id, at the start of the memory.
func (e *end) recv(id uint64, n int) {
	e.t.Helper()
	wrs := make([]RecvWR, n)
	for i := range wrs {
		wrs[i] = RecvWR{ID: id + uint64(i), Addr: e.mr.Addr() + uint64(i)*4096, Len: 4096, LKey: e.mr.LKey()}
	}
	if got, err := e.qp.PostRecv(wrs); got != n || err != nil {
		e.t.Fatalf("PostRecv = %d, %v", got, err)
	}
}

// local is a request on this end's memory.
func (e *end) local(id uint64, op uint32, off, n int) SendWR {
	return SendWR{ID: id, Op: op, Addr: e.mr.Addr() + uint64(off), Len: uint32(n), LKey: e.mr.LKey(), Flags: FlagSignaled}
}

// bulk is a request between the same offsets of both ends.
func (e *end) bulk(id uint64, op uint32, peer *end, off, n int) SendWR {
	w := e.local(id, op, off, n)
	w.Remote, w.RKey = peer.mr.Addr()+uint64(off), peer.mr.RKey()
	return w
}

// connect makes a connection between two devices. Both ends are closed with the test.
func connect(t *testing.T, client, server Params) (*end, *end) {
	t.Helper()
	r := rails(t)
	a, b := newEnd(t, r[0].info.Name), newEnd(t, r[1].info.Name)
	t.Cleanup(func() { a.close(); b.close() })
	join(t, r, a, b, client, server)
	return a, b
}

// join connects two ends.
func join(t *testing.T, r [2]rail, a, b *end, client, server Params) {
	t.Helper()
	ctx := soon(t)
	l, err := Listen(netip.AddrPortFrom(r[1].addr, 0), 8, DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var accepting sync.WaitGroup
	accepting.Go(func() {
		id, err := l.Accept(ctx)
		if err != nil {
			t.Error(err)
			return
		}
		if id.DeviceName() != b.dev.Name() {
			t.Errorf("request came on %s, want %s", id.DeviceName(), b.dev.Name())
		}
		b.newQP(id)
		if err := id.Accept(ctx, server); err != nil {
			t.Error(err)
		}
	})
	defer accepting.Wait()
	id, err := Resolve(ctx, r[0].addr, l.Addr(), DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	if id.DeviceName() != a.dev.Name() || id.RemoteAddr() != l.Addr() || id.LocalAddr().Addr() != r[0].addr {
		t.Errorf("%s: %s -> %s", id.DeviceName(), id.LocalAddr(), id.RemoteAddr())
	}
	a.newQP(id)
	answer, err := id.Connect(ctx, client)
	if err != nil {
		t.Fatal(err)
	}
	if string(answer[:min(len(answer), len(server.Private))]) != string(server.Private) {
		t.Errorf("answered %q, want %q", answer, server.Private)
	}
}
