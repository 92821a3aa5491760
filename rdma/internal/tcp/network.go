package tcp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/internal/region"
	"github.com/weftstore/weft/rdma/internal/wire"
)

// maxHandshakes bounds the connections that have not proved anything yet.
const maxHandshakes = 256

// Network implements wire.Network.
type Network struct {
	cfg       wire.Config
	serverTLS *tls.Config // nil without TLS
	regions   region.Table
	refusals  wire.Refusals
}

// New makes a network.
func New(cfg wire.Config) (*Network, error) {
	n := &Network{cfg: cfg}
	if cfg.TLS {
		var err error
		if n.serverTLS, err = serverTLS(); err != nil {
			return nil, fmt.Errorf("tcp: make a certificate: %w", err)
		}
	}
	return n, nil
}

// Name implements wire.Network.
func (n *Network) Name() string { return "tcp" }

// Describe implements wire.Network.
func (n *Network) Describe() string {
	if n.cfg.TLS {
		return "with TLS 1.3"
	}
	return "not encrypted"
}

// Register implements wire.Network.
func (n *Network) Register(key uint32, mem []byte) (wire.Memory, error) {
	if key == 0 {
		return local{}, nil
	}
	return &memory{n.regions.Add(key, mem)}, nil
}

// memory is registered memory.
type memory struct{ entry *region.Entry }

func (m *memory) Close() error {
	m.entry.Remove()
	return nil
}

// local is staging memory: sockets need no registration.
type local struct{}

func (local) Close() error { return nil }

// Gauges implements wire.Network.
func (n *Network) Gauges(*rdma.Stats) {}

// Close implements wire.Network.
func (n *Network) Close() error { return nil }

// Dial implements wire.Network.
func (n *Network) Dial(ctx context.Context, addr string) (wire.Lane, error) {
	d := net.Dialer{Timeout: n.cfg.DialTimeout}
	c, err := d.DialContext(ctx, "tcp", addr)
	if err == nil {
		var a *agreed
		if a, err = n.shake(ctx, c, n.call); err == nil {
			return newLane(n, a, false), nil
		}
	}
	return nil, dialError(ctx, addr, err)
}

func dialError(ctx context.Context, addr string, err error) error {
	var timeout net.Error
	var op *net.OpError
	var call *os.SyscallError
	if errors.As(err, &op) && op.Op == "dial" && op.Addr != nil && op.Addr.String() == addr {
		if err = op.Err; errors.As(err, &call) {
			err = call.Err // what was called with which address is said below
		}
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("connect to %s: %w", addr, ctx.Err())
	case errors.Is(err, rdma.ErrPeer):
	case errors.Is(err, io.EOF):
		err = fmt.Errorf("%w: it hung up: is it a storage node?", rdma.ErrPeer)
	case errors.As(err, &timeout) && timeout.Timeout():
		err = fmt.Errorf("%w: no answer in time (%w)", rdma.ErrPeer, err)
	default:
		err = fmt.Errorf("%w: %w", rdma.ErrPeer, err)
	}
	return fmt.Errorf("connect to %s: %w", addr, err)
}

// shake runs one end of the handshake within DialTimeout and ctx. It closes c
// when it fails.
func (n *Network) shake(ctx context.Context, c net.Conn, half func(net.Conn) (*agreed, error)) (*agreed, error) {
	err := c.SetDeadline(time.Now().Add(n.cfg.DialTimeout))
	if err != nil {
		c.Close()
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { c.Close() })
	a, err := half(c)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = c.SetDeadline(time.Time{})
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return a, nil
}

// listener takes connections.
type listener struct {
	n       *Network
	l       net.Listener
	accept  func(wire.Lane)
	ctx     context.Context // of handshakes under way
	stop    context.CancelFunc
	running sync.WaitGroup
	pending chan struct{} // a place for each handshake
}

// Listen implements wire.Network.
func (n *Network) Listen(addr string, _ wire.Memory, accept func(wire.Lane)) (wire.Listener, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &listener{n: n, l: l, accept: accept, pending: make(chan struct{}, maxHandshakes)}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.running.Go(s.run)
	return s, nil
}

func (s *listener) Addr() string { return s.l.Addr().String() }

func (s *listener) run() {
	for {
		c, err := s.l.Accept()
		if err != nil {
			if s.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			s.n.cfg.Log.Error("a connection could not be taken", "addr", s.Addr(), "err", err)
			if !s.pause() {
				return
			}
			continue
		}
		select {
		case s.pending <- struct{}{}:
			s.running.Go(func() {
				s.take(c)
				<-s.pending
			})
		default:
			c.Close() // cheaper for this end than any answer
		}
	}
}

// pause lets a shortage, such as of file descriptors, pass.
func (s *listener) pause() bool {
	select {
	case <-s.ctx.Done():
		return false
	case <-time.After(100 * time.Millisecond):
		return true
	}
}

func (s *listener) take(c net.Conn) {
	a, err := s.n.shake(s.ctx, c, s.n.answer)
	if err != nil {
		if s.ctx.Err() == nil && !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrDeadlineExceeded) {
			s.n.refusals.Note(s.n.cfg.Log, c.RemoteAddr().String(), err)
		}
		return
	}
	s.accept(newLane(s.n, a, true))
}

func (s *listener) Close() error {
	s.stop()
	err := s.l.Close()
	s.running.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
