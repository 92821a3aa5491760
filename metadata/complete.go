package metadata

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
)

// PrepareComplete checks a client's list of parts and returns the parts in their
// order and the upload, for the caller to work out the object's checksums and its
// manifest. It sets Set in parts, so that Complete, given the same slice, finds out
// if a part was replaced in between.
//
// ErrNoSuchBucket; ErrNoSuchUpload; *CompletedError for a repeated completion;
// ErrInvalidPartOrder; ErrInvalidPart for a part that is missing or has another
// ETag or digest, and for an empty list; ErrPartTooSmall.
func (db *DB) PrepareComplete(ctx context.Context, bucket, key string, id UploadID, parts []CompletedPart) ([]Part, *Upload, error) {
	var found []Part
	var u *Upload
	err := db.viewIn(ctx, "prepare to complete upload", bucket, func(r Reader, s *scratch, b *Bucket) (err error) {
		if u, err = readUpload(r, s, b, key, id); err != nil {
			return completedBefore(r, s, b, key, id, parts, err)
		}
		found, _, err = matchParts(r, s, id, parts)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	for i := range parts {
		parts[i].Set = found[i].Set
	}
	return found, u, nil
}

// Complete makes v, with v.Key = key and v.Upload = id set here, the current version.
// A zero v.Size, v.PartCount or v.MD5 is filled in; other values must agree with the
// parts. Parts of the upload that are not listed become garbage. Completing again the
// upload that made the current version, with the same parts, gives the same result
// and changes nothing: v is not used when it is Repeated.
//
// Errors as PrepareComplete, but for *CompletedError, and as Put; ErrStale if a part
// is not in the Set that PrepareComplete saw or v does not agree with the parts.
func (db *DB) Complete(ctx context.Context, bucket, key string, id UploadID, parts []CompletedPart, v *Version, cond Condition) (PutResult, error) {
	var res PutResult
	err := db.updateIn(ctx, "complete upload", bucket, func(t Txn, s *scratch, b *Bucket) error {
		s.key = keyWithID(s.key, spaceUpload, b.ID, key, id)
		raw, err := t.Get(s.key)
		if err != nil {
			return err
		}
		if raw == nil {
			err := completedBefore(t, s, b, key, id, parts, ErrNoSuchUpload)
			var again *CompletedError
			if errors.As(err, &again) {
				res = again.Result
				res.Repeated = again.Version.ID != v.ID
				return nil
			}
			return err
		}
		found, rest, err := matchParts(t, s, id, parts)
		if err != nil {
			return err
		}
		v.Key, v.Upload, v.Inline = key, id, nil
		o, err := db.openObject(t, s, b, key)
		if err != nil {
			return err
		}
		if err := cond.check(o.cur); err != nil {
			return err
		}
		res = putResult(b, v.ID)
		before := o.cur
		if err := o.complete(v, found, rest); err != nil {
			return err
		}
		return db.note(ctx, t, s, b, ChangeCompleted, v, before)
	})
	if err != nil {
		return PutResult{}, err
	}
	return res, nil
}

// complete writes the table of contents and the version, and drops the upload and
// the parts that were not listed.
func (o *object) complete(v *Version, parts, rest []Part) error {
	toc := make(contents, len(parts))
	var size int64
	for i := range parts {
		size += parts[i].Size
		toc[i] = contentsRow{parts[i].Number, size}
	}
	if v.Size == 0 {
		v.Size = size
	}
	if v.PartCount == 0 {
		v.PartCount = len(parts)
	}
	if v.MD5 == ([16]byte{}) {
		v.MD5 = MultipartMD5(parts)
	}
	if v.Size != size || v.PartCount != len(parts) {
		return fmt.Errorf("object of %d bytes in %d parts, uploaded %d in %d: %w", v.Size, v.PartCount, size, len(parts), ErrStale)
	}
	counted := size
	for i := range rest {
		counted += rest[i].Size
	}
	if err := charge(o.t, o.bucket, Quota{Bytes: -counted}); err != nil {
		return err
	}
	if err := putContents(o.t, o.s, v.Upload, toc); err != nil {
		return err
	}
	for i := range rest {
		p := &rest[i]
		o.s.key = keyPart(o.s.key, v.Upload, p.Number)
		if err := o.t.Delete(o.s.key); err != nil {
			return err
		}
		if err := o.db.queueSet(o.t, o.s, p.Set, p.Targets); err != nil {
			return err
		}
	}
	o.s.key = keyWithID(o.s.key, spaceUpload, o.bucket.ID, o.key, v.Upload)
	if err := o.t.Delete(o.s.key); err != nil {
		return err
	}
	return o.put(v)
}

func putContents(t Txn, s *scratch, id UploadID, toc contents) error {
	s.key = keyPart(s.key, id, 0)
	s.value = encodeContents(s.value[:0], s.key, toc)
	return t.Put(s.key, s.value)
}

// MultipartMD5 is the MD5 of the parts' MD5s, from which the ETag of a multipart
// object is made.
func MultipartMD5(parts []Part) (sum [16]byte) {
	h := md5.New()
	for i := range parts {
		h.Write(parts[i].MD5[:])
	}
	h.Sum(sum[:0])
	return sum
}

// matchParts finds the stored parts for a client's list, and those it leaves out.
func matchParts(r Reader, s *scratch, id UploadID, list []CompletedPart) (found, rest []Part, err error) {
	if len(list) == 0 || len(list) > MaxParts {
		return nil, nil, ErrInvalidPart
	}
	for i := 1; i < len(list); i++ {
		if list[i].Number <= list[i-1].Number {
			return nil, nil, ErrInvalidPartOrder
		}
	}
	found = make([]Part, 0, len(list))
	err = scanParts(r, s, id, 1, func(p *Part) bool {
		if len(found) < len(list) && list[len(found)].Number == p.Number {
			found = append(found, *p)
		} else {
			rest = append(rest, *p)
		}
		return true
	})
	if err != nil {
		return nil, nil, err
	}
	if len(found) < len(list) {
		return nil, nil, fmt.Errorf("part %d: %w", list[len(found)].Number, ErrInvalidPart)
	}
	for i := range list {
		if err := list[i].check(&found[i]); err != nil {
			return nil, nil, err
		}
		if i < len(list)-1 && found[i].Size < MinPartSize {
			return nil, nil, fmt.Errorf("part %d of %d bytes: %w", found[i].Number, found[i].Size, ErrPartTooSmall)
		}
	}
	return found, rest, nil
}

// check compares what a client says of a part with what is stored.
func (c *CompletedPart) check(p *Part) error {
	var tag [32]byte
	hex.Encode(tag[:], p.MD5[:])
	if c.ETag != string(tag[:]) {
		return fmt.Errorf("ETag of part %d: %w", p.Number, ErrInvalidPart)
	}
	if len(c.Digest.Sum) > 0 && (c.Digest.Algorithm != p.Digest.Algorithm || !bytes.Equal(c.Digest.Sum, p.Digest.Sum)) {
		return fmt.Errorf("digest of part %d: %w", p.Number, ErrInvalidPart)
	}
	if c.Set != (SetID{}) && c.Set != p.Set {
		return fmt.Errorf("part %d was replaced: %w", p.Number, ErrStale)
	}
	return nil
}

// completedBefore turns missing, the reason why there is no upload, into a
// *CompletedError if the upload made the current version from these parts.
func completedBefore(r Reader, s *scratch, b *Bucket, key string, id UploadID, list []CompletedPart, missing error) error {
	if !errors.Is(missing, ErrNoSuchUpload) {
		return missing
	}
	cur, err := readCurrent(r, s, b.ID, key)
	if err != nil {
		return err
	}
	if cur == nil || cur.Upload != id || cur.PartCount != len(list) {
		return missing
	}
	if _, _, err := matchParts(r, s, id, list); err != nil {
		if errors.Is(err, ErrCorrupt) {
			return err
		}
		return missing
	}
	res := PutResult{}
	if b.Versioning != Unversioned {
		res.VersionID = showID(cur.ID, cur.Null)
	}
	return &CompletedError{Version: cur, Result: res}
}
