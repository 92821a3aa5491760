package s3api

import (
	"context"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/store"
)

// FromStore makes Objects of a store, whose methods return its own types.
func FromStore(s *store.Store) Objects { return storeObjects{s} }

type storeObjects struct{ *store.Store }

// Open wraps what the store opened; the wrapper is a pointer's size and costs no
// allocation.
func (s storeObjects) Open(ctx context.Context, bucket, key, versionID string) (Object, error) {
	o, err := s.Store.Open(ctx, bucket, key, versionID)
	if err != nil {
		return nil, err
	}
	return storeObject{o}, nil
}

type storeObject struct{ *store.Object }

// Unlock implements Object.
func (o storeObject) Unlock(key *[32]byte) { o.Object.Key = (*store.Key)(key) }

func (o storeObject) Info() (*metadata.Version, string) { return o.Object.Version, o.Object.VersionID }

func (o storeObject) Read(ctx context.Context, off, n int64) (Stream, error) {
	if o.Object.Key != nil {
		s, err := o.Object.ReadSealed(ctx, o.Object.Key, off, n)
		if err != nil {
			return nil, err
		}
		return s, nil
	}
	s, err := o.Object.Read(ctx, off, n)
	if err != nil {
		return nil, err
	}
	return s, nil
}
