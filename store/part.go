package store

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/weftstore/weft/erasure"
	"github.com/weftstore/weft/internal/checksum"
	"github.com/weftstore/weft/internal/tracing"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/node/extent"
)

// partSource is what becomes one chunk set.
type partSource struct {
	body   io.Reader
	size   int64
	layout erasure.Layout
	alg    checksum.Algorithm
	check  func(Sums) error // may be nil
	seal   *Seal            // nil: as it is
	// describe completes what the part belongs to and returns the descriptor for
	// its chunks. It is called once, after check, when nothing but Targets of lost
	// shards can change in part any more.
	describe func(part *metadata.Part, sums Sums) ([]byte, error)
}

// stored is a chunk set that is durable but not referred to yet.
type stored struct {
	part metadata.Part
	sums Sums
	lost uint64 // bit i: shard i is missing
	term int64  // in which it was begun
}

// cut chooses the geometry of a new part.
func (s *Store) cut(layout erasure.Layout, size int64) erasure.Geometry {
	if size <= int64(s.cfg.SmallMax) {
		return erasure.NewGeometry(layout.Small(), extent.MaxInline, size)
	}
	return erasure.NewGeometry(layout, s.pool.BlockSize(), size)
}

// storePart reads a body and makes it durable on a write quorum. After an error
// nothing of it stays, but for what the garbage queue knows.
//
// The set is pinned until settled is called, or unmade.
func (s *Store) storePart(ctx context.Context, src *partSource) (*stored, error) {
	term, err := s.term()
	if err != nil {
		return nil, err
	}
	out := &stored{term: term}
	out.part.Set = newSet()
	s.pins.pin(out.part.Set)
	ctx, span := tracing.Start(ctx, "store.put")
	span.Int("weft.bytes", src.size)
	err = s.storeSet(ctx, src, out)
	endSpan(span, err)
	if err != nil {
		s.settled(out.part.Set)
		return nil, err
	}
	return out, nil
}

// settled tells that it is certain whether a record refers to a set that was written.
func (s *Store) settled(set metadata.SetID) { s.pins.unpin(set) }

func (s *Store) storeSet(ctx context.Context, src *partSource, out *stored) error {
	size, bytes := src.size, src.body
	var sealed *sealing
	if src.seal != nil && size > 0 {
		var err error
		if sealed, err = newSealing(src, out.part.Set); err != nil {
			return err
		}
		defer sealed.stop()
		size, bytes = sealedSize(size), sealed
	}
	g, quorum := s.layoutFor(src.layout, size)
	out.part = metadata.Part{
		Number: 1, Set: out.part.Set, K: g.Layout.K, M: g.Layout.M,
		Block: uint32(g.Block), Size: src.size, Modified: s.now(), Sealed: sealed != nil,
	}
	targets := s.place(g.Layout, g.Layout.Shards(), quorum, nil, nil)
	if err := s.enough(targets, g.Layout, quorum); err != nil {
		return err
	}
	w := &partJob{s: s, src: src, g: g, quorum: quorum, targets: targets, out: out, sealed: sealed, body: body{r: bytes, left: size}}
	if sealed == nil {
		w.sums = newSummer(src.alg, size)
	}
	defer w.sums.stop()
	var err error
	if g.ChunkLen() <= int64(min(extent.MaxInline, s.small.BlockSize())) {
		err = w.storeInline(ctx)
	} else {
		err = w.storeStriped(ctx)
	}
	if err != nil {
		return err
	}
	if out.lost != 0 {
		if f := s.cfg.Events.DegradedWrite; f != nil {
			f(popcount(out.lost))
		}
	}
	return nil
}

// partJob is one part on its way to the targets.
type partJob struct {
	s       *Store
	src     *partSource
	g       erasure.Geometry
	quorum  int       // shards that must be durable
	targets []*target // by shard as first placed; nil is nowhere
	out     *stored
	body    body
	sums    *summer  // nil when sealed has the sums
	sealed  *sealing // nil when the body is stored as it is
}

// enough fails when no write quorum of targets was found.
func (s *Store) enough(targets []*target, l erasure.Layout, quorum int) error {
	n, full, now := 0, 0, s.now()
	for _, t := range targets {
		if t == nil {
			continue
		}
		n++
		if t.full(now) {
			full++
		}
	}
	switch {
	case n < quorum:
		return fmt.Errorf("place %v: %d targets in different enough failure domains are there, %d are needed: %w", l, n, quorum, ErrUnavailable)
	case n-full < quorum:
		return fmt.Errorf("place %v: %d of %d targets are full: %w", l, full, n, ErrFull)
	}
	return nil
}

// seal ends the body, lets the caller check the sums and gives the descriptor.
func (w *partJob) seal() ([]byte, error) {
	if err := w.body.end(); err != nil {
		return nil, err
	}
	var etag [16]byte
	if w.sealed != nil {
		w.out.sums, etag = w.sealed.finish()
	} else {
		w.out.sums = w.sums.finish()
		etag = w.out.sums.MD5
	}
	if w.src.check != nil {
		if err := w.src.check(w.out.sums); err != nil {
			return nil, err
		}
	}
	w.out.sums.MD5 = etag
	w.out.part.MD5, w.out.part.Digest = etag, w.out.sums.Digest
	return w.src.describe(&w.out.part, w.out.sums)
}

// placed records where the shards are that were stored. When the targets of too many were
// removed meanwhile the part is given up.
func (w *partJob) placed(on []*target) error {
	w.setTargets(on)
	if n := len(on) - popcount(w.out.lost); n < w.quorum {
		w.s.discard(w.out.part.Set, targetIDs(on))
		return quorumErrorOf(n, w.quorum, nil)
	}
	return nil
}

// setTargets records where the shards are. What is on a target that was removed is lost.
func (w *partJob) setTargets(placed []*target) {
	w.out.part.Targets = make([]metadata.TargetID, len(placed))
	w.out.lost = 0
	for i, t := range placed {
		if t == nil || w.s.target(t.id) == nil {
			w.out.lost |= 1 << i
			continue
		}
		w.out.part.Targets[i] = t.id
	}
}

// quorumErrorOf is the error of a write that too few targets took.
func quorumErrorOf(done, quorum int, errs []error) error {
	full, none, failed := 0, 0, 0
	var last error
	for _, err := range errs {
		if err == nil {
			continue
		}
		failed++
		last = err
		if errors.Is(err, extent.ErrFull) {
			full++
		}
		if errors.Is(err, errNoTarget) {
			none++
		}
	}
	kind := ErrUnavailable
	// Room on the full ones would do, also for what found no target beside them.
	if full > 0 && full+none == failed {
		kind = ErrFull
	}
	if last == nil {
		last = errNoTarget
	}
	return fmt.Errorf("write shards: %d of %d possible: %w: %w", done, quorum, kind, last)
}
