package network

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/internal/region"
	"github.com/weftstore/weft/rdma/internal/wire"
)

// granule is the unit in which staging memory is lent, so that every loan begins at
// a page.
const granule = 64 << 10

// staging lends pieces of one registered area to transfers, first come, first
// served, but for those of a session that has its share: a caller that is frozen keeps
// what its transfers have until its lanes are given up. It is made when it is first
// needed: a transport that only calls has none.
type staging struct {
	t *Transport

	mu      sync.Mutex
	made    bool
	err     error
	bytes   []byte
	regs    []wire.Memory // in the order of t.nets
	free    []span        // by offset, never adjacent
	inUse   int
	held    map[uint64]int // part of inUse that a session has
	waiting []*loan
}

// span is [off, off+n) of the area.
type span struct{ off, n int }

// loan is somebody who waits. p is set before ready is closed.
type loan struct {
	session uint64
	n       int
	p       []byte
	ready   chan struct{}
}

// prepare makes the area.
func (s *staging) prepare() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.made {
		return s.err
	}
	s.made = true
	if s.bytes, s.err = region.Map(s.t.o.Staging, s.t.o.HugePages, s.t.o.Logger); s.err != nil {
		return s.err
	}
	if s.regs, s.err = s.t.registerAll(0, s.bytes); s.err != nil {
		s.err = fmt.Errorf("register %d bytes of staging memory: %w", len(s.bytes), s.err)
		_ = region.Unmap(s.bytes)
		s.bytes = nil
		return s.err
	}
	s.free, s.held = []span{{0, len(s.bytes)}}, map[uint64]int{}
	return nil
}

// memory is the registration with the i-th wire.
func (s *staging) memory(i int) wire.Memory {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.regs[i]
}

// lend waits for n bytes, at most rdma.MaxBulk, for a transfer of a session. give them back.
func (s *staging) lend(ctx context.Context, session uint64, n int) ([]byte, error) {
	l := &loan{session: session, n: n, ready: make(chan struct{})}
	s.mu.Lock()
	s.waiting = append(s.waiting, l)
	s.serveLocked()
	s.mu.Unlock()
	select {
	case <-l.ready:
		return l.p, nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	i := slices.Index(s.waiting, l)
	if i >= 0 {
		s.waiting = slices.Delete(s.waiting, i, i+1)
		s.serveLocked() // those behind may fit where this one did not
	}
	s.mu.Unlock()
	if i < 0 { // served in the meantime
		s.give(session, l.p)
	}
	return nil, fmt.Errorf("staging memory for %d bytes: %w: %w", n, rdma.ErrNoMemory, ctx.Err())
}

// sized is what a piece of n bytes takes.
func sized(n int) int { return (n + granule - 1) / granule * granule }

// shareLocked says whether a session may have n bytes more: all of its pieces are at most
// twice what nobody has. So one alone has two thirds, and the next two thirds of what is left.
func (s *staging) shareLocked(session uint64, n int) bool {
	held := s.held[session]
	return held == 0 || held+sized(n) <= 2*(len(s.bytes)-s.inUse)
}

// takeLocked cuts n bytes from the first span that has room; nil when none has.
func (s *staging) takeLocked(session uint64, n int) []byte {
	size := sized(n)
	for i := range s.free {
		f := &s.free[i]
		if f.n < size {
			continue
		}
		p := s.bytes[f.off : f.off+n : f.off+size]
		f.off, f.n = f.off+size, f.n-size
		if f.n == 0 {
			s.free = slices.Delete(s.free, i, i+1)
		}
		s.inUse += size
		s.held[session] += size
		return p
	}
	return nil
}

// give takes back what lend lent.
func (s *staging) give(session uint64, p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	off, n := int(region.Addr(p)-region.Addr(s.bytes)), cap(p)
	s.inUse -= n
	if s.held[session] -= n; s.held[session] == 0 {
		delete(s.held, session)
	}
	i, _ := slices.BinarySearchFunc(s.free, off, func(f span, off int) int { return f.off - off })
	if i > 0 && s.free[i-1].off+s.free[i-1].n == off {
		i--
		s.free[i].n += n
	} else {
		s.free = slices.Insert(s.free, i, span{off, n})
	}
	if i+1 < len(s.free) && s.free[i].off+s.free[i].n == s.free[i+1].off {
		s.free[i].n += s.free[i+1].n
		s.free = slices.Delete(s.free, i+1, i+2)
	}
	s.serveLocked()
}

func (s *staging) serveLocked() {
	var passed []uint64 // sessions that have their share
	for i := 0; i < len(s.waiting); {
		l := s.waiting[i]
		if slices.Contains(passed, l.session) {
			i++
			continue
		}
		if !s.shareLocked(l.session, l.n) {
			passed = append(passed, l.session)
			i++
			continue
		}
		if l.p = s.takeLocked(l.session, l.n); l.p == nil {
			return
		}
		s.waiting = slices.Delete(s.waiting, i, i+1)
		close(l.ready)
	}
}

func (s *staging) gauges(to *rdma.Stats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	to.StagingBytes, to.StagingInUse, to.StagingWaiting = int64(len(s.bytes)), int64(s.inUse), int64(len(s.waiting))
}

// close is called when nothing is lent and nobody waits. Memory that a wire cannot let
// go of stays mapped.
func (s *staging) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bytes == nil {
		return nil
	}
	err := closeAll(s.regs)
	if err == nil {
		err = region.Unmap(s.bytes)
	}
	s.bytes, s.free = nil, nil
	return err
}
