package store

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weftstore/weft/metadata"

	"github.com/weftstore/weft/internal/pause"
)

// MaintenanceOptions set the rhythm of the background work.
type MaintenanceOptions struct {
	SnapshotEvery time.Duration // of the metadata onto the targets; 0: never
	ScrubEvery    time.Duration // verification of every chunk; 0: never
	// Rates in bytes per second; 0 is no limit.
	ScrubRate, RepairRate int64
}

// Rhythm of what has no option.
const (
	repairEvery = 5 * time.Second
	scrubLook   = time.Minute    // between looks whether a scrub is due
	sweepAfter  = time.Minute    // from the start to the collection of what a crash left
	sweepEvery  = 24 * time.Hour // what others leave that end, while this one goes on
)

// upkeep is the state of the maintenance.
type upkeep struct {
	started      time.Time  // of the store
	placing      sync.Mutex // held while a repaired shard becomes visible or an orphan is deleted
	repairing    sync.Mutex // one repair at a time
	snapshotting sync.Mutex
	run          repairRun
	repaired     atomic.Int64
	waiting      atomic.Int64
	lastSnapshot atomic.Int64           // Unix nanoseconds
	snapshotAt   atomic.Pointer[string] // allChanges when it began
}

// StartMaintenance runs Maintain in the background until Close. Call it once.
func (s *Store) StartMaintenance(o MaintenanceOptions) {
	s.goBackground(func(ctx context.Context) { s.Maintain(ctx, o) })
}

// Maintain repairs, scrubs, takes snapshots and collects orphans until ctx ends, and
// returns when all of it has ended. Among several processes over the same metadata one
// at a time does so, which then also collects the garbage of all.
func (s *Store) Maintain(ctx context.Context, o MaintenanceOptions) {
	m := &maintenance{s: s, ctx: ctx}
	defer m.work.Wait()
	if s.cfg.Peers != nil {
		m.work.Go(func() { s.gcLoop(ctx) })
	}
	m.every(repairEvery, "repair", func(ctx context.Context) error {
		_, err := s.drainDamage(ctx, RepairOptions{BytesPerSecond: o.RepairRate}, nil)
		return err
	})
	var drained []metadata.TargetID
	var next time.Time
	m.every(repairEvery, "drain", func(ctx context.Context) error {
		now := s.topology.Load().draining()
		if slices.Equal(now, drained) && s.now().Before(next) {
			return nil // it was looked at lately, and no other target is drained since
		}
		drained, next = now, s.now().Add(drainEvery)
		_, err := s.Drain(ctx, RepairOptions{BytesPerSecond: o.RepairRate}, nil)
		return err
	})
	m.every(min(o.ScrubEvery, scrubLook), "scrub", func(ctx context.Context) error {
		due, err := s.scrubDue(ctx, o.ScrubEvery)
		if err == nil && due {
			_, err = s.Scrub(ctx, ScrubOptions{BytesPerSecond: o.ScrubRate, Resume: true}, nil)
		}
		return err
	})
	m.every(o.SnapshotEvery, "snapshot", s.SnapshotIfChanged)
	m.work.Go(func() {
		for next := sweepAfter; pause.For(ctx, next) == nil; next = sweepEvery {
			if _, err := s.sweep(ctx, true, new(CheckResult), nil); err != nil && ctx.Err() == nil {
				s.log.Warn("orphans not collected", "error", err)
			}
		}
	})
}

// maintenance is one call of Maintain.
type maintenance struct {
	s    *Store
	ctx  context.Context
	work sync.WaitGroup
}

// every runs fn at intervals.
func (m *maintenance) every(d time.Duration, name string, fn func(context.Context) error) {
	if d <= 0 {
		return
	}
	m.work.Go(func() {
		for pause.For(m.ctx, d) == nil {
			if err := fn(m.ctx); err != nil && m.ctx.Err() == nil {
				m.s.log.Warn("maintenance failed", "work", name, "error", err)
			}
		}
	})
}
