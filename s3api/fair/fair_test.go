package fair

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weftstore/weft/internal/pause"
)

// load runs clients of a tenant, each of which works for a while in a place, again and
// again, and returns what counts their requests.
func load(ctx context.Context, g *Gate, name string, weight float64, clients int, work time.Duration) *atomic.Int64 {
	var done atomic.Int64
	for range clients {
		go func() {
			for ctx.Err() == nil {
				var t Ticket
				if g.Enter(ctx, &t, name, weight) != nil {
					return
				}
				_ = pause.For(ctx, work)
				t.Leave()
				done.Add(1)
			}
		}()
	}
	return &done
}

// TestShares: what tenants get of a gate for a second, against what is fair.
func TestShares(t *testing.T) {
	for name, c := range map[string]struct {
		flood, other int // clients
		floodWork    time.Duration
		weight       float64 // of the other
		least        float64 // of the places' time
	}{
		"a flood":                  {100, 16, time.Millisecond, 1, .45},
		"a flood of long requests": {100, 16, 20 * time.Millisecond, 1, .40},
		"weights":                  {100, 16, time.Millisecond, 3, .70},
		"few clients":              {100, 4, time.Millisecond, 1, .43},
		"one client":               {100, 1, time.Millisecond, 1, .10}, // of .11
	} {
		synctest.Test(t, func(t *testing.T) {
			g := NewGate(8, 4096)
			ctx, cancel := context.WithCancel(t.Context())
			flood := load(ctx, g, "flood", 1, c.flood, c.floodWork)
			time.Sleep(100 * time.Millisecond)
			before := flood.Load()
			other := load(ctx, g, "other", c.weight, c.other, time.Millisecond)
			time.Sleep(2 * time.Second)
			cancel()
			synctest.Wait()
			share := float64(other.Load()) * .001 / (2 * 8)
			if share < c.least {
				t.Errorf("%s: the other tenant got %.3f of the places, want %.2f; flood %d", name, share, c.least, flood.Load()-before)
			}
			rest := float64(flood.Load()-before) * c.floodWork.Seconds() / (2 * 8)
			if share+rest < .95 {
				t.Errorf("%s: %.3f and %.3f: places were empty while somebody waited", name, share, rest)
			}
			if g.held.Len() != 0 || g.waiting != 0 {
				t.Errorf("%s: %d places held, %d waiting", name, g.held.Len(), g.waiting)
			}
		})
	}
}

// TestAlone: nobody waits while there is one tenant, and the gate opens again when the
// other has gone.
func TestAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(2, 4096)
		var tickets [50]Ticket
		enter := func(i int, name string) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			if err := g.Enter(ctx, &tickets[i], name, 1); err != nil {
				t.Errorf("%d: %v", i, err)
			}
		}
		for i := range 40 {
			enter(i, "a")
		}
		var other Ticket
		if err := g.Enter(t.Context(), &other, "b", 1); err != nil { // a's places are taken away after a while
			t.Fatal(err)
		}
		other.Leave()
		time.Sleep(2 * recent)
		for i := 40; i < 50; i++ {
			enter(i, "a")
		}
		for i := range tickets {
			tickets[i].Leave()
			tickets[i].Leave()
		}
		if g.held.Len() != 0 {
			t.Error("places are left")
		}
	})
}

// TestStandstill: clients that hold places and do not work do not keep others out.
func TestStandstill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(4, 4096)
		ctx, cancel := context.WithCancel(t.Context())
		load(ctx, g, "slow", 1, 100, time.Hour)
		other := load(ctx, g, "other", 1, 4, time.Millisecond)
		time.Sleep(10 * time.Second)
		cancel()
		synctest.Wait()
		if n := other.Load(); n < 15000 {
			t.Errorf("%d requests in 10 s", n)
		}
	})
}

// TestSlices: a long transfer lets others in between.
func TestSlices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(1, 4096)
		ctx, cancel := context.WithCancel(t.Context())
		var sent atomic.Int64
		for range 50 {
			go func() {
				var tk Ticket
				if g.Enter(ctx, &tk, "bulk", 1) != nil {
					return
				}
				defer tk.Leave()
				for ctx.Err() == nil {
					_ = pause.For(ctx, time.Millisecond)
					if tk.Moved(ctx, 1<<20) != nil {
						return
					}
					sent.Add(1)
				}
			}()
		}
		other := load(ctx, g, "other", 1, 4, time.Millisecond)
		time.Sleep(10 * time.Second)
		cancel()
		synctest.Wait()
		if o, b := other.Load(), sent.Load(); o < 4000 || b < 3000 {
			t.Errorf("%d requests beside %d MiB", o, b)
		}
	})
}

// TestLimits: a tenant has so many requests and no more, and who gives up leaves nothing.
func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(1, 2)
		var a, b, c, d Ticket
		if err := errors.Join(g.Enter(t.Context(), &a, "a", 1), g.Enter(t.Context(), &b, "a", 1)); err != nil {
			t.Fatal(err)
		}
		if err := g.Enter(t.Context(), &c, "a", 1); !errors.Is(err, ErrRate) {
			t.Errorf("a third request: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := g.Enter(ctx, &d, "b", 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a request whose client has left: %v", err)
		}
		for _, tk := range []*Ticket{&a, &b, &c, &d} {
			tk.Leave()
		}
		if g.held.Len() != 0 || g.waiting != 0 || g.tenants["a"].working != 0 || g.tenants["b"].working != 0 {
			t.Errorf("%+v", g)
		}
	})
}

func TestRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMeter()
		slow, fast := Bound{"account", Rates{Requests: 10, Bandwidth: 1 << 20}}, Bound{"key", Rates{Requests: 1000}}
		start := time.Now()
		for range 30 {
			if err := m.Request(t.Context(), slow, fast); err != nil {
				t.Fatal(err)
			}
		}
		if d := time.Since(start); d < 1900*time.Millisecond || d > 2100*time.Millisecond {
			t.Errorf("30 requests at 10/s with a second's worth in store: %s", d)
		}
		start = time.Now()
		for range 64 {
			if err := m.Bytes(t.Context(), 64<<10, slow, fast); err != nil {
				t.Fatal(err)
			}
		}
		if d := time.Since(start); d < 2900*time.Millisecond || d > 3100*time.Millisecond {
			t.Errorf("4 MiB at 1 MiB/s: %s", d)
		}
		var refused, passed atomic.Int64
		for range 200 {
			go func() {
				if errors.Is(m.Request(t.Context(), slow), ErrRate) {
					refused.Add(1)
				} else {
					passed.Add(1)
				}
			}()
		}
		time.Sleep(10 * time.Second)
		if p := passed.Load(); p < 50 || p > 62 || p+refused.Load() != 200 {
			t.Errorf("%d of 200 requests passed, %d were refused", p, refused.Load())
		}
		if err := m.Request(t.Context(), Bound{"none", Rates{}}); err != nil {
			t.Error(err)
		}
		for i := range 3 * maxTenants {
			_ = m.Request(t.Context(), Bound{string(rune(i)) + "x", Rates{Requests: 1}})
		}
		if len(m.known) > maxTenants {
			t.Errorf("%d buckets", len(m.known))
		}
	})
}
