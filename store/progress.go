package store

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weftstore/weft/internal/pause"
)

// Progress of a long operation.
type Progress struct {
	Phase string `json:"phase"`
	Done  int64  `json:"done"`            // items
	Total int64  `json:"total,omitempty"` // items; 0 when not known
	Bytes int64  `json:"bytes"`
}

// Report receives progress, from several goroutines and at most ten times a
// second for each phase. Nil is not called.
type Report func(Progress)

const reportEvery = 100 * time.Millisecond

// progress counts and passes on what is due.
type progress struct {
	report Report
	phase  string
	done   atomic.Int64
	bytes  atomic.Int64
	mu     sync.Mutex
	last   time.Time
}

func newProgress(r Report, phase string) *progress { return &progress{report: r, phase: phase} }

func (p *progress) add(items, bytes int64) {
	done, all := p.done.Add(items), p.bytes.Add(bytes)
	if p.report == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.Sub(p.last) >= reportEvery {
		p.last = now
		p.report(Progress{Phase: p.phase, Done: done, Bytes: all})
	}
}

// throttle spreads bytes over time. Safe for concurrent use.
type throttle struct {
	rate int64 // bytes per second; 0 is no limit
	mu   sync.Mutex
	next time.Time
}

// wait takes n bytes and returns when they are due, or with ctx's error.
func (t *throttle) wait(ctx context.Context, n int64) error {
	if t.rate <= 0 {
		return ctx.Err()
	}
	t.mu.Lock()
	now := time.Now()
	if t.next.Before(now) {
		t.next = now
	}
	due := t.next
	t.next = t.next.Add(time.Duration(float64(n) / float64(t.rate) * float64(time.Second)))
	t.mu.Unlock()
	return pause.For(ctx, due.Sub(now))
}
