package store

import (
	"context"
	"time"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/node/extent"
)

// gcBatch is how many chunk sets are deleted in one go.
const gcBatch = 512

// gcRetry is how often more than gcBatch sets that wait for a target are tried
// again; gcRemember how many of them are remembered.
const (
	gcRetry    = 30 * time.Second
	gcRemember = 1 << 16
)

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

// collector is the state of the garbage collection.
type collector struct {
	s     *Store
	after uint64 // position in the queue that was reached
	stuck int    // sets passed over since the queue's head
	// partly has the sets that were deleted from all targets that are there. It is
	// only to save work and is forgotten when it gets long.
	partly map[metadata.SetID]bool
	retry  time.Time // of the sets passed over
}

// gcLoop empties the garbage queue. Sets that cannot be deleted now, because they
// are read or a target is away, stay in the queue and are passed over until the
// next look at its head.
func (s *Store) gcLoop(ctx context.Context) {
	c := &collector{s: s, partly: make(map[metadata.SetID]bool)}
	tick := time.NewTicker(s.cfg.GCInterval)
	defer tick.Stop()
	kick := s.gcKick
	if s.cfg.Peers != nil {
		kick = nil // every look asks all gateways, and most garbage is of others
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-kick:
		case <-tick.C:
			c.rewind(time.Now())
		}
		for ctx.Err() == nil {
			n, err := c.batch(ctx)
			if err != nil && ctx.Err() == nil {
				s.log.Warn("garbage not collected", "error", err)
			}
			if n < gcBatch || err != nil {
				break
			}
		}
	}
}

// rewind goes back to the head of the queue; not often when many sets wait there
// for a target that is away.
func (c *collector) rewind(now time.Time) {
	if c.stuck > gcBatch && now.Before(c.retry) {
		return
	}
	c.after, c.stuck, c.retry = 0, 0, now.Add(gcRetry)
	if len(c.partly) > gcRemember {
		clear(c.partly)
	}
}

// batch deletes the next sets in the queue and returns how many it looked at.
func (c *collector) batch(ctx context.Context) (int, error) {
	s := c.s
	sets, err := s.meta.GarbageAfter(ctx, c.after, gcBatch)
	if err != nil || len(sets) == 0 {
		return 0, err
	}
	used, err := s.inUse(ctx)
	if err != nil {
		return 0, err
	}
	now := s.now()
	perTarget := make(map[metadata.TargetID][]extent.ID)
	keep := make([]bool, len(sets))
	for i, g := range sets {
		if keep[i] = used(g.Set); keep[i] {
			continue
		}
		away := false
		for _, id := range g.Targets {
			away = away || (id != 0 && !s.retired(id) && !s.canDelete(id, now))
		}
		keep[i] = away
		if away && c.partly[g.Set] {
			continue
		}
		if shard := lone(&g); shard >= 0 && !away {
			keep[i] = !s.retired(g.Targets[shard]) && !s.deleteLone(ctx, s.target(g.Targets[shard]), chunkID(g.Set, shard))
			continue
		}
		for shard, id := range g.Targets {
			if id != 0 && s.canDelete(id, now) {
				perTarget[id] = append(perTarget[id], chunkID(g.Set, shard))
			}
		}
		if away {
			c.partly[g.Set] = true
		}
	}
	failed := s.deleteChunks(perTarget)
	var done []uint64
	for i, g := range sets {
		for _, id := range g.Targets {
			if failed[id] {
				keep[i] = true
				delete(c.partly, g.Set)
			}
		}
		if keep[i] {
			c.stuck++
			continue
		}
		done = append(done, g.Seq)
		delete(c.partly, g.Set)
	}
	if len(done) > 0 {
		if err := s.meta.GarbageDone(ctx, done); err != nil {
			return 0, err
		}
		if f := s.cfg.Events.Collected; f != nil {
			f(len(done))
		}
	}
	c.after = sets[len(sets)-1].Seq
	return len(sets), nil
}

// retired says that a target is gone for good, with all that it had.
func (s *Store) retired(id metadata.TargetID) bool {
	return s.target(id) == nil && s.cfg.Retired != nil && s.cfg.Retired(id)
}

func (s *Store) canDelete(id metadata.TargetID, now time.Time) bool {
	t := s.target(id)
	return t != nil && t.usable(now)
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
				s.note(t, "delete", err)
			}
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
