package rdma_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/mem"
)

func newPool(t testing.TB, blocks, size int) *rdma.Pool {
	t.Helper()
	p, err := rdma.NewPool(mem.New(), blocks*size, size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func mustPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s did not panic", what)
		}
	}()
	f()
}

func release(blocks []*rdma.Block) {
	for _, b := range blocks {
		b.Release()
	}
}

func TestPoolBounds(t *testing.T) {
	for _, bad := range [][2]int{{0, 1}, {4095, 4096}, {4096, 0}, {4096, -1}} {
		if _, err := rdma.NewPool(mem.New(), bad[0], bad[1]); err == nil {
			t.Errorf("a pool of %d bytes in blocks of %d was made", bad[0], bad[1])
		}
	}
	p := newPool(t, 4, 4096)
	if _, err := p.Acquire(t.Context(), 5); !errors.Is(err, rdma.ErrNoMemory) {
		t.Errorf("5 of 4 blocks: %v", err)
	}
	all, err := p.Acquire(t.Context(), 4)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[*byte]bool{}
	for _, b := range all {
		if len(b.Bytes()) != 4096 || cap(b.Bytes()) != 4096 {
			t.Errorf("block of %d bytes, capacity %d", len(b.Bytes()), cap(b.Bytes()))
		}
		seen[&b.Bytes()[0]] = true
	}
	if len(seen) != 4 {
		t.Errorf("%d different blocks of 4", len(seen))
	}
	if _, ok := p.TryAcquire(1); ok {
		t.Error("a block too many")
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Get(over); !errors.Is(err, rdma.ErrNoMemory) || !errors.Is(err, context.Canceled) {
		t.Errorf("Get with an ended context: %v", err)
	}
	want := rdma.PoolStats{BlockSize: 4096, Blocks: 4, InUse: 4, HighWater: 4}
	if s := p.Stats(); s != want {
		t.Errorf("stats %+v, want %+v", s, want)
	}
	release(all)
	want.InUse = 0
	if s := p.Stats(); s != want {
		t.Errorf("stats %+v, want %+v", s, want)
	}
}

func TestBlockMisuse(t *testing.T) {
	p := newPool(t, 2, 4096)
	p.Poison(true)
	b, err := p.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	mem := b.Bytes()
	if r := b.Remote(4000, 96); r.Len != 96 {
		t.Errorf("Remote of %d bytes", r.Len)
	}
	mustPanic(t, "Remote beyond the block", func() { b.Remote(4000, 97) })
	b.Release()
	for i, v := range mem {
		if v != 0xDB {
			t.Fatalf("byte %d of a released block is %#x", i, v)
		}
	}
	mustPanic(t, "second Release", b.Release)
	again, err := p.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if &again.Bytes()[0] != &mem[0] || again.Generation() != 2 {
		t.Errorf("generation %d; the block released last was not handed out first", again.Generation())
	}
	mustPanic(t, "Release of the old handle", b.Release)
	mustPanic(t, "Bytes of the old handle", func() { b.Bytes() })
	again.Release()
}

// TestPoolFIFO: a large request is served before small ones that came later, and
// one that gives up lets those behind it pass.
func TestPoolFIFO(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, 4, 4096)
		held, _ := p.TryAcquire(3)
		order := make(chan string, 3)
		acquire := func(ctx context.Context, name string, n int) {
			go func() {
				blocks, err := p.Acquire(ctx, n)
				if err != nil {
					name += " failed"
				}
				order <- name
				release(blocks)
			}()
			synctest.Wait()
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		acquire(short, "impatient", 4)
		acquire(t.Context(), "large", 3)
		acquire(t.Context(), "small", 1)
		if _, ok := p.TryAcquire(1); ok {
			t.Error("TryAcquire overtook those who wait")
		}
		if s := p.Stats(); s.Waiting != 3 || s.InUse != 3 {
			t.Errorf("stats %+v", s)
		}
		if got := <-order; got != "impatient failed" {
			t.Errorf("first: %q", got)
		}
		held[0].Release()
		synctest.Wait()
		if len(order) != 0 {
			t.Errorf("%q was served with too few blocks or before its turn", <-order)
		}
		held[1].Release()
		if got := <-order; got != "large" {
			t.Errorf("second: %q", got)
		}
		if got := <-order; got != "small" {
			t.Errorf("third: %q", got)
		}
		held[2].Release()
	})
}

// TestPoolGivingUpLetsPass: who waited behind a request that gave up is served.
func TestPoolGivingUpLetsPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, 2, 4096)
		held, _ := p.TryAcquire(1)
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go func() {
			if blocks, err := p.Acquire(short, 2); err == nil {
				t.Error("two blocks of one")
				release(blocks)
			}
		}()
		synctest.Wait()
		long, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		blocks, err := p.Acquire(long, 1)
		if err != nil {
			t.Errorf("behind one that gave up: %v", err)
		}
		release(append(blocks, held...))
	})
}

func TestPoolClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := rdma.NewPool(mem.New(), 4096, 4096)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := p.Get(t.Context())
		failed := make(chan error)
		go func() {
			_, err := p.Get(t.Context())
			failed <- err
		}()
		synctest.Wait()
		if err := p.Close(); err == nil {
			t.Error("closed with a block in use")
		}
		if err := <-failed; !errors.Is(err, rdma.ErrClosed) {
			t.Errorf("who waited got %v", err)
		}
		b.Bytes()[0] = 1 // still mapped
		b.Release()
		if err := p.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if _, err := p.Acquire(t.Context(), 1); !errors.Is(err, rdma.ErrClosed) {
			t.Errorf("Acquire after Close: %v", err)
		}
	})
}

// TestPoolConcurrent: random requests, each block with one owner at a time.
func TestPoolConcurrent(t *testing.T) {
	p := newPool(t, 8, 4096)
	owners := map[*byte]*atomic.Int32{}
	all, _ := p.TryAcquire(8)
	for _, b := range all {
		owners[&b.Bytes()[0]] = new(atomic.Int32)
	}
	release(all)
	var users sync.WaitGroup
	for u := range 8 {
		users.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(u), 1))
			for range 300 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rng.IntN(2000))*time.Microsecond)
				blocks, err := p.Acquire(ctx, 1+rng.IntN(8))
				for _, b := range blocks {
					if owners[&b.Bytes()[0]].Add(1) != 1 {
						t.Error("a block has two owners")
					}
				}
				for _, b := range blocks {
					owners[&b.Bytes()[0]].Add(-1)
					b.Release()
				}
				cancel()
				if err != nil && !errors.Is(err, rdma.ErrNoMemory) {
					t.Error(err)
				}
			}
		})
	}
	users.Wait()
	if s := p.Stats(); s.InUse != 0 || s.Waiting != 0 {
		t.Errorf("left over: %+v", s)
	}
}

func BenchmarkPoolGet(b *testing.B) {
	p := newPool(b, 8, 4096)
	b.ReportAllocs()
	for b.Loop() {
		block, err := p.Get(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		block.Release()
	}
}
