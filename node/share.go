package node

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/weftstore/weft/node/extent"
)

// share bounds the bytes of a target's transfers that are under way. Those beyond it wait in
// turn.
type share struct {
	mu      sync.Mutex
	free    int64
	waiting []*taker
}

type taker struct {
	n     int64
	ready chan struct{}
}

// take waits for n bytes, and no longer than ctx or the session; give them back.
func (s *share) take(ctx context.Context, x *session, n int64) error {
	s.mu.Lock()
	if len(s.waiting) == 0 && n <= s.free {
		s.free -= n
		s.mu.Unlock()
		return nil
	}
	w := &taker{n, make(chan struct{})}
	s.waiting = append(s.waiting, w)
	s.mu.Unlock()
	var err error
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-x.ctx.Done():
		err = fmt.Errorf("%w: it is being closed", extent.ErrOffline)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.waiting, w); i >= 0 {
		s.waiting = slices.Delete(s.waiting, i, i+1)
	} else { // it has them now
		s.free += n
	}
	s.serveLocked()
	return err
}

func (s *share) give(n int64) {
	s.mu.Lock()
	s.free += n
	s.serveLocked()
	s.mu.Unlock()
}

func (s *share) serveLocked() {
	for len(s.waiting) > 0 && s.waiting[0].n <= s.free {
		w := s.waiting[0]
		s.free -= w.n
		s.waiting = slices.Delete(s.waiting, 0, 1)
		close(w.ready)
	}
}
