package metadata

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A position in the garbage queue is microseconds since garbageEpoch (made unique)
// above garbagePartBits bits that number the parts of an entry that stands for
// all parts of an upload. So replacing an object of 10,000 parts queues one record.
const garbagePartBits = 14

var garbageEpoch = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// nextSeq finds a position that no record has.
func (db *DB) nextSeq(t Txn, s *scratch) (uint64, error) {
	now := uint64(max(db.now().Sub(garbageEpoch).Microseconds(), 0))
	for {
		last := db.lastSeq.Load()
		next := s.own(max(now, last+1))
		if !db.lastSeq.CompareAndSwap(last, next) {
			continue
		}
		// Another gateway may have had the same microsecond.
		s.key = keyGarbage(s.key, next<<garbagePartBits)
		if old, err := t.Get(s.key); err != nil || old == nil {
			return next << garbagePartBits, err
		}
	}
}

func (db *DB) queueGarbage(t Txn, s *scratch, g *garbageRecord) error {
	seq, err := db.nextSeq(t, s)
	if err != nil {
		return err
	}
	if g.garbage.Since.IsZero() {
		g.garbage.Since = db.now()
	}
	s.key = keyGarbage(s.key, seq)
	s.value = encodeGarbage(s.value[:0], s.key, g)
	return t.Put(s.key, s.value)
}

func (db *DB) queueSet(t Txn, s *scratch, set SetID, targets []TargetID) error {
	return db.queueGarbage(t, s, &garbageRecord{kind: garbageSet, garbage: Garbage{Set: set, Targets: targets}})
}

// queueUpload queues all that is stored under an upload id.
func (db *DB) queueUpload(t Txn, s *scratch, id UploadID) error {
	return db.queueGarbage(t, s, &garbageRecord{kind: garbageUpload, upload: id})
}

// AddGarbage queues chunk sets; their Seq is not looked at, and a zero Since is now.
func (db *DB) AddGarbage(ctx context.Context, sets []Garbage) error {
	return db.update(ctx, "add garbage", func(t Txn, s *scratch) error {
		for _, g := range sets {
			if err := db.queueGarbage(t, s, &garbageRecord{kind: garbageSet, garbage: g}); err != nil {
				return err
			}
		}
		return nil
	})
}

// Garbage reads the head of the queue, oldest first.
func (db *DB) Garbage(ctx context.Context, limit int) ([]Garbage, error) {
	return db.GarbageAfter(ctx, 0, limit)
}

// GarbageAfter reads entries whose Seq is above after; 0 is before all. Parts of an
// aborted upload or of a removed multipart object keep their records until
// GarbageDone. A zero Set without targets is an upload that had no parts. Of several
// partitions those that are away are left out.
func (db *DB) GarbageAfter(ctx context.Context, after uint64, limit int) ([]Garbage, error) {
	var list []Garbage
	err := db.eachThatAnswers(func(i int) error {
		var some []Garbage
		err := db.viewAt(ctx, "read garbage", i, func(r Reader, s *scratch) (err error) {
			some, err = garbageAfter(r, s, after, limit)
			return err
		})
		list = append(list, some...)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(db.more) > 0 {
		slices.SortFunc(list, func(a, b Garbage) int { return cmp.Compare(a.Seq, b.Seq) })
		list = list[:min(len(list), limit)]
	}
	return list, nil
}

// garbageAfter is GarbageAfter in one partition.
func garbageAfter(r Reader, s *scratch, after uint64, limit int) (list []Garbage, err error) {
	c := newCursor(r, keyGarbage(nil, after>>garbagePartBits<<garbagePartBits), prefixEnd([]byte{spaceGarbage}), limit)
	for len(list) < limit {
		k, raw, err := c.next()
		if err != nil || k == nil {
			return list, err
		}
		g, err := decodeGarbage(k, raw)
		if err != nil {
			return nil, fmt.Errorf("garbage: %w", err)
		}
		g.garbage.Seq = binary.BigEndian.Uint64(k[1:])
		if g.kind == garbageSet {
			if g.garbage.Seq > after || after == 0 {
				list = append(list, g.garbage)
			}
			continue
		}
		if after == g.garbage.Seq && after != 0 {
			continue // an upload without parts, already seen
		}
		from := uint16(1)
		if after > g.garbage.Seq {
			from = uint16(after-g.garbage.Seq) + 1
		}
		if list, err = appendUploadGarbage(r, s, list, limit, &g, from); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// appendUploadGarbage lists the parts under an upload from number from on.
func appendUploadGarbage(r Reader, s *scratch, list []Garbage, limit int, g *garbageRecord, from uint16) ([]Garbage, error) {
	var bad error
	s.key = keyPart(s.key, g.upload, from)
	s.key2 = keyPart(s.key2, g.upload, ^uint16(0))
	found := false
	err := r.Scan(s.key, s.key2, func(k, raw []byte) bool {
		var p Part
		if bad = decodePart(k, raw, &p); bad != nil {
			return false
		}
		found = true
		list = append(list, Garbage{Seq: g.garbage.Seq + uint64(p.Number), Set: p.Set, Targets: p.Targets, Since: g.garbage.Since})
		return len(list) < limit
	})
	if err == nil && bad != nil {
		err = fmt.Errorf("garbage part: %w", bad)
	}
	if err == nil && !found && from == 1 {
		// An upload without parts: a zero Set without targets, so that GarbageDone gets it.
		list = append(list, Garbage{Seq: g.garbage.Seq, Since: g.garbage.Since})
	}
	return list, err
}

// GarbageDone removes entries. Positions that are not in the queue are ignored.
func (db *DB) GarbageDone(ctx context.Context, seqs []uint64) error {
	var errs []error
	for i := range db.partitions() {
		errs = append(errs, db.garbageDone(ctx, i, seqs))
	}
	return errors.Join(errs...)
}

func (db *DB) garbageDone(ctx context.Context, partition int, seqs []uint64) error {
	return db.upkeepAt(ctx, "remove garbage", partition, func(t Txn, s *scratch) error {
		// Whether an upload has parts left is looked up once, not after each part.
		uploads := map[uint64]UploadID{}
		for _, seq := range seqs {
			number := uint16(seq & (1<<garbagePartBits - 1))
			base := seq - uint64(number)
			id, known := uploads[base]
			if !known {
				g, err := takeGarbage(t, base)
				if err != nil {
					return err
				}
				if g == nil || g.kind == garbageSet {
					continue
				}
				id = g.upload
				uploads[base] = id
			}
			if number > 0 {
				s.key = keyPart(s.key, id, number)
				if err := t.Delete(s.key); err != nil {
					return err
				}
			}
		}
		for base, id := range uploads {
			if err := dropEmptyUpload(t, s, base, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// takeGarbage reads the entry at base, nil if there is none, and removes it if it is
// one chunk set.
func takeGarbage(t Txn, base uint64) (*garbageRecord, error) {
	key := keyGarbage(nil, base)
	raw, err := t.Get(key)
	if err != nil || raw == nil {
		return nil, err
	}
	g, err := decodeGarbage(key, raw)
	if err != nil {
		return nil, fmt.Errorf("garbage: %w", err)
	}
	if g.kind == garbageSet {
		err = t.Delete(key)
	}
	return &g, err
}

// dropEmptyUpload removes the entry of an upload whose parts are all gone.
func dropEmptyUpload(t Txn, s *scratch, base uint64, id UploadID) error {
	rest := false
	s.key = keyPart(s.key, id, 1)
	s.key2 = keyPart(s.key2, id, ^uint16(0))
	if err := t.Scan(s.key, s.key2, func(_, _ []byte) bool { rest = true; return false }); err != nil || rest {
		return err
	}
	s.key = keyPart(s.key, id, 0)
	if err := t.Delete(s.key); err != nil {
		return err
	}
	return t.Delete(keyGarbage(s.key, base))
}

// AddDamage queues repairs; what is queued for the same set already gets the union
// of the shards.
func (db *DB) AddDamage(ctx context.Context, ds []Damage) error {
	return db.upkeep(ctx, "add damage", func(t Txn, s *scratch) error {
		for _, d := range ds {
			s.key = keyDamage(s.key, d.Set)
			raw, err := t.Get(s.key)
			if err != nil {
				return err
			}
			if d.Since.IsZero() {
				d.Since = db.now()
			}
			if raw != nil {
				old, err := decodeDamage(s.key, raw)
				if err != nil {
					return fmt.Errorf("damage: %w", err)
				}
				d.Shards |= old.Shards
				d.Since = old.Since
			}
			s.value = encodeDamage(s.value[:0], s.key, &d)
			if err := t.Put(s.key, s.value); err != nil {
				return err
			}
		}
		return nil
	})
}

// Damage reads entries in the order of their sets, from the first past after (the
// zero SetID is before all).
func (db *DB) Damage(ctx context.Context, after SetID, limit int) ([]Damage, error) {
	var list []Damage
	err := db.view(ctx, "read damage", func(r Reader, s *scratch) error {
		list = nil
		s.key = keyDamage(s.key, after)
		if after != (SetID{}) {
			s.key = append(s.key, 0)
		}
		c := newCursor(r, s.key, prefixEnd([]byte{spaceDamage}), limit)
		for len(list) < limit {
			k, raw, err := c.next()
			if err != nil || k == nil {
				return err
			}
			d, err := decodeDamage(k, raw)
			if err != nil {
				return fmt.Errorf("damage: %w", err)
			}
			list = append(list, d)
		}
		return nil
	})
	return list, err
}

// DamageDone takes shards out of the entry of a set, if there is one: what was reported
// meanwhile of others stays.
func (db *DB) DamageDone(ctx context.Context, set SetID, shards uint64) error {
	return db.upkeep(ctx, "remove damage", func(t Txn, s *scratch) error {
		s.key = keyDamage(s.key, set)
		raw, err := t.Get(s.key)
		if err != nil || raw == nil {
			return err
		}
		d, err := decodeDamage(s.key, raw)
		if err != nil {
			return fmt.Errorf("damage: %w", err)
		}
		if d.Shards &^= shards; d.Shards == 0 {
			return t.Delete(s.key)
		}
		s.value = encodeDamage(s.value[:0], s.key, &d)
		return t.Put(s.key, s.value)
	})
}
