package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/weftstore/weft/internal/tracing"
	"github.com/weftstore/weft/metadata"
)

// commitTimeout bounds the metadata transaction that makes a write visible. It
// runs on when the client is gone: half a commit helps nobody.
const commitTimeout = 30 * time.Second

// Put stores an object and returns when it is durable and visible. The errors are
// this package's, metadata.ErrNoSuchBucket, metadata.ErrPrecondition,
// metadata.ErrNoSuchKey (IfMatch without an object), and those of Body and Check.
func (s *Store) Put(ctx context.Context, req *PutRequest) (*PutResult, error) {
	if s.closed.Load() {
		return nil, ErrClosed
	}
	bucket, err := s.meta.Bucket(ctx, req.Bucket)
	if err != nil {
		return nil, err
	}
	if err := s.precheck(ctx, req.Bucket, req.Key, req.Cond); err != nil {
		return nil, err
	}
	if req.AppendTo != nil {
		return s.append(ctx, req, bucket)
	}
	v := &metadata.Version{
		Key: req.Key, Size: req.Size, Null: bucket.Versioning != metadata.VersioningEnabled,
		Headers: req.Headers, UserMeta: req.UserMeta, Tags: req.Tags, Lock: req.Lock, Attrs: req.Attrs,
	}
	st, err := s.storePart(ctx, &partSource{
		body: req.Body, size: req.Size, layout: s.cfg.Layout, alg: req.Algorithm, check: req.Check, seal: req.Seal,
		describe: func(part *metadata.Part, sums Sums) ([]byte, error) {
			v.ID, v.Modified = s.meta.NewVersionID(), s.now()
			v.MD5, v.Digest = sums.MD5, sums.Digest
			part.Modified = v.Modified
			v.Inline = part
			d := descriptor{kind: kindObject, bucket: req.Bucket, version: v}
			return d.encode(nil)
		},
	})
	if err != nil {
		return nil, err
	}
	v.Inline = &st.part
	commit, cancel := s.commitContext(ctx, st.term)
	defer cancel()
	commit, span := tracing.Start(commit, spanMetadataCommit)
	res, err := s.meta.Put(commit, req.Bucket, v, req.Cond)
	endSpan(span, err)
	if err != nil {
		return nil, s.unmade(err, &st.part)
	}
	s.settled(st.part.Set)
	s.kickGC()
	if st.lost != 0 {
		ref := metadata.PartRef{BucketID: bucket.ID, Key: v.Key, Version: v.ID, Number: st.part.Number, Set: st.part.Set}
		s.reportDamage(ref, st.part.Set, st.lost)
	}
	return &PutResult{ETag: v.ETag(), VersionID: res.VersionID, Sums: st.sums, Size: v.Size, Attrs: v.Attrs, Modified: v.Modified}, nil
}

// unmade deletes the chunks of a part whose metadata was refused, and returns the
// error for the caller. When the outcome is not certain the chunks stay, and stay
// pinned, as the record may come yet: to lose space is better than to lose data.
func (s *Store) unmade(err error, p *metadata.Part) error {
	full := errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
	if full && !errors.Is(err, metadata.ErrUnknown) {
		s.settled(p.Set)
		s.discard(p.Set, p.Targets)
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	if errors.Is(err, metadata.ErrFenced) || errors.Is(err, metadata.ErrUnavailable) && !errors.Is(err, metadata.ErrUnknown) {
		s.settled(p.Set)
		s.discard(p.Set, p.Targets)
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	for _, refused := range []error{
		metadata.ErrNoSuchBucket, metadata.ErrPrecondition, metadata.ErrNoSuchKey, metadata.ErrNoSuchUpload,
		metadata.ErrOutboxFull, metadata.ErrInvalidPart, metadata.ErrInvalidPartOrder, metadata.ErrPartTooSmall, metadata.ErrStale,
		metadata.ErrLocked, metadata.ErrNoSuchVersion, metadata.ErrQuota, metadata.ErrVersioned, metadata.ErrTokenReused,
		metadata.ErrInvalidKey, metadata.ErrReplaced, metadata.ErrTooLarge,
	} {
		if errors.Is(err, refused) {
			s.settled(p.Set)
			s.discard(p.Set, p.Targets)
			return err
		}
	}
	if !errors.Is(err, metadata.ErrUnknown) && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)) {
		// Engines wait for what they began to commit. The sweep looks for the record.
		s.settled(p.Set)
		s.log.Error("no time left for a metadata commit, its chunks are left to the sweep", "set", p.Set, "error", err)
		return err
	}
	s.log.Error("outcome of a metadata commit is not known, leaving its chunks", "set", p.Set, "error", err)
	return err
}

// precheck fails early what would fail in the transaction, so that the body need
// not be read. The transaction decides.
func (s *Store) precheck(ctx context.Context, bucket, key string, c metadata.Condition) error {
	if len(c.IfMatch) == 0 && len(c.IfNoneMatch) == 0 && c.Seen == (metadata.VersionID{}) && !c.Unseen {
		return nil
	}
	v, _, err := s.meta.Get(ctx, bucket, key, "")
	if errors.Is(err, metadata.ErrNoSuchKey) {
		return nil // with IfMatch the transaction knows which error that is
	}
	if err != nil {
		return err
	}
	holds := func(list []string) bool {
		return slices.Contains(list, "*") || slices.Contains(list, v.ETag())
	}
	if (len(c.IfMatch) > 0 && !holds(c.IfMatch)) || holds(c.IfNoneMatch) {
		return fmt.Errorf("condition on %q: %w", key, metadata.ErrPrecondition)
	}
	return c.Stale(v)
}
