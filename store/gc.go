package store

import (
	"context"
	"time"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/node/extent"
)

// gcBatch is how many chunk sets are deleted in one go.
const gcBatch = 512

// kickGC asks for a look at the garbage queue soon.
func (s *Store) kickGC() {
	select {
	case s.gcKick <- struct{}{}:
	default:
	}
}

// Kick tells the store that the garbage queue may have grown, after a delete for
// instance. It does not wait.
func (s *Store) Kick() { s.kickGC() }

// gcLoop empties the garbage queue. Sets that cannot be deleted now, because they
// are read or a target is away, stay in the queue and are passed over until the
// next full pass, which begins with every tick.
func (s *Store) gcLoop(ctx context.Context) {
	tick := time.NewTicker(s.cfg.GCInterval)
	defer tick.Stop()
	var after uint64
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.gcKick:
		case <-tick.C:
			after = 0
		}
		for ctx.Err() == nil {
			next, n, err := s.collectGarbage(ctx, after)
			if err != nil {
				if ctx.Err() == nil {
					s.log.Warn("garbage not collected", "error", err)
				}
				break
			}
			after = next
			if n < gcBatch {
				break
			}
		}
	}
}

// collectGarbage deletes one batch of sets behind after in the queue. It returns
// the last position it looked at and the number of sets that it found.
func (s *Store) collectGarbage(ctx context.Context, after uint64) (next uint64, n int, err error) {
	sets, err := s.meta.GarbageAfter(ctx, after, gcBatch)
	if err != nil || len(sets) == 0 {
		return after, 0, err
	}
	s.pins.barrier() // who opened one of them before it became garbage has pinned it now
	now := s.now()
	stuck := make([]bool, len(sets))
	perTarget := make(map[metadata.TargetID][]extent.ID)
	for i, g := range sets {
		stuck[i] = s.pins.pinned(g.Set) || !s.reachable(g, now)
		for shard, id := range g.Targets {
			if id != 0 && !stuck[i] {
				perTarget[id] = append(perTarget[id], chunkID(g.Set, shard))
			}
		}
	}
	failed := s.deleteChunks(perTarget)
	var done []uint64
	for i, g := range sets {
		for _, id := range g.Targets {
			stuck[i] = stuck[i] || failed[id]
		}
		if !stuck[i] {
			done = append(done, g.Seq)
		}
	}
	next = sets[len(sets)-1].Seq
	if len(done) == 0 {
		return next, len(sets), nil
	}
	if err := s.meta.GarbageDone(ctx, done); err != nil {
		return after, 0, err
	}
	if f := s.cfg.Events.Collected; f != nil {
		f(len(done))
	}
	return next, len(sets), nil
}

// reachable says whether all targets of a set are there to delete from.
func (s *Store) reachable(g metadata.Garbage, now time.Time) bool {
	for _, id := range g.Targets {
		if id == 0 {
			continue
		}
		if t := s.target(id); t == nil || !t.usable(now) {
			return false
		}
	}
	return true
}

// deleteChunks deletes at several targets at once and tells which failed. A target
// that hangs fails after OpTimeout; its call ends when it ends.
func (s *Store) deleteChunks(perTarget map[metadata.TargetID][]extent.ID) map[metadata.TargetID]bool {
	type outcome struct {
		id  metadata.TargetID
		err error
	}
	results := make(chan outcome, len(perTarget))
	failed := make(map[metadata.TargetID]bool, len(perTarget))
	for id, chunks := range perTarget {
		t := s.target(id)
		failed[id] = true
		s.work.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), s.cfg.OpTimeout)
			defer cancel()
			err := error(extent.ErrOffline)
			if api := t.get(); api != nil {
				t.inflight.Add(1)
				err = api.Delete(ctx, chunks)
				t.inflight.Add(-1)
			}
			s.note(t, "delete", err)
			results <- outcome{id, err}
		})
	}
	timer := time.NewTimer(s.cfg.OpTimeout)
	defer timer.Stop()
	for range perTarget {
		select {
		case r := <-results:
			failed[r.id] = r.err != nil
		case <-timer.C:
			return failed
		}
	}
	return failed
}
