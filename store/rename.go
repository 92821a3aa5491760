package store

import (
	"context"
	"errors"

	"github.com/weftstore/weft/metadata"
)

// renameTries bounds how often a rename begins anew because the source changed meanwhile.
const renameTries = 8

// RenameRequest moves an object to another key of its bucket.
type RenameRequest struct {
	Bucket, From, To string
	Source, Dest     metadata.Condition // on what From and To have
	// Token names the request, "" for none; Params is what it asks for, in any form. The
	// same request again succeeds and does nothing while To has what came of it.
	Token, Params string
}

// Rename gives an object another key. No byte of it is copied: what is written is a manifest
// with the new key, so that a rebuild of the metadata finds the object there. The errors are
// those of metadata.DB.Rename and of Put.
func (s *Store) Rename(ctx context.Context, req *RenameRequest) error {
	for try := 1; ; try++ {
		err := s.rename(ctx, req)
		if !errors.Is(err, metadata.ErrStale) || try == renameTries {
			return err
		}
	}
}

func (s *Store) rename(ctx context.Context, req *RenameRequest) error {
	if s.closed.Load() {
		return ErrClosed
	}
	r := &metadata.Rename{
		From: req.From, To: req.To, Source: req.Source, Dest: req.Dest,
		Token: req.Token, Params: req.Params,
	}
	if repeated, err := s.meta.Renamed(ctx, req.Bucket, r); repeated || err != nil {
		return err
	}
	v, b, err := s.meta.Get(ctx, req.Bucket, req.From, "")
	if err != nil {
		return err
	}
	if b.Versioning != metadata.Unversioned {
		return metadata.ErrVersioned
	}
	if err := s.precheck(ctx, req.Bucket, req.From, req.Source); err != nil {
		return err
	}
	if err := s.precheck(ctx, req.Bucket, req.To, req.Dest); err != nil {
		return err
	}
	r.Seen = v.ID
	parts, err := s.meta.AllParts(ctx, v)
	if err != nil {
		return err
	}
	r.ID = s.meta.NewVersionID() // not long before the commit, see snapshotMargin
	manifest, err := s.storeManifest(ctx, req.Bucket, r.Renamed(v), parts)
	if err != nil {
		return err
	}
	r.Manifest = &manifest.part
	commit, cancel := s.commitContext(ctx, manifest.term)
	defer cancel()
	repeated, err := s.meta.Rename(commit, req.Bucket, r)
	if err != nil {
		return s.unmade(err, &manifest.part)
	}
	s.settled(manifest.part.Set)
	if repeated {
		s.discard(manifest.part.Set, manifest.part.Targets)
		return nil
	}
	s.kickGC()
	if manifest.lost != 0 {
		ref := metadata.PartRef{BucketID: b.ID, Key: req.To, Version: r.ID, Set: manifest.part.Set}
		s.reportDamage(ref, manifest.part.Set, manifest.lost)
	}
	return nil
}
