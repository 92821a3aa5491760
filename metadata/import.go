package metadata

import (
	"bytes"
	"context"
	"errors"
	"fmt"
)

// ImportVersion enters a version as it was found on the targets, with the parts of
// a multipart object. Versions of a key may come in any order; that with the
// smallest ID becomes current. Of null versions the newest is kept, the others become
// garbage. What is there already is left as it is. No quota refuses it. A bucket that is
// missing is made, and is versioning-enabled from when a version that is not null is
// imported; with a locked one it is a bucket of ConfigObjectLock.
func (db *DB) ImportVersion(ctx context.Context, bucket string, v *Version, parts []Part) error {
	return db.importIn(ctx, "import version", bucket, v, func(t Txn, s *scratch, b *Bucket) error {
		o, err := db.openObject(t, s, b, v.Key)
		if err != nil {
			return err
		}
		if o.cur != nil && o.cur.ID == v.ID {
			return nil
		}
		if old, err := readVersion(t, s, b.ID, v.Key, v.ID); err != nil || old != nil {
			return err
		}
		if v.Upload != (UploadID{}) {
			if err := importParts(t, s, v, parts); err != nil {
				return err
			}
		}
		return o.insert(v)
	})
}

// ImportPart is PutPart of a part that was found on the targets. No quota refuses it.
func (db *DB) ImportPart(ctx context.Context, bucket, key string, id UploadID, p *Part) error {
	return db.enterPart(ctx, "import part", bucket, key, id, p, chargeImport)
}

// Disown removes the version or the upload under way that has a part which belongs to v, a
// version that is to be imported, with all parts of the upload. The chunks are left as they
// are, for v and for the search for orphans. ErrStale, and nothing was done, when it is newer
// than v; no error when there is none.
func (db *DB) Disown(ctx context.Context, bucket string, ref PartRef, v *Version) error {
	return db.updateIn(ctx, "disown parts", bucket, func(t Txn, s *scratch, b *Bucket) error {
		if ref.Upload != (UploadID{}) {
			s.key = keyWithID(s.key, spaceUpload, b.ID, ref.Key, ref.Upload)
			raw, err := t.Get(s.key)
			if err != nil {
				return err
			}
			if raw != nil {
				if err := t.Delete(s.key); err != nil {
					return err
				}
				if err := chargeParts(t, s, b, ref.Upload); err != nil {
					return err
				}
				return removeParts(t, s, ref.Upload)
			}
		}
		o, err := db.openObject(t, s, b, ref.Key)
		if err != nil || o.cur == nil || o.cur.Upload != ref.Upload || ref.Upload == (UploadID{}) && o.cur.ID != ref.Version {
			return err
		}
		if bytes.Compare(o.cur.ID[:], v.ID[:]) < 0 {
			return ErrStale
		}
		if err := charge(t, b, Quota{-o.cur.Size, -1}); err != nil {
			return err
		}
		return o.removeCurrent()
	})
}

// importIn is updateIn for a bucket that is made when it is missing, and that can hold v.
func (db *DB) importIn(ctx context.Context, op, bucket string, v *Version, fn func(Txn, *scratch, *Bucket) error) error {
	for {
		err := db.updateIn(ctx, op, bucket, func(t Txn, s *scratch, b *Bucket) error {
			b, err := importBucket(t, s, b, v)
			if err != nil {
				return err
			}
			return fn(t, s, b)
		})
		if !errors.Is(err, ErrNoSuchBucket) {
			return err
		}
		if _, err := db.CreateBucket(ctx, bucket, ""); err != nil && !errors.Is(err, ErrBucketExists) {
			return err
		}
	}
}

func importBucket(t Txn, s *scratch, b *Bucket, v *Version) (*Bucket, error) {
	versioned := *b
	if b.Versioning == Unversioned && (v.DeleteMarker || !v.Null) {
		versioned.Versioning = VersioningEnabled
	}
	if !v.Lock.IsZero() && b.Configs[ConfigObjectLock] == "" {
		versioned.Versioning = VersioningEnabled
		versioned.enableLock(LockEnabled)
	} else if versioned.Versioning == b.Versioning {
		return b, nil
	}
	return &versioned, putBucket(t, s, &versioned)
}

func removeParts(t Txn, s *scratch, id UploadID) error {
	var numbers []uint16
	if err := scanParts(t, s, id, 1, func(p *Part) bool { numbers = append(numbers, p.Number); return true }); err != nil {
		return err
	}
	for _, n := range numbers {
		s.key = keyPart(s.key, id, n)
		if err := t.Delete(s.key); err != nil {
			return err
		}
	}
	return nil
}

func importParts(t Txn, s *scratch, v *Version, parts []Part) error {
	toc := make(contents, len(parts))
	var size int64
	for i := range parts {
		if i > 0 && parts[i].Number <= parts[i-1].Number {
			return ErrInvalidPartOrder
		}
		size += parts[i].Size
		toc[i] = contentsRow{parts[i].Number, size}
		if err := putPart(t, s, v.Upload, &parts[i]); err != nil {
			return err
		}
	}
	if size != v.Size {
		return fmt.Errorf("object of %d bytes has parts of %d: %w", v.Size, size, ErrInvalidPart)
	}
	return putContents(t, s, v.Upload, toc)
}

// insert puts v where its ID belongs among the versions of the key.
func (o *object) insert(v *Version) error {
	if v.Null {
		old := o.cur
		if old == nil || !old.Null {
			var err error
			if old, err = readNullOld(o.t, o.s, o.bucket.ID, o.key); err != nil {
				return err
			}
		}
		if old != nil && bytes.Compare(old.ID[:], v.ID[:]) < 0 {
			return o.db.discard(o.t, o.s, v)
		}
		if old != nil {
			if err := o.replaceNull(); err != nil {
				return err
			}
		}
	}
	// All but the newest belong in space v, and the newest too when it is a marker.
	if err := o.retire(); err != nil {
		return err
	}
	if err := o.addOld(v); err != nil {
		return err
	}
	if !v.DeleteMarker {
		if err := chargeImport(o.t, o.bucket, Quota{v.Size, 1}); err != nil {
			return err
		}
	}
	return o.promote()
}
