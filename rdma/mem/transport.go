package mem

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/internal/gate"
	"github.com/weftstore/weft/rdma/internal/region"
)

// Transport is a network within the process.
type Transport struct {
	regions region.Table
	replies sync.Pool // *[rdma.MaxMessage]byte
	session atomic.Uint64
	stats   counters

	mu      sync.Mutex
	closed  bool
	servers map[string]*server
	conns   map[*conn]struct{}
	named   int // servers that were given a name
}

type counters struct {
	calls, callErrors      atomic.Uint64
	pulls, pushes          atomic.Uint64
	pulledBytes, pushBytes atomic.Uint64
	transferErrors         atomic.Uint64
	registered             atomic.Int64
}

// New makes a network without servers.
func New() *Transport {
	return &Transport{
		replies: sync.Pool{New: func() any { return new([rdma.MaxMessage]byte) }},
		servers: map[string]*server{},
		conns:   map[*conn]struct{}{},
	}
}

// Name implements rdma.Transport.
func (t *Transport) Name() string { return "mem" }

// Serve implements rdma.Transport. The address is any name not in use; with the
// empty one a name is made up.
func (t *Transport) Serve(addr string, h rdma.Handler) (rdma.Server, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, fmt.Errorf("serve at %q: %w", addr, rdma.ErrClosed)
	}
	for addr == "" {
		t.named++
		if name := fmt.Sprintf("mem-%d", t.named); t.servers[name] == nil {
			addr = name
		}
	}
	if t.servers[addr] != nil {
		return nil, fmt.Errorf("serve at %q: address in use", addr)
	}
	s := &server{t: t, addr: addr, handler: h}
	t.servers[addr] = s
	return s, nil
}

// Dial implements rdma.Transport. ErrPeer when nobody serves the address.
func (t *Transport) Dial(ctx context.Context, addr string) (rdma.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("dial %q: %w", addr, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, fmt.Errorf("dial %q: %w", addr, rdma.ErrClosed)
	}
	s := t.servers[addr]
	if s == nil {
		return nil, fmt.Errorf("dial %q: %w", addr, rdma.ErrPeer)
	}
	c := &conn{t: t, server: s, session: t.session.Add(1)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	t.conns[c] = struct{}{}
	return c, nil
}

// Stats implements rdma.Transport.
func (t *Transport) Stats() rdma.Stats {
	t.mu.Lock()
	conns, listeners := len(t.conns), len(t.servers)
	t.mu.Unlock()
	c := &t.stats
	return rdma.Stats{
		Calls: c.calls.Load(), CallErrors: c.callErrors.Load(),
		Pulls: c.pulls.Load(), Pushes: c.pushes.Load(),
		PulledBytes: c.pulledBytes.Load(), PushedBytes: c.pushBytes.Load(),
		TransferErrors:  c.transferErrors.Load(),
		RegisteredBytes: c.registered.Load(),
		Connections:     int64(conns), Listeners: int64(listeners),
	}
}

// Close implements rdma.Transport: the contexts of handlers under way end, and
// it waits for them.
func (t *Transport) Close() error {
	t.mu.Lock()
	t.closed = true
	var conns []*conn
	for c := range t.conns {
		conns = append(conns, c)
	}
	var servers []*server
	for _, s := range t.servers {
		servers = append(servers, s)
	}
	t.mu.Unlock()
	var errs []error
	for _, c := range conns {
		errs = append(errs, c.Close())
	}
	for _, s := range servers {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// server answers at one address. handlers is shut when it is closed.
type server struct {
	t        *Transport
	addr     string
	handler  rdma.Handler
	handlers gate.Gate
}

func (s *server) Addr() string { return s.addr }

func (s *server) Close() error {
	s.t.mu.Lock()
	if s.t.servers[s.addr] == s {
		delete(s.t.servers, s.addr)
	}
	s.t.mu.Unlock()
	s.handlers.Shut()
	return nil
}
