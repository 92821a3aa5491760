package network

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/internal/region"
)

func newStaging(t *testing.T, n int) *staging {
	t.Helper()
	s := &open(t, TCP, rdma.Options{Staging: n}).staging
	if err := s.prepare(); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestStagingModel lends and takes back at random and compares with a list of what is
// lent: pieces begin at granules, never overlap, and all of it comes back as one.
func TestStagingModel(t *testing.T) {
	const size = 4 * rdma.MaxBulk
	s := newStaging(t, size)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	base := region.Addr(s.bytes)
	var lent [][]byte
	for range 20_000 {
		if rng.IntN(2) == 0 && len(lent) > 0 {
			i := rng.IntN(len(lent))
			s.give(1, lent[i])
			lent = slices.Delete(lent, i, i+1)
			continue
		}
		n := 1 + rng.IntN(rdma.MaxBulk>>rng.IntN(12))
		s.mu.Lock()
		p := s.takeLocked(1, n)
		s.mu.Unlock()
		if p == nil {
			if !s.fragmented(lent, n) {
				t.Fatalf("no %d bytes with %d of %d in use", n, s.inUse, size)
			}
			continue
		}
		if len(p) != n || (region.Addr(p)-base)%granule != 0 {
			t.Fatalf("%d bytes at %d, want %d", len(p), region.Addr(p)-base, n)
		}
		for _, q := range lent {
			if region.Addr(p) < region.Addr(q)+uint64(cap(q)) && region.Addr(q) < region.Addr(p)+uint64(cap(p)) {
				t.Fatal("memory was lent twice")
			}
		}
		lent = append(lent, p)
	}
	for _, p := range lent {
		s.give(1, p)
	}
	if s.inUse != 0 || !slices.Equal(s.free, []span{{0, size}}) {
		t.Errorf("%d bytes in use, free %v", s.inUse, s.free)
	}
}

// fragmented says whether no gap between lent pieces has n bytes.
func (s *staging) fragmented(lent [][]byte, n int) bool {
	used := make([]bool, len(s.bytes)/granule)
	for _, p := range lent {
		at := int(region.Addr(p)-region.Addr(s.bytes)) / granule
		for i := range cap(p) / granule {
			used[at+i] = true
		}
	}
	gap := 0
	for _, u := range used {
		if gap++; u {
			gap = 0
		}
		if gap*granule >= n {
			return false
		}
	}
	return true
}

// TestStagingUnderCancellation: with many who wait and give up at random, everybody
// ends, no piece is lost and no two have the same.
func TestStagingUnderCancellation(t *testing.T) {
	s := newStaging(t, 2*rdma.MaxBulk)
	var all sync.WaitGroup
	for w := range 32 {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 2))
			for range 300 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rng.Int64N(int64(time.Millisecond))))
				p, err := s.lend(ctx, 1, 1+rng.IntN(rdma.MaxBulk))
				cancel()
				if err != nil {
					if !errors.Is(err, rdma.ErrNoMemory) || !errors.Is(err, context.DeadlineExceeded) {
						t.Error(err)
					}
					continue
				}
				p[0], p[len(p)-1] = byte(w), byte(w)
				for range 100 {
					if p[0] != byte(w) || p[len(p)-1] != byte(w) {
						t.Error("memory was lent twice")
					}
				}
				s.give(1, p)
			}
		})
	}
	all.Wait()
	if s.inUse != 0 || len(s.waiting) != 0 || len(s.free) != 1 {
		t.Errorf("%d bytes in use, %d wait, free %v", s.inUse, len(s.waiting), s.free)
	}
}

// TestStagingIsShared: callers that take all they can and give nothing back, as frozen ones,
// leave memory to others, and who waits for a share keeps nobody else waiting.
func TestStagingIsShared(t *testing.T) {
	const piece = 1 << 20
	s := newStaging(t, 64<<20)
	wait, giveUp := context.WithCancel(t.Context())
	var all sync.WaitGroup
	defer all.Wait()
	defer giveUp()
	for session := range uint64(2) {
		for range 64 {
			all.Go(func() {
				if p, err := s.lend(wait, session, piece); err == nil {
					<-wait.Done()
					s.give(session, p)
				}
			})
		}
	}
	for {
		s.mu.Lock()
		n := s.inUse/piece + len(s.waiting)
		s.mu.Unlock()
		if n == 2*64 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	for range 10 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		p, err := s.lend(ctx, 99, rdma.MaxBulk)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		s.give(99, p)
	}
}
