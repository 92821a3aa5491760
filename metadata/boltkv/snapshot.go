package boltkv

import (
	"context"
	"sync/atomic"

	"go.etcd.io/bbolt"

	"github.com/weftstore/weft/metadata"
)

// bbolt shows a commit as soon as its meta page is written, and syncs the page then. A loss of
// power may undo what was read in between; so views read a snapshot that was taken when the last
// commit was durable, and all the same one.

// snapshot is a read-only transaction that many read at once: of bbolt's reads of a bucket none
// changes anything but a counter, which is atomic.
type snapshot struct {
	tx   *bbolt.Tx
	r    reader
	refs atomic.Int64 // views, and one while it is the current one; at 0 tx has ended
}

func (s *snapshot) release() {
	if s.refs.Add(-1) == 0 {
		_ = guard("roll back", s.tx.Rollback) // it only read
	}
}

// headroom is the part of the map that is kept for a commit: a group of maxGroupBytes in small
// records, each on a page of its own.
const headroom = 2 << 30

// fits says that a commit to a file of a size will not make the map grow.
func (d *DB) fits(size int64) bool { return size+headroom <= d.mapSize }

// publish makes the last state what views read. Called when it is durable.
func (d *DB) publish() {
	tx, err := d.begin(false)
	if err != nil {
		d.replace(nil) // views meet the error themselves
		return
	}
	s := &snapshot{tx: tx}
	s.refs.Store(1)
	if s.r, err = newReader(tx); err != nil {
		s.release()
		s = nil
	}
	d.replace(s)
}

func (d *DB) replace(s *snapshot) {
	if old := d.current.Swap(s); old != nil {
		old.release()
	}
}

// acquire is the snapshot to read, or nil: then a view has a transaction of its own.
func (d *DB) acquire() *snapshot {
	for {
		s := d.current.Load()
		if s == nil {
			return nil
		}
		if n := s.refs.Load(); n > 0 && s.refs.CompareAndSwap(n, n+1) {
			return s
		}
	}
}

// View implements metadata.KV.
func (d *DB) View(ctx context.Context, fn func(metadata.Reader) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s := d.acquire(); s != nil {
		defer s.release()
		return fn(&s.r)
	}
	tx, err := d.begin(false)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if err := d.settle(ctx, tx.ID()); err != nil {
		return err
	}
	r, err := newReader(tx)
	if err != nil {
		return err
	}
	return fn(&r)
}

// settle waits until the state that transaction id left is durable.
func (d *DB) settle(ctx context.Context, id int) error {
	for int64(id) > d.durable.Load() {
		d.mu.Lock()
		if d.moved == nil {
			d.moved = make(chan struct{})
		}
		moved := d.moved
		d.mu.Unlock()
		if int64(id) <= d.durable.Load() {
			break
		}
		if err := d.failure(); err != nil {
			return err
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// tell wakes those who wait for durable or failed.
func (d *DB) tell() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.moved != nil {
		close(d.moved)
		d.moved = nil
	}
}

// shows says that the state that transaction id left can be read: what comes next would build on it.
func (d *DB) shows(id int) bool {
	tx, err := d.begin(false)
	if err != nil {
		return false
	}
	defer func() { _ = tx.Rollback() }()
	return tx.ID() >= id
}
