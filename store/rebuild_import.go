package store

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/weftstore/weft/metadata"
)

// targets finds the number of each target: a snapshot has those that its records use. One that
// was removed and is there nevertheless has shards of what is found, so it is drained again.
func (rb *rebuild) targets(ctx context.Context) error {
	rb.ids = make([]metadata.TargetID, len(rb.c.Targets))
	leaving := make([]bool, len(rb.c.Targets))
	for i, t := range rb.c.Targets {
		var err error
		if rb.ids[i], err = rb.c.Meta.AddTarget(ctx, t.UUID, t.Name); err != nil {
			return err
		}
		row, err := rb.c.Meta.UpdateTarget(ctx, rb.ids[i], func(row *metadata.Target) error {
			row.Draining = row.Draining || row.Retired
			row.Retired = false
			return nil
		})
		if err != nil {
			return err
		}
		leaving[i] = row.Draining
	}
	known, err := rb.c.Meta.Targets(ctx)
	if err != nil {
		return err
	}
	for _, t := range known {
		if !t.Retired && !slices.Contains(rb.ids, t.ID) {
			rb.r.Missing = append(rb.r.Missing, t.Path)
		}
	}
	for _, c := range rb.twice {
		if where := rb.sets[c.set].where; leaving[where[c.shard]-1] {
			where[c.shard] = c.place
		}
	}
	return nil
}

// placed is where the shards of a set are, in numbers of the metadata.
func (rb *rebuild) placed(f *foundSet) (ids []metadata.TargetID, found int) {
	ids = make([]metadata.TargetID, len(f.where))
	for i, place := range f.where {
		if place != 0 {
			ids[i] = rb.ids[place-1]
			found++
		}
	}
	return ids, found
}

func (rb *rebuild) walk(ctx context.Context, fn func(metadata.PartRef, *metadata.Part) error) error {
	var at []byte
	for {
		next, err := rb.c.Meta.WalkParts(ctx, at, inspectBatch, fn)
		if err != nil || len(next) == 0 {
			return err
		}
		at = next
	}
}

// mark notes the sets that the snapshot knows, also as garbage.
func (rb *rebuild) mark(ctx context.Context) error {
	know := func(set metadata.SetID) {
		if f := rb.sets[set]; f != nil {
			f.known = true
		}
	}
	if err := rb.s.eachGarbage(ctx, func(g *metadata.Garbage) { know(g.Set) }); err != nil {
		return err
	}
	return rb.walk(ctx, func(_ metadata.PartRef, p *metadata.Part) error {
		know(p.Set)
		return nil
	})
}

// versions imports objects that the snapshot does not have and that are not older than it.
// Those in parts come first: what a manifest lists is of its object, whatever it says itself.
func (rb *rebuild) versions(ctx context.Context) error {
	before, err := rb.c.Meta.Buckets(ctx)
	if err != nil {
		return err
	}
	if err := rb.manifests(ctx); err != nil {
		return err
	}
	for set, f := range rb.sets {
		if f.kind != kindObject || !rb.wanted(f) {
			continue
		}
		d, err := rb.describe(ctx, set, f)
		if err == nil {
			err = rb.use(d.part, f)
		}
		if err == nil {
			err = rb.c.Meta.ImportVersion(ctx, d.bucket, d.version, nil)
		}
		if err := rb.imported(ctx, set, d, err); err != nil {
			return err
		}
	}
	after, err := rb.c.Meta.Buckets(ctx)
	rb.r.Buckets = int64(len(after) - len(before))
	return err
}

// wanted says that the snapshot does not have a set and is not newer.
func (rb *rebuild) wanted(f *foundSet) bool {
	if !f.known && rb.old(f) {
		rb.r.Ignored++ // the sweep of the running store collects it
		return false
	}
	return !f.known
}

// imported counts what became of a version; its error ends the rebuild. d may be nil with err.
func (rb *rebuild) imported(ctx context.Context, set metadata.SetID, d *descriptor, err error) error {
	if err := over(ctx, err); err != nil {
		return err
	}
	switch {
	case errors.Is(err, ErrDamaged) && d != nil:
		rb.r.Lost++
		rb.r.Dropped++
		problem(&rb.r.Problems, "%s/%s is lost: %v", d.bucket, d.key, err)
	case errors.Is(err, metadata.ErrStale):
		rb.r.Ignored++
	case err != nil:
		problem(&rb.r.Problems, "set %x not imported: %v", set, err)
	default:
		rb.sets[set].known = true
		rb.r.Versions++
	}
	return nil
}

func (rb *rebuild) old(f *foundSet) bool {
	return rb.begin != 0 && f.made < rb.begin-int64(snapshotMargin)
}

// use fills in where a part is; ErrDamaged when too little of it was found.
func (rb *rebuild) use(p *metadata.Part, f *foundSet) error {
	if f == nil {
		return fmt.Errorf("no shard was found: %w", ErrDamaged)
	}
	ids, found := rb.placed(f)
	if found < int(p.K) {
		return fmt.Errorf("%d of %d shards were found, %d are needed: %w", found, len(ids), p.K, ErrDamaged)
	}
	p.Targets = ids
	return nil
}

// locks enters changes of locks that are newer than the snapshot. Those of versions that
// are not there are for the collector.
func (rb *rebuild) locks(ctx context.Context) error {
	for set, f := range rb.sets {
		if f.known || f.kind != kindLock {
			continue
		}
		if rb.old(f) {
			rb.r.Ignored++
			continue
		}
		d, err := rb.describe(ctx, set, f)
		if err == nil {
			if err = rb.use(d.part, f); err == nil {
				err = rb.c.Meta.ImportLock(ctx, d.bucket, d.version)
			}
		}
		if err := over(ctx, err); err != nil {
			return err
		}
		switch {
		case errors.Is(err, metadata.ErrNoSuchVersion):
			rb.r.Ignored++
		case err != nil:
			problem(&rb.r.Problems, "lock in set %x not imported: %v", set, err)
		default:
			rb.r.Locks++
		}
	}
	return nil
}

// parts enters parts of uploads that the snapshot knows as under way; other
// uploads cannot be gone on with. Of parts with one number the last stays, as it was.
func (rb *rebuild) parts(ctx context.Context) error {
	var list []metadata.SetID
	for set, f := range rb.sets {
		switch {
		case f.known || f.kind != kindPart:
		case rb.old(f):
			rb.r.Ignored++
		default:
			list = append(list, set)
		}
	}
	slices.SortFunc(list, func(a, b metadata.SetID) int {
		return cmp.Or(cmp.Compare(rb.sets[a].made, rb.sets[b].made), bytes.Compare(a[:], b[:]))
	})
	uploads := make(map[metadata.UploadID]bool)
	for _, set := range list {
		f := rb.sets[set]
		d, err := rb.describe(ctx, set, f)
		if err := over(ctx, err); err != nil {
			return err
		}
		if err != nil {
			problem(&rb.r.Problems, "set %x not imported: %v", set, err)
			continue
		}
		if _, err = rb.c.Meta.Upload(ctx, d.bucket, d.key, d.upload); err == nil {
			if err = rb.use(d.part, f); err == nil {
				err = rb.c.Meta.ImportPart(ctx, d.bucket, d.key, d.upload, d.part)
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			uploads[d.upload] = true
		}
	}
	rb.r.Uploads = int64(len(uploads))
	return nil
}

// keepSnapshots makes the snapshots on the targets known, so that they are kept
// until newer ones are there.
func (rb *rebuild) keepSnapshots(ctx context.Context) error {
	for set, f := range rb.sets {
		if f.kind != kindSnapshot || f.known {
			continue
		}
		d, err := rb.describe(ctx, set, f)
		if err := over(ctx, err); err != nil {
			return err
		}
		if err != nil {
			continue
		}
		d.part.Targets, _ = rb.placed(f)
		if err := rb.c.Meta.AddSnapshotPart(ctx, d.snapshot.seq, d.snapshot.piece, d.part); err != nil {
			return err
		}
	}
	return nil
}

// place corrects where the records say that shards are, and queues those that are
// not there for repair. A shard on a target that was not given stays there.
func (rb *rebuild) place(ctx context.Context) error {
	return rb.walk(ctx, func(ref metadata.PartRef, p *metadata.Part) error {
		ids, good := make([]metadata.TargetID, len(p.Targets)), 0
		if f := rb.sets[p.Set]; f != nil && len(f.where) == len(ids) {
			ids, good = rb.placed(f)
		}
		var lost uint64
		for i := range ids {
			switch old := p.Targets[i]; {
			case ids[i] != 0:
			case old != 0 && !slices.Contains(rb.ids, old):
				ids[i] = old
			default:
				lost |= 1 << i
			}
		}
		if good < int(p.K) {
			rb.r.Lost++
			problem(&rb.r.Problems, "%q part %d: %d shards of %d are there, %d are needed", ref.Key, ref.Number, good, len(ids), p.K)
		}
		if !slices.Equal(ids, p.Targets) {
			err := rb.c.Meta.UpdatePart(ctx, ref, func(p *metadata.Part) error {
				p.Targets = ids
				return nil
			})
			if err != nil {
				return err
			}
		}
		if lost == 0 {
			return nil
		}
		rb.r.Damaged++
		return rb.c.Meta.AddDamage(ctx, []metadata.Damage{{Ref: ref, Set: p.Set, Shards: lost}})
	})
}
