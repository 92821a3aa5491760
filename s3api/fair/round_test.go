package fair

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// enter takes a place for a tenant or queues for it, and tells the order of those that got one.
type entries struct {
	g       *Gate
	mu      sync.Mutex
	order   []string
	tickets []*Ticket
}

func (e *entries) enter(t *testing.T, name string) {
	var tk Ticket
	if err := e.g.Enter(t.Context(), &tk, name, 1); err != nil {
		t.Error(err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.order, e.tickets = append(e.order, name), append(e.tickets, &tk)
}

func (e *entries) names() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := ""
	for _, n := range e.order {
		s += n
	}
	return s
}

// TestRounds: a round lets in what it has, rings once, and the next one takes whose turn it is.
func TestRounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(100, 4096)
		rings := 0
		e := &entries{g: g}
		e.enter(t, "a")
		for range 5 { // a second tenant, so that there is something to share
			e.enter(t, "b")
		}
		g.begin(round{ring: func() { rings++ }, most: 2})
		for range 6 {
			go e.enter(t, "a")
		}
		synctest.Wait()
		if got := e.names(); got != "abbbbbaa" || rings != 1 {
			t.Errorf("entered %s with %d rings; a round has 2 requests and rings at the last", got, rings)
		}
		go e.enter(t, "c")
		synctest.Wait()
		g.mu.Lock()
		g.round.start()
		g.next()
		g.mu.Unlock()
		synctest.Wait()
		if got := e.names(); len(got) != 10 || got[8:] != "ca" && got[8:] != "ac" || rings != 2 {
			t.Errorf("entered %s with %d rings; the second round is c's and one of a", got, rings)
		}
		// Nobody rings: processors that always have work. The end of a request begins the next round in time.
		time.Sleep(roundFor)
		e.tickets[0].Leave()
		synctest.Wait()
		if got := e.names(); len(got) != 12 {
			t.Errorf("entered %s; a round that is over in time lets 2 more in", got)
		}
		g.begin(round{})
		synctest.Wait()
		if got := e.names(); len(got) != 13 || g.waiting != 0 {
			t.Errorf("entered %s, %d waiting; without rounds nobody waits for them", got, g.waiting)
		}
	})
}

// TestCredit: a tenant that was away is ahead by the credit and no more.
func TestCredit(t *testing.T) {
	g := NewGate(1, 4096)
	g.virtual = time.Hour
	var tk Ticket
	if err := g.Enter(t.Context(), &tk, "a", 1); err != nil {
		t.Fatal(err)
	}
	if got := g.tenants["a"].used; got != time.Hour-credit {
		t.Errorf("it has used %s", got)
	}
}

// TestKeepRounds: with the runtime's poller everybody gets in, and the end lets the rest go.
func TestKeepRounds(t *testing.T) {
	g := NewGate(4, 4096)
	ctx, cancel := context.WithCancel(t.Context())
	kept := make(chan error, 1)
	go func() { kept <- g.KeepRounds(ctx) }()
	var wg sync.WaitGroup
	for _, name := range []string{"a", "b", "b", "b", "c"} {
		for range 8 {
			wg.Go(func() {
				for i := range 200 {
					var tk Ticket
					short, cancel := context.WithCancel(t.Context())
					if i%7 == 0 {
						cancel() // a client that has gone
					}
					if err := g.Enter(short, &tk, name, 1); err != nil && !errors.Is(err, context.Canceled) {
						t.Error(err)
					}
					tk.Leave()
					cancel()
				}
			})
		}
	}
	wg.Wait()
	cancel()
	if err := <-kept; err != nil {
		t.Error(err)
	}
	if g.held.Len() != 0 || g.waiting != 0 || g.round.ring != nil {
		t.Errorf("%d places held, %d waiting", g.held.Len(), g.waiting)
	}
}
