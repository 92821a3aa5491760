// Package memkv is an engine for package metadata that keeps everything in memory:
// for tests, and the reference that the other engines are compared with. Nothing is
// durable.
//
// A snapshot is a sorted slice that is never changed, so that an update copies it:
// fast enough for tens of thousands of keys. Safe for concurrent use. Errors are the
// context's and what the transaction's function returns.
package memkv

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/metadata/internal/overlay"
)

// Store implements metadata.KV.
type Store struct {
	mu  sync.Mutex // serializes updates
	now atomic.Pointer[snapshot]
}

type pair struct{ key, value []byte }

type snapshot []pair

// New makes an empty store.
func New() *Store {
	s := new(Store)
	s.now.Store(new(snapshot))
	return s
}

var _ metadata.KV = (*Store)(nil)

// View implements metadata.KV.
func (s *Store) View(ctx context.Context, fn func(metadata.Reader) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return fn(*s.now.Load())
}

// Update implements metadata.KV.
func (s *Store) Update(ctx context.Context, fn func(metadata.Txn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	base := *s.now.Load()
	var buf overlay.Buffer
	if err := fn(&overlay.Txn{Base: base, Buf: &buf}); err != nil {
		return err
	}
	if buf.Len() == 0 {
		return nil
	}
	next := make(snapshot, 0, len(base)+buf.Len())
	at := 0
	err := buf.Each(func(key, value []byte) error {
		i, found := base.search(key)
		next = append(next, base[at:i]...)
		at = i
		if found {
			at++
		}
		if value != nil {
			next = append(next, pair{key, value})
		}
		return nil
	})
	if err != nil {
		return err
	}
	next = append(next, base[at:]...)
	s.now.Store(&next)
	return nil
}

// Close implements metadata.KV.
func (s *Store) Close() error { return nil }

func (s snapshot) search(key []byte) (int, bool) {
	return slices.BinarySearchFunc(s, key, func(p pair, key []byte) int { return bytes.Compare(p.key, key) })
}

// Get implements metadata.Reader.
func (s snapshot) Get(key []byte) ([]byte, error) {
	if i, found := s.search(key); found {
		return s[i].value, nil
	}
	return nil, nil
}

// Scan implements metadata.Reader.
func (s snapshot) Scan(from, to []byte, fn func(key, value []byte) bool) error {
	i, _ := s.search(from)
	for ; i < len(s); i++ {
		if to != nil && bytes.Compare(s[i].key, to) >= 0 || !fn(s[i].key, s[i].value) {
			break
		}
	}
	return nil
}
