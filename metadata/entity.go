package metadata

import (
	"bytes"
	"context"
	"fmt"
)

// Entities are small records that belong to no bucket, such as users and their keys.
// What is in them is the business of the package above: this one knows a kind, a
// scope within which names are unique, and a name. Scope and name have no NUL.

// EntityReader reads entities at one moment.
type EntityReader struct{ r Reader }

// EntityTxn reads and writes entities.
type EntityTxn struct {
	EntityReader
	t Txn
}

// MaxEntityName bounds scope and name together, in bytes.
const MaxEntityName = 1024

// ViewEntities runs fn, which may be run more than once, on a snapshot.
func (db *DB) ViewEntities(ctx context.Context, fn func(EntityReader) error) error {
	return db.view(ctx, "read identities", func(r Reader, _ *scratch) error { return fn(EntityReader{r}) })
}

// UpdateEntities runs fn, which may be run more than once, and commits what it wrote.
func (db *DB) UpdateEntities(ctx context.Context, fn func(EntityTxn) error) error {
	return db.update(ctx, "change identities", func(t Txn, _ *scratch) error { return fn(EntityTxn{EntityReader{t}, t}) })
}

// Get returns a copy of what was put, nil when it is not there.
func (e EntityReader) Get(kind byte, scope, name string) ([]byte, error) {
	key := keyEntity(nil, kind, scope, name)
	raw, err := e.r.Get(key)
	if err != nil || raw == nil {
		return nil, err
	}
	return decodeEntity(key, raw)
}

// Scan calls fn for all of a kind and scope in the order of their names, until it
// returns false. The slice is fn's to keep.
func (e EntityReader) Scan(kind byte, scope string, fn func(name string, data []byte) bool) error {
	from := keyEntity(nil, kind, scope, "")
	var bad error
	err := e.r.Scan(from, prefixEnd(from), func(k, v []byte) bool {
		data, err := decodeEntity(k, v)
		if err != nil {
			bad = err
			return false
		}
		return fn(string(k[len(from):]), data)
	})
	if err == nil {
		err = bad
	}
	return err
}

// BucketOf is the name of a bucket of an account, "" when there is none. It looks at the first
// of several engines only.
func (e EntityReader) BucketOf(account string) (string, error) {
	list, err := allBuckets(e.r)
	for i := range list {
		if list[i].Owner == account {
			return list[i].Name, err
		}
	}
	return "", err
}

// Put replaces an entity.
func (e EntityTxn) Put(kind byte, scope, name string, data []byte) error {
	if len(scope)+len(name) > MaxEntityName || bytes.IndexByte([]byte(scope+name), 0) >= 0 {
		return fmt.Errorf("name of %d bytes: %w", len(scope)+len(name), ErrInvalidKey)
	}
	key := keyEntity(nil, kind, scope, name)
	return e.t.Put(key, encodeEntity(nil, key, data))
}

// Delete removes an entity; one that is not there is no error.
func (e EntityTxn) Delete(kind byte, scope, name string) error {
	return e.t.Delete(keyEntity(nil, kind, scope, name))
}

func keyEntity(dst []byte, kind byte, scope, name string) []byte {
	dst = append(append(dst[:0], spaceEntity, kind), scope...)
	return append(append(dst, 0), name...)
}

func encodeEntity(dst, key, data []byte) []byte {
	start := len(dst)
	return seal(appendStr(append(dst, recordFormat), string(data)), start, key)
}

func decodeEntity(key, value []byte) ([]byte, error) {
	d, err := unseal(key, value)
	if err != nil {
		return nil, err
	}
	data := bytes.Clone(d.take(d.length(1)))
	return data, d.end()
}
