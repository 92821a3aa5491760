package metadata

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
)

// SourceOfAll is several engines, the partitions of a DB, as if they were one: the snapshots
// of them are not of one moment. ErrCorrupt when two have the same key.
func SourceOfAll(engines []KV) Source {
	if len(engines) == 1 {
		return SourceOf(engines[0])
	}
	return func(ctx context.Context, fn func(key, value []byte) error) error {
		db := &DB{kv: engines[0], more: engines[1:]}
		return db.viewAll(ctx, "read metadata", func(all []Reader, _ *scratch) error { return merge(ctx, all, fn) })
	}
}

// merge passes all pairs in the order of their keys. The quotas of an account become one.
func merge(ctx context.Context, all []Reader, fn func(key, value []byte) error) error {
	cursors := make([]*cursor, len(all))
	for i, r := range all {
		cursors[i] = newCursor(r, []byte{0}, nil, maxFetch)
	}
	for n := 0; ; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		var key []byte
		var values [][]byte
		for _, c := range cursors {
			k, v, err := c.peek()
			if err != nil {
				return err
			}
			if k == nil {
				continue
			}
			if order := bytes.Compare(k, key); key == nil || order < 0 {
				key, values = k, append(values[:0], v)
			} else if order == 0 {
				values = append(values, v)
			}
		}
		if key == nil {
			return nil
		}
		value, err := mergeValues(key, values)
		if err == nil && value != nil {
			err = fn(key, value)
		}
		if err != nil {
			return err
		}
		for _, c := range cursors {
			if k, _, _ := c.peek(); bytes.Equal(k, key) {
				c.skip()
			}
		}
	}
}

// mergeValues gives nil for what belongs to the partitions themselves.
func mergeValues(key []byte, values [][]byte) ([]byte, error) {
	if bytes.Equal(key, keyMap) {
		return nil, nil
	}
	if !bytes.HasPrefix(key, keyAccountQuota("")) {
		if len(values) > 1 {
			return nil, fmt.Errorf("key %q is in two metadata clusters: %w", key, ErrCorrupt)
		}
		return values[0], nil
	}
	var q accountQuota
	for _, v := range values {
		s, err := decodeQuota(key, v)
		if err != nil {
			return nil, fmt.Errorf("quota: %w", err)
		}
		q = append(q, s)
	}
	sum := q.total()
	return encodeQuota(key, &sum), nil
}

// Split gives the pairs of a source that each of n partitions is to have when place says
// where buckets go; garbage, notes and what belongs to no bucket go to the first. The source
// is read once by Split, which remembers the upload ids of all but the first partition.
func Split(ctx context.Context, from Source, n int, place func(bucket string) int) ([]Source, error) {
	if n == 1 {
		return []Source{from}, nil
	}
	d := &division{buckets: map[uint64]int{}, uploads: map[UploadID]uint8{}}
	if err := from(ctx, func(k, v []byte) error { return d.learn(k, v, place) }); err != nil {
		return nil, fmt.Errorf("divide metadata: %w", err)
	}
	list := make([]Source, n)
	for i := range list {
		list[i] = func(ctx context.Context, fn func(key, value []byte) error) error {
			return from(ctx, func(k, v []byte) error {
				v, err := d.part(k, v, i)
				if err != nil || v == nil {
					return err
				}
				return fn(k, v)
			})
		}
	}
	return list, nil
}

// division says where pairs go.
type division struct {
	buckets map[uint64]int
	uploads map[UploadID]uint8 // of partitions but the first
}

// learn is given pairs in the order of their keys: buckets come before all that is in them.
func (d *division) learn(key, value []byte, place func(string) int) error {
	switch key[0] {
	case spaceBucket:
		b, err := decodeBucket(key, value)
		if err != nil {
			return fmt.Errorf("bucket %q: %w", key[1:], err)
		}
		d.buckets[b.ID] = place(b.Name)
	case spaceObject, spaceVersion:
		at, err := d.bucket(key)
		if err != nil || at == 0 {
			return err
		}
		name, _ := objectKey(key)
		v, err := decodeVersion(key, value, string(name))
		if err != nil {
			return fmt.Errorf("version record of %q: %w", name, err)
		}
		if v.Upload != (UploadID{}) {
			d.uploads[v.Upload] = uint8(at)
		}
	case spaceUpload:
		at, err := d.bucket(key)
		if err != nil || at == 0 {
			return err
		}
		_, id, ok := splitID(key)
		if !ok {
			return fmt.Errorf("key of an upload: %w", ErrCorrupt)
		}
		d.uploads[id] = uint8(at)
	}
	return nil
}

// errNoBucket is for a record of a bucket that is not there.
var errNoBucket = errors.New("record of a bucket that does not exist")

func (d *division) bucket(key []byte) (int, error) {
	if len(key) < keyPrefixLen {
		return 0, fmt.Errorf("key %q: %w", key, ErrCorrupt)
	}
	at, ok := d.buckets[binary.BigEndian.Uint64(key[1:])]
	if !ok {
		return 0, fmt.Errorf("key %q: %w", key, errNoBucket)
	}
	return at, nil
}

// part is the value that a partition has for a key, nil for none.
func (d *division) part(key, value []byte, partition int) ([]byte, error) {
	at := 0
	var err error
	switch key[0] {
	case spaceBucket:
		b, derr := decodeBucket(key, value)
		if derr != nil {
			return nil, fmt.Errorf("bucket %q: %w", key[1:], derr)
		}
		at = d.buckets[b.ID]
	case spaceObject, spaceVersion, spaceNull, spaceUpload:
		at, err = d.bucket(key)
	case spacePart:
		if len(key) < 1+idLen {
			return nil, fmt.Errorf("key %q: %w", key, ErrCorrupt)
		}
		at = int(d.uploads[UploadID(key[1:1+idLen])])
	case spaceQuota:
		if bytes.HasPrefix(key, keyAccountQuota("")) {
			return quotaPart(key, value, partition)
		}
		if len(key) == 2+8 {
			at = d.buckets[binary.BigEndian.Uint64(key[2:])]
		}
	}
	if err != nil || at != partition {
		return nil, err
	}
	return value, nil
}

// quotaPart leaves what is used with the first partition, where the others see it.
func quotaPart(key, value []byte, partition int) ([]byte, error) {
	if partition == 0 {
		return value, nil
	}
	q, err := decodeQuota(key, value)
	if err != nil {
		return nil, fmt.Errorf("quota: %w", err)
	}
	q.elsewhere, q.Used = q.Used, Quota{}
	return encodeQuota(key, &q), nil
}
