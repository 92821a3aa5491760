package metadata

import (
	"context"
	"errors"
	"fmt"
)

// MaxPartitions bounds the engines of a DB.
const MaxPartitions = 16

// ErrMapChanged is returned when buckets are placed by another map of partitions than this
// process has. Nothing was done.
var ErrMapChanged = errors.New("the metadata clusters were configured anew: start this process again with the configuration of the others")

// keyMap has the number of the map, in each partition when there are several.
var keyMap = keyCounter("map")

// engine is that of a partition.
func (db *DB) engine(partition int) KV {
	if partition == 0 {
		return db.kv
	}
	return db.more[partition-1]
}

// partitions counts the engines.
func (db *DB) partitions() int { return 1 + len(db.more) }

func (db *DB) scratch(partition int) *scratch {
	s := getScratch()
	s.partition, s.partitions = partition, db.partitions()
	return s
}

// view and update run fn in the first partition, with memory to work in, and name the
// operation in errors.
func (db *DB) view(ctx context.Context, op string, fn func(Reader, *scratch) error) error {
	return db.viewAt(ctx, op, 0, fn)
}

func (db *DB) update(ctx context.Context, op string, fn func(Txn, *scratch) error) error {
	defer db.changes.Add(1)
	return db.upkeepAt(ctx, op, 0, fn)
}

// upkeep is update for what changes nothing that a snapshot is for.
func (db *DB) upkeep(ctx context.Context, op string, fn func(Txn, *scratch) error) error {
	return db.upkeepAt(ctx, op, 0, fn)
}

func (db *DB) viewAt(ctx context.Context, op string, partition int, fn func(Reader, *scratch) error) error {
	s := db.scratch(partition)
	defer s.release()
	if err := db.engine(partition).View(ctx, func(r Reader) error { return fn(r, s) }); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}

func (db *DB) upkeepAt(ctx context.Context, op string, partition int, fn func(Txn, *scratch) error) error {
	s := db.scratch(partition)
	defer s.release()
	if err := db.engine(partition).Update(ctx, func(t Txn) error { return fn(t, s) }); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}

// viewAll runs fn on a snapshot of each partition, which are not of one moment. Engines
// that are not read are not asked.
func (db *DB) viewAll(ctx context.Context, op string, fn func([]Reader, *scratch) error) error {
	s := db.scratch(0)
	defer s.release()
	all := make([]Reader, db.partitions())
	var nest func(i int) error
	nest = func(i int) error {
		if i == len(all) {
			return fn(all, s)
		}
		return db.engine(i).View(ctx, func(r Reader) error {
			all[i] = r
			return nest(i + 1)
		})
	}
	if err := nest(0); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}

// eachThatAnswers calls do for all partitions but leaves out those that are away, unless all are.
func (db *DB) eachThatAnswers(do func(partition int) error) error {
	var errs []error
	for i := range db.partitions() {
		err := do(i)
		if err != nil && !errors.Is(err, ErrUnavailable) {
			return err
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) < db.partitions() {
		return nil
	}
	return errors.Join(errs...)
}

// viewIn runs fn in the partition of a bucket, with its record. ErrNoSuchBucket.
func (db *DB) viewIn(ctx context.Context, op, bucket string, fn func(Reader, *scratch, *Bucket) error) error {
	return db.in(ctx, op, bucket, func(partition int) error {
		return db.viewAt(ctx, op, partition, func(r Reader, s *scratch) error {
			b, err := db.readBucket(r, s, bucket)
			if err != nil {
				return err
			}
			return fn(r, s, b)
		})
	})
}

// updateIn is viewIn with writes.
func (db *DB) updateIn(ctx context.Context, op, bucket string, fn func(Txn, *scratch, *Bucket) error) error {
	defer db.changes.Add(1)
	return db.in(ctx, op, bucket, func(partition int) error {
		return db.upkeepAt(ctx, op, partition, func(t Txn, s *scratch) error {
			b, err := db.readBucket(t, s, bucket)
			if err != nil {
				return err
			}
			if seen, _ := ctx.Value(seenKey{}).(*Bucket); seen != nil && seen.Name == bucket && seen.ID != b.ID {
				return ErrReplaced
			}
			return fn(t, s, b)
		})
	})
}

type seenKey struct{}

// WithBucket has changes in the bucket fail with ErrReplaced when it is another one than
// seen by then.
func WithBucket(ctx context.Context, seen *Bucket) context.Context {
	return context.WithValue(ctx, seenKey{}, seen)
}

// in calls do with the partition where a bucket was last, or would be placed; when do
// does not find it there, with the one where it is.
func (db *DB) in(ctx context.Context, op, bucket string, do func(partition int) error) error {
	at := 0
	if len(db.more) > 0 {
		at = db.buckets.partition(bucket, db.place)
	}
	err := do(at)
	if len(db.more) == 0 || !errors.Is(err, ErrNoSuchBucket) {
		return err
	}
	key := keyBucket(nil, bucket)
	for i := range db.partitions() {
		if i == at {
			continue
		}
		found := false
		ferr := db.viewAt(ctx, op, i, func(r Reader, _ *scratch) error {
			raw, err := r.Get(key)
			found = raw != nil
			return err
		})
		if ferr != nil {
			return ferr
		}
		if found {
			return do(i)
		}
	}
	return err
}

// partitionOf finds the partition of a bucket by its id. ErrStale.
func (db *DB) partitionOf(ctx context.Context, op string, id uint64) (int, error) {
	if len(db.more) == 0 {
		return 0, nil
	}
	if b := db.buckets.byID(id); b != nil {
		return b.partition, nil
	}
	list, err := db.Buckets(ctx)
	for i := range list {
		if list[i].ID == id {
			return list[i].partition, nil
		}
	}
	if err == nil {
		err = ErrStale
	}
	return 0, fmt.Errorf("%s: %w", op, err)
}

// UseMap writes Options.Map where buckets are made, so that nobody makes one by another
// map from then on, and the quotas of accounts where there are none yet. It does nothing
// for a DB with one engine.
func (db *DB) UseMap(ctx context.Context) error {
	if len(db.more) == 0 {
		return nil
	}
	const op = "enter the map of metadata clusters"
	quotas, err := db.Quotas(ctx)
	if err != nil {
		return err
	}
	for i := range db.partitions() {
		known := false
		err := db.viewAt(ctx, op, i, func(r Reader, _ *scratch) error {
			raw, err := r.Get(keyMap)
			known = raw != nil
			return err
		})
		if err != nil {
			return err
		}
		for _, q := range quotas {
			if i > 0 && !known && q.Account != "" {
				if err := db.setQuotaAt(ctx, i, q.QuotaOf, q.Limit); err != nil {
					return err
				}
			}
		}
		err = db.upkeepAt(ctx, op, i, func(t Txn, _ *scratch) error {
			if err := db.checkMap(t); !errors.Is(err, ErrMapChanged) {
				return err
			}
			return t.Put(keyMap, encodeNumber(nil, keyMap, db.mapID))
		})
		if err != nil {
			return err
		}
	}
	return db.BalanceQuotas(ctx)
}

func (db *DB) checkMap(r Reader) error {
	raw, err := r.Get(keyMap)
	if err != nil {
		return err
	}
	if raw != nil {
		n, err := decodeNumber(keyMap, raw)
		if err != nil {
			return fmt.Errorf("map of metadata clusters: %w", err)
		}
		if n == db.mapID {
			return nil
		}
	}
	return ErrMapChanged
}

// placeBucket is createBucket when there are several partitions. The same name is made in
// the same one by all that have the same map. Others may have it by an earlier map, under
// which nobody makes any more.
func (db *DB) placeBucket(ctx context.Context, like Bucket) (made *Bucket, err error) {
	const op = "create bucket"
	list, err := db.Buckets(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	for i := range list {
		if list[i].Name == like.Name {
			return nil, fmt.Errorf("%s: %w", op, ErrBucketExists)
		}
	}
	if len(list) >= MaxBuckets {
		return nil, fmt.Errorf("%s: %w", op, ErrTooManyBuckets)
	}
	var id uint64
	err = db.update(ctx, op, func(t Txn, _ *scratch) (err error) {
		if id, err = nextNumber(t, "bucket"); err == nil {
			err = db.checkOwner(t, &like)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	err = db.upkeepAt(ctx, op, db.place(like.Name), func(t Txn, s *scratch) (err error) {
		if err := db.checkMap(t); err != nil {
			return err
		}
		made, err = db.createBucket(t, s, like, id)
		return err
	})
	return made, err
}

// own is the first number from n on that only the partition gives out, so that what is
// queued in two of them has two places.
func (s *scratch) own(n uint64) uint64 {
	if s.partitions == 1 {
		return n
	}
	return n + (uint64(s.partition)-n)%MaxPartitions
}
