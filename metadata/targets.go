package metadata

import (
	"context"
	"errors"
	"fmt"
)

// Targets reads the table of targets in the order of their ids, retired ones too.
func (db *DB) Targets(ctx context.Context) ([]Target, error) {
	var list []Target
	err := db.view(ctx, "read targets", func(r Reader, _ *scratch) (err error) {
		list, err = readTargets(r)
		return err
	})
	return list, err
}

func readTargets(r Reader) (list []Target, err error) {
	all := []byte{spaceTarget}
	var bad error
	err = r.Scan(all, prefixEnd(all), func(k, raw []byte) bool {
		t, err := decodeTarget(k, raw)
		if err != nil {
			bad = fmt.Errorf("target: %w", err)
			return false
		}
		list = append(list, t)
		return true
	})
	if err == nil {
		err = bad
	}
	return list, err
}

// AddTarget enters a target and returns its id, or the id that uuid has already.
func (db *DB) AddTarget(ctx context.Context, uuid [16]byte, path string) (TargetID, error) {
	var id TargetID
	err := db.update(ctx, "add target", func(t Txn, s *scratch) error {
		list, err := readTargets(t)
		if err != nil {
			return err
		}
		id = 1
		for _, old := range list {
			if old.UUID == uuid {
				id = old.ID
				return nil
			}
			id = old.ID + 1 // rows are never removed
		}
		if id == 0 {
			return errTooManyTargets
		}
		return putTarget(t, s, &Target{ID: id, UUID: uuid, Path: path, Added: db.now()})
	})
	return id, err
}

var errTooManyTargets = errors.New("no target ids left")

// SetTarget replaces the row with t.ID, or makes it.
func (db *DB) SetTarget(ctx context.Context, t Target) error {
	return db.update(ctx, "set target", func(txn Txn, s *scratch) error { return putTarget(txn, s, &t) })
}

// UpdateTarget changes the row with an id: edit is run in the transaction, possibly more
// than once, and its error ends it. ErrStale when there is no such row.
func (db *DB) UpdateTarget(ctx context.Context, id TargetID, edit func(*Target) error) (Target, error) {
	var row Target
	err := db.update(ctx, "update target", func(t Txn, s *scratch) error {
		s.key = keyTarget(s.key, id)
		raw, err := t.Get(s.key)
		if err != nil {
			return err
		}
		if raw == nil {
			return ErrStale
		}
		if row, err = decodeTarget(s.key, raw); err != nil {
			return fmt.Errorf("target: %w", err)
		}
		if err := edit(&row); err != nil {
			return err
		}
		return putTarget(t, s, &row)
	})
	return row, err
}

func putTarget(t Txn, s *scratch, target *Target) error {
	s.key = keyTarget(s.key, target.ID)
	s.value = encodeTarget(s.value[:0], s.key, target)
	return t.Put(s.key, s.value)
}

// PartFor reads the part that ref names. ErrStale when there is none or it is
// another Set than ref's.
func (db *DB) PartFor(ctx context.Context, ref PartRef) (*Part, error) {
	var p *Part
	at, err := db.partitionOf(ctx, "read part", ref.BucketID)
	if err != nil {
		return nil, err
	}
	err = db.viewAt(ctx, "read part", at, func(r Reader, s *scratch) (err error) {
		_, _, p, err = findPart(r, s, &ref)
		return err
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// UpdatePart changes the part that ref names: edit may change Targets and nothing
// else, is run in the transaction and possibly more than once, and its error ends it.
// ErrStale when there is no such part or it is another Set than ref's.
func (db *DB) UpdatePart(ctx context.Context, ref PartRef, edit func(*Part) error) error {
	at, err := db.partitionOf(ctx, "update part", ref.BucketID)
	if err != nil {
		return err
	}
	defer db.changes.Add(1)
	return db.upkeepAt(ctx, "update part", at, func(t Txn, s *scratch) error {
		v, current, p, err := findPart(t, s, &ref)
		if err != nil {
			return err
		}
		if err := edit(p); err != nil {
			return err
		}
		if v == nil {
			return putPart(t, s, ref.Upload, p)
		}
		o := object{db: db, t: t, s: s, bucket: &Bucket{ID: ref.BucketID}, key: ref.Key}
		if current {
			return o.setCurrent(v)
		}
		return o.addOld(v)
	})
}

// findPart also gives the version that holds the part, nil for a part of an upload,
// and whether the version is in space o. A reference to the part of an object in one piece
// holds when the part has come under an upload id since, which it then names.
func findPart(r Reader, s *scratch, ref *PartRef) (v *Version, current bool, p *Part, err error) {
	v, current, p, err = lookPart(r, s, ref)
	if !errors.Is(err, ErrStale) || ref.Upload != (UploadID{}) || ref.Number != 1 || ref.Set == (SetID{}) {
		return v, current, p, err
	}
	moved := *ref
	moved.Upload = UploadOf(ref.Set)
	if v, current, p, err = lookPart(r, s, &moved); err == nil {
		*ref = moved
	}
	return v, current, p, err
}

// lookPart is findPart for the very record that ref names.
func lookPart(r Reader, s *scratch, ref *PartRef) (v *Version, current bool, p *Part, err error) {
	if ref.Upload != (UploadID{}) {
		s.key = keyPart(s.key, ref.Upload, ref.Number)
		raw, err := r.Get(s.key)
		if err != nil {
			return nil, false, nil, err
		}
		if raw == nil || ref.Number == 0 {
			return nil, false, nil, ErrStale
		}
		p = new(Part)
		if err := decodePart(s.key, raw, p); err != nil {
			return nil, false, nil, fmt.Errorf("part %d of upload %s: %w", ref.Number, ref.Upload, err)
		}
	} else {
		if v, err = readCurrent(r, s, ref.BucketID, ref.Key); err != nil {
			return nil, false, nil, err
		}
		current = v != nil && v.ID == ref.Version
		if !current {
			if v, err = readVersion(r, s, ref.BucketID, ref.Key, ref.Version); err != nil {
				return nil, false, nil, err
			}
		}
		if v == nil {
			return nil, false, nil, ErrStale
		}
		switch ref.Number {
		case 0:
			p = v.Manifest
		case LockPartNumber:
			p = v.LockPart
		default:
			p = v.Inline
		}
	}
	if p == nil || ref.Set != (SetID{}) && ref.Set != p.Set {
		return nil, false, nil, ErrStale
	}
	return v, current, p, nil
}
