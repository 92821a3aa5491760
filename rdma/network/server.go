package network

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/internal/gate"
	"github.com/weftstore/weft/rdma/internal/wire"
)

// maxLanes bounds the lanes of one server, each of which has memory of its own.
const maxLanes = 4096

// server implements rdma.Server.
type server struct {
	t         *Transport
	handler   rdma.Handler
	addrs     []string
	listeners []wire.Listener
	handlers  gate.Gate // shut when it closes

	once    sync.Once
	err     error
	done    chan struct{} // closed with Close
	running sync.WaitGroup

	mu      sync.Mutex
	closing bool
	lanes   map[*served]struct{}
	empty   chan struct{} // closed when the last lane has gone while closing
}

// Serve implements rdma.Transport. addr is HOST:PORT, several separated by commas; port
// 0 is any that is free, the same for all wires.
func (t *Transport) Serve(addr string, h rdma.Handler) (rdma.Server, error) {
	if err := t.open(); err != nil {
		return nil, fmt.Errorf("serve at %s: %w", addr, err)
	}
	if err := t.staging.prepare(); err != nil {
		return nil, fmt.Errorf("serve at %s: %w", addr, err)
	}
	s := &server{t: t, handler: h, done: make(chan struct{}), empty: make(chan struct{}), lanes: map[*served]struct{}{}}
	err := s.listen(addr)
	if err == nil {
		t.mu.Lock()
		if t.closed {
			err = rdma.ErrClosed
		} else {
			t.servers[s] = struct{}{}
		}
		t.mu.Unlock()
	}
	if err != nil {
		return nil, fmt.Errorf("serve at %s: %w", addr, errors.Join(err, s.Close()))
	}
	s.running.Go(s.watch)
	return s, nil
}

// listen listens at each address on every wire. With several wires one that cannot is
// left out, with a warning.
func (s *server) listen(addr string) error {
	list, err := split(addr)
	if err != nil {
		return err
	}
	for _, a := range list {
		var errs []error
		heard := false
		for i := len(s.t.nets) - 1; i >= 0; i-- { // TCP knows best which ports are free
			n := s.t.nets[i]
			l, err := n.Listen(a, s.t.staging.memory(i), func(w wire.Lane) { s.accept(n, w) })
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", n.Name(), err))
				continue
			}
			heard = true
			n.counters.Listeners.Add(1)
			s.listeners = append(s.listeners, &counted{l, n})
			if _, port, _ := net.SplitHostPort(a); port == "0" {
				a = l.Addr()
			}
		}
		if err := errors.Join(errs...); err != nil {
			if !heard {
				return err
			}
			s.t.o.Logger.Warn("an address is not served by all wires", "addr", a, "err", err)
		}
		s.addrs = append(s.addrs, a)
	}
	return nil
}

// counted is a listener that is counted.
type counted struct {
	wire.Listener
	n *network
}

func (c *counted) Close() error {
	c.n.counters.Listeners.Add(-1)
	return c.Listener.Close()
}

// Addr implements rdma.Server.
func (s *server) Addr() string { return strings.Join(s.addrs, ",") }

// accept takes a lane that has authenticated.
func (s *server) accept(n *network, w wire.Lane) {
	l := &served{s: s, n: n, w: w, calls: map[uint64]*incoming{}}
	l.heard.begin()
	s.mu.Lock()
	// A transport that closes breaks its lanes first: one that came later would keep its handlers.
	refused := s.closing || s.t.open() != nil || len(s.lanes) >= maxLanes
	if !refused {
		s.lanes[l] = struct{}{}
	}
	s.mu.Unlock()
	if refused {
		w.Break(errors.New("refused: the server closes or has too many lanes"))
		return
	}
	n.counters.Connections.Add(1)
	w.Start(l)
}

// watch looks at the lanes now and then.
func (s *server) watch() {
	tick := time.NewTicker(s.t.o.KeepAlive / 2)
	defer tick.Stop()
	for {
		select {
		case <-s.done:
			return
		case now := <-tick.C:
			s.look(now)
		}
	}
}

// look gives up lanes on which nothing comes any more.
func (s *server) look(now time.Time) {
	for _, l := range s.list() {
		silent := l.heard.before(now)
		if silent > 3*s.t.o.KeepAlive {
			l.n.counters.KeepAliveKills.Add(1)
			go l.w.Break(fmt.Errorf("nothing came for %s", silent.Round(time.Millisecond)))
		}
	}
}

func (s *server) list() []*served {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*served, 0, len(s.lanes))
	for l := range s.lanes {
		list = append(list, l)
	}
	return list
}

func (s *server) forget(l *served) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.lanes, l)
	if s.closing && len(s.lanes) == 0 {
		s.emptied()
	}
}

// emptied is called with mu, maybe twice.
func (s *server) emptied() {
	select {
	case <-s.empty:
	default:
		close(s.empty)
	}
}

// breakLanes ends all lanes at once.
func (s *server) breakLanes(cause error) {
	var all sync.WaitGroup
	for _, l := range s.list() {
		all.Go(func() { l.w.Break(cause) })
	}
	all.Wait()
}

// Close implements rdma.Server. Callers are told, so that they hang up when they have
// their answers; after Options.Grace the lanes are broken.
func (s *server) Close() error {
	s.once.Do(func() { s.err = s.close() })
	return s.err
}

func (s *server) close() error {
	var errs []error
	for _, l := range s.listeners {
		errs = append(errs, l.Close())
	}
	s.handlers.Shut()
	s.mu.Lock()
	s.closing = true
	if len(s.lanes) == 0 {
		s.emptied()
	}
	s.mu.Unlock()
	for _, l := range s.list() {
		_ = l.w.Send(wire.Message{Kind: wire.Refuse}) // an error means that it breaks by itself
	}
	grace := time.NewTimer(s.t.o.Grace)
	defer grace.Stop()
	select {
	case <-s.empty:
	case <-grace.C:
		s.breakLanes(rdma.ErrClosed)
	}
	close(s.done)
	s.running.Wait()
	s.t.mu.Lock()
	delete(s.t.servers, s)
	s.t.mu.Unlock()
	return errors.Join(errs...)
}

// served is the answering end of a lane. It implements wire.Receiver.
type served struct {
	s     *server
	n     *network
	w     wire.Lane
	heard moment // when something came last

	mu       sync.Mutex
	broken   bool
	calls    map[uint64]*incoming
	deserted int // handlers that run on after their calls were answered
}

// Heard implements wire.Receiver.
func (l *served) Heard() { l.heard.note() }

// Receive implements wire.Receiver.
func (l *served) Receive(m wire.Message) wire.Work {
	l.Heard()
	switch m.Kind {
	case wire.Call:
		return l.called(m)
	case wire.Cancel:
		l.mu.Lock()
		c := l.calls[m.ID]
		again := c == nil || c.canceled
		if !again {
			c.canceled = true
		}
		l.mu.Unlock()
		if !again { // else the reply has crossed it
			c.ctx.end(errCanceled)
			time.AfterFunc(l.s.t.o.Grace/2, c.desert)
		}
		return nil
	case wire.Ping:
		_ = l.w.Send(wire.Message{Kind: wire.Pong, ID: m.ID}) // an error means that the lane breaks
		return nil
	}
	return breaking{l.w, fmt.Errorf("message of kind %d at the answering end", m.Kind)}
}

func (l *served) called(m wire.Message) wire.Work {
	if !l.s.handlers.Enter() {
		m.Hold.Release()
		_ = l.w.Send(wire.Message{Kind: wire.Refuse, ID: m.ID}) // an error means that the lane breaks
		return nil
	}
	c := newIncoming(l, m)
	l.mu.Lock()
	_, twice := l.calls[m.ID]
	good := !twice && m.ID != 0 && !l.broken && len(l.calls) < l.w.Info().Slots
	if good {
		l.calls[m.ID] = c
	}
	l.mu.Unlock()
	if !good {
		m.Hold.Release()
		l.s.handlers.Leave()
		return breaking{l.w, errors.New("a call without a slot")}
	}
	if prompt := l.s.t.o.Prompt; prompt != nil && prompt(m.Body) {
		c.prompt = true
		c.Run()
		return nil
	}
	return c
}

// over takes note that a handler has returned. False: its call was answered before.
func (l *served) over(c *incoming) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.calls[c.m.ID] != c {
		l.deserted--
		return false
	}
	delete(l.calls, c.m.ID)
	return true
}

// desert takes note that a call is answered although its handler runs. False when that is
// over, or when as many run already as the lane has slots: each keeps its request's memory.
func (l *served) desert(c *incoming) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken || l.calls[c.m.ID] != c || l.deserted >= l.w.Info().Slots {
		return false
	}
	delete(l.calls, c.m.ID)
	l.deserted++
	return true
}

// Broken implements wire.Receiver.
func (l *served) Broken(error) {
	l.n.counters.Connections.Add(-1)
	l.mu.Lock()
	l.broken = true
	for _, c := range l.calls {
		c.ctx.end(errCanceled)
	}
	l.mu.Unlock()
	l.s.forget(l)
}
