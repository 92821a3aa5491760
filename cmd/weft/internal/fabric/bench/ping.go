package bench

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/weftstore/weft/rdma"
)

// Latency is what Ping measured.
type Latency struct {
	Count int           `json:"count"`
	Size  int           `json:"size"`
	Peer  string        `json:"peer"` // "fabric" or "node"
	Min   time.Duration `json:"min_ns"`
	P50   time.Duration `json:"p50_ns"`
	P90   time.Duration `json:"p90_ns"`
	P99   time.Duration `json:"p99_ns"`
	P999  time.Duration `json:"p99.9_ns"`
	Max   time.Duration `json:"max_ns"`
	Mean  time.Duration `json:"mean_ns"`
}

// warmup is how many unmeasured pings go first.
const warmup = 16

// MinPing is the least size of a ping in bytes.
const MinPing = headSize

// Ping sends count requests of size bytes (MinPing to rdma.MaxMessage), one after the
// other, and measures how long each answer takes.
func Ping(ctx context.Context, conn rdma.Conn, count, size int) (*Latency, error) {
	if count < 1 || size < MinPing || size > rdma.MaxMessage {
		return nil, fmt.Errorf("ping: want a count from 1 and a size from %d to %d bytes", MinPing, rdma.MaxMessage)
	}
	req, rep := make([]byte, size), make([]byte, rdma.MaxMessage)
	head(req, opPing, 0)
	l := &Latency{Count: count, Size: size, Peer: "fabric"}
	times := make([]time.Duration, 0, count)
	var sum time.Duration
	for i := range warmup + count {
		start := time.Now()
		n, err := conn.Call(ctx, req, rep)
		took := time.Since(start)
		if err != nil {
			return nil, fmt.Errorf("ping %d of %d: %w", i+1, warmup+count, err)
		}
		if op, _, ok := known(rep[:n]); !ok || op != opPing {
			l.Peer = "node"
		} else if n != size {
			return nil, fmt.Errorf("ping: %d bytes came back of %d", n, size)
		}
		if i >= warmup {
			times = append(times, took)
			sum += took
		}
	}
	slices.Sort(times)
	l.Min, l.Max, l.Mean = times[0], times[count-1], sum/time.Duration(count)
	at := func(permille int) time.Duration { return times[(count*permille+999)/1000-1] }
	l.P50, l.P90, l.P99, l.P999 = at(500), at(900), at(990), at(999)
	return l, nil
}
