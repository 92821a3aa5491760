package network

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weftstore/weft/rdma"
)

// Fault model: calls end at random times, by their callers, by their deadlines and with
// lanes that break, while the answering end reads and writes the callers' memory.
//
// Each call writes its generation all over a block, which the handler finds there and
// replaces by its complement. When Call has returned, however it did, the caller
// writes another pattern over the block, looks at it until some time has passed, and
// hands it to the next call. A transfer that still runs shows: it writes over the
// pattern, or reads bytes of another generation.

const reuseBlock = 64 << 10

// reuse is a run of that.
type reuse struct {
	client, server rdma.Transport
	addr           string
	workers, calls int
	linger         time.Duration                       // how long the caller looks at its block
	cut            func(ctx context.Context, i uint64) // called with each call, to break something; may be nil

	pool        *rdma.Pool
	generations atomic.Uint64
	good, ended atomic.Uint64 // calls answered, and those that ended otherwise
	late        atomic.Uint64 // writes after the end of a call
	mixed       atomic.Uint64 // reads of memory that was another call's
}

func fillWith(p []byte, v uint64) {
	for i := 0; i < len(p); i += 8 {
		binary.LittleEndian.PutUint64(p[i:], v)
	}
}

func isAll(p []byte, v uint64) bool {
	for i := 0; i < len(p); i += 8 {
		if binary.LittleEndian.Uint64(p[i:]) != v {
			return false
		}
	}
	return true
}

// handle pulls the block of every other request, looks at it, and pushes.
func (r *reuse) handle(ctx context.Context, p rdma.Peer, req, rep []byte) int {
	gen := binary.LittleEndian.Uint64(req)
	mem := rdma.Remote{Addr: binary.LittleEndian.Uint64(req[8:]), RKey: binary.LittleEndian.Uint32(req[16:]), Len: reuseBlock}
	var err error
	if gen%2 == 0 {
		err = p.Pull(ctx, mem, func(b []byte) error {
			if !isAll(b, gen) {
				r.mixed.Add(1)
				return fmt.Errorf("generation %d was not there", gen)
			}
			return nil
		})
	}
	if err == nil {
		err = p.Push(ctx, mem, func(b []byte) error { fillWith(b, ^gen); return nil })
	}
	if err != nil {
		return 0
	}
	return copy(rep, "done")
}

// run returns when all calls are over.
func (r *reuse) run(t *testing.T) {
	s, err := r.server.Serve(r.addr, r.handle)
	if err != nil {
		t.Fatal(err)
	}
	c, err := r.client.Dial(t.Context(), s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if r.pool, err = rdma.NewPool(r.client, r.workers*reuseBlock, reuseBlock); err != nil {
		t.Fatal(err)
	}
	r.pool.Poison(true)
	var all sync.WaitGroup
	for w := range r.workers {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 7))
			for range r.calls {
				r.call(t, c, rng)
			}
		})
	}
	all.Wait()
	if err := errors.Join(c.Close(), s.Close(), r.pool.Close()); err != nil {
		t.Error(err)
	}
	t.Logf("%d calls answered, %d ended", r.good.Load(), r.ended.Load())
}

func (r *reuse) call(t *testing.T, c rdma.Conn, rng *rand.Rand) {
	b, err := r.pool.Get(t.Context())
	if err != nil {
		t.Error(err)
		return
	}
	defer b.Release()
	gen := r.generations.Add(1)
	fillWith(b.Bytes(), gen)
	mem := b.Remote(0, reuseBlock)
	req := binary.LittleEndian.AppendUint64(nil, gen)
	req = binary.LittleEndian.AppendUint64(req, mem.Addr)
	req = binary.LittleEndian.AppendUint32(req, mem.RKey)
	limit := time.Minute
	if rng.IntN(2) == 0 {
		limit = time.Duration(rng.Int64N(int64(10 * time.Millisecond)))
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if rng.IntN(4) == 0 {
		time.AfterFunc(limit/2, cancel) // the same without a deadline that the other end knows
	}
	if r.cut != nil {
		r.cut(ctx, gen)
	}
	n, err := c.Call(ctx, req, make([]byte, 16))
	if err == nil && n == 4 {
		r.good.Add(1)
		if !isAll(b.Bytes(), ^gen) {
			r.late.Add(1)
		}
	} else {
		r.ended.Add(1)
	}
	fillWith(b.Bytes(), 0xEEEE_EEEE_EEEE_EEEE)
	if r.linger > 0 {
		<-time.After(r.linger)
	}
	if !isAll(b.Bytes(), 0xEEEE_EEEE_EEEE_EEEE) {
		r.late.Add(1)
	}
}

// verdict of a run with a transport that keeps its promise.
func (r *reuse) verdict(t *testing.T) {
	t.Helper()
	if r.late.Load() > 0 || r.mixed.Load() > 0 {
		t.Errorf("%d calls were over before their transfers, %d blocks were used by two calls at once", r.late.Load(), r.mixed.Load())
	}
	if r.good.Load() == 0 || r.ended.Load() == 0 {
		t.Errorf("%d calls were answered and %d ended otherwise: want some of both", r.good.Load(), r.ended.Load())
	}
}

func reuseOver(t *testing.T, kind, addr string, o rdma.Options) {
	client := open(t, kind, o)
	r := &reuse{client: client, server: open(t, kind, o), addr: addr, workers: 16, calls: 60, linger: time.Millisecond}
	r.cut = func(_ context.Context, i uint64) {
		if i%100 == 50 { // a cable is cut
			breakLanes(client, errors.New("cut"))
		}
	}
	r.run(t)
	r.verdict(t)
	if client.Stats().Redials == 0 {
		t.Error("no lane was made anew")
	}
}

// breakLanes breaks one lane of each connection.
func breakLanes(t *Transport, cause error) {
	t.mu.Lock()
	var conns []*conn
	for c := range t.conns {
		conns = append(conns, c)
	}
	t.mu.Unlock()
	for _, c := range conns {
		c.mu.Lock()
		var l *lane
		if len(c.lanes) > 1 { // so that not all calls fail until one is dialed
			l = c.lanes[0]
		}
		c.mu.Unlock()
		if l != nil {
			l.w.Break(cause)
		}
	}
}

func TestReuseTCP(t *testing.T) { reuseOver(t, TCP, "127.0.0.1:0", rdma.Options{Slots: 8}) }

func TestReuseTLS(t *testing.T) { reuseOver(t, TCP, "127.0.0.1:0", rdma.Options{Slots: 8, TLS: true}) }

// fakeReuse runs in a bubble, with transfers that take 4 ms.
func fakeReuse(t *testing.T, fault func(c *cables), judge func(t *testing.T, r *reuse)) {
	synctest.Test(t, func(t *testing.T) {
		c := newCables()
		fault(c)
		o := rdma.Options{Slots: 8, Grace: 50 * time.Millisecond}
		client := fakeTransport(t, o, c)
		r := &reuse{client: client, server: fakeTransport(t, o, c), addr: "127.0.0.1:0", workers: 8, calls: 50, linger: 20 * time.Millisecond}
		r.run(t)
		judge(t, r)
	})
}

func TestReuse(t *testing.T) {
	fakeReuse(t, func(*cables) {}, func(t *testing.T, r *reuse) { r.verdict(t) })
}

// TestReuseStuck: transfers that do not end when told to end with the lane, Grace
// later, and Call waits for that.
func TestReuseStuck(t *testing.T) {
	fakeReuse(t, func(c *cables) { c.stuck.Store(true) }, func(t *testing.T, r *reuse) {
		if r.late.Load() > 0 || r.mixed.Load() > 0 {
			t.Errorf("%d late writes, %d mixed reads", r.late.Load(), r.mixed.Load())
		}
		if r.ended.Load() == 0 {
			t.Error("no call ended")
		}
	})
}

// TestReuseFindsEarlyRelease: the same with a wire whose calls are over while their
// transfers run. That must show, or the tests above show nothing.
func TestReuseFindsEarlyRelease(t *testing.T) {
	fakeReuse(t, func(c *cables) { c.hasty.Store(true) }, func(t *testing.T, r *reuse) {
		if r.late.Load() == 0 || r.mixed.Load() == 0 {
			t.Errorf("%d late writes and %d mixed reads were found", r.late.Load(), r.mixed.Load())
		}
	})
}
