package metadata

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
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

// partition is where the bucket of a name was seen last, or what place says.
func (c *bucketCache) partition(name string, place func(string) int) int {
	if m := c.at.Load(); m != nil {
		if e, ok := (*m)[name]; ok {
			return e.bucket.partition
		}
	}
	return place(name)
}

// byID is nil when the bucket was not seen lately.
func (c *bucketCache) byID(id uint64) *Bucket {
	if m := c.at.Load(); m != nil {
		for _, e := range *m {
			if e.bucket.ID == id {
				return e.bucket
			}
		}
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

// readBucket reads a bucket's record. The result is shared and read-only.
func (db *DB) readBucket(r Reader, s *scratch, name string) (*Bucket, error) {
	s.key = keyBucket(s.key, name)
	raw, err := r.Get(s.key)
	if err != nil {
		return nil, err
	}
	if raw == nil {
		return nil, ErrNoSuchBucket
	}
	if b := db.buckets.get(name, raw); b != nil && b.partition == s.partition {
		return b, nil
	}
	b, err := decodeBucket(s.key, raw)
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", name, err)
	}
	b.partition = s.partition
	db.buckets.put(raw, b)
	return b, nil
}

func putBucket(t Txn, s *scratch, b *Bucket) error {
	s.key = keyBucket(s.key, b.Name)
	s.value = encodeBucket(s.value[:0], s.key, b)
	return t.Put(s.key, s.value)
}

// CreateBucket makes an empty, unversioned bucket of the root account.
// ErrBucketExists, ErrTooManyBuckets. The name is checked above, but for what the
// engine cannot hold.
func (db *DB) CreateBucket(ctx context.Context, name, region string) (*Bucket, error) {
	return db.MakeBucket(ctx, Bucket{Name: name, Region: region})
}

// SetOwners has MakeBucket ask for each owner but the root account, in its transaction, whether
// there is such an account; the error of check undoes it. It must be called before buckets are made.
func (db *DB) SetOwners(check func(r EntityReader, owner string) error) { db.owners = check }

func (db *DB) checkOwner(r Reader, b *Bucket) error {
	if db.owners == nil || b.Owner == "" {
		return nil
	}
	return db.owners(EntityReader{r}, b.Owner)
}

// MakeBucket is CreateBucket with what else shall be true from the first moment on:
// Name, Region, Owner, Versioning, Tags and Configs of b are taken.
func (db *DB) MakeBucket(ctx context.Context, b Bucket) (*Bucket, error) {
	if len(db.more) > 0 {
		return db.placeBucket(ctx, b)
	}
	var made *Bucket
	err := db.update(ctx, "create bucket", func(t Txn, s *scratch) (err error) {
		if made, err = db.createBucket(t, s, b, 0); err == nil {
			err = db.checkOwner(t, &b)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

// createBucket makes a bucket with an id, or, when that is 0, with the next one if there are
// not too many.
func (db *DB) createBucket(t Txn, s *scratch, like Bucket, id uint64) (*Bucket, error) {
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
	if id == 0 {
		n := 0
		all := []byte{spaceBucket}
		if err := t.Scan(all, prefixEnd(all), func(_, _ []byte) bool { n++; return n < MaxBuckets }); err != nil {
			return nil, err
		}
		if n >= MaxBuckets {
			return nil, ErrTooManyBuckets
		}
		if id, err = nextNumber(t, "bucket"); err != nil {
			return nil, err
		}
	}
	b := &Bucket{Name: like.Name, ID: id, Created: db.now().UTC().Truncate(timeUnit), Region: like.Region,
		Owner: like.Owner, Versioning: like.Versioning, Tags: like.Tags, Configs: like.Configs, partition: s.partition}
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
	err := db.viewIn(ctx, "get bucket", name, func(_ Reader, _ *scratch, found *Bucket) error {
		b = found
		return nil
	})
	return b, err
}

// Buckets reads all buckets in the order of their names.
func (db *DB) Buckets(ctx context.Context) ([]Bucket, error) {
	var list []Bucket
	err := db.viewAll(ctx, "list buckets", func(all []Reader, _ *scratch) (err error) {
		list, err = bucketsOf(all)
		return err
	})
	return list, err
}

// bucketsOf reads all buckets of all partitions in the order of their names.
func bucketsOf(all []Reader) (list []Bucket, err error) {
	for i, r := range all {
		some, err := allBuckets(r)
		if err != nil {
			return nil, err
		}
		for j := range some {
			some[j].partition = i
		}
		list = append(list, some...)
	}
	if len(all) > 1 {
		slices.SortFunc(list, func(a, b Bucket) int { return strings.Compare(a.Name, b.Name) })
	}
	return list, nil
}

// allBuckets are those of one partition.
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

// uploadsPerTxn bounds the transactions in which DeleteBucket aborts uploads. It takes fewer when
// they are more than the engine takes: with a quota all their parts are read.
const uploadsPerTxn = 500

// DeleteBucket removes an empty bucket; uploads under way in it are aborted, as
// S3 does. ErrNoSuchBucket; ErrBucketNotEmpty if any version or delete marker exists.
func (db *DB) DeleteBucket(ctx context.Context, name string) error {
	for most := uploadsPerTxn; ; {
		done := false
		err := db.updateIn(ctx, "delete bucket", name, func(t Txn, s *scratch, b *Bucket) (err error) {
			done, err = db.deleteBucket(t, s, b, most)
			return err
		})
		if errors.Is(err, ErrTooLarge) && most > 1 {
			most /= 2
			continue
		}
		if err != nil || done {
			return err
		}
	}
}

func (db *DB) deleteBucket(t Txn, s *scratch, b *Bucket, most int) (done bool, err error) {
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
		return len(uploads) < most
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
	if len(uploads) == most {
		return false, nil
	}
	if strings.Contains(b.Configs[configCounted], "b") {
		if err := t.Delete(keyBucketQuota(b.ID)); err != nil {
			return false, err
		}
	}
	return true, t.Delete(keyBucket(s.key, b.Name))
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
	return db.updateIn(ctx, op, name, func(t Txn, s *scratch, old *Bucket) error {
		b := *old
		if err := edit(&b); err != nil {
			return err
		}
		return putBucket(t, s, &b)
	})
}
