package etcdkv

import (
	"sync"
	"time"
)

// maxWait is how long a round waits for the one before.
const maxWait = 20 * time.Millisecond

// combiner makes one request of what is asked for at the same time: what comes while a
// request is under way goes with the next. An etcd cluster that is asked by many requests
// spends most of its time on the requests, and lets what arrives while it syncs, or asks
// the quorum, wait until that is done anyway. B is what a request takes along.
type combiner[B any] struct {
	mu   sync.Mutex
	last *round[B] // under way, nil when none is
	next *round[B] // that waits for it
}

// round is one request.
type round[B any] struct {
	what B             // not to be touched by others before done
	late *time.Timer   // starts it when the one before takes too long
	done chan struct{} // closed when it was sent
}

// join adds to the round that is sent next: when the one before is done or is not soon,
// or when something does not fit. add says whether it fits, and does it; it is called with
// the lock held. An empty round takes all.
func (c *combiner[B]) join(add func(*B) bool, send func(*B)) *round[B] {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.next
	if r != nil && !add(&r.what) {
		c.take(r)
		go c.run(r, send)
		r = nil
	}
	if r == nil {
		r = &round[B]{done: make(chan struct{})}
		add(&r.what)
		c.next = r
		if c.last != nil {
			r.late = time.AfterFunc(maxWait, func() { c.start(r, send) })
		}
	}
	if c.last == nil {
		c.take(r)
		go c.run(r, send)
	}
	return r
}

// take makes r the one that others wait for.
func (c *combiner[B]) take(r *round[B]) {
	if r.late != nil {
		r.late.Stop()
	}
	c.last, c.next = r, nil
}

// start sends r unless that was done.
func (c *combiner[B]) start(r *round[B], send func(*B)) {
	c.mu.Lock()
	waits := c.next == r
	if waits {
		c.take(r)
	}
	c.mu.Unlock()
	if waits {
		c.run(r, send)
	}
}

// run sends r, and then what was asked for meanwhile.
func (c *combiner[B]) run(r *round[B], send func(*B)) {
	for r != nil {
		send(&r.what)
		close(r.done)
		c.mu.Lock()
		if c.last != r {
			r = nil // another was sent without waiting for it
		} else if r = c.next; r != nil {
			c.take(r)
		} else {
			c.last = nil
		}
		c.mu.Unlock()
	}
}
