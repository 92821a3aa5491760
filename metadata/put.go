package metadata

import "context"

// Put makes v the current version of v.Key, replacing the null version where the
// bucket is not versioned or versioning is suspended; what is replaced goes to the
// garbage queue in the same transaction. v.ID is the caller's, from NewVersionID;
// v.Null is set here. Putting the same ID again changes nothing, so that a put
// whose outcome is unknown can be repeated.
//
// ErrNoSuchBucket; ErrPrecondition, or ErrNoSuchKey for If-Match without an object;
// ErrInvalidKey.
func (db *DB) Put(ctx context.Context, bucket string, v *Version, cond Condition) (PutResult, error) {
	var res PutResult
	err := db.updateIn(ctx, "put object", bucket, func(t Txn, s *scratch, b *Bucket) error {
		o, err := db.openObject(t, s, b, v.Key)
		if err != nil {
			return err
		}
		res = putResult(b, v.ID)
		if o.cur != nil && o.cur.ID == v.ID {
			return nil
		}
		if err := cond.check(o.cur); err != nil {
			return err
		}
		before := o.cur
		if err := o.put(v); err != nil {
			return err
		}
		return db.note(ctx, t, s, b, ChangePut, v, before)
	})
	if err != nil {
		return PutResult{}, err
	}
	return res, nil
}

// put makes v current.
func (o *object) put(v *Version) error {
	v.Null = o.bucket.Versioning != VersioningEnabled
	if v.Modified.IsZero() {
		v.Modified = o.db.now().UTC().Truncate(timeUnit)
	}
	if v.Null {
		if err := o.replaceNull(); err != nil {
			return err
		}
	}
	if err := o.retire(); err != nil {
		return err
	}
	// Last, so that what it replaces makes room for it.
	if err := charge(o.t, o.bucket, Quota{v.Size, 1}); err != nil {
		return err
	}
	return o.setCurrent(v)
}

func putResult(b *Bucket, id VersionID) PutResult {
	switch b.Versioning {
	case VersioningEnabled:
		return PutResult{VersionID: id.String()}
	case VersioningSuspended:
		return PutResult{VersionID: nullID}
	}
	return PutResult{}
}

// SetTags replaces the tags of a version (id as in Get); nil removes them. seen, unless it is
// zero, is the version that it must be, else ErrOvertaken. It returns the version's id as S3 shows
// it, "" in a bucket that was never versioned. Errors as Get.
func (db *DB) SetTags(ctx context.Context, bucket, key, id string, seen VersionID, tags map[string]string) (versionID string, err error) {
	return db.editVersion(ctx, "set tags", ChangeTagged, bucket, key, id, func(v *Version) error {
		if seen != (VersionID{}) && v.ID != seen {
			return ErrOvertaken
		}
		v.Tags = tags
		return nil
	})
}

// SetAttr replaces one of the attributes of a version, which must be the version seen, else
// ErrOvertaken; besides it is as SetTags. The targets do not have it: like tags it comes back
// from a snapshot only.
func (db *DB) SetAttr(ctx context.Context, bucket, key, id string, seen VersionID, name, value string) (versionID string, err error) {
	return db.editVersion(ctx, "set attribute", 0, bucket, key, id, func(v *Version) error {
		if v.ID != seen {
			return ErrOvertaken
		}
		if v.Attrs == nil {
			v.Attrs = map[string]string{}
		}
		v.Attrs[name] = value
		return nil
	})
}

// editVersion changes the record of a version; kind 0 is a change that the outbox is not told.
func (db *DB) editVersion(ctx context.Context, op string, kind ChangeKind, bucket, key, id string, edit func(*Version) error) (versionID string, err error) {
	err = db.updateIn(ctx, op, bucket, func(t Txn, s *scratch, b *Bucket) error {
		v, current, err := get(t, s, b, key, id)
		if err != nil {
			return err
		}
		if err := edit(v); err != nil {
			return err
		}
		o := object{db: db, t: t, s: s, bucket: b, key: key}
		if b.Versioning != Unversioned {
			versionID = showID(v.ID, v.Null)
		}
		if current {
			err = o.setCurrent(v)
		} else {
			err = o.addOld(v)
		}
		if err != nil || kind == 0 {
			return err
		}
		return db.note(ctx, t, s, b, kind, v, v)
	})
	return versionID, err
}
