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
// served. It is made when it is first needed: a transport that only calls has none.
type staging struct {
	t *Transport

	mu      sync.Mutex
	made    bool
	err     error
	bytes   []byte
	regs    []wire.Memory // in the order of t.nets
	free    []span        // by offset, never adjacent
	inUse   int
	waiting []*loan
}

// span is [off, off+n) of the area.
type span struct{ off, n int }

// loan is somebody who waits. p is set before ready is closed.
type loan struct {
	n     int
	p     []byte
	ready chan struct{}
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
	s.free = []span{{0, len(s.bytes)}}
	return nil
}

// memory is the registration with the i-th wire.
func (s *staging) memory(i int) wire.Memory {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.regs[i]
}

// lend waits for n bytes, at most rdma.MaxBulk. give them back.
func (s *staging) lend(ctx context.Context, n int) ([]byte, error) {
	s.mu.Lock()
	if len(s.waiting) == 0 {
		if p := s.takeLocked(n); p != nil {
			s.mu.Unlock()
			return p, nil
		}
	}
	l := &loan{n: n, ready: make(chan struct{})}
	s.waiting = append(s.waiting, l)
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
		s.give(l.p)
	}
	return nil, fmt.Errorf("staging memory for %d bytes: %w: %w", n, rdma.ErrNoMemory, ctx.Err())
}

// takeLocked cuts n bytes from the first span that has room; nil when none has.
func (s *staging) takeLocked(n int) []byte {
	size := (n + granule - 1) / granule * granule
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
		return p
	}
	return nil
}

// give takes back what lend lent.
func (s *staging) give(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	off, n := int(region.Addr(p)-region.Addr(s.bytes)), cap(p)
	s.inUse -= n
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
	for len(s.waiting) > 0 {
		l := s.waiting[0]
		if l.p = s.takeLocked(l.n); l.p == nil {
			return
		}
		s.waiting = slices.Delete(s.waiting, 0, 1)
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
