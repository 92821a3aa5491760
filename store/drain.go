package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/node/extent"
)

// drainEvery is how often parts on targets that are drained are looked for.
const drainEvery = 10 * repairEvery

// Drain moves what is on targets that are drained to others; nothing when none is.
func (s *Store) Drain(ctx context.Context, o RepairOptions, report Report) (*RepairResult, error) {
	if !s.topology.Load().drains {
		return new(RepairResult), nil
	}
	if _, _, err := s.findDamage(ctx, report); err != nil {
		return nil, fmt.Errorf("drain: %w", err)
	}
	r, err := s.drainDamage(ctx, o, report)
	if err == nil {
		err = s.drainSnapshots(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("drain: %w", err)
	}
	return r, nil
}

// drainSnapshots replaces snapshots of the metadata that have pieces on targets which
// are drained: they are not moved.
func (s *Store) drainSnapshots(ctx context.Context) error {
	for range keepSnapshots {
		leaving := false
		err := s.eachSnapshotPart(ctx, func(p *metadata.Part) error {
			leaving = leaving || s.topology.Load().leaving(p) != 0
			return nil
		})
		if err != nil || !leaving {
			return err
		}
		if err := s.Snapshot(ctx); err != nil {
			return err
		}
	}
	return nil
}

// errEnough ends a count.
var errEnough = errors.New("enough")

// Left counts the parts that have shards on a target, snapshots of the metadata
// included, up to a limit. What is being written when the target begins to drain may
// come after: count again when every gateway knows that it drains.
func (s *Store) Left(ctx context.Context, id metadata.TargetID, limit int64) (n int64, err error) {
	count := func(p *metadata.Part) error {
		for _, t := range p.Targets {
			if t == id {
				if n++; n >= limit {
					return errEnough
				}
				break
			}
		}
		return ctx.Err()
	}
	var at []byte
	for {
		at, err = s.meta.WalkParts(ctx, at, inspectBatch, func(_ metadata.PartRef, p *metadata.Part) error { return count(p) })
		if err != nil || len(at) == 0 {
			break
		}
	}
	if err == nil {
		err = s.eachSnapshotPart(ctx, count)
	}
	if errors.Is(err, errEnough) {
		err = nil
	}
	if err == nil && n == 0 {
		n, err = s.leftChunks(ctx, id, limit)
	}
	return n, err
}

// leftChunks is Left by what is on the target: the walk may miss an object that is renamed.
func (s *Store) leftChunks(ctx context.Context, id metadata.TargetID, limit int64) (n int64, err error) {
	t := s.target(id)
	if t == nil || t.get() == nil {
		return 0, nil
	}
	api := t.get()
	var after *extent.ID
	for {
		page, err := api.List(ctx, after, listPage)
		if err != nil {
			return n, err
		}
		var strays []extent.ID
		for i := range page {
			refers, err := s.left(ctx, t, api, page[i].ID)
			if err != nil {
				return n, err
			}
			if refers {
				n++
			} else {
				strays = append(strays, page[i].ID)
			}
			if n >= limit {
				return n, nil
			}
		}
		written, err := s.leftStrays(ctx, t, api, strays)
		if n += written; err != nil || n >= limit {
			return min(n, limit), err
		}
		if len(page) < listPage {
			return n, ctx.Err()
		}
		after = &page[len(page)-1].ID
	}
}

// left says whether a record refers to a chunk on t.
func (s *Store) left(ctx context.Context, t *target, api Target, id extent.ID) (bool, error) {
	_, raw, err := api.Meta(ctx, id)
	if err != nil {
		return false, nil //nolint:nilerr // nobody can move it
	}
	d, err := decodeDescriptor(raw)
	if err != nil {
		return false, nil //nolint:nilerr // somebody else's, or of a newer version
	}
	return s.refersTo(ctx, d, t, id)
}

// leftStrays counts the chunks to which no record referred that somebody is about to refer to,
// or does by now.
func (s *Store) leftStrays(ctx context.Context, t *target, api Target, strays []extent.ID) (n int64, err error) {
	if len(strays) == 0 {
		return 0, nil
	}
	used, err := s.inUse(ctx)
	if err != nil {
		return 0, err
	}
	for _, id := range strays {
		refers := used(metadata.SetID(id.Set))
		if !refers {
			if refers, err = s.left(ctx, t, api, id); err != nil {
				return n, err
			}
		}
		if refers {
			n++
		}
	}
	return n, nil
}

func (s *Store) eachSnapshotPart(ctx context.Context, fn func(*metadata.Part) error) error {
	seqs, err := s.meta.SnapshotSeqs(ctx)
	if err != nil {
		return err
	}
	for _, seq := range seqs {
		for piece := uint32(0); ; piece++ {
			p, err := s.meta.SnapshotPart(ctx, seq, piece)
			if errors.Is(err, metadata.ErrStale) {
				break
			}
			if err == nil {
				err = fn(p)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// CanDrain says whether, without these targets, the others hold every shard of a part.
func (s *Store) CanDrain(ids map[metadata.TargetID]bool) error {
	rest := 0
	for _, t := range s.topology.Load().list {
		if !ids[t.id] && !t.drains && t.get() != nil {
			rest++
		}
	}
	if need := s.cfg.Layout.Shards(); rest < need {
		return fmt.Errorf("%d targets would be left and %v needs %d: add targets first", rest, s.cfg.Layout, need)
	}
	return nil
}
