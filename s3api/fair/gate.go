package fair

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// Gate gives places to requests.
type Gate struct {
	places int
	most   int // requests of one tenant, working and waiting

	mu      sync.Mutex
	tenants map[string]*tenant
	held    list.List     // of *Ticket that take a place, the oldest first
	virtual time.Duration // virtual time of the last admission
	waiting int
	timer   *time.Timer // runs while somebody waits, to take places from those who hold them long
	round   round
}

type tenant struct {
	name    string
	weight  float64
	used    time.Duration // virtual time: time in places, by weight
	working int           // requests
	queue   list.List     // of chan struct{}
	last    time.Time     // when it had a request
}

// Ticket is a request's place. The zero value is none.
type Ticket struct {
	gate   *Gate
	tenant *tenant
	since  time.Time
	place  *list.Element // in held; nil: it was taken away, or none is counted
	moved  int64
}

// NewGate makes a gate. most bounds the requests of one tenant, working and waiting.
func NewGate(places, most int) *Gate {
	return &Gate{places: max(places, 1), most: max(most, 1), tenants: map[string]*tenant{}}
}

// Enter waits for a place. ErrRate when the tenant has too many requests, or the error of
// ctx. weight 0 is 1.
func (g *Gate) Enter(ctx context.Context, t *Ticket, name string, weight float64) error {
	if weight <= 0 {
		weight = 1
	}
	g.mu.Lock()
	tn := g.tenant(name)
	if tn.working+tn.queue.Len() >= g.most {
		g.mu.Unlock()
		return ErrRate
	}
	tn.weight, tn.last = weight, time.Now()
	t.gate, t.tenant = g, tn
	return g.wait(ctx, t)
}

// wait queues a ticket and unlocks.
func (g *Gate) wait(ctx context.Context, t *Ticket) error {
	tn := t.tenant
	if tn.working+tn.queue.Len() == 0 {
		tn.used = max(tn.used, g.virtual-credit)
	}
	if g.waiting == 0 && g.free() {
		ring := g.admit(tn, t)
		g.mu.Unlock()
		ring()
		return nil
	}
	w := &waiter{turn: make(chan struct{}), ticket: t}
	me := tn.queue.PushBack(w)
	g.waiting++
	g.arm()
	g.mu.Unlock()
	select {
	case <-w.turn:
		w.ring()
		t.begin()
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-w.turn: // both happened: the place is there
		w.ring()
		g.leave(t)
	default:
		tn.queue.Remove(me)
		g.waiting--
	}
	t.gate = nil
	return ctx.Err()
}

type waiter struct {
	turn   chan struct{}
	ticket *Ticket
	ring   func() // as admit says
}

// free tells whether a request may work now.
func (g *Gate) free() bool {
	return g.held.Len() < g.places && g.round.open() || len(g.tenants) < 2 || g.alone()
}

// alone tells whether one tenant at most was there lately; those that were not are forgotten.
func (g *Gate) alone() bool {
	now := time.Now()
	for name, tn := range g.tenants {
		if tn.working+tn.queue.Len() == 0 && now.Sub(tn.last) > recent {
			delete(g.tenants, name)
		}
	}
	return len(g.tenants) < 2
}

func (g *Gate) tenant(name string) *tenant {
	tn := g.tenants[name]
	if tn == nil {
		if len(g.tenants) >= maxTenants && !g.alone() && len(g.tenants) >= maxTenants {
			name = "" // the rest share what one has
			if tn = g.tenants[name]; tn != nil {
				return tn
			}
		}
		tn = &tenant{name: name, weight: 1}
		g.tenants[name] = tn
	}
	return tn
}

// admit gives a ticket a place. What it returns is to be called as the request begins, without
// the lock: it announces the next round after the last request of this one.
func (g *Gate) admit(tn *tenant, t *Ticket) (ring func()) {
	tn.working++
	t.since = time.Now()
	t.place = g.held.PushBack(t)
	g.virtual = max(g.virtual, tn.used)
	if len(g.tenants) > 1 {
		return g.round.take()
	}
	return silent
}

// begin counts from now what was let in earlier: to wait for a processor is not work.
func (t *Ticket) begin() {
	t.gate.mu.Lock()
	defer t.gate.mu.Unlock()
	t.since = time.Now()
}

// charge adds the time since the last charge to what the tenant has used.
func (t *Ticket) charge() {
	now := time.Now()
	t.tenant.used += time.Duration(float64(now.Sub(t.since)) / t.tenant.weight)
	t.since = now
}

// leave ends a ticket's time in its place; the lock is held.
func (g *Gate) leave(t *Ticket) {
	t.charge()
	t.tenant.working--
	t.tenant.last = t.since
	if t.place != nil {
		g.held.Remove(t.place)
		t.place = nil
	}
	g.next()
}

// next gives free places to those who wait.
func (g *Gate) next() {
	for g.waiting > 0 && g.free() {
		var least *tenant
		for _, tn := range g.tenants {
			if tn.queue.Len() > 0 && (least == nil || g.claim(tn) < g.claim(least)) {
				least = tn
			}
		}
		w := least.queue.Remove(least.queue.Front()).(*waiter)
		g.waiting--
		w.ring = g.admit(least, w.ticket)
		close(w.turn)
	}
}

// claim is the virtual time that decides: what a tenant has used, and what its requests at
// work have used up to now, as if each had only begun a while ago.
func (g *Gate) claim(tn *tenant) time.Duration {
	return tn.used + time.Duration(float64(tn.working)*float64(quantum)/tn.weight)
}

// quantum stands for what a request at work will use.
const quantum = time.Millisecond

// arm lets places that are held long be taken away while somebody waits.
func (g *Gate) arm() {
	if g.timer == nil {
		g.timer = time.AfterFunc(Hold/5, g.expire)
	}
}

func (g *Gate) expire() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.timer = nil
	for e := g.held.Front(); e != nil; e = g.held.Front() {
		t := e.Value.(*Ticket)
		if time.Since(t.since) < Hold {
			break
		}
		g.held.Remove(e)
		t.place = nil
		t.charge()
	}
	g.next()
	if g.waiting > 0 {
		g.arm()
	}
}

// Leave gives the place back. More than once is fine.
func (t *Ticket) Leave() {
	if t.gate == nil {
		return
	}
	t.gate.mu.Lock()
	defer t.gate.mu.Unlock()
	t.gate.leave(t)
	t.gate = nil
}

// Moved counts bytes of a request; after each Slice it queues again. The error is that of
// ctx, and the ticket is void then.
func (t *Ticket) Moved(ctx context.Context, n int) error {
	if t.moved += int64(n); t.gate == nil || t.moved < Slice {
		return nil
	}
	t.moved = 0
	g := t.gate
	g.mu.Lock()
	if g.waiting == 0 {
		g.mu.Unlock()
		return nil
	}
	// In this order the tenant goes behind those who have had less.
	g.leave(t)
	return g.wait(ctx, t)
}
