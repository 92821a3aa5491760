package metadata

import (
	"context"
	"encoding/binary"
	"errors"
)

// Delete deletes an object (id "") or removes exactly one version (id "null" or 32
// hexadecimal digits). Without id, a versioned bucket gets a delete marker, a
// suspended one a null marker in place of the null version. Removing the current
// version makes the next newest current. Deleting what is absent is a success. The
// condition is evaluated against the version that id names, else the current one.
//
// ErrNoSuchBucket, ErrPrecondition, ErrStale, ErrNoSuchKey for If-Match without an object,
// ErrLocked, ErrInvalidVersionID, ErrInvalidKey.
func (db *DB) Delete(ctx context.Context, bucket, key, id string, cond Condition) (DeleteResult, error) {
	var res DeleteResult
	err := db.updateIn(ctx, "delete object", bucket, func(t Txn, s *scratch, b *Bucket) (err error) {
		res, err = db.delete(ctx, t, s, b, DeleteItem{key, id, cond})
		return err
	})
	if err != nil {
		return DeleteResult{}, err
	}
	return res, nil
}

// DeleteMany deletes items (at most MaxListPage by S3's rule) in one transaction, or in several
// when that is more than the engine takes. Results have the order of items; what went wrong with
// one is in its Err. The error is for all: ErrNoSuchBucket or the engine's.
func (db *DB) DeleteMany(ctx context.Context, bucket string, items []DeleteItem) ([]DeleteResult, error) {
	res := make([]DeleteResult, len(items))
	err := db.updateIn(ctx, "delete objects", bucket, func(t Txn, s *scratch, b *Bucket) (err error) {
		for i, item := range items {
			res[i], err = db.delete(ctx, t, s, b, item)
			if err != nil && !beforeWrites(err) {
				return err
			}
			res[i].Err = err
		}
		return nil
	})
	if errors.Is(err, ErrCorrupt) {
		// One bad record must not keep the others from being deleted.
		for i, item := range items {
			var err error
			res[i], err = db.Delete(ctx, bucket, item.Key, item.VersionID, item.Cond)
			res[i].Err = err
		}
		return res, nil
	}
	if errors.Is(err, ErrTooLarge) && len(items) > 1 {
		return db.deleteHalves(ctx, bucket, items)
	}
	if err != nil {
		return nil, err
	}
	return res, nil
}

// deleteHalves is DeleteMany of each half. When the first is done, the error of the second is
// that of its items.
func (db *DB) deleteHalves(ctx context.Context, bucket string, items []DeleteItem) ([]DeleteResult, error) {
	half := len(items) / 2
	res, err := db.DeleteMany(ctx, bucket, items[:half])
	if err != nil {
		return nil, err
	}
	rest, err := db.DeleteMany(ctx, bucket, items[half:])
	if err != nil {
		rest = make([]DeleteResult, len(items)-half)
		for i := range rest {
			rest[i].Err = err
		}
	}
	return append(res, rest...), nil
}

// beforeWrites tells errors that delete returns before it changes anything.
func beforeWrites(err error) bool {
	return errors.Is(err, ErrPrecondition) || errors.Is(err, ErrLocked) || errors.Is(err, ErrNoSuchKey) || errors.Is(err, ErrStale) ||
		errors.Is(err, ErrInvalidVersionID) || errors.Is(err, ErrInvalidKey)
}

func (db *DB) delete(ctx context.Context, t Txn, s *scratch, b *Bucket, item DeleteItem) (DeleteResult, error) {
	o, err := db.openObject(t, s, b, item.Key)
	if err != nil {
		return DeleteResult{}, err
	}
	if item.VersionID != "" {
		return o.removeVersion(ctx, item.VersionID, &item.Cond)
	}
	if o.cur == nil {
		item.Cond.Seen = VersionID{} // it is gone already
	}
	if err := item.Cond.check(o.cur); err != nil {
		return DeleteResult{}, err
	}
	if o.cur == nil && item.Cond.ofDelete() && b.Versioning != Unversioned {
		// Without a current version there is nothing, or a marker.
		if marker, err := readNewestOld(t, s, b.ID, item.Key); err != nil || marker != nil {
			return DeleteResult{}, errors.Join(ErrPrecondition, err)
		}
	}
	if b.Versioning == Unversioned {
		before := o.cur
		if err := o.replaceNull(); err != nil {
			return DeleteResult{}, err
		}
		return DeleteResult{}, db.note(ctx, t, s, b, ChangeRemoved, before, before)
	}
	before := o.cur
	marker := &Version{
		Key:          item.Key,
		DeleteMarker: true,
		Null:         b.Versioning == VersioningSuspended,
		Modified:     db.now().UTC().Truncate(timeUnit),
	}
	if marker.ID, err = o.newestID(); err != nil {
		return DeleteResult{}, err
	}
	if marker.Null {
		if err := o.replaceNull(); err != nil {
			return DeleteResult{}, err
		}
	}
	if err := o.retire(); err != nil {
		return DeleteResult{}, err
	}
	if err := o.addOld(marker); err != nil {
		return DeleteResult{}, err
	}
	return DeleteResult{VersionID: showID(marker.ID, marker.Null), DeleteMarker: true}, db.note(ctx, t, s, b, ChangeMarked, marker, before)
}

// newestID gives an id that sorts before those of all versions of the key, even of
// ones that a gateway with a faster clock made.
func (o *object) newestID() (VersionID, error) {
	id := o.db.NewVersionID()
	old, err := readNewestOld(o.t, o.s, o.bucket.ID, o.key)
	if err != nil {
		return id, err
	}
	for _, v := range []*Version{o.cur, old} {
		if v == nil {
			continue
		}
		if first := binary.BigEndian.Uint64(v.ID[:8]); first <= binary.BigEndian.Uint64(id[:8]) {
			binary.BigEndian.PutUint64(id[:8], first-1)
		}
	}
	return id, nil
}

func (o *object) removeVersion(ctx context.Context, id string, cond *Condition) (DeleteResult, error) {
	v, err := find(o.t, o.s, o.bucket, o.cur, o.key, id)
	if err != nil {
		return DeleteResult{}, err
	}
	if v == nil {
		cond.Seen = VersionID{} // it is gone already
	}
	if err := cond.check(v); err != nil {
		return DeleteResult{}, err
	}
	if cond.Noncurrent && v != nil && v == o.cur {
		return DeleteResult{}, ErrPrecondition
	}
	res := DeleteResult{VersionID: id}
	if v == nil {
		return res, nil
	}
	if v.Lock.Blocks(o.db.now(), cond.BypassGovernance) {
		return DeleteResult{}, ErrLocked
	}
	res.DeleteMarker = v.DeleteMarker
	if v == o.cur {
		err = o.removeCurrent()
	} else {
		err = o.removeOld(v)
	}
	if err != nil {
		return DeleteResult{}, err
	}
	if err := o.discard(v); err != nil {
		return DeleteResult{}, err
	}
	before := o.cur
	if o.bucket.Versioning != Unversioned {
		if err := o.promote(); err != nil {
			return DeleteResult{}, err
		}
	}
	return res, o.db.note(ctx, o.t, o.s, o.bucket, ChangeRemoved, v, before)
}
