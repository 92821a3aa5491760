package metadata

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// Options of a DB; the zero value is right outside tests.
type Options struct {
	Now  func() time.Time // nil: time.Now
	Rand io.Reader        // nil: crypto/rand.Reader. A failing one makes the DB panic

	// More are engines that have buckets of their own, the engine of New being the first of
	// them; at most MaxPartitions in all. What belongs to no bucket is in the first.
	More []KV
	// Place gives the engine for a new bucket, from 0. Those that are there stay, and are
	// found wherever they are.
	Place func(bucket string) int
	Map   uint64 // names Place: all processes must have the same, see UseMap
}

// DB holds the S3 semantics over an engine. Safe for concurrent use. All methods
// that take a context return its error, wrapped, when it ends first; an engine's
// error comes back wrapped with the operation.
type DB struct {
	kv      KV   // of the first partition
	more    []KV // of the others
	place   func(bucket string) int
	mapID   uint64
	now     func() time.Time
	rand    io.Reader
	buckets bucketCache
	outbox  Outbox // nil: none
	owners  func(EntityReader, string) error
	lastID  atomic.Int64 // nanoseconds in the newest VersionID or UploadID
	lastSeq atomic.Uint64
	changes atomic.Uint64
}

// New makes a DB on kv, which stays the caller's to close, as do Options.More.
func New(kv KV, opts Options) (*DB, error) {
	if 1+len(opts.More) > MaxPartitions {
		return nil, fmt.Errorf("%d metadata engines, at most %d", 1+len(opts.More), MaxPartitions)
	}
	db := &DB{kv: kv, more: opts.More, place: opts.Place, mapID: opts.Map, now: opts.Now, rand: opts.Rand}
	if db.now == nil {
		db.now = time.Now
	}
	if db.rand == nil {
		db.rand = rand.Reader
	}
	return db, nil
}

// Changes counts the updates of this DB since it was made: when it has not moved,
// a snapshot taken before is still whole.
func (db *DB) Changes() uint64 { return db.changes.Load() }

// NewVersionID gives an id that sorts before all that this DB gave before, even
// if the clock goes back.
func (db *DB) NewVersionID() VersionID {
	var id VersionID
	binary.BigEndian.PutUint64(id[:8], ^uint64(db.tick()))
	db.random(id[8:])
	return id
}

// NewUploadID gives an id that sorts after all that this DB gave before.
func (db *DB) NewUploadID() UploadID {
	var id UploadID
	binary.BigEndian.PutUint64(id[:8], uint64(db.tick()))
	db.random(id[8:])
	return id
}

// NewerThan makes ids that are given from now on say that they are newer than a time, in
// Unix nanoseconds, even if the clock is behind it.
func (db *DB) NewerThan(nanos int64) {
	for {
		last := db.lastID.Load()
		if last >= nanos || db.lastID.CompareAndSwap(last, nanos) {
			return
		}
	}
}

// Newer is t, unless an id that this DB gave, or NewerThan, says a later time: then it is after that.
func (db *DB) Newer(t time.Time) time.Time {
	if t.UnixNano() > db.lastID.Load() {
		return t
	}
	return time.Unix(0, db.tick())
}

func (db *DB) random(b []byte) {
	if _, err := io.ReadFull(db.rand, b); err != nil {
		panic(fmt.Sprintf("metadata: source of randomness failed: %v", err))
	}
}

// tick is the time in nanoseconds, made strictly increasing.
func (db *DB) tick() int64 {
	now := db.now().UnixNano()
	for {
		last := db.lastID.Load()
		next := max(now, last+1)
		if db.lastID.CompareAndSwap(last, next) {
			return next
		}
	}
}

// ParseVersionID reads what VersionID.String wrote; ErrInvalidVersionID otherwise.
func ParseVersionID(s string) (VersionID, error) {
	var id VersionID
	if !parseHex(id[:], s) {
		return id, ErrInvalidVersionID
	}
	return id, nil
}

// ParseUploadID reads what UploadID.String wrote; ErrNoSuchUpload otherwise.
func ParseUploadID(s string) (UploadID, error) {
	var id UploadID
	if !parseHex(id[:], s) {
		return id, ErrNoSuchUpload
	}
	return id, nil
}

// parseHex takes lower case only, so that an id has one spelling.
func parseHex(dst []byte, s string) bool {
	if len(s) != 2*len(dst) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c >= 'A' && c <= 'F' {
			return false
		}
	}
	_, err := hex.Decode(dst, []byte(s))
	return err == nil
}

func showID(id VersionID, null bool) string {
	if null {
		return nullID
	}
	return id.String()
}

// nullID is the version id that S3 shows for null versions.
const nullID = "null"
