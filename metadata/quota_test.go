package metadata_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/metadata/memkv"
)

// quotaRig is two gateways over one metadata.
type quotaRig struct {
	*testing.T
	dbs [2]*metadata.DB
}

func newQuotaRig(t *testing.T) *quotaRig {
	kv := memkv.New()
	r := &quotaRig{T: t}
	for i := range r.dbs {
		db, err := metadata.New(kv, metadata.Options{})
		if err != nil {
			t.Fatal(err)
		}
		r.dbs[i] = db
	}
	return r
}

func (r *quotaRig) must(errs ...error) {
	r.Helper()
	if err := errors.Join(errs...); err != nil {
		r.Fatal(err)
	}
}

func (r *quotaRig) bucket(name, owner string) {
	r.Helper()
	_, err := r.dbs[0].MakeBucket(r.Context(), metadata.Bucket{Name: name, Owner: owner})
	r.must(err)
}

func put(ctx context.Context, db *metadata.DB, bucket, key string, size int64) error {
	v := &metadata.Version{Key: key, ID: db.NewVersionID(), Size: size}
	_, err := db.Put(ctx, bucket, v, metadata.Condition{})
	return err
}

// used is what a quota counts; it must be what a walk over the buckets finds.
func (r *quotaRig) used(of metadata.QuotaOf, buckets ...string) metadata.Quota {
	r.Helper()
	list, err := r.dbs[1].Quotas(r.Context())
	r.must(err)
	usage, err := r.dbs[1].Usage(r.Context())
	r.must(err)
	var want metadata.Quota
	for _, name := range buckets {
		for _, u := range usage {
			if u.Bucket == name {
				want.Bytes += u.Bytes
				want.Objects += u.Versions
			}
		}
		page, err := r.dbs[1].ListUploads(r.Context(), name, "", "", "", "", 1000)
		r.must(err)
		for _, e := range page.Entries {
			parts, _, err := r.dbs[1].ListParts(r.Context(), name, e.Upload.Key, e.Upload.ID, 0, 1000)
			r.must(err)
			for i := range parts {
				want.Bytes += parts[i].Size
			}
		}
	}
	for _, q := range list {
		if q.QuotaOf == of {
			if q.Used != want || q.Counting {
				r.Errorf("%+v: counted %+v, there is %+v", of, q.Used, want)
			}
			return q.Used
		}
	}
	r.Errorf("no quota of %+v in %+v", of, list)
	return want
}

func TestQuota(t *testing.T) {
	r := newQuotaRig(t)
	ctx, db := t.Context(), r.dbs[0]
	r.bucket("a", "111111111111")
	r.bucket("b", "111111111111")
	r.bucket("c", "222222222222")
	r.must(put(ctx, db, "a", "old", 10), put(ctx, db, "b", "old", 20))
	bucket, account := metadata.QuotaOf{Bucket: "a"}, metadata.QuotaOf{Account: "111111111111"}
	r.must(db.SetQuota(ctx, bucket, metadata.Quota{Bytes: 100, Objects: 3}), db.SetQuota(ctx, account, metadata.Quota{Bytes: 150}))
	full := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, metadata.ErrQuota) {
			t.Errorf("%s: %v", what, err)
		}
	}
	full("too many bytes", put(ctx, r.dbs[1], "a", "k", 91))
	r.must(put(ctx, r.dbs[1], "a", "k", 90)) // just as many as it may have
	full("a byte more", put(ctx, db, "a", "k2", 1))
	r.must(put(ctx, db, "a", "k2", 0))
	full("too many objects", put(ctx, db, "a", "k3", 0))
	r.must(put(ctx, db, "a", "k", 80)) // what is replaced makes room
	full("bytes of the account", put(ctx, db, "b", "k", 41))
	r.must(put(ctx, db, "b", "k", 40), put(ctx, db, "c", "k", 1000))
	r.used(bucket, "a")
	r.used(account, "a", "b")

	r.bucket("new", "111111111111") // counts from the first moment
	full("in a new bucket", put(ctx, db, "new", "k", 1))
	_, err := db.Delete(ctx, "a", "k", "", metadata.Condition{})
	r.must(err, put(ctx, db, "new", "k", 80))
	full("in a new bucket again", put(ctx, db, "new", "k2", 1))

	// Versions count until they are removed, delete markers never.
	r.must(db.SetVersioning(ctx, "a", metadata.VersioningEnabled), db.SetQuota(ctx, account, metadata.Quota{}), put(ctx, db, "a", "k2", 50))
	_, err = db.Delete(ctx, "a", "k2", "", metadata.Condition{})
	r.must(err)
	full("old versions", put(ctx, db, "a", "k2", 45))
	r.used(bucket, "a")
	r.must(db.SetQuota(ctx, bucket, metadata.Quota{}), put(ctx, db, "a", "k2", 1e9))
	if list, err := db.Quotas(ctx); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	if err := db.SetQuota(ctx, metadata.QuotaOf{Bucket: "none"}, metadata.Quota{Bytes: 1}); !errors.Is(err, metadata.ErrNoSuchBucket) {
		t.Error(err)
	}
}

// TestQuotaOfUploads: parts count while an upload is under way, once.
func TestQuotaOfUploads(t *testing.T) {
	r := newQuotaRig(t)
	ctx, db := t.Context(), r.dbs[0]
	r.bucket("a", "")
	of := metadata.QuotaOf{Bucket: "a"}
	start := func() *metadata.Upload {
		u := &metadata.Upload{Key: "k"}
		r.must(db.CreateUpload(ctx, "a", u))
		return u
	}
	serial := byte(0)
	part := func(u *metadata.Upload, number uint16, size int64) error {
		serial++
		return db.PutPart(ctx, "a", "k", u.ID, &metadata.Part{Number: number, Set: metadata.SetID{serial}, Size: size})
	}
	old := start()
	r.must(part(old, 1, 7))
	r.must(db.SetQuota(ctx, of, metadata.Quota{Bytes: 20 << 20}))
	u := start()
	r.must(part(u, 1, 6<<20), part(u, 1, 5<<20), part(u, 2, 3<<20), part(u, 3, 4<<20))
	if got := r.used(of, "a"); got.Bytes != 12<<20+7 {
		t.Errorf("%+v", got)
	}
	if err := part(u, 4, 8<<20); !errors.Is(err, metadata.ErrQuota) {
		t.Error(err)
	}
	list := []metadata.CompletedPart{{Number: 1, ETag: "00000000000000000000000000000000"}, {Number: 3, ETag: "00000000000000000000000000000000"}}
	_, err := db.Complete(ctx, "a", "k", u.ID, list, &metadata.Version{ID: db.NewVersionID()}, metadata.Condition{})
	r.must(err)
	if got := r.used(of, "a"); got != (metadata.Quota{Bytes: 9<<20 + 7, Objects: 1}) {
		t.Errorf("%+v", got)
	}
	r.must(db.Abort(ctx, "a", "k", old.ID))
	if got := r.used(of, "a"); got.Bytes != 9<<20 {
		t.Errorf("%+v", got)
	}
}

// TestQuotaConcurrent: writers through two gateways, one of which sets the quota in the
// middle, never get beyond it, and what is counted is what is there.
func TestQuotaConcurrent(t *testing.T) {
	for seed := range uint64(8) {
		r := newQuotaRig(t)
		ctx := t.Context()
		r.bucket("a", "111111111111")
		r.bucket("b", "111111111111")
		of := metadata.QuotaOf{Bucket: "a"}
		if seed%2 == 1 {
			of = metadata.QuotaOf{Account: "111111111111"}
		}
		if seed%4 > 1 {
			r.must(r.dbs[0].SetVersioning(ctx, "a", metadata.VersioningEnabled))
		}
		var refused atomic.Int64
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(seed, uint64(w)))
				db := r.dbs[w%2]
				for range 200 {
					bucket, key := string(rune('a'+rng.IntN(2))), fmt.Sprint("k", rng.IntN(20))
					var err error
					if rng.IntN(3) > 0 {
						err = put(ctx, db, bucket, key, rng.Int64N(10))
					} else {
						_, err = db.Delete(ctx, bucket, key, "", metadata.Condition{})
					}
					if errors.Is(err, metadata.ErrQuota) {
						refused.Add(1)
					} else if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Go(func() {
			for range 3 {
				if err := r.dbs[1].SetQuota(ctx, of, metadata.Quota{Bytes: 60, Objects: 15}); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Wait()
		buckets := []string{"a"}
		if of.Account != "" {
			buckets = []string{"a", "b"}
		}
		before := r.used(of, buckets...)
		r.must(r.dbs[0].SetQuota(ctx, of, metadata.Quota{Bytes: before.Bytes + 5, Objects: before.Objects + 5}))
		var stored atomic.Int64
		for w := range 8 {
			wg.Go(func() {
				for i := range 5 {
					if err := put(ctx, r.dbs[w%2], "a", fmt.Sprint("new", w, i), 1); err == nil {
						stored.Add(1)
					} else if !errors.Is(err, metadata.ErrQuota) {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if stored.Load() != 5 {
			t.Errorf("seed %d: %d objects got into room for 5 (%d refused before)", seed, stored.Load(), refused.Load())
		}
		r.used(of, buckets...)
	}
}
