package fair

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"
)

// round bounds the requests that are let in between two looks at the network. The zero
// value bounds nothing.
type round struct {
	ring  func() // has the next round begin when the processors have nothing else to do
	most  int    // requests of a round
	left  int
	began time.Time
}

// A round of roundFor is over though the processors were never without work.
const roundFor = 2 * time.Millisecond

// open tells whether the round, or the one that now begins, lets a request in.
func (r *round) open() bool {
	if r.left <= 0 && r.ring != nil && time.Since(r.began) >= roundFor {
		r.start()
	}
	return r.left > 0 || r.ring == nil
}

func (r *round) start() { r.left, r.began = r.most, time.Now() }

// take counts a request, and returns what is to be called as it begins.
func (r *round) take() (ring func()) {
	r.left--
	if r.ring == nil || r.left != 0 {
		return silent
	}
	return r.ring
}

func silent() {}

// KeepRounds divides the work of a gate that several tenants share into rounds, until ctx
// ends. The error says why there can be none; the gate works without them.
func (g *Gate) KeepRounds(ctx context.Context) error {
	bell, pull, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("rounds of the gate: %w", err)
	}
	defer func() { _, _ = pull.Close(), bell.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = bell.Close() }) // ends Read
	defer stop()
	ring := func() { _, _ = pull.Write([]byte{1}) } // after the end: an error, and nobody waits
	g.begin(round{ring: ring, most: 2 * runtime.GOMAXPROCS(0)})
	defer g.begin(round{})
	for buf := make([]byte, 64); ; {
		if _, err := bell.Read(buf); errors.Is(err, os.ErrClosed) {
			return nil
		} else if err != nil {
			return fmt.Errorf("rounds of the gate: %w", err)
		}
		runtime.Gosched() // the requests that came with the ring queue first
		g.mu.Lock()
		g.round.start()
		g.next()
		g.mu.Unlock()
	}
}

// begin puts rounds of another kind in place.
func (g *Gate) begin(r round) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r.start()
	g.round = r
	g.next()
}
