package boltkv

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"

	"go.etcd.io/bbolt"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/metadata/internal/overlay"
)

// maxGroupBytes ends a group: what it wrote is in memory until it is committed.
const maxGroupBytes = 16 << 20

// request is an update that waits.
type request struct {
	ctx   context.Context
	fn    func(metadata.Txn) error
	state atomic.Int32 // waiting until either side takes it
	buf   overlay.Buffer
	txn   overlay.Txn
	err   error
	panic any // of fn
	done  chan struct{}
}

const (
	waiting = iota
	running
	abandoned
)

var requests = sync.Pool{New: func() any { return &request{done: make(chan struct{}, 1)} }}

// Update implements metadata.KV.
func (d *DB) Update(ctx context.Context, fn func(metadata.Txn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	req := requests.Get().(*request)
	req.ctx, req.fn, req.err, req.panic = ctx, fn, nil, nil
	req.state.Store(waiting)
	if err := d.enqueue(req); err != nil {
		return err
	}
	select {
	case <-req.done:
	case <-ctx.Done():
		if req.state.CompareAndSwap(waiting, abandoned) {
			return ctx.Err() // the committer drops it
		}
		<-req.done
	}
	err, p := req.err, req.panic
	req.ctx, req.fn, req.txn = nil, nil, overlay.Txn{}
	req.buf.Reset()
	requests.Put(req)
	if p != nil {
		panic(p)
	}
	return err
}

func (d *DB) enqueue(req *request) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return metadata.ErrClosed
	}
	d.waiting = append(d.waiting, req)
	select {
	case d.wake <- struct{}{}:
	default:
	}
	return nil
}

// commitLoop runs groups until the store is closed and nothing waits.
func (d *DB) commitLoop() {
	defer close(d.stopped)
	var group []*request
	for range d.wake {
		group = d.take(group)
		for rest := group; len(rest) > 0; {
			n := d.group(rest)
			rest = rest[n:]
		}
		clear(group)
	}
	// wake is closed and no request comes any more.
	for rest := d.take(group); len(rest) > 0; {
		n := d.group(rest)
		rest = rest[n:]
	}
}

// take exchanges the queue for an empty one with the memory of old.
func (d *DB) take(old []*request) []*request {
	d.mu.Lock()
	defer d.mu.Unlock()
	group := d.waiting
	d.waiting = old[:0]
	return group
}

// group runs a group, the first of reqs, in one transaction and returns its length.
func (d *DB) group(reqs []*request) int {
	n := len(reqs)
	err := d.failure()
	if err == nil {
		n, err = d.run(reqs)
	}
	for _, req := range reqs[:n] {
		req.state.CompareAndSwap(waiting, running) // if it was not begun
		if req.state.Load() == abandoned {
			continue
		}
		if err != nil {
			req.err = err
		}
		req.done <- struct{}{}
	}
	return n
}

func (d *DB) failure() error {
	if err := d.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// run returns how many of reqs it ran, and the error of all of them.
func (d *DB) run(reqs []*request) (n int, err error) {
	tx, err := d.begin(true)
	if err != nil {
		return len(reqs), err
	}
	defer func() {
		if err != nil && tx.DB() != nil {
			// The transaction holds bbolt's lock for writers.
			if rerr := guard("roll back", tx.Rollback); rerr != nil {
				d.fail(rerr)
			}
		}
	}()
	r, err := newReader(tx)
	if err != nil {
		return len(reqs), err
	}
	size := 0
	for n < len(reqs) && size < maxGroupBytes {
		req := reqs[n]
		n++
		if !req.state.CompareAndSwap(waiting, running) {
			continue
		}
		if err := req.run(&r); err != nil {
			req.err = err
			continue
		}
		size += req.buf.Size()
		if err := apply(r.bucket, &req.buf); err != nil {
			return n, err
		}
	}
	if size == 0 {
		return n, guard("roll back", tx.Rollback)
	}
	id, fits := tx.ID(), d.fits(tx.Size())
	if !fits {
		d.replace(nil) // the map may have to grow, which waits for all that is read
	}
	if err := guard("commit", func() error { return d.commit(tx) }); err != nil {
		// Nothing was written yet, or not the meta page: the last state is in force.
		corrupt, stats := errors.Is(err, metadata.ErrCorrupt), tx.Stats()
		shown := !corrupt && d.shows(id) // bbolt may have panicked with its locks held
		if stats.GetWrite() > 0 && !outOfSpace(err) || corrupt || shown {
			d.fail(err)
		}
		if shown { // the next Open may find it: err must not be taken for one of before the commit
			return n, fmt.Errorf("boltkv: commit: %w: %v", metadata.ErrUnknown, err)
		}
		return n, fmt.Errorf("boltkv: commit: %w", err)
	}
	d.durable.Store(int64(id))
	d.tell()
	if fits {
		d.publish()
	}
	return n, nil
}

// run calls the update's function. A panic is taken to the goroutine that asked.
func (req *request) run(r *reader) (err error) {
	if err := req.ctx.Err(); err != nil {
		return err
	}
	defer func() {
		if p := recover(); p != nil {
			req.panic, err = p, errPanic
		}
	}()
	req.txn = overlay.Txn{Base: r, Buf: &req.buf}
	return req.fn(&req.txn)
}

var errPanic = errors.New("boltkv: update panicked")

// apply writes a buffer to the bbolt transaction, which keeps its slices.
func apply(b *bbolt.Bucket, buf *overlay.Buffer) error {
	return guard("apply", func() error {
		return buf.Each(func(key, value []byte) error {
			if value == nil {
				return b.Delete(key)
			}
			return b.Put(key, value)
		})
	})
}

// fail makes all later updates fail.
func (d *DB) fail(err error) {
	err = fmt.Errorf("boltkv: must be opened again after: %w", err)
	d.failed.CompareAndSwap(nil, &err)
	d.tell()
}

// outOfSpace tells errors that leave the last state in force if they come before the meta page.
func outOfSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}
