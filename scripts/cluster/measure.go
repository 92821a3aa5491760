package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// meter reads and writes through all gateways at once and notes how long each answer took.
type meter struct {
	l    *load
	keys []string // of what there is to read

	mu      sync.Mutex
	reads   []time.Duration
	writes  []time.Duration
	done    []time.Time // of the writes
	failed  []string    // requests that were not answered with success, the first ones
	fails   int
	written atomic.Int64
}

const (
	readers  = 3
	writers  = 2
	maxFails = 3 // that are told
)

// prepare writes what is read later.
func (m *meter) prepare(ctx context.Context, n int) error {
	for i := range n {
		key, v := fmt.Sprintf("%sread/%04d", m.l.ledger(0), i), m.l.newValue()
		if err := m.l.put(ctx, m.l.clients[i%len(m.l.clients)], key, v, minio.PutObjectOptions{}); err != nil {
			return err
		}
		m.keys = append(m.keys, key)
		m.l.mu.Lock()
		m.l.acked[key] = v
		m.l.mu.Unlock()
	}
	return nil
}

// readAll reads everything once and compares the bytes.
func (m *meter) readAll(ctx context.Context) error {
	for i, key := range m.keys {
		if err := m.read(ctx, m.l.clients[i%len(m.l.clients)], key); err != nil {
			return err
		}
	}
	return m.l.failed()
}

func (m *meter) read(ctx context.Context, client *minio.Client, key string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	v, err := m.l.get(ctx, client, key)
	if err == nil && v != m.l.acked[key] {
		err = fmt.Errorf("write %d and not %d", v, m.l.acked[key])
	}
	if err != nil {
		return fmt.Errorf("read of %s: %w", key, err)
	}
	return nil
}

// figure is what was measured of one state of the cluster.
type figure struct {
	reads, writes int
	p50, p99, max time.Duration // of reads
	wp99          time.Duration // of writes
	stall         time.Duration // longest time without a write that was acknowledged
	fails         int
	failed        []string
}

func (f *figure) String() string {
	s := fmt.Sprintf("%5d reads p50 %v p99 %v max %v; %4d writes p99 %v longest stall %v; %d failed",
		f.reads, round1(f.p50), round1(f.p99), round1(f.max), f.writes, round1(f.wp99), round1(f.stall), f.fails)
	for _, text := range f.failed {
		s += "\n    " + text
	}
	return s
}

func round1(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

// during measures until do has returned; pick gives the client of a request.
func (m *meter) during(ctx context.Context, pick func() *minio.Client, do func() error) (*figure, error) {
	m.reads, m.writes, m.done, m.failed, m.fails = nil, nil, []time.Time{time.Now()}, nil, 0
	var over atomic.Bool
	var clients sync.WaitGroup
	for i := range readers {
		rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), uint64(i)))
		clients.Go(func() {
			for !over.Load() {
				key := m.keys[rng.IntN(len(m.keys))]
				begin := time.Now()
				m.note(&m.reads, begin, m.read(ctx, pick(), key))
			}
		})
	}
	for range writers {
		clients.Go(func() {
			for !over.Load() {
				m.write(ctx, pick())
			}
		})
	}
	err := do()
	over.Store(true)
	clients.Wait()
	if err == nil {
		err = m.l.failed()
	}
	return m.figure(), err
}

func (m *meter) write(ctx context.Context, client *minio.Client) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	key, v := fmt.Sprint(m.l.ledger(0), "figures/", m.written.Add(1)), m.l.newValue()
	begin := time.Now()
	err := m.l.put(ctx, client, key, v, minio.PutObjectOptions{})
	if err == nil {
		m.l.mu.Lock()
		m.l.acked[key] = v
		m.l.mu.Unlock()
	} else {
		err = fmt.Errorf("write of %s after %v: %w", key, time.Since(begin).Round(time.Millisecond), err)
	}
	m.note(&m.writes, begin, err)
}

func (m *meter) note(list *[]time.Duration, begin time.Time, err error) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		if m.fails++; len(m.failed) < maxFails {
			m.failed = append(m.failed, err.Error())
		}
		return
	}
	*list = append(*list, now.Sub(begin))
	if list == &m.writes {
		m.done = append(m.done, now)
	}
}

func (m *meter) figure() *figure {
	slices.Sort(m.reads)
	slices.Sort(m.writes)
	f := &figure{reads: len(m.reads), writes: len(m.writes), fails: m.fails, failed: m.failed}
	f.p50, f.p99, f.max, f.wp99 = at(m.reads, 0.5), at(m.reads, 0.99), at(m.reads, 1), at(m.writes, 0.99)
	for i, t := range append(m.done, time.Now())[1:] {
		f.stall = max(f.stall, t.Sub(m.done[i]))
	}
	return f
}

func at(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// balancer sends each try of a request to another gateway, as a load balancer would, and counts.
type balancer struct {
	addresses []string
	next      atomic.Uint64
	tries     atomic.Int64
	transport http.Transport
}

func (b *balancer) RoundTrip(r *http.Request) (*http.Response, error) {
	b.tries.Add(1)
	r = r.Clone(r.Context())
	signed := r.URL.Host
	r.URL.Host = b.addresses[b.next.Add(1)%uint64(len(b.addresses))]
	r.Host = signed // it is part of the signature
	return b.transport.RoundTrip(r)
}

// retrying is a client with the retries of an SDK.
func (m *meter) retrying(b *balancer) (*minio.Client, error) {
	return minio.New(b.addresses[0], &minio.Options{
		Creds: credentials.NewStaticV4(m.l.c.access, m.l.c.secret, ""), Region: "us-east-1", Transport: b, MaxRetries: 10,
	})
}
