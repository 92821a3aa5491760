package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/node/extent"
)

// The place of the scrub is kept in records of the metadata (metadata.DB.Work):
//
//	scrub            when the pass began 8, when the last whole one ended 8 (Unix nanoseconds);
//	                 began 0: none was, and the first is counted from the end
//	scrub/TARGET     for each target, 5 digits: when the pass began 8, and of the last chunk
//	                 that was verified set 16, index 1; no chunk: the target is done
//
// Integers are little-endian. A pass that ended when it began, or later, is whole.

// scrubPass is the record "scrub".
type scrubPass struct{ began, ended int64 }

// saveEvery is the time between two records of a target's place.
const saveEvery = 30 * time.Second

func (s *Store) scrubPass(ctx context.Context) (p scrubPass, err error) {
	b, err := s.meta.Work(ctx, "scrub")
	if err != nil || len(b) != 16 {
		return p, err // what is not readable is begun anew
	}
	return scrubPass{int64(binary.LittleEndian.Uint64(b)), int64(binary.LittleEndian.Uint64(b[8:]))}, nil
}

func (s *Store) setScrubPass(ctx context.Context, p scrubPass) error {
	b := binary.LittleEndian.AppendUint64(nil, uint64(p.began))
	return s.meta.SetWork(ctx, "scrub", binary.LittleEndian.AppendUint64(b, uint64(p.ended)))
}

// scrubPlace is where a pass is on a target.
type scrubPlace struct {
	pass  int64
	after *extent.ID // nil and not done: at the beginning
	done  bool
}

func placeName(id metadata.TargetID) string { return fmt.Sprintf("scrub/%05d", id) }

const placeLen = 8 + 16 + 1

func decodePlace(b []byte) (p scrubPlace) {
	switch len(b) {
	case 8:
		p.done = true
	case placeLen:
		p.after = &extent.ID{Set: [16]byte(b[8:24]), Index: b[24]}
	default:
		return p
	}
	p.pass = int64(binary.LittleEndian.Uint64(b))
	return p
}

func encodePlace(p scrubPlace) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(p.pass))
	if p.done {
		return b
	}
	return append(append(b, p.after.Set[:]...), p.after.Index)
}

// scrubPlace is where the pass goes on.
func (s *Store) scrubPlace(ctx context.Context, id metadata.TargetID, pass int64) (scrubPlace, error) {
	b, err := s.meta.Work(ctx, placeName(id))
	if p := decodePlace(b); err == nil && p.pass == pass {
		return p, nil
	}
	return scrubPlace{pass: pass}, err
}

func (s *Store) setScrubPlace(ctx context.Context, id metadata.TargetID, p scrubPlace) error {
	return s.meta.SetWork(ctx, placeName(id), encodePlace(p))
}

// beginScrub gives the pass that is to be done: a new one, or what is left of the last.
func (s *Store) beginScrub(ctx context.Context, resume bool) (scrubPass, error) {
	p, err := s.scrubPass(ctx)
	if err != nil || resume && p.ended < p.began {
		return p, err
	}
	p.began = max(s.now().UnixNano(), p.ended+1)
	return p, s.setScrubPass(ctx, p)
}

// scrubDue says whether a pass is to be begun, or gone on with.
func (s *Store) scrubDue(ctx context.Context, every time.Duration) (bool, error) {
	p, err := s.scrubPass(ctx)
	if err != nil {
		return false, err
	}
	if p == (scrubPass{}) { // of a store that was never scrubbed
		now := s.now().UnixNano()
		return false, s.setScrubPass(ctx, scrubPass{ended: now})
	}
	return p.ended < p.began || s.now().Sub(time.Unix(0, p.ended)) >= every, nil
}
