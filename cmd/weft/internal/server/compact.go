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
	// compactRate bounds what compaction of one target moves, bytes per second.
	compactRate = 64 << 20
)

// startCompaction gives dead space back in the background, a target at a time.
func (s *Server) startCompaction() {
	ctx, cancel := context.WithCancel(context.Background())
	var loop sync.WaitGroup
	loop.Go(func() {
		tick := time.NewTicker(compactEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				s.compact(ctx)
			}
		}
	})
	s.onClose(func() error {
		cancel()
		loop.Wait()
		return nil
	})
}

func (s *Server) compact(ctx context.Context) {
	all, err := s.client.Status(ctx)
	if err != nil {
		return
	}
	for _, t := range all {
		if t.State != node.Online && t.State != node.Full {
			continue
		}
		if _, err := s.client.Target(t.ID).Compact(ctx, compactRate); err != nil && ctx.Err() == nil {
			s.log.Warn("compaction failed", "target", t.Dir, "err", err)
		}
	}
}
