package store

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/node"
	"github.com/weftstore/weft/node/extent"
)

// shardFate is what was found of a shard on its target.
type shardFate uint8

const (
	shardGood shardFate = iota
	shardMissing
	shardCorrupt
	shardAway // its target does not answer: it may be there
)

// inspected is a part and the fates of its shards.
type inspected struct {
	ref   metadata.PartRef
	part  metadata.Part
	fates []shardFate
}

// count is the number of shards with a fate.
func (p *inspected) count(f shardFate) int {
	n := 0
	for _, g := range p.fates {
		if f == g {
			n++
		}
	}
	return n
}

// lost has a bit for every shard that is missing or corrupt.
func (p *inspected) lost() (mask uint64) {
	for i, f := range p.fates {
		if f == shardMissing || f == shardCorrupt {
			mask |= 1 << i
		}
	}
	return mask
}

// misplaced has a bit for every good shard that should move: to another failure domain,
// or away from a target that is drained.
func (p *inspected) misplaced(tp *topology) (mask uint64) {
	for i, f := range p.fates {
		if f == shardGood {
			mask |= 1 << i
		}
	}
	return mask & (tp.surplus(&p.part) | tp.leaving(&p.part))
}

const inspectBatch = 256

// walk inspects all parts, a batch at a time; fn sees them one by one. Parts that
// changed while they were looked at are looked at again or left out.
func (s *Store) walk(ctx context.Context, deep bool, t *throttle, fn func(*inspected) error) error {
	var at []byte
	for {
		var batch []*inspected
		next, err := s.meta.WalkParts(ctx, at, inspectBatch, func(ref metadata.PartRef, p *metadata.Part) error {
			own := *p
			own.Targets = slices.Clone(p.Targets)
			batch = append(batch, &inspected{ref: ref, part: own})
			return nil
		})
		if err != nil {
			return err
		}
		s.inspect(ctx, batch, deep, t)
		for _, p := range batch {
			if p.count(shardGood) < len(p.fates) && !s.again(ctx, p, deep, t) {
				continue
			}
			if err := fn(p); err != nil {
				return err
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if len(next) == 0 {
			return nil
		}
		at = next
	}
}

// again looks at a suspect once more, as its record is now; false when it is gone.
func (s *Store) again(ctx context.Context, p *inspected, deep bool, t *throttle) bool {
	now, err := s.meta.PartFor(ctx, p.ref)
	if err != nil {
		return !errors.Is(err, metadata.ErrStale) && !errors.Is(err, metadata.ErrNoSuchUpload)
	}
	p.part = *now
	s.inspect(ctx, []*inspected{p}, deep, t)
	if p.count(shardGood) == len(p.fates) {
		return true
	}
	// It may have been deleted and collected since.
	_, err = s.meta.PartFor(ctx, p.ref)
	return !errors.Is(err, metadata.ErrStale)
}

// inspect finds the fates of all shards, one target beside the other.
func (s *Store) inspect(ctx context.Context, batch []*inspected, deep bool, t *throttle) {
	type shard struct {
		p *inspected
		i int
	}
	perTarget := make(map[metadata.TargetID][]shard)
	for _, p := range batch {
		p.fates = make([]shardFate, int(p.part.K)+int(p.part.M))
		s.know(ctx, &p.part)
		for i := range p.fates {
			var id metadata.TargetID
			if i < len(p.part.Targets) {
				id = p.part.Targets[i]
			}
			if s.target(id) == nil { // nowhere, or on a target that was retired
				p.fates[i] = shardMissing
				continue
			}
			perTarget[id] = append(perTarget[id], shard{p, i})
		}
	}
	var wg sync.WaitGroup
	for id, list := range perTarget {
		wg.Go(func() {
			tg := s.target(id)
			for _, sh := range list {
				sh.p.fates[sh.i] = s.fate(ctx, tg, &sh.p.part, sh.i, deep, t)
			}
		})
	}
	wg.Wait()
}

// statter is a Target that tells of a chunk without reading its descriptor.
type statter interface {
	Stat(ctx context.Context, id extent.ID) (extent.Info, error)
}

func (s *Store) stat(ctx context.Context, api Target, id extent.ID) (extent.Info, error) {
	call, cancel := context.WithTimeout(ctx, s.cfg.OpTimeout)
	defer cancel()
	if st, ok := api.(statter); ok {
		return st.Stat(call, id)
	}
	info, _, err := api.Meta(call, id)
	return info, err
}

// fate looks at one shard.
func (s *Store) fate(ctx context.Context, t *target, p *metadata.Part, shard int, deep bool, th *throttle) shardFate {
	if t == nil {
		return shardMissing // its target was removed meanwhile
	}
	away := shardAway
	if t.drains {
		away = shardMissing // nobody waits for it: the shard is made anew elsewhere
	}
	if !t.usable(s.now()) {
		return away
	}
	api := t.get()
	if api == nil {
		return away
	}
	id, length := chunkID(p.Set, shard), geometry(p).ChunkLen()
	info, err := s.stat(ctx, api, id)
	if err == nil && info.Length != length {
		return shardCorrupt
	}
	if err == nil && deep {
		if th.wait(ctx, length) != nil {
			return shardAway
		}
		err = s.verify(ctx, api, id, length)
	}
	switch {
	case err == nil:
		return shardGood
	case errors.Is(err, extent.ErrNotFound):
		return shardMissing
	case errors.Is(err, extent.ErrCorrupt):
		return shardCorrupt
	}
	s.note(t, "read", err)
	if deep && badSector(err) && t.usable(s.now()) {
		return shardCorrupt
	}
	return shardAway
}

// badSector says that err may be of the one place where a chunk is, as when its target
// goes on to work.
func badSector(err error) bool { return errors.Is(err, node.ErrIO) }

// verifyRate is the slowest reading of a target that is not a hang.
const verifyRate = 1 << 20

// verify reads a chunk at its target; a long one may take longer than OpTimeout.
func (s *Store) verify(ctx context.Context, api Target, id extent.ID, length int64) error {
	seconds := length / verifyRate
	call, cancel := context.WithTimeout(ctx, s.cfg.OpTimeout+time.Duration(seconds)*time.Second)
	defer cancel()
	return api.Verify(call, id)
}
