package network

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/internal/wire"
)

// conn implements rdma.Conn: lanes to one peer.
type conn struct {
	t       *Transport
	addr    string
	seats   []*seat
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	lanes   []*lane // that take calls
	waiting []*turn
}

// turn is a call that waits for a slot. lane or err is set before ready is closed.
type turn struct {
	lane  *lane
	slot  *slot
	err   error
	ready chan struct{}
}

// Dial implements rdma.Transport. addr is HOST:PORT, several of one peer separated by
// commas. It returns when the first lane is up; others may follow.
func (t *Transport) Dial(ctx context.Context, addr string) (rdma.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	c := &conn{t: t, addr: addr}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		c.cancel()
		return nil, fmt.Errorf("dial %s: %w", addr, rdma.ErrClosed)
	}
	t.conns[c] = struct{}{}
	t.mu.Unlock()
	if err := c.open(ctx); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// open starts the seats and waits for the first lane. Its errors name the address.
func (c *conn) open(ctx context.Context) error {
	rails, err := split(c.addr)
	if err != nil {
		return fmt.Errorf("dial %s: %w", c.addr, err)
	}
	n := max(c.t.o.Lanes, len(rails))
	first := make(chan error, n)
	for i := range n {
		s := &seat{c: c, addr: rails[i%len(rails)]}
		c.seats = append(c.seats, s)
		c.running.Go(func() { s.keep(func(err error) { first <- err }) })
	}
	var errs []error
	for range n {
		select {
		case err := <-first:
			if err == nil {
				return nil
			}
			if !slices.ContainsFunc(errs, func(e error) bool { return e.Error() == err.Error() }) {
				errs = append(errs, err)
			}
		case <-ctx.Done():
			return fmt.Errorf("dial %s: %w", c.addr, ctx.Err())
		case <-c.ctx.Done(): // a seat that begins after Close tells nothing
			return fmt.Errorf("dial %s: %w", c.addr, rdma.ErrClosed)
		}
	}
	return errors.Join(errs...)
}

// Call implements rdma.Conn.
func (c *conn) Call(ctx context.Context, req, rep []byte) (int, error) {
	if len(req) > rdma.MaxMessage {
		c.counters(nil).Calls.Add(1)
		c.counters(nil).CallErrors.Add(1)
		return 0, fmt.Errorf("request of %d bytes: %w", len(req), rdma.ErrTooLarge)
	}
	l, s, err := c.acquire(ctx)
	n := c.counters(l)
	n.Calls.Add(1)
	if err == nil {
		n.CallsInFlight.Add(1)
		var got int
		if got, err = l.call(ctx, s, req, rep); err == nil {
			n.CallsInFlight.Add(-1)
			return got, nil
		}
		n.CallsInFlight.Add(-1)
	}
	n.CallErrors.Add(1)
	if c.ctx.Err() != nil {
		err = rdma.ErrClosed
	}
	return 0, err
}

// counters are those of the lane's wire; without a lane those of the preferred one.
func (c *conn) counters(l *lane) *wire.Counters {
	if l == nil {
		return c.t.nets[0].counters
	}
	return l.net.counters
}

// acquire takes a slot on the lane with most of them free, in turn.
func (c *conn) acquire(ctx context.Context) (*lane, *slot, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, nil, rdma.ErrClosed
	}
	if len(c.lanes) == 0 {
		c.mu.Unlock()
		return nil, nil, c.down()
	}
	if len(c.waiting) == 0 {
		if l := c.freestLocked(); l != nil {
			s := l.takeLocked()
			c.mu.Unlock()
			return l, s, nil
		}
	}
	w := &turn{ready: make(chan struct{})}
	c.waiting = append(c.waiting, w)
	c.mu.Unlock()
	return c.await(ctx, w)
}

func (c *conn) await(ctx context.Context, w *turn) (*lane, *slot, error) {
	n := c.counters(nil)
	n.CreditWaits.Add(1)
	n.CreditsWaiting.Add(1)
	defer n.CreditsWaiting.Add(-1)
	select {
	case <-w.ready:
		return w.lane, w.slot, w.err
	case <-ctx.Done():
	}
	c.mu.Lock()
	i := slices.Index(c.waiting, w)
	if i >= 0 {
		c.waiting = slices.Delete(c.waiting, i, i+1)
	}
	c.mu.Unlock()
	if i < 0 { // served in the meantime
		<-w.ready
		if w.lane != nil {
			w.lane.release(w.slot)
		}
	}
	return nil, nil, ctx.Err()
}

func (c *conn) freestLocked() *lane {
	var best *lane
	for _, l := range c.lanes {
		if len(l.free) > 0 && (best == nil || len(l.free) > len(best.free)) {
			best = l
		}
	}
	return best
}

// serveLocked gives free slots to those who wait, and an error when there are no lanes.
func (c *conn) serveLocked() {
	for len(c.waiting) > 0 {
		w := c.waiting[0]
		if l := c.freestLocked(); l != nil {
			w.lane, w.slot = l, l.takeLocked()
		} else if len(c.lanes) > 0 {
			return
		} else if c.closed {
			w.err = rdma.ErrClosed
		} else {
			w.err = fmt.Errorf("%w: no lane to %s is up", rdma.ErrPeer, c.addr)
		}
		c.waiting = slices.Delete(c.waiting, 0, 1)
		close(w.ready)
	}
}

// down says why there is no lane.
func (c *conn) down() error {
	for _, s := range c.seats {
		if err := s.trouble(); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: no lane to %s is up", rdma.ErrPeer, c.addr)
}

// Close implements rdma.Conn: calls under way end with rdma.ErrClosed.
func (c *conn) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.running.Wait() // the seats break their lanes
	c.mu.Lock()
	c.serveLocked()
	c.mu.Unlock()
	c.t.mu.Lock()
	delete(c.t.conns, c) // last, as the transport's Close waits for those that are there
	c.t.mu.Unlock()
	return nil
}

// backoff is the time before the n-th try to dial again.
func backoff(n int) time.Duration {
	return min(50*time.Millisecond<<min(n, 6), 2*time.Second)
}
