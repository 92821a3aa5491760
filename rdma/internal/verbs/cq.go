package verbs

import (
	"context"
	"sync"
	"time"
)

// MaxSpin bounds the time that Poll spends in C.
const MaxSpin = time.Millisecond

// CQ is a completion queue with a completion channel of its own. One goroutine at a time polls it.
type CQ struct {
	guard
	dev         *Device
	channel, cq handle
	depth       int
	w           *waiter
	unacked     uint32 // events taken and not acknowledged yet

	mu     sync.Mutex
	qps    map[uint64]*QP // by the serial number in their markers
	serial uint64
}

// NewCQ makes a completion queue of at least depth entries. It must hold what all its queue pairs have outstanding,
// and two for each of them to drain: an overflow breaks it and them. vector chooses the interrupt, from 0 below
// Info.Vectors.
func (d *Device) NewCQ(depth, vector int) (*CQ, error) {
	c := &CQ{dev: d, qps: map[uint64]*QP{}}
	err := d.adopt(func() error {
		channel, cq, fd, got, rc := cCQCreate(d.ctx, depth, vector)
		if rc < 0 {
			return failed(rc, "create completion queue on", d.info.Name, "")
		}
		w, err := newWaiter(fd, d.info.Name)
		if err != nil {
			cCQDestroy(channel, cq, 0)
			return err
		}
		c.channel, c.cq, c.depth, c.w = channel, cq, got, w
		return nil
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Depth is how many entries the queue has, at least what was asked for.
func (c *CQ) Depth() int { return c.depth }

// Poll takes completions into out and returns how many. When there are none it looks for up to spin, at most MaxSpin,
// before it returns 0. out must not be empty.
func (c *CQ) Poll(out []Completion, spin time.Duration) (int, error) {
	if err := c.enter(); err != nil {
		return 0, err
	}
	defer c.leave()
	n := cCQPoll(c.cq, out, int64(min(max(spin, 0), MaxSpin)))
	if n < 0 {
		return 0, failed(n, "poll completion queue of", c.dev.info.Name, "")
	}
	return c.settle(out[:n]), nil
}

// Wait is Poll that waits until there is a completion, ctx ends, or the queue is closed. It returns 0 only with an error.
func (c *CQ) Wait(ctx context.Context, out []Completion) (int, error) {
	n, woken := 0, false
	var failure error
	err := c.w.wait(ctx, func() bool {
		if failure = c.enter(); failure != nil {
			return true
		}
		defer c.leave()
		for {
			got := cCQArm(c.channel, c.cq, out, woken, &c.unacked)
			woken = true
			if got < 0 {
				failure = failed(got, "poll completion queue of", c.dev.info.Name, "")
				return true
			}
			if n = c.settle(out[:got]); n > 0 || got == 0 {
				return n > 0
			}
		}
	})
	if err == nil {
		err = failure
	}
	return n, err
}

// settle takes the markers of draining queue pairs out of what was polled and returns how many others there are.
func (c *CQ) settle(got []Completion) int {
	n := 0
	for i := range got {
		if got[i].ID&marker != 0 {
			c.mu.Lock()
			q := c.qps[got[i].ID&^marker>>1]
			c.mu.Unlock()
			if q != nil {
				q.drained(got[i].ID & 1)
			}
			continue
		}
		if n != i {
			got[n] = got[i]
		}
		n++
	}
	return n
}

func (c *CQ) add(q *QP) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.serial++
	c.qps[c.serial] = q
	return c.serial
}

func (c *CQ) remove(q *QP) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.qps, q.serial)
}

// Close destroys the queue. ErrBusy while it has queue pairs.
func (c *CQ) Close() error {
	ok, err := c.shut()
	if err != nil {
		return used("close completion queue of", c.dev.info.Name, err)
	}
	if !ok {
		return nil
	}
	c.w.close()
	rc := cCQDestroy(c.channel, c.cq, c.unacked)
	c.dev.release()
	return failed(rc, "destroy completion queue of", c.dev.info.Name, "")
}
