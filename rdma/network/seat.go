package network

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/weftstore/weft/rdma"
)

// upgradeEvery is the time between tries to replace a lane of a wire that is not the
// preferred one.
const upgradeEvery = 30 * time.Second

// seat keeps one lane of a connection up.
type seat struct {
	c    *conn
	addr string

	mu  sync.Mutex
	err error // why there is no lane
}

// trouble is why there is no lane, nil when there is one.
func (s *seat) trouble() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *seat) note(err error) {
	s.mu.Lock()
	s.err = err
	s.mu.Unlock()
}

// keep makes lanes, one after the other, until the connection is closed. first is told
// the outcome of the first try.
func (s *seat) keep(first func(error)) {
	c := s.c
	for failures, again := 0, false; c.ctx.Err() == nil; again = true {
		l, err := s.dial(c.t.nets)
		s.note(err)
		if first != nil {
			first(err)
			first = nil
		}
		if err != nil {
			failures++
			s.pause(backoff(failures))
			continue
		}
		if again {
			l.net.counters.Redials.Add(1)
		}
		start := time.Now()
		s.note(s.watch(l))
		if time.Since(start) >= time.Second {
			failures = 0
			continue
		}
		failures++
		s.pause(backoff(failures)) // it was taken and lost at once
	}
}

// pause waits, unevenly, so that many do not come at once.
func (s *seat) pause(d time.Duration) {
	select {
	case <-s.c.ctx.Done():
	case <-time.After(d/2 + rand.N(d/2+1)):
	}
}

// dial makes a lane that takes calls.
func (s *seat) dial(nets []*network) (*lane, error) {
	c := s.c
	n, w, err := dial(c.ctx, nets, s.addr)
	if err != nil {
		if !errors.Is(err, rdma.ErrPeer) && c.ctx.Err() == nil {
			err = fmt.Errorf("%w: %w", rdma.ErrPeer, err)
		}
		return nil, err
	}
	l := newLane(c, n, w)
	n.counters.Connections.Add(1)
	s.note(nil)
	w.Start(l)
	c.mu.Lock()
	closed := c.closed
	if !closed && !l.broken.Load() {
		c.lanes = append(c.lanes, l)
		c.serveLocked()
	}
	c.mu.Unlock()
	if closed {
		w.Break(rdma.ErrClosed)
		return nil, rdma.ErrClosed
	}
	return l, nil
}

// watch keeps a lane alive until it dies and returns why. A better one takes its place.
func (s *seat) watch(l *lane) error {
	c := s.c
	beat := time.NewTicker(c.t.o.KeepAlive / 2)
	defer beat.Stop()
	looked := time.Now()
	for {
		select {
		case <-c.ctx.Done():
			l.w.Break(rdma.ErrClosed)
			<-l.gone
			return rdma.ErrClosed
		case <-l.gone:
			return l.err
		case now := <-beat.C:
			l.beat(now)
			if l.net != c.t.nets[0] && now.Sub(looked) >= upgradeEvery {
				looked = now
				if better := s.upgrade(l); better != nil {
					l = better
				}
			}
		}
	}
}

// upgrade tries the wires that are preferred to that of the lane. The old lane ends
// when its calls have.
func (s *seat) upgrade(old *lane) *lane {
	c := s.c
	var nets []*network
	for _, n := range c.t.nets {
		if n == old.net {
			break
		}
		nets = append(nets, n)
	}
	tried := make(chan struct{})
	c.running.Go(func() { s.linger(old, tried) })
	l, err := s.dial(nets)
	close(tried)
	if err != nil {
		return nil
	}
	c.t.o.Logger.Info("fabric lane now runs over another wire", "peer", s.addr, "wire", l.net.Name())
	c.running.Go(func() {
		old.retire()
		s.linger(old, nil)
	})
	return l
}

// linger keeps a lane alive that watch does not look at, until that is over or the lane ends.
func (s *seat) linger(l *lane, over <-chan struct{}) {
	beat := time.NewTicker(s.c.t.o.KeepAlive / 2)
	defer beat.Stop()
	for {
		select {
		case <-s.c.ctx.Done():
			l.w.Break(rdma.ErrClosed)
			return
		case <-l.gone:
			return
		case <-over:
			return
		case now := <-beat.C:
			l.beat(now)
		}
	}
}
