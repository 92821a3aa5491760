package network

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/internal/wire"
)

// States of a slot.
const (
	slotFree    = 0
	slotWaits   = 1 // for the reply
	slotAnswers = 2 // the reply or an error is being put in
)

// slot is a call that may be under way on a lane. Its id has the index of the slot in
// its low 16 bits and counts calls in the others.
type slot struct {
	index int
	state atomic.Int32
	id    atomic.Uint64
	rep   []byte
	n     int
	err   error
	done  chan struct{} // one place
	ready func() bool
}

// lane is the calling end of a wire.Lane. It implements wire.Receiver.
type lane struct {
	c     *conn
	net   *network
	w     wire.Lane
	slots []slot
	heard moment // when something came last
	spoke moment // when something was sent last
	pings atomic.Uint64

	broken atomic.Bool
	err    error         // set before gone is closed
	gone   chan struct{} // closed when the lane is broken

	// Of conn.mu:
	free    []*slot
	retired bool // takes no calls and ends with the last one
}

func newLane(c *conn, n *network, w wire.Lane) *lane {
	l := &lane{c: c, net: n, w: w, slots: make([]slot, w.Info().Slots), gone: make(chan struct{})}
	l.heard.begin()
	l.spoke.begin()
	for i := range l.slots {
		s := &l.slots[i]
		s.index, s.done = i, make(chan struct{}, 1)
		s.ready = func() bool { return len(s.done) > 0 }
		l.free = append(l.free, s)
	}
	return l
}

// takeLocked is called with conn.mu and a slot free.
func (l *lane) takeLocked() *slot {
	top := len(l.free) - 1
	s := l.free[top]
	l.free = l.free[:top]
	return s
}

// release gives a slot back, to the one who waits longest.
func (l *lane) release(s *slot) {
	l.c.mu.Lock()
	l.free = append(l.free, s)
	idle := l.retired && len(l.free) == len(l.slots)
	l.c.serveLocked()
	l.c.mu.Unlock()
	if idle {
		go l.w.Break(rdma.ErrClosed)
	}
}

// retire takes the lane out of use. It breaks when its calls are over.
func (l *lane) retire() {
	l.c.mu.Lock()
	l.retired = true
	l.c.lanes = slices.DeleteFunc(l.c.lanes, func(o *lane) bool { return o == l })
	idle := len(l.free) == len(l.slots)
	l.c.serveLocked()
	l.c.mu.Unlock()
	if idle {
		l.w.Break(rdma.ErrClosed)
	}
}

// call makes a call in a slot that was taken, and gives it back.
func (l *lane) call(ctx context.Context, s *slot, req, rep []byte) (int, error) {
	defer l.release(s)
	m := wire.Message{Kind: wire.Call, Body: req, ID: s.id.Load()&^0xffff + 1<<16 | uint64(s.index)}
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline)
		if left <= 0 {
			return 0, context.DeadlineExceeded
		}
		m.Value = uint64(left)
	}
	s.rep, s.n, s.err = rep, 0, nil
	s.id.Store(m.ID)
	s.state.Store(slotWaits)
	if l.broken.Load() && s.state.CompareAndSwap(slotWaits, slotFree) {
		<-l.gone
		return 0, l.err
	}
	l.spoke.note()
	if err := l.w.Send(m); err == nil {
		l.w.Spin(s.ready)
	}
	select {
	case <-s.done:
	case <-ctx.Done():
		l.abandon(s, m.ID)
		s.state.Store(slotFree)
		return 0, ctx.Err()
	}
	s.state.Store(slotFree)
	return s.n, s.err
}

// abandon ends a call that nobody waits for: the reply still comes, or the lane
// breaks. Then nothing touches the caller's memory.
func (l *lane) abandon(s *slot, id uint64) {
	_ = l.w.Send(wire.Message{Kind: wire.Cancel, ID: id}) // an error ends the slot too
	l.w.Spin(s.ready)
	grace := time.NewTimer(l.c.t.o.Grace)
	defer grace.Stop()
	select {
	case <-s.done:
		return
	case <-grace.C:
	}
	l.w.Break(fmt.Errorf("a call was not over %s after its end", l.c.t.o.Grace))
	<-s.done
}

// Heard implements wire.Receiver.
func (l *lane) Heard() { l.heard.note() }

// Receive implements wire.Receiver.
func (l *lane) Receive(m wire.Message) wire.Work {
	l.Heard()
	switch m.Kind {
	case wire.Reply, wire.Refuse:
		if m.Kind == wire.Refuse && m.ID == 0 {
			return retirement{l}
		}
		return l.answered(m)
	case wire.Pong:
		return nil
	case wire.Call:
		m.Hold.Release()
	}
	return l.fault(fmt.Sprintf("message of kind %d at the calling end", m.Kind))
}

func (l *lane) answered(m wire.Message) wire.Work {
	i := int(m.ID & 0xffff)
	if i >= len(l.slots) {
		return l.fault("reply to no call")
	}
	s := &l.slots[i]
	if s.id.Load() != m.ID || !s.state.CompareAndSwap(slotWaits, slotAnswers) {
		return l.fault("reply to no call")
	}
	switch {
	case m.Kind == wire.Refuse:
		s.err = fmt.Errorf("%w: %s is closing", rdma.ErrPeer, l.w.Info().Peer)
	case len(m.Body) > len(s.rep):
		s.err = fmt.Errorf("reply of %d bytes into %d: %w", len(m.Body), len(s.rep), rdma.ErrTooLarge)
	default:
		s.n = copy(s.rep, m.Body)
	}
	s.done <- struct{}{}
	return nil
}

// retirement is the work of retiring a lane.
type retirement struct{ l *lane }

// Run implements wire.Work.
func (r retirement) Run() { r.l.retire() }

// fault breaks a lane whose other end breaks the protocol.
func (l *lane) fault(what string) wire.Work { return breaking{l.w, errors.New(what)} }

// breaking is the work of breaking a lane.
type breaking struct {
	w     wire.Lane
	cause error
}

// Run implements wire.Work.
func (b breaking) Run() { b.w.Break(b.cause) }

// Broken implements wire.Receiver.
func (l *lane) Broken(err error) {
	l.net.counters.Connections.Add(-1)
	l.err = err
	l.broken.Store(true)
	close(l.gone)
	for i := range l.slots {
		s := &l.slots[i]
		if s.state.CompareAndSwap(slotWaits, slotAnswers) {
			s.err = err
			s.done <- struct{}{}
		}
	}
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	l.c.lanes = slices.DeleteFunc(l.c.lanes, func(o *lane) bool { return o == l })
	l.c.serveLocked()
}

// beat sends a sign of life on a lane on which either end is silent, as the other end gives
// up who is, and gives up a dead one.
func (l *lane) beat(now time.Time) {
	silent, mute := l.heard.before(now), l.spoke.before(now)
	keep := l.c.t.o.KeepAlive
	switch {
	case silent > 3*keep:
		l.net.counters.KeepAliveKills.Add(1)
		l.w.Break(fmt.Errorf("nothing came for %s", silent.Round(time.Millisecond)))
	case max(silent, mute) > keep:
		l.spoke.at(now)
		_ = l.w.Send(wire.Message{Kind: wire.Ping, ID: l.pings.Add(1)}) // an error is followed by Broken
	}
}
