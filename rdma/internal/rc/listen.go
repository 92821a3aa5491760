package rc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/weftstore/weft/rdma/internal/verbs"
	"github.com/weftstore/weft/rdma/internal/wire"
)

const (
	// backlog bounds the requests that wait to be looked at.
	backlog = 256
	// maxJoining bounds the lanes that are being made for callers who have proved
	// that they have the secret.
	maxJoining = 64
)

// listener implements wire.Listener.
type listener struct {
	n       *Network
	l       *verbs.Listener
	staging *memory
	accept  func(wire.Lane)
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup
	joining chan struct{} // a place for each lane that is being made
}

// Listen implements wire.Network.
func (n *Network) Listen(addr string, staging wire.Memory, accept func(wire.Lane)) (wire.Listener, error) {
	at, err := lookup(context.Background(), addr)
	if err != nil {
		return nil, err
	}
	l, err := verbs.Listen(at[0], backlog, verbs.DefaultOptions())
	if err != nil {
		return nil, err
	}
	s := &listener{n: n, l: l, staging: staging.(*memory), accept: accept, joining: make(chan struct{}, maxJoining)}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.running.Go(s.run)
	return s, nil
}

func (s *listener) Addr() string { return s.l.Addr().String() }

func (s *listener) run() {
	for {
		id, err := s.l.Accept(s.ctx)
		switch {
		case s.ctx.Err() != nil:
			if id != nil {
				s.reject(id, &hello{kind: helloRefuse, reason: reasonBusy})
			}
			return
		case errors.Is(err, verbs.ErrClosed):
			return
		case err != nil:
			s.n.cfg.Log.Warn("a connection request could not be taken", "addr", s.Addr(), "err", err)
			select { // what it is short of may come back
			case <-s.ctx.Done():
			case <-time.After(10 * time.Millisecond):
			}
		default:
			s.take(id)
		}
	}
}

// take looks at a request. Nothing is made for a caller who has not proved that it has
// the secret.
func (s *listener) take(id *verbs.ID) {
	h := &hello{}
	err := h.decode(id.Private())
	switch {
	case err != nil || (h.kind != helloAsk && h.kind != helloProve):
		s.n.cfg.Counters.AuthFailures.Add(1)
		s.n.refusals.Note(s.n.cfg.Log, id.RemoteAddr().String(), err)
		s.reject(id, &hello{kind: helloRefuse, reason: reasonVersion})
		return
	case h.kind == helloAsk:
		s.reject(id, &hello{kind: helloCookie, nonce: h.nonce, cookie: s.n.cookies.give(h)})
		return
	}
	if reason := s.n.cookies.take(h, s.n.cfg.Secret); reason != 0 {
		s.n.cfg.Counters.AuthFailures.Add(1)
		s.n.refusals.Note(s.n.cfg.Log, id.RemoteAddr().String(), errRefused(reason))
		s.reject(id, &hello{kind: helloRefuse, reason: reason})
		return
	}
	select {
	case s.joining <- struct{}{}:
		s.running.Go(func() {
			defer func() { <-s.joining }()
			l, err := s.join(id, h)
			if err != nil {
				if s.ctx.Err() == nil {
					s.n.cfg.Log.Warn("a lane could not be made", "addr", id.RemoteAddr().String(), "err", err)
				}
				return
			}
			s.accept(l)
		})
	default:
		s.reject(id, &hello{kind: helloRefuse, reason: reasonBusy})
	}
}

func (s *listener) reject(id *verbs.ID, h *hello) {
	if err := errors.Join(id.Reject(h.encode()), id.Close()); err != nil {
		s.n.cfg.Log.Warn("a request could not be rejected", "addr", id.RemoteAddr().String(), "err", err)
	}
}

// join makes the lane of a caller who has proved itself.
func (s *listener) join(id *verbs.ID, theirs *hello) (*lane, error) {
	mine := &hello{
		kind: helloAccept, slots: s.n.cfg.Slots, session: s.n.cfg.Session, nonce: theirs.nonce, cookie: theirs.cookie,
	}
	mine.proveTo(theirs, s.n.cfg.Secret)
	l, err := newLane(s.n, id, min(mine.slots, theirs.slots), true, s.staging)
	if err != nil {
		return nil, errors.Join(err, id.Close())
	}
	l.info.Session = theirs.session
	ctx, cancel := context.WithTimeout(s.ctx, s.n.cfg.DialTimeout)
	defer cancel()
	p := verbs.DefaultParams()
	p.Private = mine.encode()
	if err := id.Accept(ctx, p); err != nil {
		l.Break(err)
		return nil, fmt.Errorf("accept: %w", err)
	}
	return l, nil
}

// Close implements wire.Listener.
func (s *listener) Close() error {
	s.stop()
	s.running.Wait()
	return s.l.Close()
}
