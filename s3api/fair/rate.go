package fair

import (
	"context"
	"sync"
	"time"

	"github.com/weftstore/weft/internal/pause"
)

// Rates bound what a tenant or a key may use; a zero is no bound.
type Rates struct {
	Requests  float64 `json:"requests,omitempty"`  // each second
	Bandwidth float64 `json:"bandwidth,omitempty"` // bytes each second, both ways together
}

// Rate is a token bucket; the zero value is full and without a bound.
type Rate struct {
	mu    sync.Mutex
	rate  float64
	have  float64
	since time.Time
}

// take pays n and tells how long to wait before it may be used. With limit, what would
// take longer is not paid and ErrRate.
func (r *Rate) take(n, rate float64, limit time.Duration) (time.Duration, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if r.rate != rate { // it is new, or was set anew
		r.rate, r.have, r.since = rate, rate, now
	}
	r.have = min(r.have+now.Sub(r.since).Seconds()*rate, max(rate, 1))
	r.since = now
	after := r.have - n
	if after >= 0 {
		r.have = after
		return 0, nil
	}
	wait := time.Duration(-after / rate * float64(time.Second))
	if limit > 0 && wait > limit {
		return wait, ErrRate
	}
	r.have = after
	return wait, nil
}

// Meter keeps the buckets of tenants and keys.
type Meter struct {
	mu    sync.Mutex
	known map[string]*pair
}

type pair struct {
	requests, bytes Rate
	used            time.Time
}

// NewMeter makes one.
func NewMeter() *Meter { return &Meter{known: map[string]*pair{}} }

func (m *Meter) pair(name string) *pair {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.known[name]
	if p == nil {
		if len(m.known) >= maxTenants {
			m.forget()
		}
		p = &pair{}
		m.known[name] = p
	}
	p.used = time.Now()
	return p
}

// forget drops buckets that are full again, and if there are none, any one.
func (m *Meter) forget() {
	for name, p := range m.known {
		if time.Since(p.used) > time.Minute {
			delete(m.known, name)
		}
	}
	for name := range m.known {
		if len(m.known) < maxTenants {
			return
		}
		delete(m.known, name)
	}
}

// Bound is one name with its rates.
type Bound struct {
	Name  string
	Rates Rates
}

// Request waits until all bounds let a request through. ErrRate when that is too long.
func (m *Meter) Request(ctx context.Context, bounds ...Bound) error {
	for i := range bounds {
		b := &bounds[i]
		if b.Rates.Requests <= 0 {
			continue
		}
		wait, err := m.pair(b.Name).requests.take(1, b.Rates.Requests, MaxWait)
		if err != nil {
			return err
		}
		if err := pause.For(ctx, wait); err != nil {
			return err
		}
	}
	return nil
}

// Bytes pays for bytes that were moved, and waits until more may be.
func (m *Meter) Bytes(ctx context.Context, n int, bounds ...Bound) error {
	for i := range bounds {
		b := &bounds[i]
		if b.Rates.Bandwidth <= 0 {
			continue
		}
		wait, _ := m.pair(b.Name).bytes.take(float64(n), b.Rates.Bandwidth, 0)
		if err := pause.For(ctx, wait); err != nil {
			return err
		}
	}
	return nil
}
