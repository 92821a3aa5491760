package store

import (
	"context"
	"fmt"

	"github.com/weftstore/weft/internal/checksum"
	"github.com/weftstore/weft/metadata"
)

// append stores the body of a request as the last part of an object, and the manifest of what
// the object is with it. Both are durable before one transaction makes them count.
func (s *Store) append(ctx context.Context, req *PutRequest, bucket *metadata.Bucket) (*PutResult, error) {
	old := req.AppendTo
	if bucket.Versioning != metadata.Unversioned {
		return nil, metadata.ErrVersioned
	}
	parts, err := s.meta.AllParts(ctx, old)
	if err != nil {
		return nil, err
	}
	v := *old
	number := 1
	if n := len(parts); n > 0 {
		number = int(parts[n-1].Number) + 1
	}
	if number > metadata.MaxParts {
		return nil, fmt.Errorf("append to %q: %w", req.Key, ErrTooManyParts)
	}
	if v.Inline != nil {
		v.Upload, v.Inline = metadata.UploadOf(v.Inline.Set), nil
	}
	st, err := s.storePart(ctx, &partSource{
		body: req.Body, size: req.Size, layout: s.cfg.Layout, alg: req.Algorithm, check: req.Check, seal: req.Seal,
		describe: func(part *metadata.Part, _ Sums) ([]byte, error) {
			part.Number, part.Modified = uint16(number), s.now()
			d := descriptor{kind: kindPart, bucket: req.Bucket, upload: v.Upload, key: req.Key, part: part}
			return d.encode(nil)
		},
	})
	if err != nil {
		return nil, err
	}
	parts = append(parts, st.part)
	v.ID, v.Modified, v.Size, v.PartCount = s.meta.NewVersionID(), s.now(), old.Size+req.Size, len(parts)
	v.MD5, v.Digest = metadata.MultipartMD5(parts), joined(&old.Digest, &st.part)
	v.Manifest = nil
	manifest, err := s.storeManifest(ctx, req.Bucket, &v, parts)
	if err != nil {
		s.settled(st.part.Set)
		s.discard(st.part.Set, st.part.Targets)
		return nil, err
	}
	v.Manifest = &manifest.part
	commit, cancel := s.commitContext(ctx, st.term)
	defer cancel()
	if err := s.meta.Append(commit, req.Bucket, old.ID, &v, &st.part, req.Cond); err != nil {
		_ = s.unmade(err, &manifest.part)
		return nil, s.unmade(err, &st.part)
	}
	s.kickGC()
	for set, ref := range map[*stored]metadata.PartRef{
		st:       {BucketID: bucket.ID, Key: v.Key, Upload: v.Upload, Number: st.part.Number, Set: st.part.Set},
		manifest: {BucketID: bucket.ID, Key: v.Key, Version: v.ID, Set: manifest.part.Set},
	} {
		s.settled(set.part.Set)
		if set.lost != 0 {
			s.reportDamage(ref, set.part.Set, set.lost)
		}
	}
	return resultOf(&v, metadata.PutResult{}), nil
}

// joined is the checksum of an object with a part behind it; none when theirs do not add up.
func joined(of *metadata.Digest, p *metadata.Part) metadata.Digest {
	if of.Algorithm != p.Digest.Algorithm || of.Type != checksum.FullObject || p.Digest.Type != checksum.FullObject {
		return metadata.Digest{}
	}
	sum, err := checksum.Combine(of.Algorithm, of.Sum, p.Digest.Sum, p.Size)
	if err != nil {
		return metadata.Digest{} // no CRC
	}
	return metadata.Digest{Algorithm: of.Algorithm, Type: checksum.FullObject, Sum: sum}
}
