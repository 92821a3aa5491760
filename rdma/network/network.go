package network

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/internal/rc"
	"github.com/weftstore/weft/rdma/internal/tcp"
	"github.com/weftstore/weft/rdma/internal/wire"
)

// Kinds of transports.
const (
	Auto  = "auto"
	Verbs = "verbs"
	TCP   = "tcp"
)

// Config of a Transport.
type Config struct {
	Kind string // Auto, Verbs or TCP; "" is Auto
	rdma.Options
}

// Transport implements rdma.Transport.
type Transport struct {
	kind    string
	o       rdma.Options
	nets    []*network // the preferred one first
	missing []string   // why other wires do not run
	staging staging

	mu      sync.Mutex
	closed  bool
	regions map[uint32]*memory
	mapped  int64 // bytes in regions
	conns   map[*conn]struct{}
	servers map[*server]struct{}
}

// network is a wire with its counters.
type network struct {
	wire.Network
	t        *Transport
	counters *wire.Counters
}

// New makes a transport. With Auto it is no error that one of the wires does not
// run: Describe tells.
func New(cfg Config) (*Transport, error) {
	o, err := cfg.Complete()
	if err != nil {
		return nil, err
	}
	t := &Transport{
		kind: cfg.Kind, o: o,
		regions: map[uint32]*memory{}, conns: map[*conn]struct{}{}, servers: map[*server]struct{}{},
	}
	if t.kind == "" {
		t.kind = Auto
	}
	names := []string{t.kind}
	if t.kind == Auto {
		names = []string{Verbs, TCP}
	}
	session := newSession()
	var errs []error
	for _, name := range names {
		maker := makers[name]
		if maker == nil {
			return nil, fmt.Errorf("transport %q: want %s, %s or %s", name, Auto, Verbs, TCP)
		}
		counters := &wire.Counters{}
		n, err := maker(wire.Config{Options: o, Session: session, Counters: counters, Log: o.Logger.With("wire", name)})
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
			t.missing = append(t.missing, fmt.Sprintf("%s: not used: %v", name, err))
			continue
		}
		t.nets = append(t.nets, &network{n, t, counters})
	}
	if len(t.nets) == 0 {
		return nil, errors.Join(errs...)
	}
	t.staging.t = t
	return t, nil
}

// makers of the wires.
var makers = map[string]func(wire.Config) (wire.Network, error){
	Verbs: rc.New,
	TCP:   func(c wire.Config) (wire.Network, error) { return tcp.New(c) },
}

// newSession numbers a transport among all there are.
func newSession() uint64 {
	var b [8]byte
	for {
		_, _ = rand.Read(b[:]) // never fails since Go 1.24
		if n := binary.LittleEndian.Uint64(b[:]); n != 0 {
			return n
		}
	}
}

// Name implements rdma.Transport: the kind.
func (t *Transport) Name() string { return t.kind }

// Describe tells which wires run, on what, and why others do not: a line each.
func (t *Transport) Describe() []string {
	var lines []string
	for _, n := range t.nets {
		lines = append(lines, n.Name()+": "+n.Network.Describe())
	}
	return append(lines, t.missing...)
}

// Name and Stats make a network a rdma.Counted.
func (n *network) Stats() rdma.Stats {
	s := n.counters.Stats()
	n.Gauges(&s)
	n.t.mu.Lock()
	s.RegisteredBytes = n.t.mapped
	n.t.mu.Unlock()
	n.t.staging.gauges(&s)
	return s
}

// Wires are the wires that run, each with its own counters. Memory is shared by them
// and shown by each.
func (t *Transport) Wires() []rdma.Counted {
	list := make([]rdma.Counted, len(t.nets))
	for i, n := range t.nets {
		list[i] = n
	}
	return list
}

// Stats implements rdma.Transport: the sum over the wires.
func (t *Transport) Stats() rdma.Stats {
	var sum rdma.Stats
	for i, n := range t.nets {
		s := n.Stats()
		if i > 0 { // one memory for all
			s.RegisteredBytes, s.StagingBytes, s.StagingInUse, s.StagingWaiting = 0, 0, 0, 0
		}
		sum.Add(s)
	}
	return sum
}

// open says whether the transport is open.
func (t *Transport) open() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return rdma.ErrClosed
	}
	return nil
}

// Close implements rdma.Transport: calls under way end with rdma.ErrClosed, handlers'
// contexts end, and it waits for them.
func (t *Transport) Close() error {
	t.mu.Lock()
	again := t.closed
	t.closed = true
	var conns []*conn
	for c := range t.conns {
		conns = append(conns, c)
	}
	var servers []*server
	for s := range t.servers {
		servers = append(servers, s)
	}
	t.mu.Unlock()
	var all sync.WaitGroup
	for _, c := range conns {
		all.Go(func() { _ = c.Close() })
	}
	errs := make([]error, len(servers))
	for i, s := range servers {
		all.Go(func() {
			s.breakLanes(rdma.ErrClosed)
			errs[i] = s.Close()
		})
	}
	all.Wait()
	if !again {
		errs = append(errs, t.staging.close())
		for _, n := range t.nets {
			errs = append(errs, n.Close())
		}
	}
	return errors.Join(errs...)
}

// split cuts a list of addresses.
func split(addrs string) ([]string, error) {
	var list []string
	for a := range strings.SplitSeq(addrs, ",") {
		if a = strings.TrimSpace(a); a != "" {
			list = append(list, a)
		}
	}
	if len(list) == 0 {
		return nil, errors.New("no address: want HOST:PORT, several separated by commas")
	}
	return list, nil
}

// dial makes a lane over the first of nets that can.
func dial(ctx context.Context, nets []*network, addr string) (*network, wire.Lane, error) {
	var errs []error
	for _, n := range nets {
		limit, cancel := context.WithTimeout(ctx, n.t.o.DialTimeout)
		l, err := n.Dial(limit, addr)
		cancel()
		if err == nil {
			return n, l, nil
		}
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		errs = append(errs, fmt.Errorf("%s: %w", n.Name(), err))
	}
	return nil, nil, errors.Join(errs...)
}
