package server

import (
	"context"
	"sync"
	"time"

	"github.com/weftstore/weft/node"
)

const (
	// compactEvery is how often targets are looked at for dead space.
	compactEvery = 5 * time.Minute
	// lookFull is how often it is looked whether a target is full, which is
	// compacted at once. A target says so for longer after a refused write.
	lookFull = 5 * time.Second
	// compactRate bounds what compaction of one target moves, bytes per second.
	compactRate = 64 << 20
)

// startCompaction gives dead space back in the background, a target at a time.
func (s *Server) startCompaction() {
	ctx, cancel := context.WithCancel(context.Background())
	var loop sync.WaitGroup
	loop.Go(func() {
		tick := time.NewTicker(lookFull)
		defer tick.Stop()
		for last := time.Now(); ; {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				all := time.Since(last) >= compactEvery
				if all {
					last = time.Now()
				}
				s.compact(ctx, all)
			}
		}
	})
	s.onClose(func() error {
		cancel()
		loop.Wait()
		return nil
	})
}

// compact compacts the targets that are full, or all that are well.
func (s *Server) compact(ctx context.Context, healthy bool) {
	all, err := s.client.Status(ctx)
	if err != nil {
		return
	}
	for _, t := range all {
		if t.State != node.Full && !(healthy && t.State == node.Online) {
			continue
		}
		if _, err := s.client.Target(t.ID).Compact(ctx, compactRate); err != nil && ctx.Err() == nil {
			s.log.Warn("compaction failed", "target", t.Dir, "err", err)
		}
	}
}
