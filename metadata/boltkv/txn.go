package boltkv

import (
	"bytes"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/weftstore/weft/metadata"
)

// view reads from a bbolt transaction.
type view struct{ b *bbolt.Bucket }

// Get implements metadata.Reader.
func (v *view) Get(key []byte) ([]byte, error) { return v.b.Get(key), nil }

// Scan implements metadata.Reader.
func (v *view) Scan(from, to []byte, fn func(k, v []byte) bool) error {
	c := v.b.Cursor()
	for k, val := c.Seek(from); k != nil && (to == nil || bytes.Compare(k, to) < 0); k, val = c.Next() {
		if !fn(k, val) {
			return nil
		}
	}
	return nil
}

// write is a pending put, or a delete when value is nil.
type write struct{ key, value []byte }

// txn is one update: what it wrote, in key order, over what was there.
type txn struct {
	base   view
	writes []write
}

var _ metadata.Txn = (*txn)(nil)

func (t *txn) empty() bool { return len(t.writes) == 0 }

func (t *txn) find(key []byte) (int, bool) {
	return slices.BinarySearchFunc(t.writes, key, func(w write, k []byte) int { return bytes.Compare(w.key, k) })
}

// Get implements metadata.Reader.
func (t *txn) Get(key []byte) ([]byte, error) {
	if i, ok := t.find(key); ok {
		return t.writes[i].value, nil
	}
	return t.base.Get(key)
}

// Put implements metadata.Txn.
func (t *txn) Put(key, value []byte) error {
	if len(key) == 0 || len(key) > metadata.MaxKVKey || len(value) > metadata.MaxKVValue {
		return fmt.Errorf("put: key of %d and value of %d bytes: beyond the limits of an engine", len(key), len(value))
	}
	// An empty value must differ from nil, which marks a delete.
	t.set(key, append(make([]byte, 0, len(value)+1), value...))
	return nil
}

// Delete implements metadata.Txn.
func (t *txn) Delete(key []byte) error {
	t.set(key, nil)
	return nil
}

func (t *txn) set(key, value []byte) {
	i, ok := t.find(key)
	if ok {
		t.writes[i].value = value
		return
	}
	t.writes = slices.Insert(t.writes, i, write{bytes.Clone(key), value})
}

// Scan implements metadata.Reader: the base merged with what was written. The
// writes are those from before the scan, so that fn may write.
func (t *txn) Scan(from, to []byte, fn func(k, v []byte) bool) error {
	i, _ := t.find(from)
	mine := slices.Clone(t.writes[i:])
	if to != nil {
		n, _ := slices.BinarySearchFunc(mine, to, func(w write, k []byte) int { return bytes.Compare(w.key, k) })
		mine = mine[:n]
	}
	emit := func(w write) bool { return w.value == nil || fn(w.key, w.value) }
	stopped := false
	err := t.base.Scan(from, to, func(k, v []byte) bool {
		for len(mine) > 0 && bytes.Compare(mine[0].key, k) < 0 {
			if !emit(mine[0]) {
				stopped = true
				return false
			}
			mine = mine[1:]
		}
		if len(mine) > 0 && bytes.Equal(mine[0].key, k) {
			w := mine[0]
			mine = mine[1:]
			stopped = !emit(w)
		} else {
			stopped = !fn(k, v)
		}
		return !stopped
	})
	for !stopped && err == nil && len(mine) > 0 {
		stopped = !emit(mine[0])
		mine = mine[1:]
	}
	return err
}

// apply writes to bbolt. Values stay ours until the commit, as bbolt wants.
func (t *txn) apply(b *bbolt.Bucket) error {
	for _, w := range t.writes {
		var err error
		if w.value == nil {
			err = b.Delete(w.key)
		} else {
			err = b.Put(w.key, w.value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// fromBolt tells whether the innermost frames of a panic are bbolt's: the first
// frame of a function below panic itself.
func fromBolt(stack []byte) bool {
	_, rest, ok := bytes.Cut(stack, []byte("panic("))
	if !ok {
		return false
	}
	lines := bytes.SplitN(rest, []byte("\n"), 12)
	for _, l := range lines[1:] {
		if bytes.HasPrefix(l, []byte("go.etcd.io/bbolt")) {
			return true
		}
	}
	return false
}
