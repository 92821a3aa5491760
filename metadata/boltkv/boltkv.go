package boltkv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/weftstore/weft/metadata"
)

const (
	// maxBatch bounds the updates of one commit, so that the first of them does
	// not wait for long.
	maxBatch = 256
	// growBy is the step in which the file grows.
	growBy = 64 << 20
	// lockWait is how long Open waits for another process to let go of the file.
	lockWait = time.Second
)

var bucketName = []byte("weft")

// ErrClosed: the engine was closed.
var ErrClosed = errors.New("metadata engine closed")

// DB is a metadata.KV. Safe for concurrent use.
type DB struct {
	db    *bbolt.DB
	queue chan *update
	quit  chan struct{}
	done  chan struct{}
	once  sync.Once
}

var _ metadata.KV = (*DB)(nil)

// update is a transaction that waits to be run.
type update struct {
	ctx  context.Context
	fn   func(metadata.Txn) error
	err  error
	done chan struct{}
}

// Open opens or creates the file, mode 0600. It fails when another process has it.
func Open(path string) (*DB, error) {
	b, err := bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout:        lockWait,
		NoFreelistSync: true,
		FreelistType:   bbolt.FreelistMapType,
	})
	if err != nil {
		if errors.Is(err, bbolt.ErrInvalid) || errors.Is(err, bbolt.ErrChecksum) || errors.Is(err, bbolt.ErrVersionMismatch) {
			err = errors.Join(err, metadata.ErrCorrupt)
		}
		return nil, fmt.Errorf("open metadata %s: %w", path, err)
	}
	b.AllocSize = growBy
	err = b.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucketName)
		return err
	})
	if err != nil {
		b.Close()
		return nil, fmt.Errorf("open metadata %s: %w", path, err)
	}
	d := &DB{db: b, queue: make(chan *update, maxBatch), quit: make(chan struct{}), done: make(chan struct{})}
	go d.commitLoop()
	return d, nil
}

// Close waits for updates under way. Later calls fail with ErrClosed.
func (d *DB) Close() error {
	var err error
	d.once.Do(func() {
		close(d.quit)
		<-d.done
		err = d.db.Close()
	})
	return err
}

// View implements metadata.KV.
func (d *DB) View(ctx context.Context, fn func(metadata.Reader) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var own error // fn's error goes back unwrapped
	err := guard(func() error {
		return d.db.View(func(tx *bbolt.Tx) error {
			own = fn(&view{tx.Bucket(bucketName)})
			return own
		})
	})
	if own != nil {
		return own
	}
	return closedError(err)
}

// Update implements metadata.KV. When ctx ends while the update waits, it is not
// run; once it runs, its outcome is awaited.
func (d *DB) Update(ctx context.Context, fn func(metadata.Txn) error) error {
	u := &update{ctx: ctx, fn: fn, done: make(chan struct{})}
	select {
	case d.queue <- u:
	case <-ctx.Done():
		return ctx.Err()
	case <-d.quit:
		return ErrClosed
	}
	select {
	case <-u.done:
		return u.err
	case <-d.done:
		// The loop has ended: either it answered u before, or never will.
		select {
		case <-u.done:
			return u.err
		default:
			return ErrClosed
		}
	}
}

func (d *DB) commitLoop() {
	defer close(d.done)
	batch := make([]*update, 0, maxBatch)
	for {
		select {
		case u := <-d.queue:
			batch = d.gather(append(batch[:0], u))
			d.commit(batch)
			clear(batch)
		case <-d.quit:
			return
		}
	}
}

// gather takes what waits already. While a commit syncs the next batch grows.
func (d *DB) gather(batch []*update) []*update {
	for len(batch) < maxBatch {
		select {
		case u := <-d.queue:
			batch = append(batch, u)
		default:
			return batch
		}
	}
	return batch
}

func (d *DB) commit(batch []*update) {
	err := guard(func() error {
		return d.db.Update(func(tx *bbolt.Tx) error {
			b := tx.Bucket(bucketName)
			wrote := false
			for _, u := range batch {
				t := txn{base: view{b}}
				if u.err = u.ctx.Err(); u.err == nil {
					u.err = u.fn(&t)
				}
				if u.err != nil || t.empty() {
					continue
				}
				if err := t.apply(b); err != nil {
					return err
				}
				wrote = true
			}
			if !wrote {
				return errNothing
			}
			return nil
		})
	})
	for _, u := range batch {
		if err != nil && u.err == nil && !errors.Is(err, errNothing) {
			u.err = fmt.Errorf("commit metadata: %w", closedError(err))
		}
		close(u.done)
	}
}

// errNothing rolls back a transaction in which no update wrote.
var errNothing = errors.New("nothing to commit")

func closedError(err error) error {
	if errors.Is(err, bbolt.ErrDatabaseNotOpen) {
		return ErrClosed
	}
	return err
}

// guard turns bbolt's panics over pages that make no sense, and faults in its
// memory map (a file cut short, an unreadable disk block), into ErrCorrupt.
// Panics elsewhere are our own bugs and go on.
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			if !fromBolt(debug.Stack()) {
				panic(p)
			}
			err = fmt.Errorf("metadata engine: %v: %w", p, metadata.ErrCorrupt)
		}
	}()
	return fn()
}

// Size is the length of the file in bytes.
func (d *DB) Size() (int64, error) {
	info, err := os.Stat(d.db.Path())
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
