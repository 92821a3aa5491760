package metadata

import (
	"context"
	"errors"
	"fmt"
)

// Usage counts what each bucket holds by reading it all, in the order of names.
func (db *DB) Usage(ctx context.Context) ([]BucketUsage, error) {
	buckets, err := db.Buckets(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]BucketUsage, len(buckets))
	for i := range buckets {
		list[i].Bucket = buckets[i].Name
		err := db.viewAt(ctx, "count", buckets[i].partition, func(r Reader, _ *scratch) error {
			return list[i].count(ctx, r, buckets[i].ID)
		})
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (u *BucketUsage) count(ctx context.Context, r Reader, bucket uint64) error {
	*u = BucketUsage{Bucket: u.Bucket}
	for _, space := range []byte{spaceObject, spaceVersion, spaceUpload} {
		var bad error
		seen := 0
		from := keyIn(nil, space, bucket, "")
		err := r.Scan(from, prefixEnd(from), func(k, raw []byte) bool {
			if seen++; seen%1024 == 0 && ctx.Err() != nil {
				bad = ctx.Err()
				return false
			}
			if space == spaceUpload {
				u.Uploads++
				return true
			}
			var e ListEntry
			if bad = e.decode(k, raw); bad != nil {
				bad = fmt.Errorf("version record of %q: %w", k[keyPrefixLen:], bad)
				return false
			}
			u.add(&e, space == spaceObject)
			return true
		})
		if err != nil || bad != nil {
			return errors.Join(err, bad)
		}
	}
	return nil
}

func (u *BucketUsage) add(e *ListEntry, current bool) {
	if e.DeleteMarker {
		u.Markers++
		return
	}
	if current {
		u.Objects++
	}
	u.Versions++
	u.Bytes += e.Size
}
