package verbs

import (
	"bytes"
	"errors"
	"testing"
	"time"
)

func TestRDMADevices(t *testing.T) {
	for _, r := range rails(t) {
		i := r.info
		if i.Err != nil || i.NodeGUID == 0 || i.MaxQP < 2 || i.MaxQPWR < qpDepth || i.MaxSGE < 1 || i.MaxCQE < qpDepth ||
			i.MaxMR < 1 || i.MaxMRSize < bufLen || i.MaxReads < 1 || i.MaxInitReads < 1 || i.Vectors < 1 {
			t.Errorf("%+v", i)
		}
		p := i.Ports[0]
		if p.Number != 1 || p.MTU < 256 || p.LinkLayer != "Ethernet" || len(p.GIDs) == 0 {
			t.Errorf("%+v", p)
		}
		t.Logf("%+v", i)
	}
}

func TestRDMASend(t *testing.T) {
	a, b := connect(t, DefaultParams(), DefaultParams())
	if a.qp.MaxInline() < 64 {
		t.Errorf("inline %d", a.qp.MaxInline())
	}
	for round, n := range []int{0, 1, 64, 65, 4096} { // some inline
		b.recv(100, 1)
		copy(a.mem, bytes.Repeat([]byte{byte(round + 1)}, n))
		w := a.local(7, OpSendImm, 0, n)
		w.Imm = 0x01020304
		a.send(w)
		a.want(7, Success)
		c := b.want(100, Success)
		if int(c.Bytes) != n || c.Op != WCRecv || c.Imm != 0x01020304 || c.Flags&WCWithImm == 0 || c.QPN != b.qp.Num() {
			t.Fatalf("%d bytes: %+v", n, c)
		}
		if !bytes.Equal(a.mem[:n], b.mem[:n]) {
			t.Fatalf("%d bytes differ", n)
		}
	}
	if s, err := a.qp.State(); s != QPReadyToSend || err != nil {
		t.Errorf("state %d, %v", s, err)
	}
}

// More than one chain of the shim in a batch, of which only the last is signaled.
func TestRDMABatches(t *testing.T) {
	a, b := connect(t, DefaultParams(), DefaultParams())
	const n, size = qpDepth, 4096
	for i := range n * size {
		a.mem[i] = byte(i * 7 / 3)
	}
	wrs := make([]SendWR, n)
	for i := range wrs {
		wrs[i] = a.bulk(uint64(i), OpWrite, b, i*size, size)
		if i < n-1 {
			wrs[i].Flags = 0
		}
	}
	a.send(wrs...)
	if c := a.want(n-1, Success); c.Op != WCWrite {
		t.Errorf("%+v", c)
	}
	clear(a.mem)
	for i := range wrs {
		wrs[i] = a.bulk(uint64(i), OpRead, b, i*size, size)
	}
	b.mem[0] = 1 // before the READs see it
	a.send(wrs...)
	for i := range n {
		if c := a.want(uint64(i), Success); c.Op != WCRead {
			t.Errorf("%+v", c)
		}
	}
	if !bytes.Equal(a.mem[:n*size], b.mem[:n*size]) {
		t.Fatal("bytes differ")
	}
	// A queue of receives fills, and says how many it took.
	b.recv(0, qpDepth)
	over := make([]RecvWR, 8*qpDepth)
	if took, err := b.qp.PostRecv(over); err == nil || took >= len(over) {
		t.Errorf("an endless receive queue: %d, %v", took, err)
	} else {
		t.Logf("%d more: %v", took, err)
	}
	w := a.bulk(5, OpWriteImm, b, 0, size)
	w.Imm = 99
	a.send(w)
	a.want(5, Success)
	if c := b.want(0, Success); c.Op != WCRecvImm || c.Imm != 99 {
		t.Errorf("%+v", c)
	}
	if _, err := a.qp.PostSend([]SendWR{{ID: marker}}); !errors.Is(err, errReserved) {
		t.Errorf("a reserved ID: %v", err)
	}
}

// The other ways to wait: Poll that spins, and many rounds through the channel with their acknowledgements.
func TestRDMAPoll(t *testing.T) {
	r := rails(t)
	a, b := newEnd(t, r[0].info.Name), newEnd(t, r[1].info.Name)
	t.Cleanup(func() { a.close(); b.close() })
	join(t, r, a, b, DefaultParams(), DefaultParams())
	for i := range uint64(500) {
		b.recv(i, 1)
		a.send(a.local(i, OpSend, 0, 8))
		a.want(i, Success)
		b.want(i, Success)
	}
	cq, err := a.dev.NewCQ(4, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out [4]Completion
	start := time.Now()
	if n, err := cq.Poll(out[:], time.Hour); n != 0 || err != nil {
		t.Errorf("Poll = %d, %v", n, err)
	}
	if spun := time.Since(start); spun < MaxSpin {
		t.Errorf("spun %v only", spun)
	}
	if err := cq.Close(); err != nil {
		t.Error(err)
	}
	if _, err := cq.Poll(out[:], 0); !errors.Is(err, ErrClosed) {
		t.Errorf("Poll after Close: %v", err)
	}
}

func TestRDMAWrongKey(t *testing.T) {
	for _, op := range []uint32{OpRead, OpWrite} {
		a, b := connect(t, DefaultParams(), DefaultParams())
		a.recv(200, 2)
		bad := a.bulk(1, op, b, 0, 4096)
		bad.RKey ^= 0x5a5a00
		a.send(bad, a.bulk(2, op, b, 4096, 4096), a.bulk(3, op, b, 8192, 4096))
		a.want(1, RemoteAccess)
		seen := map[uint64]Status{}
		for range 4 {
			c := a.next()
			seen[c.ID] = c.Status
		}
		for _, id := range []uint64{2, 3, 200, 201} {
			if seen[id] != Flushed {
				t.Errorf("op %d: work request %d: %v", op, id, seen[id])
			}
		}
		if s, err := a.qp.State(); s != QPError || err != nil {
			t.Errorf("state %d, %v", s, err)
		}
	}
}

// A region that was closed is refused, as is a range beyond one.
func TestRDMAClosedRegion(t *testing.T) {
	a, b := connect(t, DefaultParams(), DefaultParams())
	half, err := b.dev.Register(b.mem[:bufLen/2], LocalWrite|RemoteWrite)
	if err != nil {
		t.Fatal(err)
	}
	w := a.bulk(1, OpWrite, b, 0, 4096)
	w.RKey = half.RKey()
	a.send(w)
	a.want(1, Success)
	if err := half.Close(); err != nil {
		t.Fatal(err)
	}
	a.send(w)
	a.want(1, RemoteAccess)
}

func TestRDMANoReceive(t *testing.T) {
	p := DefaultParams()
	p.RNRRetry = 1
	a, _ := connect(t, DefaultParams(), p)
	a.send(a.local(1, OpSend, 0, 8))
	a.want(1, RNRRetryExceeded)
}

// Receives that are posted a little late are waited for.
func TestRDMALateReceive(t *testing.T) {
	a, b := connect(t, DefaultParams(), DefaultParams())
	a.send(a.local(1, OpSend, 0, 8))
	b.recv(2, 1)
	b.want(2, Success)
	a.want(1, Success)
}

func TestRDMAShortReceive(t *testing.T) {
	a, b := connect(t, DefaultParams(), DefaultParams())
	b.recv(1, 1)
	a.send(a.local(2, OpSend, 0, 8192))
	// The second of each is what SoftRoCE says.
	if c := a.next(); c.Status != RemoteInvalid && c.Status != RemoteOperation {
		t.Errorf("sender: %v", c.Status)
	}
	if c := b.next(); c.Status != LocalLength && c.Status != LocalQPOperation {
		t.Errorf("receiver: %v", c.Status)
	}
}
