// Package overlay is the write buffer of a transaction: puts and deletes that are
// not applied yet, and reads that see them over an engine's snapshot.
//
// It is shared by the engines of package metadata and knows nothing of either
// their storage or of the records. A [Buffer] and a [Txn] belong to one goroutine.
// Errors are those of the snapshot, and metadata.ErrTooLarge.
package overlay

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/weftstore/weft/metadata"
)

// Buffer holds writes in the order of their keys. The zero value is empty.
type Buffer struct {
	ops   []*op
	slab  []op
	arena []byte
	size  int
	gen   int // changes with every write that moves ops
}

type op struct {
	key, value []byte
	del        bool
}

const (
	arenaChunk = 16 << 10
	slabChunk  = 32
	keepArena  = 256 << 10 // what Reset keeps for reuse
)

// Len is the number of keys written.
func (b *Buffer) Len() int { return len(b.ops) }

// Size is the number of bytes written, overwritten ones included.
func (b *Buffer) Size() int { return b.size }

// Reset empties b, for use by another transaction. What it lent is invalid then.
func (b *Buffer) Reset() {
	if cap(b.arena) > keepArena {
		b.arena = nil
	}
	*b = Buffer{ops: b.ops[:0], slab: b.slab[:0], arena: b.arena[:0], gen: b.gen + 1}
}

// Each calls fn for every write in the order of keys; value is nil for a delete.
// Slices stay valid until Reset.
func (b *Buffer) Each(fn func(key, value []byte) error) error {
	for _, o := range b.ops {
		if err := fn(o.key, o.val()); err != nil {
			return err
		}
	}
	return nil
}

func (o *op) val() []byte {
	if o.del {
		return nil
	}
	return o.value
}

func (b *Buffer) search(key []byte) (int, bool) {
	return slices.BinarySearchFunc(b.ops, key, func(o *op, key []byte) int { return bytes.Compare(o.key, key) })
}

// copy gives a copy that is not nil, and that later writes do not change.
func (b *Buffer) copy(p []byte) []byte {
	if len(b.arena)+len(p) > cap(b.arena) || b.arena == nil {
		// What the full chunk holds stays reachable through the ops.
		b.arena = make([]byte, 0, max(arenaChunk, len(p)))
	}
	at := len(b.arena)
	b.arena = append(b.arena, p...)
	b.size += len(p)
	return b.arena[at:len(b.arena):len(b.arena)]
}

func (b *Buffer) set(key, value []byte, del bool) {
	i, found := b.search(key)
	if !found {
		if len(b.slab) == cap(b.slab) {
			b.slab = make([]op, 0, slabChunk)
		}
		b.slab = append(b.slab, op{key: b.copy(key)})
		b.ops = slices.Insert(b.ops, i, &b.slab[len(b.slab)-1])
		b.gen++
	}
	o := b.ops[i]
	o.del = del
	o.value = nil
	if !del {
		o.value = b.copy(value)
	}
}

// Txn is a metadata.Txn that reads Base and writes Buf.
type Txn struct {
	Base metadata.Reader
	Buf  *Buffer
}

// Get implements metadata.Reader.
func (t *Txn) Get(key []byte) ([]byte, error) {
	if i, found := t.Buf.search(key); found {
		return t.Buf.ops[i].val(), nil
	}
	return t.Base.Get(key)
}

// Put implements metadata.Txn; metadata.ErrTooLarge beyond MaxKVKey and MaxKVValue.
func (t *Txn) Put(key, value []byte) error {
	if len(key) == 0 || len(key) > metadata.MaxKVKey || len(value) > metadata.MaxKVValue {
		return fmt.Errorf("put key of %d bytes, value of %d: %w", len(key), len(value), metadata.ErrTooLarge)
	}
	t.Buf.set(key, value, false)
	return nil
}

// Delete implements metadata.Txn.
func (t *Txn) Delete(key []byte) error {
	t.Buf.set(key, nil, true)
	return nil
}

// Scan implements metadata.Reader. fn may write to the transaction: what it writes
// behind the current key is not seen, what it writes before it is.
func (t *Txn) Scan(from, to []byte, fn func(key, value []byte) bool) error {
	if len(t.Buf.ops) == 0 {
		return t.scanClean(from, to, fn)
	}
	m := merge{buf: t.Buf, at: bytes.Clone(from), to: to, fn: fn}
	m.find()
	err := t.Base.Scan(from, to, func(key, value []byte) bool {
		if !m.emit(key) {
			return false
		}
		if o := m.next(); o != nil && bytes.Equal(o.key, key) {
			return m.lend(o)
		}
		m.passed(key)
		if !m.fn(key, value) {
			m.stopped = true
		}
		return !m.stopped
	})
	if err != nil || m.stopped {
		return err
	}
	m.emit(nil)
	return nil
}

// scanClean is Scan before anything was written; it must still see what fn writes.
func (t *Txn) scanClean(from, to []byte, fn func(key, value []byte) bool) error {
	var last []byte
	wrote := false
	err := t.Base.Scan(from, to, func(key, value []byte) bool {
		if !fn(key, value) {
			return false
		}
		if len(t.Buf.ops) > 0 {
			wrote, last = true, append(bytes.Clone(key), 0)
		}
		return !wrote
	})
	if err != nil || !wrote {
		return err
	}
	return t.Scan(last, to, fn)
}

// merge is a Scan under way: at is where the writes not yet lent begin.
type merge struct {
	buf     *Buffer
	i, gen  int
	at, to  []byte
	fn      func(key, value []byte) bool
	stopped bool
}

func (m *merge) find() {
	m.i, _ = m.buf.search(m.at)
	m.gen = m.buf.gen
}

func (m *merge) passed(key []byte) {
	m.at = append(append(m.at[:0], key...), 0)
}

// next is the first write at or past at, nil at the end of the range.
func (m *merge) next() *op {
	if m.gen != m.buf.gen {
		m.find()
	}
	if m.i == len(m.buf.ops) {
		return nil
	}
	o := m.buf.ops[m.i]
	if m.to != nil && bytes.Compare(o.key, m.to) >= 0 {
		return nil
	}
	return o
}

// lend passes a write on and moves past it; it reports whether to go on.
func (m *merge) lend(o *op) bool {
	m.i++
	m.passed(o.key)
	if !o.del && !m.fn(o.key, o.value) {
		m.stopped = true
	}
	return !m.stopped
}

// emit lends the writes before key, all that remain when it is nil.
func (m *merge) emit(key []byte) bool {
	for {
		o := m.next()
		if o == nil || key != nil && bytes.Compare(o.key, key) >= 0 {
			return true
		}
		if !m.lend(o) {
			return false
		}
	}
}
