package store

import (
	"context"
	"errors"
	"sync"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/node/extent"
)

// ScrubOptions of Store.Scrub.
type ScrubOptions struct {
	BytesPerSecond int64 // to read at most, on all targets together; 0 is no limit
	// Resume goes on with a pass that was not finished, if there is one.
	Resume bool
}

// ScrubResult counts what a scrub saw.
type ScrubResult struct {
	Chunks  int64 `json:"chunks"`
	Bytes   int64 `json:"bytes"`
	Corrupt int64 `json:"corrupt"` // queued for repair
	Missing int64 `json:"missing"` // shards that no target has, queued too
	Errors  int64 `json:"errors"`  // chunks, queued too, or targets that could not be read
}

// maxNameless bounds the corrupt chunks of one scrub whose descriptor cannot be
// read either; the next scrub finds the others.
const maxNameless = 1 << 16

// scrub is one pass over all targets.
type scrub struct {
	s        *Store
	pass     int64
	throttle *throttle
	progress *progress

	mu       sync.Mutex
	result   ScrubResult
	nameless map[metadata.SetID]uint64
}

// Scrub reads and verifies every chunk on every target, one at a time on each, looks for
// those that should be there, and queues what is corrupt or missing for repair. Where it is
// on each target is recorded, so that it may go on after a restart or with the next leader.
func (s *Store) Scrub(ctx context.Context, o ScrubOptions, report Report) (*ScrubResult, error) {
	term, err := s.term()
	if err != nil {
		return nil, err
	}
	ctx = s.within(ctx, term) // another may lead after it, and scrub
	pass, err := s.beginScrub(ctx, o.Resume)
	if err != nil {
		return nil, err
	}
	sc := &scrub{
		s: s, pass: pass.began, throttle: &throttle{rate: o.BytesPerSecond}, progress: newProgress(report, "scrub"),
		nameless: make(map[metadata.SetID]uint64),
	}
	var wg sync.WaitGroup
	for _, t := range s.topology.Load().list {
		wg.Go(func() { sc.target(ctx, t) })
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(sc.nameless) > 0 {
		if err := sc.name(ctx); err != nil {
			return nil, err
		}
	}
	if sc.result.Errors == 0 {
		if err := sc.missing(ctx); err != nil {
			return nil, err
		}
		pass.ended = max(s.now().UnixNano(), pass.began)
		if err := s.setScrubPass(ctx, pass); err != nil {
			return nil, err
		}
	}
	return &sc.result, nil
}

func (sc *scrub) count(chunks, bytes, corrupt, failed int64) {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	sc.result.Chunks += chunks
	sc.result.Bytes += bytes
	sc.result.Corrupt += corrupt
	sc.result.Errors += failed
}

func (sc *scrub) target(ctx context.Context, t *target) {
	place, err := sc.s.scrubPlace(ctx, t.id, sc.pass)
	if err == nil && !place.done {
		err = sc.from(ctx, t, &place)
	}
	if err != nil && ctx.Err() == nil {
		sc.s.log.Warn("scrub of a target ended early", "target", t.name, "error", err)
		sc.count(0, 0, 0, 1)
	}
}

// from verifies the chunks of a target from a place on.
func (sc *scrub) from(ctx context.Context, t *target, place *scrubPlace) error {
	saved := sc.s.now()
	for {
		api := t.get()
		if api == nil || !t.usable(sc.s.now()) {
			return errAway
		}
		call, cancel := context.WithTimeout(ctx, sc.s.cfg.OpTimeout)
		page, err := api.List(call, place.after, inspectBatch)
		cancel()
		if err != nil {
			sc.s.note(t, "read", err)
			return err
		}
		for i := range page {
			if err := sc.throttle.wait(ctx, page[i].Length); err != nil {
				return err
			}
			sc.chunk(ctx, t, api, &page[i])
		}
		if ctx.Err() != nil {
			return ctx.Err() // what was read last may not have been verified
		}
		if len(page) < inspectBatch {
			place.done = true
			return sc.s.setScrubPlace(ctx, t.id, *place)
		}
		place.after = &page[len(page)-1].ID
		if now := sc.s.now(); now.Sub(saved) >= saveEvery {
			saved = now
			if err := sc.s.setScrubPlace(ctx, t.id, *place); err != nil {
				return err
			}
		}
	}
}

func (sc *scrub) chunk(ctx context.Context, t *target, api Target, info *extent.Info) {
	err := sc.s.verify(ctx, api, info.ID, info.Length)
	sc.progress.add(1, info.Length)
	switch {
	case err == nil:
		sc.s.note(t, "read", nil)
		sc.count(1, info.Length, 0, 0)
	case errors.Is(err, extent.ErrNotFound): // deleted meanwhile
	case errors.Is(err, extent.ErrCorrupt):
		sc.count(1, info.Length, 1, 0)
		sc.queue(ctx, api, info.ID)
	default:
		sc.count(0, 0, 0, 1)
		if badSector(err) {
			sc.s.note(t, "read", err)
			sc.queue(ctx, api, info.ID) // the repair sees whether it is more than that
		}
	}
}

func (sc *scrub) queue(ctx context.Context, api Target, id extent.ID) {
	if err := sc.corrupt(ctx, api, id); err != nil && ctx.Err() == nil {
		sc.s.log.Error("corrupt chunk not queued for repair", "set", id.Set, "error", err)
		sc.count(0, 0, 0, 1)
	}
}

// corrupt queues a chunk for repair: by its descriptor, or later by a walk.
func (sc *scrub) corrupt(ctx context.Context, api Target, id extent.ID) error {
	set, bit := metadata.SetID(id.Set), uint64(1)<<id.Index
	call, cancel := context.WithTimeout(ctx, sc.s.cfg.OpTimeout)
	_, raw, err := api.Meta(call, id)
	cancel()
	if err == nil {
		d, derr := decodeDescriptor(raw)
		if derr == nil && d.kind == kindSnapshot {
			return nil // the next snapshot replaces it
		}
		if err = derr; err == nil {
			ref, err := sc.s.refOf(ctx, d, set)
			if errors.Is(err, metadata.ErrNoSuchBucket) {
				return nil
			}
			if err != nil {
				return err
			}
			return sc.s.meta.AddDamage(ctx, []metadata.Damage{{Ref: ref, Set: set, Shards: bit, Since: sc.s.now()}})
		}
	}
	sc.mu.Lock()
	defer sc.mu.Unlock()
	if len(sc.nameless) < maxNameless {
		sc.nameless[set] |= bit
	}
	return nil
}

// missing queues shards that are not where their records say: no target tells of them.
func (sc *scrub) missing(ctx context.Context) error {
	return sc.s.queueDamage(ctx, sc.progress, func(in *inspected) uint64 {
		lost := in.lost()
		sc.result.Missing += int64(popcount(lost))
		return lost
	})
}

// name finds the records of corrupt chunks that cannot say what they are.
func (sc *scrub) name(ctx context.Context) error {
	var at []byte
	for {
		var found []metadata.Damage
		next, err := sc.s.meta.WalkParts(ctx, at, inspectBatch, func(ref metadata.PartRef, p *metadata.Part) error {
			if mask := sc.nameless[p.Set]; mask != 0 {
				found = append(found, metadata.Damage{Ref: ref, Set: p.Set, Shards: mask, Since: sc.s.now()})
			}
			return nil
		})
		if err == nil && len(found) > 0 {
			err = sc.s.meta.AddDamage(ctx, found)
		}
		if err != nil || len(next) == 0 {
			return err
		}
		at = next
	}
}
