package metadata

import (
	"context"
	"fmt"
)

// Background work keeps its place in small records, so that who goes on with it, after a
// restart or as the next leader, need not begin anew. What is in them is the business of
// the package above.

func keyWork(dst []byte, name string) []byte { return append(append(dst[:0], spaceWork), name...) }

// Work reads the record of a name, nil when there is none.
func (db *DB) Work(ctx context.Context, name string) ([]byte, error) {
	var data []byte
	err := db.view(ctx, "read work", func(r Reader, s *scratch) error {
		s.key = keyWork(s.key, name)
		raw, err := r.Get(s.key)
		if err != nil || raw == nil {
			data = nil
			return err
		}
		if data, err = decodeEntity(s.key, raw); err != nil {
			return fmt.Errorf("work %q: %w", name, err)
		}
		return nil
	})
	return data, err
}

// SetWork replaces it.
func (db *DB) SetWork(ctx context.Context, name string, data []byte) error {
	return db.upkeep(ctx, "set work", func(t Txn, s *scratch) error {
		s.key = keyWork(s.key, name)
		s.value = encodeEntity(s.value[:0], s.key, data)
		return t.Put(s.key, s.value)
	})
}
