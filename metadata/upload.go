package metadata

import (
	"context"
	"fmt"
)

// CreateUpload starts a multipart upload. A zero u.ID gets one from NewUploadID, a
// zero u.Initiated the time. ErrNoSuchBucket, ErrInvalidKey.
func (db *DB) CreateUpload(ctx context.Context, bucket string, u *Upload) error {
	if u.ID == (UploadID{}) {
		u.ID = db.NewUploadID()
	}
	if u.Initiated.IsZero() {
		u.Initiated = db.now().UTC().Truncate(timeUnit)
	}
	return db.updateIn(ctx, "create upload", bucket, func(t Txn, s *scratch, b *Bucket) error {
		if err := checkKey(u.Key); err != nil {
			return err
		}
		s.key = keyWithID(s.key, spaceUpload, b.ID, u.Key, u.ID)
		s.value = encodeUpload(s.value[:0], s.key, u)
		return t.Put(s.key, s.value)
	})
}

// Upload reads an upload under way. ErrNoSuchBucket, ErrNoSuchUpload.
func (db *DB) Upload(ctx context.Context, bucket, key string, id UploadID) (*Upload, error) {
	var u *Upload
	err := db.viewIn(ctx, "get upload", bucket, func(r Reader, s *scratch, b *Bucket) (err error) {
		u, err = readUpload(r, s, b, key, id)
		return err
	})
	return u, err
}

func readUpload(r Reader, s *scratch, b *Bucket, key string, id UploadID) (*Upload, error) {
	s.key = keyWithID(s.key, spaceUpload, b.ID, key, id)
	raw, err := r.Get(s.key)
	if err != nil {
		return nil, err
	}
	if raw == nil {
		return nil, ErrNoSuchUpload
	}
	u, err := decodeUpload(s.key, raw)
	if err != nil {
		return nil, fmt.Errorf("upload %s: %w", id, err)
	}
	return u, nil
}

// PutPart records a part of an upload. A part of that number which was there goes
// to the garbage queue; recording the same Set again changes nothing there.
// ErrNoSuchBucket; ErrNoSuchUpload, also when the upload was completed or aborted
// meanwhile: then the part's chunks are the caller's to hand to AddGarbage.
// ErrInvalidPart for a number out of range.
func (db *DB) PutPart(ctx context.Context, bucket, key string, id UploadID, p *Part) error {
	return db.enterPart(ctx, "put part", bucket, key, id, p, charge)
}

func (db *DB) enterPart(ctx context.Context, op, bucket, key string, id UploadID, p *Part, charge func(Txn, *Bucket, Quota) error) error {
	return db.updateIn(ctx, op, bucket, func(t Txn, s *scratch, b *Bucket) error {
		if p.Number < 1 || p.Number > MaxParts {
			return ErrInvalidPart
		}
		s.key = keyWithID(s.key, spaceUpload, b.ID, key, id)
		if raw, err := t.Get(s.key); err != nil {
			return err
		} else if raw == nil {
			return ErrNoSuchUpload
		}
		s.key = keyPart(s.key, id, p.Number)
		raw, err := t.Get(s.key)
		if err != nil {
			return err
		}
		more := p.Size
		if raw != nil {
			var old Part
			if err := decodePart(s.key, raw, &old); err != nil {
				return fmt.Errorf("part %d: %w", p.Number, err)
			}
			more -= old.Size
			if old.Set != p.Set {
				if err := db.queueSet(t, s, old.Set, old.Targets); err != nil {
					return err
				}
			}
		}
		if err := charge(t, b, Quota{Bytes: more}); err != nil {
			return err
		}
		return putPart(t, s, id, p)
	})
}

func putPart(t Txn, s *scratch, id UploadID, p *Part) error {
	s.key = keyPart(s.key, id, p.Number)
	s.value = appendPartRecord(s.value[:0], p)
	s.value = seal(s.value, 0, s.key)
	return t.Put(s.key, s.value)
}

// ListParts reads parts of an upload under way whose number is above after, at most
// min(limit, MaxListPage); truncated tells that there are more. ErrNoSuchBucket, ErrNoSuchUpload.
func (db *DB) ListParts(ctx context.Context, bucket, key string, id UploadID, after, limit int) (parts []Part, truncated bool, err error) {
	limit = min(limit, MaxListPage)
	err = db.viewIn(ctx, "list parts", bucket, func(r Reader, s *scratch, b *Bucket) error {
		parts, truncated = nil, false
		if _, err := readUpload(r, s, b, key, id); err != nil {
			return err
		}
		if limit <= 0 || after >= MaxParts {
			return nil
		}
		return scanParts(r, s, id, uint16(max(after, 0))+1, func(p *Part) bool {
			if truncated = len(parts) == limit; !truncated {
				parts = append(parts, *p)
			}
			return !truncated
		})
	})
	return parts, truncated, err
}

// scanParts calls fn for the parts under an upload id from number from on, until it
// returns false. fn may copy the part.
func scanParts(r Reader, s *scratch, id UploadID, from uint16, fn func(*Part) bool) error {
	s.key = keyPart(s.key, id, from)
	s.key2 = keyPart(s.key2, id, ^uint16(0))
	var bad error
	err := r.Scan(s.key, s.key2, func(k, raw []byte) bool {
		var p Part
		if bad = decodePart(k, raw, &p); bad != nil {
			bad = fmt.Errorf("part of upload %s: %w", id, bad)
			return false
		}
		return fn(&p)
	})
	if err == nil {
		err = bad
	}
	return err
}

// Abort ends an upload; its parts become garbage. ErrNoSuchBucket, ErrNoSuchUpload.
func (db *DB) Abort(ctx context.Context, bucket, key string, id UploadID) error {
	return db.updateIn(ctx, "abort upload", bucket, func(t Txn, s *scratch, b *Bucket) error {
		s.key = keyWithID(s.key, spaceUpload, b.ID, key, id)
		raw, err := t.Get(s.key)
		if err != nil {
			return err
		}
		if raw == nil {
			return ErrNoSuchUpload
		}
		if err := t.Delete(s.key); err != nil {
			return err
		}
		if err := chargeParts(t, s, b, id); err != nil {
			return err
		}
		return db.queueUpload(t, s, id)
	})
}

// ListUploads reads a page of the uploads under way by key and then by when they
// began. Without uploadMarker the page begins past keyMarker, with it past that
// upload of keyMarker. keyMarker may be a common prefix of this listing. limit as
// in ListQuery. ErrNoSuchBucket; ErrNoSuchUpload for a malformed uploadMarker.
func (db *DB) ListUploads(ctx context.Context, bucket, prefix, delimiter, keyMarker, uploadMarker string, limit int) (*UploadPage, error) {
	limit = min(limit, MaxListPage)
	var page *UploadPage
	err := db.viewIn(ctx, "list uploads", bucket, func(r Reader, s *scratch, b *Bucket) (err error) {
		page = new(UploadPage)
		if limit <= 0 {
			return nil
		}
		from := keyIn(nil, spaceUpload, b.ID, prefix)
		to := prefixEnd(from)
		if keyMarker != "" && keyMarker >= prefix {
			if from, err = uploadStart(b.ID, prefix, delimiter, keyMarker, uploadMarker); err != nil {
				return err
			}
		}
		return listUploads(newCursor(r, from, to, limit), b, prefix, delimiter, limit, page)
	})
	if err != nil {
		return nil, err
	}
	return page, nil
}

func uploadStart(bucket uint64, prefix, delimiter, keyMarker, uploadMarker string) ([]byte, error) {
	if commonPrefix(keyMarker, prefix, delimiter) == keyMarker {
		return prefixEnd(keyIn(nil, spaceUpload, bucket, keyMarker)), nil
	}
	if uploadMarker == "" {
		return keyAfterAll(nil, spaceUpload, bucket, keyMarker), nil
	}
	id, err := ParseUploadID(uploadMarker)
	if err != nil {
		return nil, err
	}
	return append(keyWithID(nil, spaceUpload, bucket, keyMarker, id), 0), nil
}

func listUploads(c *cursor, b *Bucket, prefix, delimiter string, limit int, page *UploadPage) error {
	for {
		k, raw, err := c.peek()
		if err != nil || k == nil {
			return err
		}
		if len(page.Entries) == limit {
			last := page.Entries[limit-1]
			page.Truncated, page.NextKey = true, last.CommonPrefix
			if last.Upload != nil {
				page.NextKey, page.NextUpload = last.Upload.Key, last.Upload.ID.String()
			}
			return nil
		}
		u, err := decodeUpload(k, raw)
		if err != nil {
			return fmt.Errorf("upload record: %w", err)
		}
		if cp := commonPrefix(u.Key, prefix, delimiter); cp != "" {
			page.Entries = append(page.Entries, UploadEntry{CommonPrefix: cp})
			c.seek(prefixEnd(keyIn(nil, spaceUpload, b.ID, cp)))
			continue
		}
		page.Entries = append(page.Entries, UploadEntry{Upload: u})
		c.skip()
	}
}
