package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/weftstore/weft/metadata"
)

const (
	// snapshotPieceSize is how much of a snapshot is one chunk set. It is held in memory.
	snapshotPieceSize = 4 << 20
	// keepSnapshots complete ones stay on the targets.
	keepSnapshots = 2
)

// Snapshot writes the metadata as it is at one moment to the targets, for Rebuild,
// and drops older snapshots but one. What was written of one that fails is dropped.
func (s *Store) Snapshot(ctx context.Context) error {
	s.upkeep.snapshotting.Lock()
	defer s.upkeep.snapshotting.Unlock()
	begin := s.now()
	changes, clock, err := s.allChanges(ctx)
	if err != nil {
		return fmt.Errorf("snapshot of the metadata: %w", err)
	}
	if clock != 0 && clock < begin.UnixNano() {
		// A rebuild must not take what that gateway writes from now on for older.
		begin = time.Unix(0, clock)
	}
	w := &snapshotWriter{s: s, ctx: ctx, seq: uint64(begin.UnixNano())}
	err = s.meta.SnapshotTo(ctx, w)
	if err == nil {
		err = w.flush(true)
	}
	if err == nil {
		err = w.publish()
	}
	defer func() {
		for i := range w.parts {
			s.settled(w.parts[i].Set)
		}
	}()
	if err != nil {
		if !errors.Is(err, metadata.ErrUnknown) { // then the sweep sees whether it was recorded
			for i := range w.parts {
				s.discard(w.parts[i].Set, w.parts[i].Targets)
			}
		}
		return fmt.Errorf("snapshot of the metadata: %w", err)
	}
	s.upkeep.lastSnapshot.Store(begin.UnixNano())
	s.upkeep.snapshotAt.Store(&changes)
	s.meta.NewerThan(begin.UnixNano())
	return s.dropSnapshots(s.within(ctx, w.term), w.seq)
}

// newerThanSnapshots makes the ids of what is put from now on newer than the snapshots that
// are there, also when the clock went back: Rebuild goes by them.
func (s *Store) newerThanSnapshots() {
	ctx, cancel := context.WithTimeout(s.ctx, 3*time.Second)
	defer cancel()
	seqs, err := s.meta.SnapshotSeqs(ctx)
	if err != nil {
		s.log.Warn("it is not known when the last snapshot of the metadata was taken", "error", err)
	}
	if len(seqs) > 0 {
		s.meta.NewerThan(int64(seqs[len(seqs)-1]))
	}
}

// SnapshotIfChanged is Snapshot when this process, or one of its peers, changed the
// metadata since the last one that this process took, or, alone, since its start.
func (s *Store) SnapshotIfChanged(ctx context.Context) error {
	now, _, err := s.allChanges(ctx)
	if err != nil {
		return fmt.Errorf("snapshot of the metadata: %w", err)
	}
	if last := s.upkeep.snapshotAt.Load(); last != nil && now == *last || last == nil && now == "0" {
		return nil
	}
	return s.Snapshot(ctx)
}

// allChanges is another string after every change of the metadata. clock is PeerReport's.
func (s *Store) allChanges(ctx context.Context) (changes string, clock int64, err error) {
	own := strconv.FormatUint(s.meta.Changes(), 10)
	if s.cfg.Peers == nil {
		return own, 0, nil
	}
	r, err := s.cfg.Peers.Ask(ctx)
	if err != nil {
		return "", 0, err
	}
	return own + " " + r.Changes, r.Clock, nil
}

// dropSnapshots keeps the newest up to the one that was just taken. What is newer is of a clock
// that was ahead: a rebuild would take what was written since for older.
func (s *Store) dropSnapshots(ctx context.Context, taken uint64) error {
	seqs, err := s.wholeSnapshots(ctx)
	past, _ := slices.BinarySearch(seqs, taken+1)
	for i := 0; err == nil && i < len(seqs); i++ {
		if i < past-keepSnapshots || i >= past {
			err = s.meta.DropSnapshot(ctx, seqs[i])
		}
	}
	s.kickGC()
	return err
}

// wholeSnapshots lists the snapshots, oldest first, and drops those of which not all pieces were
// recorded.
func (s *Store) wholeSnapshots(ctx context.Context) (whole []uint64, err error) {
	seqs, err := s.meta.SnapshotSeqs(ctx)
	if err != nil {
		return nil, err
	}
	for _, seq := range seqs {
		_, err := s.meta.SnapshotPart(ctx, seq, 0)
		if errors.Is(err, metadata.ErrStale) {
			err = s.meta.DropSnapshot(ctx, seq)
		} else {
			whole = append(whole, seq)
		}
		if err != nil {
			return nil, err
		}
	}
	return whole, nil
}

// snapshotWriter cuts a stream into chunk sets. Its records are made at the end, as
// none may be made while the engine's snapshot is read.
type snapshotWriter struct {
	s     *Store
	ctx   context.Context
	seq   uint64
	buf   []byte
	parts []metadata.Part
	term  int64 // of the first part: when it ends, all are abandoned
}

// Write is an io.Writer's.
func (w *snapshotWriter) Write(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if len(w.buf) == snapshotPieceSize {
			if err := w.flush(false); err != nil {
				return n, err
			}
		}
		m := min(len(p)-n, snapshotPieceSize-len(w.buf))
		w.buf = append(w.buf, p[n:n+m]...)
		n += m
	}
	return n, nil
}

// flush stores a piece.
func (w *snapshotWriter) flush(last bool) error {
	st, err := w.s.storePart(w.ctx, &partSource{
		body: bytes.NewReader(w.buf), size: int64(len(w.buf)), layout: w.s.cfg.Layout,
		describe: func(part *metadata.Part, _ Sums) ([]byte, error) {
			d := descriptor{kind: kindSnapshot, part: part, snapshot: snapshotPiece{w.seq, uint32(len(w.parts)), last}}
			return d.encode(nil)
		},
	})
	if err != nil {
		return err
	}
	if len(w.parts) == 0 {
		w.term = st.term
	}
	w.parts = append(w.parts, st.part)
	w.buf = w.buf[:0]
	return nil
}

// publish records the pieces, the first one last: without it a snapshot is not whole.
func (w *snapshotWriter) publish() error {
	ctx, cancel := w.s.commitContext(w.ctx, w.term)
	defer cancel()
	for i := len(w.parts) - 1; i >= 0; i-- {
		if err := w.s.meta.AddSnapshotPart(ctx, w.seq, uint32(i), &w.parts[i]); err != nil {
			return err
		}
	}
	return nil
}
