package store

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/weftstore/weft/metadata"
)

// lockTries bounds how often a lock is worked out anew because another changed it.
const lockTries = 8

// SetLock changes the lock of a version, the current one when versionID is "". It is on
// the targets before it counts, so that a rebuild of the metadata keeps it. It returns
// the version's id as S3 shows it. metadata.ErrLocked, and the errors of metadata.DB.Get.
func (s *Store) SetLock(ctx context.Context, bucket, key, versionID string, c metadata.LockChange) (string, error) {
	for try := 1; ; try++ {
		shown, err := s.setLock(ctx, bucket, key, versionID, &c)
		if !errors.Is(err, metadata.ErrStale) || try == lockTries {
			return shown, err
		}
	}
}

func (s *Store) setLock(ctx context.Context, bucket, key, versionID string, c *metadata.LockChange) (string, error) {
	if s.closed.Load() {
		return "", ErrClosed
	}
	v, b, err := s.meta.Get(ctx, bucket, key, versionID)
	if err != nil {
		return "", err
	}
	if c.Seen != (metadata.VersionID{}) && v.ID != c.Seen {
		return "", metadata.ErrOvertaken
	}
	lock, err := c.Apply(v.Lock, s.now())
	if err != nil {
		return "", err
	}
	st, err := s.storePart(ctx, &partSource{
		body: strings.NewReader(""), layout: s.cfg.Layout.Small(),
		describe: func(part *metadata.Part, _ Sums) ([]byte, error) {
			part.Number, part.Modified = 1, s.meta.Newer(s.now()).Truncate(time.Millisecond)
			// A rebuild goes by this time, whatever the clocks of gateways say.
			if old := v.LockPart; old != nil && !part.Modified.After(old.Modified) {
				part.Modified = old.Modified.Add(time.Millisecond)
			}
			d := descriptor{kind: kindLock, bucket: bucket, version: &metadata.Version{
				Key: v.Key, ID: v.ID, Null: v.Null, Modified: v.Modified, Lock: lock, LockPart: part,
			}}
			return d.encode(nil)
		},
	})
	if err != nil {
		return "", err
	}
	id := v.ID.String()
	if v.Null {
		id = "null"
	}
	commit, cancel := s.commitContext(ctx, st.term)
	defer cancel()
	shown, err := s.meta.SetLock(commit, bucket, key, id, *c, lock, &st.part)
	if err != nil {
		return "", s.unmade(err, &st.part)
	}
	s.settled(st.part.Set)
	s.kickGC()
	if st.lost != 0 {
		ref := metadata.PartRef{BucketID: b.ID, Key: v.Key, Version: v.ID, Number: metadata.LockPartNumber, Set: st.part.Set}
		s.reportDamage(ref, st.part.Set, st.lost)
	}
	return shown, nil
}
