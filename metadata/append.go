package metadata

import "context"

// Append makes v, which is the current version seen of its key and a part more, current in
// its place. part is the last of v.Upload; what v has of the version seen but for its size,
// checksums and manifest is taken from it. The manifest before becomes garbage, the parts stay;
// whoever reads the version seen goes on reading it. v.Upload of an object in one piece is
// UploadOf its part's set.
//
// ErrNoSuchBucket, ErrVersioned, ErrPrecondition, ErrLocked, ErrQuota, ErrInvalidPart for a
// number that is not above all others; ErrStale when another version than seen is current.
func (db *DB) Append(ctx context.Context, bucket string, seen VersionID, v *Version, part *Part, cond Condition) error {
	return db.updateIn(ctx, "append to object", bucket, func(t Txn, s *scratch, b *Bucket) error {
		if b.Versioning != Unversioned {
			return ErrVersioned
		}
		o, err := db.openObject(t, s, b, v.Key)
		if err != nil {
			return err
		}
		if err := cond.check(o.cur); err != nil {
			return err
		}
		switch {
		case o.cur == nil || o.cur.ID != seen || v.Size != o.cur.Size+part.Size:
			return ErrStale
		case !o.cur.Lock.IsZero() || o.cur.LockPart != nil:
			return ErrLocked
		}
		if err := charge(t, b, Quota{Bytes: part.Size}); err != nil {
			return err
		}
		return o.extend(ctx, v, part)
	})
}

// extend is Append once it is allowed.
func (o *object) extend(ctx context.Context, v *Version, part *Part) error {
	old := o.cur
	if old.Manifest != nil {
		if err := o.db.queueSet(o.t, o.s, old.Manifest.Set, old.Manifest.Targets); err != nil {
			return err
		}
	}
	made := *old
	made.ID, made.Modified, made.Size, made.MD5 = v.ID, v.Modified, v.Size, v.MD5
	made.PartCount, made.Digest, made.Manifest = v.PartCount, v.Digest, v.Manifest
	if err := o.unfold(&made); err != nil {
		return err
	}
	if made.Upload != v.Upload {
		return ErrStale
	}
	if err := o.addPart(&made, part); err != nil {
		return err
	}
	if err := o.setCurrent(&made); err != nil {
		return err
	}
	return o.db.note(ctx, o.t, o.s, o.bucket, ChangePut, &made, old)
}

// addPart puts a part at the end of a version's.
func (o *object) addPart(v *Version, part *Part) error {
	rows, err := readContents(o.t, o.s, v.Upload)
	if err != nil {
		return err
	}
	toc := make(contents, rows.len(), rows.len()+1)
	for i := range toc {
		toc[i] = rows.row(i)
	}
	if n := len(toc); n > 0 && part.Number <= toc[n-1].Number || part.Number > MaxParts {
		return ErrInvalidPart
	}
	if err := putPart(o.t, o.s, v.Upload, part); err != nil {
		return err
	}
	return putContents(o.t, o.s, v.Upload, append(toc, contentsRow{part.Number, v.Size}))
}
