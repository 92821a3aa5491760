package network

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/internal/gate"
	"github.com/weftstore/weft/rdma/internal/wire"
)

// incoming is a call at the answering end: the work of answering it, and the Peer of
// its handler.
type incoming struct {
	l         *served
	m         wire.Message
	prompt    bool // see Options.Prompt
	ctx       callContext
	transfers gate.Gate // shut when the handler has returned
	canceled  bool      // of l.mu

	mu      sync.Mutex
	moving  int  // transfers that touch the caller's memory
	overdue bool // it is canceled and the handler goes on: no more of them begin
}

func newIncoming(l *served, m wire.Message) *incoming {
	c := &incoming{l: l, m: m}
	if m.Value > 0 {
		const most = 365 * 24 * time.Hour
		c.ctx.deadline = time.Now().Add(time.Duration(min(m.Value, uint64(most))))
	}
	return c
}

// reply is memory for an answer.
type reply [rdma.MaxMessage]byte

var replies = sync.Pool{New: func() any { return new(reply) }}

// Run implements wire.Work.
func (c *incoming) Run() {
	rep := replies.Get().(*reply)
	defer replies.Put(rep)
	n := c.l.s.handler(&c.ctx, c, c.m.Body, rep[:])
	if n < 0 || n > len(rep) {
		panic(fmt.Sprintf("rdma/network: handler returned %d", n))
	}
	c.transfers.Shut()
	c.ctx.end(errCanceled) // a context derived from it may outlive the handler
	c.m.Hold.Release()
	if c.l.over(c) {
		_ = c.l.w.Send(wire.Message{Kind: wire.Reply, ID: c.m.ID, Body: rep[:n]}) // an error means that nobody waits
	}
	c.l.s.handlers.Leave()
}

// desert answers for a handler that goes on although its call was canceled, as one that a
// disk keeps: the caller would break the lane, with the calls to other disks on it. Its
// memory is no more touched.
func (c *incoming) desert() {
	c.mu.Lock()
	c.overdue = true
	idle := c.moving == 0
	c.mu.Unlock()
	if idle && c.l.desert(c) {
		_ = c.l.w.Send(wire.Message{Kind: wire.Reply, ID: c.m.ID}) // an error means that nobody waits
	}
}

// move runs f, which touches the caller's memory.
func (c *incoming) move(f func() error) error {
	c.mu.Lock()
	if c.overdue {
		c.mu.Unlock()
		return errCanceled
	}
	c.moving++
	c.mu.Unlock()
	err := f()
	c.mu.Lock()
	c.moving--
	overdue := c.overdue
	c.mu.Unlock()
	if overdue {
		c.desert()
	}
	return err
}

// Session implements rdma.Peer.
func (c *incoming) Session() uint64 { return c.l.w.Info().Session }

// Pull implements rdma.Peer.
func (c *incoming) Pull(ctx context.Context, src rdma.Remote, use func(p []byte) error) error {
	n := c.l.n.counters
	err := c.transfer(ctx, src, func(p []byte) error {
		if len(p) > 0 {
			if err := c.move(func() error { return c.l.w.Pull(ctx, src.RKey, src.Addr, p) }); err != nil {
				return fmt.Errorf("pull %d bytes: %w", len(p), err)
			}
		}
		return use(p)
	})
	if err != nil {
		n.TransferErrors.Add(1)
		return err
	}
	n.Pulls.Add(1)
	n.PulledBytes.Add(uint64(src.Len))
	return nil
}

// Push implements rdma.Peer.
func (c *incoming) Push(ctx context.Context, dst rdma.Remote, fill func(p []byte) error) error {
	n := c.l.n.counters
	err := c.transfer(ctx, dst, func(p []byte) error {
		if err := fill(p); err != nil || len(p) == 0 {
			return err
		}
		if err := c.move(func() error { return c.l.w.Push(ctx, dst.RKey, dst.Addr, p) }); err != nil {
			return fmt.Errorf("push %d bytes: %w", len(p), err)
		}
		return nil
	})
	if err != nil {
		n.TransferErrors.Add(1)
		return err
	}
	n.Pushes.Add(1)
	n.PushedBytes.Add(uint64(dst.Len))
	return nil
}

// transfer lends staging memory to f.
func (c *incoming) transfer(ctx context.Context, r rdma.Remote, f func(p []byte) error) error {
	if c.prompt {
		return errPromptTransfer
	}
	if r.Len > rdma.MaxBulk {
		return fmt.Errorf("transfer of %d bytes: %w", r.Len, rdma.ErrTooLarge)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if !c.transfers.Enter() {
		return rdma.ErrClosed
	}
	defer c.transfers.Leave()
	if r.Len == 0 {
		return f(nil)
	}
	p, err := c.l.s.t.staging.lend(ctx, c.Session(), int(r.Len))
	if err != nil {
		return err
	}
	defer c.l.s.t.staging.give(c.Session(), p)
	return f(p)
}

var (
	errCanceled       = context.Canceled
	errPromptTransfer = errors.New("the handler of a request that Options.Prompt names does not transfer")
)

// callContext is the context of a handler. Its timer is only made for those who ask
// for Done. The zero value has no deadline.
type callContext struct {
	deadline time.Time

	mu    sync.Mutex
	err   error
	done  chan struct{}
	timer *time.Timer
}

// Deadline implements context.Context.
func (c *callContext) Deadline() (time.Time, bool) { return c.deadline, !c.deadline.IsZero() }

// Value implements context.Context.
func (c *callContext) Value(any) any { return nil }

// Err implements context.Context.
func (c *callContext) Err() error {
	c.mu.Lock()
	late := c.err == nil && !c.deadline.IsZero() && !time.Now().Before(c.deadline)
	err := c.err
	c.mu.Unlock()
	if late {
		c.end(context.DeadlineExceeded)
		return context.DeadlineExceeded
	}
	return err
}

// Done implements context.Context.
func (c *callContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		if c.err != nil {
			close(c.done)
		} else if !c.deadline.IsZero() {
			c.timer = time.AfterFunc(time.Until(c.deadline), func() { c.end(context.DeadlineExceeded) })
		}
	}
	return c.done
}

// end ends the context, once.
func (c *callContext) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	if c.done != nil {
		close(c.done)
	}
	if c.timer != nil {
		c.timer.Stop()
	}
}
