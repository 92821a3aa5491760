package boltkv

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/weftstore/weft/metadata"
)

// Options of a DB; the zero value is right outside tests.
type Options struct {
	// MapSize in bytes of address space reserved for the file. While the file fits, with
	// some GiB to spare, no update waits for reads, nor a read for an update. 0: 64 GiB.
	MapSize int
	// LockTimeout is how long to wait for another process that has the file open.
	// 0: one second.
	LockTimeout time.Duration
	// NoSync leaves out all syncs: for tests that measure or do not care.
	NoSync bool
}

// DB implements metadata.KV. Safe for concurrent use.
type DB struct {
	db   *bbolt.DB
	path string

	mu      sync.Mutex
	waiting []*request
	closed  bool

	wake    chan struct{} // room for one: somebody waits
	stopped chan struct{}
	commit  func(*bbolt.Tx) error

	mapSize int64
	current atomic.Pointer[snapshot] // nil: the file fills the map, or there was an error
	durable atomic.Int64             // id of the last transaction that is
	moved   chan struct{}            // closed when durable changes, or failed; nil while nobody waits. Under mu

	failed atomic.Pointer[error] // why updates fail until the next Open
	// stuck: bbolt met damage while it held its locks. Nothing can be done with it,
	// not even be closed.
	stuck atomic.Bool
}

var bucketName = []byte("weft")

// growBy is the step in bytes in which the file grows, so that most commits leave
// its size as it is.
const growBy = 64 << 20

// fileMode: metadata tells of all users' keys.
const fileMode = 0o600

var _ metadata.KV = (*DB)(nil)

// Open opens or creates the file at path, mode 0600. It fails when another process
// has it.
func Open(path string) (*DB, error) { return OpenWith(path, Options{}) }

// OpenWith is Open with options.
func OpenWith(path string, opts Options) (*DB, error) {
	if opts.MapSize == 0 {
		opts.MapSize = 64 << 30
	}
	if opts.LockTimeout == 0 {
		opts.LockTimeout = time.Second
	}
	d := &DB{path: path, wake: make(chan struct{}, 1), stopped: make(chan struct{}), commit: (*bbolt.Tx).Commit, mapSize: int64(opts.MapSize)}
	err := guard("open", func() (err error) {
		d.db, err = bbolt.Open(path, fileMode, &bbolt.Options{
			Timeout:         opts.LockTimeout,
			NoFreelistSync:  true,
			FreelistType:    bbolt.FreelistMapType,
			InitialMmapSize: opts.MapSize,
			NoStatistics:    true,
			NoSync:          opts.NoSync,
		})
		if err != nil {
			return err
		}
		d.db.AllocSize = growBy
		return d.db.Update(func(tx *bbolt.Tx) error { // syncs what another process may have left, too
			d.durable.Store(int64(tx.ID()))
			_, err := tx.CreateBucketIfNotExists(bucketName)
			return err
		})
	})
	if err != nil {
		if d.db != nil {
			_ = d.db.Close()
		}
		for _, bad := range []error{berrors.ErrInvalid, berrors.ErrChecksum, berrors.ErrVersionMismatch} {
			if errors.Is(err, bad) {
				err = errors.Join(err, metadata.ErrCorrupt)
			}
		}
		if errors.Is(err, syscall.ENOMEM) {
			err = fmt.Errorf("%w: the file is mapped to %d GiB of addresses; allow them with `ulimit -v unlimited`", err, opts.MapSize>>30)
		}
		return nil, fmt.Errorf("boltkv: open %s: %w", path, err)
	}
	if size, err := d.Size(); err == nil && d.fits(size) {
		d.publish()
	}
	go d.commitLoop()
	return d, nil
}

// Close waits for the updates under way and closes the file. Later calls of any
// method fail with metadata.ErrClosed; Close itself may be repeated.
func (d *DB) Close() error {
	d.mu.Lock()
	again := d.closed
	d.closed = true
	d.mu.Unlock()
	if !again {
		close(d.wake)
	}
	<-d.stopped
	d.replace(nil)
	if d.stuck.Load() {
		return d.failure()
	}
	return d.db.Close()
}

// begin starts a bbolt transaction.
func (d *DB) begin(writable bool) (tx *bbolt.Tx, err error) {
	if d.stuck.Load() {
		return nil, d.failure()
	}
	err = guard("begin", func() (err error) {
		tx, err = d.db.Begin(writable)
		return err
	})
	switch {
	case errors.Is(err, berrors.ErrDatabaseNotOpen):
		return nil, metadata.ErrClosed
	case errors.Is(err, metadata.ErrCorrupt):
		d.fail(err)
		d.stuck.Store(true)
	}
	return tx, err
}

// Size is the length of the file in bytes.
func (d *DB) Size() (int64, error) {
	info, err := os.Stat(d.path) //nolint:gosec // the path that Open was given
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// reader implements metadata.Reader on a bbolt transaction.
type reader struct {
	bucket *bbolt.Bucket
}

func newReader(tx *bbolt.Tx) (r reader, err error) {
	err = guard("open bucket", func() error {
		r.bucket = tx.Bucket(bucketName)
		return nil
	})
	if err == nil && r.bucket == nil {
		err = fmt.Errorf("boltkv: no bucket: %w", metadata.ErrCorrupt)
	}
	return r, err
}

// Get implements metadata.Reader.
func (r *reader) Get(key []byte) (value []byte, err error) {
	defer recoverCorrupt("get", &err, faults(true))
	return r.bucket.Get(key), nil
}

// Scan implements metadata.Reader.
func (r *reader) Scan(from, to []byte, fn func(key, value []byte) bool) error {
	c := r.bucket.Cursor()
	k, v, err := step(func() ([]byte, []byte) { return c.Seek(from) })
	for ; err == nil && k != nil; k, v, err = step(c.Next) {
		if to != nil && bytes.Compare(k, to) >= 0 || !fn(k, v) {
			return nil
		}
	}
	return err
}

// step moves a cursor. It guards bbolt's code and not the caller's function.
func step(move func() (key, value []byte)) (k, v []byte, err error) {
	defer recoverCorrupt("scan", &err, faults(true))
	k, v = move()
	return k, v, nil
}

// guard turns a panic of bbolt's into an error.
func guard(op string, fn func() error) (err error) {
	defer recoverCorrupt(op, &err, faults(true))
	return fn()
}

// faults makes a fault in the mapped file (it was cut short, the disk fails) a panic
// instead of the end of the process. It returns what it was before.
func faults(on bool) (before bool) { return debug.SetPanicOnFault(on) }

func recoverCorrupt(op string, err *error, before bool) {
	debug.SetPanicOnFault(before)
	if p := recover(); p != nil {
		*err = fmt.Errorf("boltkv: %s: %v: %w", op, p, metadata.ErrCorrupt)
	}
}
