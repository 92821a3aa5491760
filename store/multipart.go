package store

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"

	"github.com/weftstore/weft/internal/checksum"
	"github.com/weftstore/weft/internal/tracing"
	"github.com/weftstore/weft/metadata"
)

// PutPart stores a part of a multipart upload, in place of an earlier one of its
// number. metadata.ErrNoSuchUpload, ErrInvalidPart for a number out of range, and
// the errors of Put.
func (s *Store) PutPart(ctx context.Context, req *PartRequest) (*PutResult, error) {
	if s.closed.Load() {
		return nil, ErrClosed
	}
	if req.Number < 1 || req.Number > metadata.MaxParts {
		return nil, fmt.Errorf("part number %d: %w", req.Number, metadata.ErrInvalidPart)
	}
	up, err := s.meta.Upload(ctx, req.Bucket, req.Key, req.Upload)
	if err != nil {
		return nil, err
	}
	bucket, err := s.meta.Bucket(ctx, req.Bucket)
	if err != nil {
		return nil, err
	}
	alg := req.Algorithm
	if alg == checksum.None {
		alg = up.Algorithm
	}
	st, err := s.storePart(ctx, &partSource{
		body: req.Body, size: req.Size, layout: s.cfg.Layout, alg: alg, check: req.Check, seal: req.Seal,
		describe: func(part *metadata.Part, _ Sums) ([]byte, error) {
			part.Number, part.Modified = uint16(req.Number), s.meta.Newer(s.now()) // a rebuild goes by this time
			d := descriptor{kind: kindPart, bucket: req.Bucket, upload: req.Upload, key: req.Key, part: part}
			return d.encode(nil)
		},
	})
	if err != nil {
		return nil, err
	}
	commit, cancel := s.commitContext(ctx, st.term)
	defer cancel()
	commit, span := tracing.Start(commit, spanMetadataCommit)
	err = s.meta.PutPart(commit, req.Bucket, req.Key, req.Upload, &st.part)
	endSpan(span, err)
	if err != nil {
		return nil, s.unmade(err, &st.part)
	}
	s.settled(st.part.Set)
	s.kickGC()
	if st.lost != 0 {
		ref := metadata.PartRef{BucketID: bucket.ID, Key: req.Key, Upload: req.Upload, Number: st.part.Number, Set: st.part.Set}
		s.reportDamage(ref, st.part.Set, st.lost)
	}
	etag := metadata.Version{MD5: st.part.MD5}
	return &PutResult{ETag: etag.ETag(), Sums: st.sums, Size: req.Size, Modified: st.part.Modified}, nil
}

// Complete makes an object of the parts of an upload. Repeating a call that
// succeeded gives the same result. The errors are those of
// metadata.DB.PrepareComplete and Complete, of Check, and of Put.
func (s *Store) Complete(ctx context.Context, req *CompleteRequest) (*PutResult, error) {
	if s.closed.Load() {
		return nil, ErrClosed
	}
	bucket, err := s.meta.Bucket(ctx, req.Bucket)
	if err != nil {
		return nil, err
	}
	parts, up, err := s.meta.PrepareComplete(ctx, req.Bucket, req.Key, req.Upload, req.Parts)
	var again *metadata.CompletedError
	if errors.As(err, &again) {
		return resultOf(again.Version, again.Result), nil
	}
	if err != nil {
		return nil, err
	}
	if err := s.precheck(ctx, req.Bucket, req.Key, req.Cond); err != nil {
		return nil, err
	}
	v := up.Template
	v.Key, v.Upload, v.PartCount = req.Key, req.Upload, len(parts)
	v.Null = bucket.Versioning != metadata.VersioningEnabled
	if v.Lock.Mode == metadata.LockNone { // a hold alone leaves the retention to the default
		v.Lock.Mode, v.Lock.Until = req.Lock.Mode, req.Lock.Until
	}
	if err := sumParts(&v, up, parts); err != nil {
		return nil, err
	}
	if req.Check != nil {
		if err := req.Check(Sums{MD5: v.MD5, Digest: v.Digest}, v.Size); err != nil {
			return nil, err
		}
	}
	v.ID, v.Modified = s.meta.NewVersionID(), s.now()
	manifest, err := s.storeManifest(ctx, req.Bucket, &v, parts)
	if err != nil {
		return nil, err
	}
	v.Manifest = &manifest.part
	listed := make([]metadata.CompletedPart, len(req.Parts))
	copy(listed, req.Parts)
	if len(listed) == len(parts) {
		for i := range listed {
			listed[i].Set = parts[i].Set // as it was summed here
		}
	}
	commit, cancel := s.commitContext(ctx, manifest.term)
	defer cancel()
	commit, span := tracing.Start(commit, spanMetadataCommit)
	res, err := s.meta.Complete(commit, req.Bucket, req.Key, req.Upload, listed, &v, req.Cond)
	endSpan(span, err)
	if err != nil {
		return nil, s.unmade(err, &manifest.part)
	}
	s.settled(manifest.part.Set)
	if res.Repeated {
		s.discard(manifest.part.Set, manifest.part.Targets)
		return resultOf(&v, res), nil
	}
	s.kickGC()
	if manifest.lost != 0 {
		ref := metadata.PartRef{BucketID: bucket.ID, Key: v.Key, Version: v.ID, Set: manifest.part.Set}
		s.reportDamage(ref, manifest.part.Set, manifest.lost)
	}
	return resultOf(&v, res), nil
}

func resultOf(v *metadata.Version, res metadata.PutResult) *PutResult {
	return &PutResult{ETag: v.ETag(), VersionID: res.VersionID, Sums: Sums{MD5: v.MD5, Digest: v.Digest}, Size: v.Size, Attrs: v.Attrs, Modified: v.Modified}
}

// sumParts fills in the size and the checksums of an object from its parts.
func sumParts(v *metadata.Version, up *metadata.Upload, parts []metadata.Part) error {
	alg, typ := up.Algorithm, up.Type
	if alg == checksum.None {
		alg = checksum.CRC64NVME
	}
	if typ == checksum.Unspecified {
		typ = alg.DefaultType()
	}
	h := md5.New()
	var sum []byte
	var each [][]byte
	known := true
	v.Size = 0
	for i := range parts {
		p := &parts[i]
		h.Write(p.MD5[:])
		if known = known && p.Digest.Algorithm == alg; known {
			var err error
			switch {
			case typ == checksum.Composite:
				each = append(each, p.Digest.Sum)
			case i == 0:
				sum = p.Digest.Sum
			default:
				if sum, err = checksum.Combine(alg, sum, p.Digest.Sum, p.Size); err != nil {
					return fmt.Errorf("checksum of part %d: %w", p.Number, err)
				}
			}
		}
		v.Size += p.Size
	}
	h.Sum(v.MD5[:0])
	v.Digest = metadata.Digest{}
	if !known {
		return nil // parts with other checksums than the upload announced: the object has none
	}
	if typ == checksum.Composite {
		sum = alg.CompositeOf(each...)
	}
	v.Digest = metadata.Digest{Algorithm: alg, Type: typ, Sum: sum}
	return nil
}

// storeManifest puts the version and its parts on the targets, as copies, for
// whoever rebuilds the metadata.
func (s *Store) storeManifest(ctx context.Context, bucket string, v *metadata.Version, parts []metadata.Part) (*stored, error) {
	data := metadata.EncodeManifest(nil, v, parts)
	return s.storePart(ctx, &partSource{
		body: bytes.NewReader(data), size: int64(len(data)), layout: s.cfg.Layout.Small(),
		describe: func(part *metadata.Part, _ Sums) ([]byte, error) {
			part.Number = 1
			described := *v
			described.Manifest = part
			d := descriptor{kind: kindManifest, bucket: bucket, version: &described}
			return d.encode(nil)
		},
	})
}
