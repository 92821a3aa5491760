package gateway_test

import (
	"context"
	"errors"
	"sync"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/mem"
)

// redialing is mem with connections that restore themselves, as those of the wire
// transports do.
type redialing struct{ *mem.Transport }

type redialingConn struct {
	t    *mem.Transport
	addr string

	mu   sync.Mutex
	conn rdma.Conn // nil: to be dialed
}

func (r redialing) Dial(ctx context.Context, addr string) (rdma.Conn, error) {
	conn, err := r.Transport.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	return &redialingConn{t: r.Transport, addr: addr, conn: conn}, nil
}

func (c *redialingConn) Call(ctx context.Context, req, rep []byte) (int, error) {
	c.mu.Lock()
	if c.conn == nil {
		conn, err := c.t.Dial(ctx, c.addr)
		if err != nil {
			c.mu.Unlock()
			return 0, err
		}
		c.conn = conn
	}
	conn := c.conn
	c.mu.Unlock()
	n, err := conn.Call(ctx, req, rep)
	if errors.Is(err, rdma.ErrPeer) {
		c.mu.Lock()
		if c.conn == conn {
			_ = conn.Close()
			c.conn = nil
		}
		c.mu.Unlock()
	}
	return n, err
}

func (c *redialingConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == nil {
		return nil
	}
	return c.conn.Close()
}
