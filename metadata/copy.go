package metadata

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

// Source gives all pairs of an engine or a snapshot in the order of their keys, as they
// were at one moment, and the same ones again when it is called again and nothing was
// written meanwhile. What it lends is valid until fn returns; fn's error ends it.
type Source func(ctx context.Context, fn func(key, value []byte) error) error

// SourceOf is an engine.
func SourceOf(kv KV) Source {
	return func(ctx context.Context, fn func(key, value []byte) error) error {
		return kv.View(ctx, func(r Reader) error {
			var bad error
			err := r.Scan([]byte{0}, nil, func(k, v []byte) bool {
				if bad = ctx.Err(); bad == nil {
					bad = fn(k, v)
				}
				return bad == nil
			})
			return errors.Join(bad, err)
		})
	}
}

// SourceIn is a snapshot, as SnapshotTo wrote it. It is read from its beginning each
// time. ErrCorrupt when it is damaged or cut short.
func SourceIn(r io.ReadSeeker) Source {
	return func(ctx context.Context, fn func(key, value []byte) error) error {
		if _, err := r.Seek(0, io.SeekStart); err != nil {
			return err
		}
		return readSnapshot(r, func(k, v []byte) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return fn(k, v)
		})
	}
}

// ErrOther is returned by Copy and Compare when the engine holds something else than
// the source.
var ErrOther = errors.New("holds other metadata than the source")

// Copied counts pairs; Written are those that were not there before.
type Copied struct {
	Pairs   int64 `json:"pairs"`
	Bytes   int64 `json:"bytes"`
	Written int64 `json:"written"`
}

// Batches are cut so that etcd's defaults take them.
const (
	copyPairs = 500
	copyBytes = 512 << 10
)

// Copy writes all pairs of a source into an engine that is empty, or has some of them
// from a copy that was cut short, and then compares every pair. ErrOther when the engine
// has a pair that the source has not. Nobody else may write to either. report may be nil.
func Copy(ctx context.Context, from Source, into KV, report func(phase string, c Copied)) (Copied, error) {
	c := &copier{ctx: ctx, into: into, report: report}
	// Before anything is written: what is there is part of the source.
	if _, err := compare(ctx, from, into, true, nil); err != nil {
		return c.done, fmt.Errorf("copy metadata: %w", err)
	}
	err := from(ctx, c.add)
	if err == nil {
		err = c.flush(nil)
	}
	if err != nil {
		return c.done, fmt.Errorf("copy metadata: %w", err)
	}
	n, err := Compare(ctx, from, into, report)
	if err == nil && n != c.done.Pairs {
		err = fmt.Errorf("copy metadata: %d pairs were read first and %d later: somebody writes to the source", c.done.Pairs, n)
	}
	return c.done, err
}

type copier struct {
	ctx    context.Context
	into   KV
	report func(string, Copied)
	batch  []pair
	size   int
	from   []byte // first key that was not compared with what is there
	done   Copied
}

func (c *copier) add(k, v []byte) error {
	if len(c.batch) == copyPairs || c.size+len(k)+len(v) > copyBytes && len(c.batch) > 0 {
		if err := c.flush(k); err != nil {
			return err
		}
	}
	c.batch = append(c.batch, pair{bytes.Clone(k), bytes.Clone(v)})
	c.size += len(k) + len(v)
	return nil
}

// flush writes the batch, which is all there may be before the key to; nil is the end.
func (c *copier) flush(to []byte) error {
	from := c.from
	if from == nil {
		from = []byte{0}
	}
	var written int64
	err := c.into.Update(c.ctx, func(t Txn) error {
		var missing []pair
		rest := c.batch
		var bad error
		err := t.Scan(from, to, func(k, v []byte) bool {
			for len(rest) > 0 && bytes.Compare(rest[0].key, k) < 0 {
				missing, rest = append(missing, rest[0]), rest[1:]
			}
			if len(rest) == 0 || !bytes.Equal(rest[0].key, k) || !bytes.Equal(rest[0].value, v) {
				bad = fmt.Errorf("key %q: %w", k, ErrOther)
				return false
			}
			rest = rest[1:]
			return true
		})
		if err != nil || bad != nil {
			return errors.Join(err, bad)
		}
		missing = append(missing, rest...)
		written = int64(len(missing))
		for _, p := range missing {
			if err := t.Put(p.key, p.value); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	c.done.Pairs += int64(len(c.batch))
	c.done.Bytes += int64(c.size)
	c.done.Written += written
	c.batch, c.size, c.from = c.batch[:0], 0, bytes.Clone(to)
	if c.report != nil {
		c.report("copy", c.done)
	}
	return nil
}

// Compare compares every pair of a source with those of an engine, both ways, and
// returns how many there are; ErrOther when one differs.
func Compare(ctx context.Context, from Source, with KV, report func(phase string, c Copied)) (int64, error) {
	n, err := compare(ctx, from, with, false, report)
	if err != nil {
		return n, fmt.Errorf("compare metadata: %w", err)
	}
	return n, nil
}

// compare is Compare; partial allows pairs that only the source has.
func compare(ctx context.Context, from Source, with KV, partial bool, report func(string, Copied)) (int64, error) {
	next := make(chan pair)
	ctx, cancel := context.WithCancel(ctx)
	var readErr error
	go func() {
		defer close(next)
		readErr = from(ctx, func(k, v []byte) error {
			select {
			case next <- pair{bytes.Clone(k), bytes.Clone(v)}:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	var done Copied
	err := SourceOf(with)(ctx, func(k, v []byte) error {
		p, ok := <-next
		for partial && ok && bytes.Compare(p.key, k) < 0 {
			p, ok = <-next
		}
		if !ok || !bytes.Equal(p.key, k) || !bytes.Equal(p.value, v) {
			if ok || readErr == nil {
				return fmt.Errorf("key %q: %w", k, ErrOther)
			}
			return readErr
		}
		done.Pairs, done.Bytes = done.Pairs+1, done.Bytes+int64(len(k)+len(v))
		if report != nil && done.Pairs%copyPairs == 0 {
			report("compare", done)
		}
		return nil
	})
	if err == nil && !partial {
		if p, ok := <-next; ok {
			err = fmt.Errorf("key %q is missing: %w", p.key, ErrOther)
		} else {
			err = readErr
		}
	}
	cancel()
	for range next { // until the source has ended
	}
	return done.Pairs, err
}
