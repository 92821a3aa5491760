package store

import (
	"context"
	"errors"
	"time"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/node/extent"
)

const (
	listPage = 1000
	// orphanAge is how old a chunk must be that nothing refers to before it is an
	// orphan, unless this process works alone and is younger: far longer than a write
	// takes from its chunks' commit to that of its metadata. What is certain is the
	// pins of all gateways; the age spares the search.
	orphanAge = 10 * time.Minute
)

// sweep looks for chunks that nothing refers to, and deletes them if asked to. It
// returns how many it deleted and counts in r.
func (s *Store) sweep(ctx context.Context, del bool, r *CheckResult, report Report) (deleted int64, err error) {
	p := newProgress(report, "check chunks")
	for _, t := range s.topology.Load().list {
		var after *extent.ID
		for {
			api := t.get()
			if api == nil || !t.usable(s.now()) {
				break // what is there cannot be said now
			}
			call, cancel := context.WithTimeout(ctx, s.cfg.OpTimeout)
			page, err := api.List(call, after, listPage)
			cancel()
			if err != nil {
				s.note(t, "read", err)
				if ctx.Err() != nil {
					return deleted, ctx.Err()
				}
				problem(&r.Problems, "target %d (%s): listing failed: %v", t.id, t.name, err)
				break
			}
			n, err := s.sweepPage(ctx, t, api, page, del, r)
			deleted += n
			if err != nil {
				return deleted, err
			}
			p.add(int64(len(page)), 0)
			if len(page) < listPage {
				break
			}
			after = &page[len(page)-1].ID
		}
	}
	return deleted, nil
}

func (s *Store) sweepPage(ctx context.Context, t *target, api Target, page []extent.Info, del bool, r *CheckResult) (int64, error) {
	r.Chunks += int64(len(page))
	suspects := make(map[extent.ID]extent.Info)
	for _, info := range page {
		if !s.old(info) {
			continue
		}
		owned, err := s.owned(ctx, t, api, info.ID)
		if err != nil {
			return 0, err
		}
		if !owned {
			suspects[info.ID] = info
		}
	}
	if len(suspects) == 0 {
		return 0, nil
	}
	// The chunks were listed before. Whoever is to write a record that refers to one
	// names it now, or cannot any more.
	used, err := s.inUse(ctx)
	if err != nil {
		return 0, err
	}
	for id := range suspects {
		if used(metadata.SetID(id.Set)) {
			delete(suspects, id)
		}
	}
	// After the look at the records: what was deleted before it is in the queue, or
	// collected and gone from the target.
	err = s.eachGarbage(ctx, func(g *metadata.Garbage) {
		for i, id := range g.Targets {
			if id == t.id {
				delete(suspects, chunkID(g.Set, i))
			}
		}
	})
	if err != nil {
		return 0, err
	}
	var n int64
	for id, info := range suspects {
		orphan, err := s.collect(ctx, t, api, id, del)
		if err != nil {
			return n, err
		}
		if orphan {
			r.Orphans++
			r.OrphanBytes += info.Length
			n++
		}
	}
	if !del {
		n = 0
	}
	return n, nil
}

// old says that a chunk is no write under way.
func (s *Store) old(info extent.Info) bool {
	return s.cfg.Peers == nil && info.Created.Before(s.upkeep.started) || info.Created.Before(s.now().Add(-orphanAge))
}

// collect looks at a suspect a last time and deletes it if asked to.
func (s *Store) collect(ctx context.Context, t *target, api Target, id extent.ID, del bool) (bool, error) {
	s.upkeep.placing.Lock()
	defer s.upkeep.placing.Unlock()
	info, err := s.stat(ctx, api, id)
	if err != nil || !s.old(info) {
		return false, nil //nolint:nilerr // gone, replaced or not to be told: no orphan
	}
	owned, err := s.owned(ctx, t, api, id)
	if err != nil || owned {
		return false, err
	}
	return !del || s.tryDelete(t, id), nil
}

// owned says whether the record that the chunk's descriptor names refers to the
// chunk there. What cannot be read counts as owned.
func (s *Store) owned(ctx context.Context, t *target, api Target, id extent.ID) (bool, error) {
	call, cancel := context.WithTimeout(ctx, s.cfg.OpTimeout)
	defer cancel()
	_, meta, err := api.Meta(call, id)
	if err != nil {
		return true, ctx.Err()
	}
	d, err := decodeDescriptor(meta)
	if err != nil {
		return true, nil //nolint:nilerr // somebody else's, or of a newer version
	}
	return s.refersTo(ctx, d, t, id)
}

// refersTo says whether the record that a descriptor names refers to a chunk on t. A part in
// one piece is found also when its object was renamed.
func (s *Store) refersTo(ctx context.Context, d *descriptor, t *target, id extent.ID) (bool, error) {
	set := metadata.SetID(id.Set)
	var p *metadata.Part
	var err error
	if d.kind == kindSnapshot {
		p, err = s.meta.SnapshotPart(ctx, d.snapshot.seq, d.snapshot.piece)
	} else {
		var ref metadata.PartRef
		if ref, err = s.refOf(ctx, d, set); err == nil {
			p, err = s.meta.PartFor(ctx, ref)
		}
	}
	switch {
	case errors.Is(err, metadata.ErrStale), errors.Is(err, metadata.ErrNoSuchBucket):
		return false, nil
	case err != nil:
		return true, err
	}
	i := int(id.Index)
	return p.Set == set && i < len(p.Targets) && p.Targets[i] == t.id, nil
}

// refOf names the record that a descriptor's part belongs to.
func (s *Store) refOf(ctx context.Context, d *descriptor, set metadata.SetID) (metadata.PartRef, error) {
	b, err := s.meta.Bucket(ctx, d.bucket)
	if err != nil {
		return metadata.PartRef{}, err
	}
	ref := metadata.PartRef{BucketID: b.ID, Key: d.key, Set: set}
	switch d.kind {
	case kindObject:
		ref.Version, ref.Number = d.version.ID, 1
	case kindManifest:
		ref.Version = d.version.ID
	case kindLock:
		ref.Version, ref.Number = d.version.ID, metadata.LockPartNumber
	default:
		ref.Upload, ref.Number = d.upload, d.part.Number
	}
	return ref, nil
}
