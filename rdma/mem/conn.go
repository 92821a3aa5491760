package mem

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/internal/gate"
)

// conn is the calling end. ctx ends when it is closed.
type conn struct {
	t       *Transport
	server  *server
	session uint64
	ctx     context.Context
	cancel  context.CancelFunc
}

// Call implements rdma.Conn.
func (c *conn) Call(ctx context.Context, req, rep []byte) (int, error) {
	c.t.stats.calls.Add(1)
	n, err := c.call(ctx, req, rep)
	if err != nil {
		c.t.stats.callErrors.Add(1)
	}
	return n, err
}

func (c *conn) call(ctx context.Context, req, rep []byte) (int, error) {
	if len(req) > rdma.MaxMessage {
		return 0, fmt.Errorf("request of %d bytes: %w", len(req), rdma.ErrTooLarge)
	}
	if err := c.over(ctx); err != nil {
		return 0, err
	}
	if !c.server.handlers.Enter() {
		return 0, rdma.ErrPeer
	}
	defer c.server.handlers.Leave()

	answer := rep
	if len(rep) < rdma.MaxMessage {
		buf := c.t.replies.Get().(*[rdma.MaxMessage]byte)
		defer c.t.replies.Put(buf)
		answer = buf[:]
	}
	n := c.handle(ctx, req, answer[:rdma.MaxMessage])
	if err := c.over(ctx); err != nil {
		return 0, err // as on a wire, where nobody waits for the answer any more
	}
	if n > len(rep) {
		return 0, fmt.Errorf("reply of %d bytes into %d: %w", n, len(rep), rdma.ErrTooLarge)
	}
	if len(rep) < rdma.MaxMessage {
		copy(rep, answer[:n])
	}
	return n, nil
}

// over is why a call is not to be made or not to be answered.
func (c *conn) over(ctx context.Context) error {
	if c.ctx.Err() != nil {
		return rdma.ErrClosed
	}
	return ctx.Err()
}

func (c *conn) handle(ctx context.Context, req, rep []byte) int {
	k := &call{conn: c, parent: ctx}
	defer k.end()
	n := c.server.handler(k, k, req, rep)
	if n < 0 || n > len(rep) {
		panic(fmt.Sprintf("rdma/mem: handler returned %d", n))
	}
	return n
}

// Close implements rdma.Conn. Calls under way return ErrClosed when their
// handlers return; the handlers' contexts end.
func (c *conn) Close() error {
	c.t.mu.Lock()
	delete(c.t.conns, c)
	c.t.mu.Unlock()
	c.cancel()
	return nil
}

// call is one request as its handler sees it: the Peer and the Context in one
// allocation. The context ends with the caller's or when the connection is
// closed; the two are only merged for a handler that asks for Done.
type call struct {
	conn      *conn
	parent    context.Context
	transfers gate.Gate // shut when the handler has returned

	mu     sync.Mutex
	merged context.Context
	cancel context.CancelFunc
}

// Session numbers the connection that the request came on, from 1.
func (k *call) Session() uint64 { return k.conn.session }

func (k *call) Deadline() (time.Time, bool) { return k.parent.Deadline() }

func (k *call) Value(key any) any { return k.parent.Value(key) }

func (k *call) Err() error {
	if err := k.parent.Err(); err != nil {
		return err
	}
	if k.transfers.IsShut() {
		return context.Canceled // a context derived from this one may outlive the handler
	}
	return k.conn.ctx.Err()
}

func (k *call) Done() <-chan struct{} {
	if k.parent.Done() == nil {
		return k.conn.ctx.Done()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.merged == nil {
		merged, cancel := context.WithCancel(k.parent)
		stop := context.AfterFunc(k.conn.ctx, cancel)
		k.merged, k.cancel = merged, func() { stop(); cancel() }
		if k.transfers.IsShut() {
			k.cancel()
		}
	}
	return k.merged.Done()
}

// end comes when the handler has returned. A transfer that the handler left
// behind in another goroutine is waited for: the memory is the caller's again.
func (k *call) end() {
	k.transfers.Shut()
	k.mu.Lock()
	if k.cancel != nil {
		k.cancel()
	}
	k.mu.Unlock()
}

// Pull implements rdma.Peer.
func (k *call) Pull(ctx context.Context, src rdma.Remote, use func(p []byte) error) error {
	s := &k.conn.server.t.stats
	err := k.transfer(ctx, src, use)
	if err != nil {
		s.transferErrors.Add(1)
		return err
	}
	s.pulls.Add(1)
	s.pulledBytes.Add(uint64(src.Len))
	return nil
}

// Push implements rdma.Peer.
func (k *call) Push(ctx context.Context, dst rdma.Remote, fill func(p []byte) error) error {
	s := &k.conn.server.t.stats
	err := k.transfer(ctx, dst, fill)
	if err != nil {
		s.transferErrors.Add(1)
		return err
	}
	s.pushes.Add(1)
	s.pushBytes.Add(uint64(dst.Len))
	return nil
}

func (k *call) transfer(ctx context.Context, w rdma.Remote, f func(p []byte) error) error {
	if w.Len > rdma.MaxBulk {
		return fmt.Errorf("transfer of %d bytes: %w", w.Len, rdma.ErrTooLarge)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if !k.transfers.Enter() {
		return rdma.ErrClosed
	}
	defer k.transfers.Leave()
	r, p, err := k.conn.t.regions.Window(w)
	if err != nil {
		return err
	}
	defer r.Leave()
	return f(p)
}
