package metadata

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The outbox has queues of notes, which the layers above make of changes. A note is
// written in the transaction of its change: it is there when the change is, after a
// crash too. Who delivers notes removes them, so that each is delivered at least once.

// ErrOutboxFull is for an Outbox that has no room for more notes: the change is not made.
var ErrOutboxFull = errors.New("outbox full")

// ChangeKind is what became of a version.
type ChangeKind uint8

// The kinds.
const (
	ChangePut       ChangeKind = iota + 1 // it was put in one piece
	ChangeCompleted                       // it was made of an upload
	ChangeRemoved                         // it is gone
	ChangeMarked                          // it is a delete marker, made now
	ChangeTagged                          // its tags changed
)

// Change is what a transaction did to an object.
type Change struct {
	Kind    ChangeKind
	Bucket  *Bucket // shared, read-only
	Version *Version
	Origin  any    // what WithOrigin put in the context, nil without
	Seq     uint64 // grows with each change of a key
}

// Note is an entry of a queue. Seq is its place.
type Note struct {
	Queue string // not empty, without NUL
	Seq   uint64
	Data  []byte

	partition int // where it is
}

// Outbox makes notes of a change; nil is none. It is called within transactions, maybe
// more than once for one change, and must be quick. An error undoes the change.
type Outbox func(Change) ([]Note, error)

// SetOutbox must be called before the DB is used for changes.
func (db *DB) SetOutbox(o Outbox) { db.outbox = o }

type originKey struct{}

// WithOrigin tells the Outbox who asks for changes.
func WithOrigin(ctx context.Context, origin any) context.Context {
	return context.WithValue(ctx, originKey{}, origin)
}

// note is called in the transaction of a change. before is the version that was current.
func (db *DB) note(ctx context.Context, t Txn, s *scratch, b *Bucket, kind ChangeKind, v, before *Version) error {
	if db.outbox == nil || v == nil {
		return nil
	}
	seq := uint64(db.tick())
	if before != nil { // of a gateway whose clock is ahead
		seq = max(seq, ^binary.BigEndian.Uint64(before.ID[:])+1)
	}
	notes, err := db.outbox(Change{Kind: kind, Bucket: b, Version: v, Origin: ctx.Value(originKey{}), Seq: seq})
	if err != nil {
		return err
	}
	for i := range notes {
		if err := putNote(t, s, notes[i].Queue, seq, notes[i].Data); err != nil {
			return err
		}
	}
	return nil
}

// putNote takes the next place that is free from seq on.
func putNote(t Txn, s *scratch, queue string, seq uint64, data []byte) error {
	if queue == "" || strings.IndexByte(queue, 0) >= 0 {
		return fmt.Errorf("name of a queue: %w", ErrInvalidKey)
	}
	for ; ; seq++ {
		seq = s.own(seq)
		s.key = keyNote(s.key, queue, seq)
		old, err := t.Get(s.key)
		if err != nil {
			return err
		}
		if old != nil {
			continue
		}
		s.value = seal(appendStr(append(s.value[:0], recordFormat), string(data)), 0, s.key)
		return t.Put(s.key, s.value)
	}
}

// AddNotes queues notes that come of no change.
func (db *DB) AddNotes(ctx context.Context, notes []Note) error {
	return db.upkeep(ctx, "add notes", func(t Txn, s *scratch) error {
		for i := range notes {
			if err := putNote(t, s, notes[i].Queue, uint64(db.tick()), notes[i].Data); err != nil {
				return err
			}
		}
		return nil
	})
}

// Notes reads the head of a queue. Of several partitions those that are away are left out.
func (db *DB) Notes(ctx context.Context, queue string, limit int) (list []Note, err error) {
	err = db.eachThatAnswers(func(i int) error {
		some, err := db.notesAt(ctx, i, queue, limit)
		list = append(list, some...)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(db.more) > 0 {
		slices.SortFunc(list, func(a, b Note) int { return cmp.Compare(a.Seq, b.Seq) })
	}
	return list[:min(len(list), limit)], nil
}

func (db *DB) notesAt(ctx context.Context, partition int, queue string, limit int) ([]Note, error) {
	var list []Note
	err := db.viewAt(ctx, "read notes", partition, func(r Reader, _ *scratch) error {
		list = nil
		var bad error
		from := keyNotes(nil, queue)
		err := r.Scan(from, prefixEnd(from), func(k, raw []byte) bool {
			var d decoder
			if d, bad = unseal(k, raw); bad != nil {
				return false
			}
			n := Note{Queue: queue, partition: partition, Seq: binary.BigEndian.Uint64(k[len(from):]), Data: bytes.Clone(d.take(d.length(1)))}
			bad = d.end()
			list = append(list, n)
			return bad == nil && len(list) < limit
		})
		return errors.Join(err, bad)
	})
	return list, err
}

// CountNotes counts up to limit notes of a queue.
func (db *DB) CountNotes(ctx context.Context, queue string, limit int) (n int, err error) {
	err = db.viewAll(ctx, "count notes", func(all []Reader, _ *scratch) error {
		n = 0
		from := keyNotes(nil, queue)
		for _, r := range all {
			if err := r.Scan(from, prefixEnd(from), func(_, _ []byte) bool { n++; return n < limit }); err != nil || n >= limit {
				return err
			}
		}
		return nil
	})
	return n, err
}

// NotesDone removes notes; those that are not there are no error.
func (db *DB) NotesDone(ctx context.Context, notes []Note) error {
	var errs []error
	for at := range db.partitions() {
		some := slices.DeleteFunc(slices.Clone(notes), func(n Note) bool { return n.partition != at })
		if len(some) > 0 {
			errs = append(errs, db.notesDoneAt(ctx, at, some))
		}
	}
	return errors.Join(errs...)
}

func (db *DB) notesDoneAt(ctx context.Context, partition int, notes []Note) error {
	return db.upkeepAt(ctx, "remove notes", partition, func(t Txn, s *scratch) error {
		for i := range notes {
			s.key = keyNote(s.key, notes[i].Queue, notes[i].Seq)
			if err := t.Delete(s.key); err != nil {
				return err
			}
		}
		return nil
	})
}

func keyNotes(dst []byte, queue string) []byte {
	return append(append(append(dst[:0], spaceNote), queue...), 0)
}

func keyNote(dst []byte, queue string, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(keyNotes(dst, queue), seq)
}
