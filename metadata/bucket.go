package metadata

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
)

// bucketCache spares decoding. Every transaction still reads the bucket's record,
// so that changes made through other gateways count; only when the bytes are those
// seen last is the decoded record used again.
type bucketCache struct {
	mu sync.Mutex // for writers
	at atomic.Pointer[map[string]cachedBucket]
}

type cachedBucket struct {
	raw    []byte
	bucket *Bucket // never changed
}

func (c *bucketCache) get(name string, raw []byte) *Bucket {
	m := c.at.Load()
	if m == nil {
		return nil
	}
	if e, ok := (*m)[name]; ok && bytes.Equal(e.raw, raw) {
		return e.bucket
	}
	return nil
}

func (c *bucketCache) put(raw []byte, b *Bucket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := map[string]cachedBucket{}
	if old := c.at.Load(); old != nil && len(*old) < 2*MaxBuckets {
		m = maps.Clone(*old)
	}
	m[b.Name] = cachedBucket{bytes.Clone(raw), b}
	c.at.Store(&m)
}

// bucket reads a bucket's record. The result is shared and read-only.
func (db *DB) bucket(r Reader, s *scratch, name string) (*Bucket, error) {
	s.key = keyBucket(s.key, name)
	raw, err := r.Get(s.key)
	if err != nil {
		return nil, err
	}
	if raw == nil {
		return nil, ErrNoSuchBucket
	}
	if b := db.buckets.get(name, raw); b != nil {
		return b, nil
	}
	b, err := decodeBucket(s.key, raw)
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", name, err)
	}
	db.buckets.put(raw, b)
	return b, nil
}

func putBucket(t Txn, s *scratch, b *Bucket) error {
	s.key = keyBucket(s.key, b.Name)
	s.value = encodeBucket(s.value[:0], s.key, b)
	return t.Put(s.key, s.value)
}

// view and update run fn with memory to work in and name the operation in errors.
func (db *DB) view(ctx context.Context, op string, fn func(Reader, *scratch) error) error {
	s := getScratch()
	defer s.release()
	if err := db.kv.View(ctx, func(r Reader) error { return fn(r, s) }); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}

func (db *DB) update(ctx context.Context, op string, fn func(Txn, *scratch) error) error {
	defer db.changes.Add(1)
	return db.upkeep(ctx, op, fn)
}

// upkeep is update for what changes nothing that a snapshot is for.
func (db *DB) upkeep(ctx context.Context, op string, fn func(Txn, *scratch) error) error {
	s := getScratch()
	defer s.release()
	if err := db.kv.Update(ctx, func(t Txn) error { return fn(t, s) }); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}

// CreateBucket makes an empty, unversioned bucket of the root account.
// ErrBucketExists, ErrTooManyBuckets. The name is checked above, but for what the
// engine cannot hold.
func (db *DB) CreateBucket(ctx context.Context, name, region string) (*Bucket, error) {
	return db.MakeBucket(ctx, Bucket{Name: name, Region: region})
}

// MakeBucket is CreateBucket with what else shall be true from the first moment on:
// Name, Region, Owner, Versioning, Tags and Configs of b are taken.
func (db *DB) MakeBucket(ctx context.Context, b Bucket) (*Bucket, error) {
	var made *Bucket
	err := db.update(ctx, "create bucket", func(t Txn, s *scratch) (err error) {
		made, err = db.createBucket(t, s, b)
		return err
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

func (db *DB) createBucket(t Txn, s *scratch, like Bucket) (*Bucket, error) {
	if err := checkKey(like.Name); err != nil {
		return nil, fmt.Errorf("bucket name: %w", err)
	}
	s.key = keyBucket(s.key, like.Name)
	old, err := t.Get(s.key)
	if err != nil {
		return nil, err
	}
	if old != nil {
		return nil, ErrBucketExists
	}
	n := 0
	all := []byte{spaceBucket}
	if err := t.Scan(all, prefixEnd(all), func(_, _ []byte) bool { n++; return n < MaxBuckets }); err != nil {
		return nil, err
	}
	if n >= MaxBuckets {
		return nil, ErrTooManyBuckets
	}
	id, err := nextNumber(t, "bucket")
	if err != nil {
		return nil, err
	}
	b := &Bucket{Name: like.Name, ID: id, Created: db.now().UTC().Truncate(timeUnit), Region: like.Region,
		Owner: like.Owner, Versioning: like.Versioning, Tags: like.Tags, Configs: like.Configs}
	if err := countNew(t, b); err != nil {
		return nil, err
	}
	return b, putBucket(t, s, b)
}

// nextNumber counts up; the first number is 1.
func nextNumber(t Txn, name string) (uint64, error) {
	key := keyCounter(name)
	raw, err := t.Get(key)
	if err != nil {
		return 0, err
	}
	var n uint64
	if raw != nil {
		if n, err = decodeNumber(key, raw); err != nil {
			return 0, fmt.Errorf("counter %s: %w", name, err)
		}
	}
	n++
	return n, t.Put(key, encodeNumber(nil, key, n))
}

// Bucket reads a bucket's record, which is shared and read-only. ErrNoSuchBucket.
func (db *DB) Bucket(ctx context.Context, name string) (*Bucket, error) {
	var b *Bucket
	err := db.view(ctx, "get bucket", func(r Reader, s *scratch) (err error) {
		b, err = db.bucket(r, s, name)
		return err
	})
	return b, err
}

// Buckets reads all buckets in the order of their names.
func (db *DB) Buckets(ctx context.Context) ([]Bucket, error) {
	var list []Bucket
	err := db.view(ctx, "list buckets", func(r Reader, _ *scratch) (err error) {
		list, err = allBuckets(r)
		return err
	})
	return list, err
}

func allBuckets(r Reader) (list []Bucket, err error) {
	all := []byte{spaceBucket}
	var bad error
	err = r.Scan(all, prefixEnd(all), func(k, v []byte) bool {
		b, err := decodeBucket(k, v)
		if err != nil {
			bad = fmt.Errorf("bucket %q: %w", k[1:], err)
			return false
		}
		list = append(list, *b)
		return true
	})
	if err == nil {
		err = bad
	}
	return list, err
}

// uploadsPerTxn bounds the transactions in which DeleteBucket aborts uploads.
const uploadsPerTxn = 500

// DeleteBucket removes an empty bucket; uploads under way in it are aborted, as
// S3 does. ErrNoSuchBucket; ErrBucketNotEmpty if any version or delete marker exists.
func (db *DB) DeleteBucket(ctx context.Context, name string) error {
	for {
		done := false
		err := db.update(ctx, "delete bucket", func(t Txn, s *scratch) (err error) {
			done, err = db.deleteBucket(t, s, name)
			return err
		})
		if err != nil || done {
			return err
		}
	}
}

func (db *DB) deleteBucket(t Txn, s *scratch, name string) (done bool, err error) {
	b, err := db.bucket(t, s, name)
	if err != nil {
		return false, err
	}
	for _, space := range []byte{spaceObject, spaceVersion} {
		found := false
		from := keyIn(nil, space, b.ID, "")
		if err := t.Scan(from, prefixEnd(from), func(_, _ []byte) bool { found = true; return false }); err != nil {
			return false, err
		}
		if found {
			return false, ErrBucketNotEmpty
		}
	}
	var uploads [][]byte
	from := keyIn(nil, spaceUpload, b.ID, "")
	err = t.Scan(from, prefixEnd(from), func(k, _ []byte) bool {
		uploads = append(uploads, bytes.Clone(k))
		return len(uploads) < uploadsPerTxn
	})
	if err != nil {
		return false, err
	}
	for _, k := range uploads {
		_, id, ok := splitID(k)
		if !ok {
			return false, fmt.Errorf("key of an upload: %w", ErrCorrupt)
		}
		if err := t.Delete(k); err != nil {
			return false, err
		}
		if err := chargeParts(t, s, b, id); err != nil {
			return false, err
		}
		if err := db.queueUpload(t, s, id); err != nil {
			return false, err
		}
	}
	if len(uploads) == uploadsPerTxn {
		return false, nil
	}
	if strings.Contains(b.Configs[configCounted], "b") {
		if err := t.Delete(keyBucketQuota(b.ID)); err != nil {
			return false, err
		}
	}
	return true, t.Delete(keyBucket(s.key, name))
}

// SetVersioning changes the versioning state, to enabled or suspended. ErrNoSuchBucket;
// ErrLocked when versions can be locked in the bucket and state is not enabled.
func (db *DB) SetVersioning(ctx context.Context, name string, state VersioningState) error {
	return db.editBucket(ctx, "set versioning", name, func(b *Bucket) error {
		b.Versioning = state
		return b.checkVersioning(state)
	})
}

// SetBucketTags replaces the tags; nil removes them. ErrNoSuchBucket.
func (db *DB) SetBucketTags(ctx context.Context, name string, tags map[string]string) error {
	return db.editBucket(ctx, "set bucket tags", name, func(b *Bucket) error {
		b.Tags = tags
		return nil
	})
}

// SetBucketConfig replaces one of the configurations; "" removes it. ErrNoSuchBucket;
// ErrTooLarge when all of them together are beyond what a record holds. ConfigObjectLock
// stays once it is there (ErrLocked), and needs versioning (ErrNotVersioned).
func (db *DB) SetBucketConfig(ctx context.Context, name, config, document string) error {
	return db.editBucket(ctx, "set bucket configuration", name, func(b *Bucket) error {
		if config == ConfigObjectLock && document == "" {
			return ErrLocked
		}
		if config == ConfigObjectLock && b.Versioning != VersioningEnabled {
			return ErrNotVersioned
		}
		configs := maps.Clone(b.Configs)
		if document == "" {
			delete(configs, config)
		} else {
			if configs == nil {
				configs = map[string]string{}
			}
			configs[config] = document
		}
		b.Configs = configs
		return nil
	})
}

func (db *DB) editBucket(ctx context.Context, op, name string, edit func(*Bucket) error) error {
	return db.update(ctx, op, func(t Txn, s *scratch) error {
		old, err := db.bucket(t, s, name)
		if err != nil {
			return err
		}
		b := *old
		if err := edit(&b); err != nil {
			return err
		}
		return putBucket(t, s, &b)
	})
}
