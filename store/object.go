package store

import (
	"context"
	"fmt"

	"github.com/weftstore/weft/internal/tracing"
	"github.com/weftstore/weft/metadata"
)

// Object is an open version of an object. Its chunks are not deleted before Close
// when it was put in one piece. Safe for concurrent use until Close.
type Object struct {
	// Version is read-only.
	Version *metadata.Version
	// VersionID as S3 shows it: "" if the bucket was never versioned, "null", or
	// 32 hexadecimal digits.
	VersionID string
	// Key is for who reads it with ReadSealed; the store does not look at it.
	Key *Key

	s        *Store
	bucketID uint64
	pinned   metadata.SetID
}

// Open finds a version: the current one when versionID is "". The errors are those
// of metadata.DB.Get. Close it.
func (s *Store) Open(ctx context.Context, bucket, key, versionID string) (*Object, error) {
	defer s.pins.enter().Done()
	look, span := tracing.Start(ctx, "metadata.get")
	v, b, err := s.meta.Get(look, bucket, key, versionID)
	endSpan(span, err)
	if err != nil {
		return nil, err
	}
	o := &Object{s: s, Version: v, bucketID: b.ID}
	switch {
	case v.Null && b.Versioning != metadata.Unversioned:
		o.VersionID = "null"
	case !v.Null:
		o.VersionID = v.ID.String()
	}
	if v.Inline != nil {
		o.pinned = v.Inline.Set
		s.pins.pin(o.pinned)
	}
	return o, nil
}

// Close lets the object's chunks go. Streams of it must have been closed. It is
// idempotent.
func (o *Object) Close() {
	if o.pinned != (metadata.SetID{}) {
		o.s.pins.unpin(o.pinned)
		o.pinned = metadata.SetID{}
	}
}

// Part is the byte range of a part by its number, as ?partNumber= asks for it. An
// object put in one piece is its own part 1, and part is nil for it.
// metadata.ErrInvalidPart when there is no such part.
func (o *Object) Part(ctx context.Context, number int) (off, n int64, part *metadata.Part, err error) {
	if o.Version.PartCount == 0 {
		if number != 1 {
			return 0, 0, nil, fmt.Errorf("part %d of an object in one piece: %w", number, metadata.ErrInvalidPart)
		}
		return 0, o.Version.Size, nil, nil
	}
	span, err := o.s.meta.PartByNumber(ctx, o.Version, number)
	if err != nil {
		return 0, 0, nil, err
	}
	return span.Start, span.Part.Size, &span.Part, nil
}

// Parts lists up to limit parts of a multipart object with numbers greater than
// after; none for an object put in one piece.
func (o *Object) Parts(ctx context.Context, after, limit int) (parts []metadata.Part, truncated bool, err error) {
	return o.s.meta.PartsAfter(ctx, o.Version, after, limit)
}

// ref names the record that holds p.
func (o *Object) ref(p *metadata.Part) metadata.PartRef {
	r := metadata.PartRef{BucketID: o.bucketID, Key: o.Version.Key, Set: p.Set}
	if o.Version.Upload != (metadata.UploadID{}) {
		r.Upload, r.Number = o.Version.Upload, p.Number
	} else {
		r.Version, r.Number = o.Version.ID, p.Number
	}
	return r
}
