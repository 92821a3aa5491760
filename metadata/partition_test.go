package metadata_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/metadata/kvtest"
	"github.com/weftstore/weft/metadata/memkv"
)

// placed puts names with a digit at the end in that partition, and others in the last.
func placed(n int) func(string) int {
	return func(name string) int {
		if d := int(name[len(name)-1] - '0'); d >= 0 && d < n {
			return d
		}
		return n - 1
	}
}

func partitioned(t testing.TB, engines ...metadata.KV) *metadata.DB {
	t.Helper()
	db := mapped(t, 7, placed(len(engines)), engines...)
	if err := db.UseMap(t.Context()); err != nil {
		t.Fatal(err)
	}
	return db
}

func mapped(t testing.TB, number uint64, place func(string) int, engines ...metadata.KV) *metadata.DB {
	t.Helper()
	db, err := metadata.New(engines[0], metadata.Options{More: engines[1:], Place: place, Map: number})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func makeBuckets(t testing.TB, db *metadata.DB, owner string, names ...string) {
	t.Helper()
	for _, name := range names {
		_, err := db.MakeBucket(t.Context(), metadata.Bucket{Name: name, Owner: owner})
		must(t, err)
	}
}

func bucketNames(t testing.TB, db *metadata.DB) (names []string) {
	t.Helper()
	list, err := db.Buckets(t.Context())
	must(t, err)
	for i := range list {
		names = append(names, list[i].Name)
	}
	return names
}

// away is an engine that can be cut off.
type away struct {
	metadata.KV
	cut bool
}

var errAway = fmt.Errorf("engine: %w", metadata.ErrUnavailable)

func (a *away) View(ctx context.Context, fn func(metadata.Reader) error) error {
	if a.cut {
		return fn(cutReader{})
	}
	return a.KV.View(ctx, fn)
}

func (a *away) Update(ctx context.Context, fn func(metadata.Txn) error) error {
	if a.cut {
		return errAway
	}
	return a.KV.Update(ctx, fn)
}

// cutReader fails when something is read, as etcdkv does.
type cutReader struct{}

func (cutReader) Get([]byte) ([]byte, error)                       { return nil, errAway }
func (cutReader) Scan(_, _ []byte, _ func(_, _ []byte) bool) error { return errAway }

// TestPartitionAway: what is in other partitions goes on.
func TestPartitionAway(t *testing.T) {
	engines := []*away{{KV: memkv.New()}, {KV: memkv.New()}}
	db := partitioned(t, engines[0], engines[1])
	makeBuckets(t, db, "", "x0", "x1")
	must(t, db.AddGarbage(t.Context(), []metadata.Garbage{{Set: metadata.SetID{1}}}))
	for at, engine := range engines {
		engine.cut = true
		for _, bucket := range []string{"x0", "x1"} {
			err := put(t.Context(), db, bucket, "k", 1)
			_, _, gerr := db.Get(t.Context(), bucket, "k", "")
			_, lerr := db.List(t.Context(), bucket, metadata.ListQuery{Limit: 10})
			if strings.HasSuffix(bucket, fmt.Sprint(at)) {
				if !errors.Is(err, errAway) || !errors.Is(gerr, errAway) || !errors.Is(lerr, errAway) {
					t.Errorf("partition %d is away, bucket %s: %v, %v, %v", at, bucket, err, gerr, lerr)
				}
				continue
			}
			must(t, err, gerr, lerr)
		}
		// What is whole or nothing says so.
		if _, err := db.Buckets(t.Context()); !errors.Is(err, errAway) {
			t.Errorf("list of buckets: %v", err)
		}
		if _, err := db.CreateBucket(t.Context(), "y0", ""); !errors.Is(err, errAway) {
			t.Errorf("create bucket: %v", err)
		}
		// A name that the partition might have is not denied.
		if _, err := db.Bucket(t.Context(), "other"); !errors.Is(err, errAway) {
			t.Errorf("unknown bucket: %v", err)
		}
		// What is queued in the other comes out.
		if list, err := db.Garbage(t.Context(), 100); err != nil || len(list) != at {
			t.Errorf("partition %d is away: garbage %v, %v", at, list, err)
		}
		engine.cut = false
	}
	if _, err := db.Bucket(t.Context(), "other"); !errors.Is(err, metadata.ErrNoSuchBucket) {
		t.Errorf("unknown bucket: %v", err)
	}
}

// TestPartitionNames: a name is that of one bucket, and a bucket is found where it is,
// whatever the map says of new ones.
func TestPartitionNames(t *testing.T) {
	a, b := memkv.New(), memkv.New()
	old := partitioned(t, a, b)
	makeBuckets(t, old, "", "z1", "a0", "m1")
	all := func(string) int { return 0 }
	db := mapped(t, 8, all, a, b)
	if _, err := db.CreateBucket(t.Context(), "early", ""); !errors.Is(err, metadata.ErrMapChanged) {
		t.Errorf("bucket made before the map was entered: %v", err)
	}
	must(t, db.UseMap(t.Context()))
	for _, name := range []string{"z1", "a0"} {
		if _, err := db.CreateBucket(t.Context(), name, ""); !errors.Is(err, metadata.ErrBucketExists) {
			t.Errorf("%s made twice: %v", name, err)
		}
		must(t, put(t.Context(), db, name, "k", 1), put(t.Context(), db, name, "k", 2))
		if _, _, err := old.Get(t.Context(), name, "k", ""); err != nil {
			t.Error(err)
		}
	}
	// By the old map nothing is made any more, in neither.
	for _, name := range []string{"late0", "late1"} {
		if _, err := old.CreateBucket(t.Context(), name, ""); !errors.Is(err, metadata.ErrMapChanged) {
			t.Errorf("%s made by the old map: %v", name, err)
		}
	}
	makeBuckets(t, db, "", "new1")
	if got := bucketNames(t, old); !slices.Equal(got, []string{"a0", "m1", "new1", "z1"}) {
		t.Errorf("buckets %v", got)
	}
	// Gone and made again, it is where the map of today says, also for who saw it elsewhere.
	must(t, db.DeleteBucket(t.Context(), "m1"))
	makeBuckets(t, db, "", "m1")
	must(t, put(t.Context(), old, "m1", "k", 1))
	if bytes.Contains(dumpKV(t, b), []byte(`"bm1"`)) || !bytes.Contains(dumpKV(t, a), []byte(`"bm1"`)) {
		t.Error("m1 is not in the first partition")
	}
}

// TestPartitionOwner: who may have buckets is asked of the first partition, wherever they are made.
func TestPartitionOwner(t *testing.T) {
	db := partitioned(t, memkv.New(), memkv.New())
	errGone := errors.New("no such account")
	db.SetOwners(func(r metadata.EntityReader, owner string) error {
		data, err := r.Get('A', "", owner)
		if err == nil && data == nil {
			err = errGone
		}
		return err
	})
	must(t, db.UpdateEntities(t.Context(), func(w metadata.EntityTxn) error { return w.Put('A', "", "there", []byte("x")) }))
	makeBuckets(t, db, "there", "a0", "a1")
	makeBuckets(t, db, "", "root1")
	for _, name := range []string{"b0", "b1"} {
		if _, err := db.MakeBucket(t.Context(), metadata.Bucket{Name: name, Owner: "gone"}); !errors.Is(err, errGone) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := strings.Join(bucketNames(t, db), " "); got != "a0 a1 root1" {
		t.Error(got)
	}
}

// TestPartitionQueues: garbage, notes and parts of all partitions come out once.
func TestPartitionQueues(t *testing.T) {
	engines := []metadata.KV{memkv.New(), memkv.New(), memkv.New()}
	db := partitioned(t, engines...)
	db.SetOutbox(func(c metadata.Change) ([]metadata.Note, error) {
		return []metadata.Note{{Queue: "q", Data: []byte(c.Bucket.Name + "/" + c.Version.Key)}}, nil
	})
	makeBuckets(t, db, "", "x0", "x1", "x2")
	want := map[metadata.SetID]bool{}
	for i := range 30 {
		v := smallObject(db, fmt.Sprint(i))
		bucket := fmt.Sprint("x", i%3)
		_, err := db.Put(t.Context(), bucket, v, metadata.Condition{})
		must(t, err)
		if i%2 == 0 {
			want[v.Inline.Set] = true
			_, err := db.Delete(t.Context(), bucket, v.Key, "", metadata.Condition{})
			must(t, err)
			continue
		}
		b, err := db.Bucket(t.Context(), bucket)
		must(t, err)
		ref := metadata.PartRef{BucketID: b.ID, Key: v.Key, Version: v.ID, Number: 1, Set: v.Inline.Set}
		cold := mapped(t, 7, placed(3), engines...) // has seen no bucket
		_, err = cold.PartFor(t.Context(), ref)
		must(t, err, cold.UpdatePart(t.Context(), ref, func(*metadata.Part) error { return nil }))
	}
	walked := 0
	for from := []byte(nil); ; {
		next, err := db.WalkParts(t.Context(), from, 4, func(metadata.PartRef, *metadata.Part) error { walked++; return nil })
		must(t, err)
		if from = next; from == nil {
			break
		}
	}
	if walked != 15 {
		t.Errorf("%d parts walked", walked)
	}
	after := uint64(0)
	for {
		list, err := db.GarbageAfter(t.Context(), after, 4)
		must(t, err)
		if len(list) == 0 {
			break
		}
		var seqs []uint64
		for _, g := range list {
			if !want[g.Set] || g.Seq <= after {
				t.Errorf("garbage %v at %d after %d", g.Set, g.Seq, after)
			}
			delete(want, g.Set)
			after = g.Seq
			seqs = append(seqs, g.Seq)
		}
		must(t, db.GarbageDone(t.Context(), seqs))
	}
	if left, err := db.Garbage(t.Context(), 100); err != nil || len(left)+len(want) > 0 {
		t.Errorf("%d sets never came, %d stay, %v", len(want), len(left), err)
	}
	if n, err := db.CountNotes(t.Context(), "q", 1000); err != nil || n != 45 {
		t.Errorf("%d notes, %v", n, err)
	}
	got := 0
	for got < 100 {
		list, err := db.Notes(t.Context(), "q", 7)
		must(t, err, db.NotesDone(t.Context(), list))
		if got += len(list); len(list) == 0 {
			break
		}
	}
	if got != 45 {
		t.Errorf("%d notes came", got)
	}
}

// TestPartitionCount: the limit of buckets is for all partitions together.
func TestPartitionCount(t *testing.T) {
	db := partitioned(t, memkv.New(), memkv.New())
	for i := range metadata.MaxBuckets {
		makeBuckets(t, db, "", fmt.Sprint("x", i))
	}
	if _, err := db.CreateBucket(t.Context(), "more", ""); !errors.Is(err, metadata.ErrTooManyBuckets) {
		t.Errorf("one bucket more: %v", err)
	}
}

// TestPartitionPlaces: two gateways whose clocks say the same give places of their own in
// the queues of two partitions.
func TestPartitionPlaces(t *testing.T) {
	engines := []metadata.KV{memkv.New(), memkv.New()}
	makeBuckets(t, partitioned(t, engines...), "", "x0", "x1")
	now := time.Now()
	for _, bucket := range []string{"x0", "x1"} {
		db, err := metadata.New(engines[0], metadata.Options{
			More: engines[1:], Place: placed(2), Map: 7, Now: func() time.Time { return now },
		})
		must(t, err)
		db.SetOutbox(func(metadata.Change) ([]metadata.Note, error) { return []metadata.Note{{Queue: "q"}}, nil })
		for range 20 {
			_, err := db.Put(t.Context(), bucket, smallObject(db, "k"), metadata.Condition{})
			must(t, err)
		}
	}
	db := mapped(t, 7, placed(2), engines...)
	garbage, err := db.Garbage(t.Context(), 100)
	must(t, err)
	notes, err := db.Notes(t.Context(), "q", 100)
	must(t, err)
	places := map[uint64]bool{}
	for _, g := range garbage {
		places[g.Seq] = true
	}
	if len(garbage) != 38 || len(places) != 38 {
		t.Errorf("%d sets of garbage at %d places", len(garbage), len(places))
	}
	clear(places)
	for _, n := range notes {
		places[n.Seq] = true
	}
	if len(notes) != 40 || len(places) != 40 {
		t.Errorf("%d notes at %d places", len(notes), len(places))
	}
	join(t, engines) // no key is in both
}

// TestPartitionUpload: a multipart object is read by who knows its version only.
func TestPartitionUpload(t *testing.T) {
	db := partitioned(t, memkv.New(), memkv.New())
	makeBuckets(t, db, "", "x1")
	u := &metadata.Upload{Key: "k"}
	must(t, db.CreateUpload(t.Context(), "x1", u), db.PutPart(t.Context(), "x1", "k", u.ID, &metadata.Part{Number: 1, Set: metadata.SetID{9}, Size: 5}))
	parts := []metadata.CompletedPart{{Number: 1, ETag: strings.Repeat("0", 32)}}
	_, err := db.Complete(t.Context(), "x1", "k", u.ID, parts, &metadata.Version{ID: db.NewVersionID()}, metadata.Condition{})
	must(t, err)
	v, _, err := db.Get(t.Context(), "x1", "k", "")
	must(t, err)
	for _, v := range []*metadata.Version{v, {Upload: v.Upload, Size: v.Size, PartCount: 1}} {
		spans, err := db.PartsFor(t.Context(), v, 0, 5)
		if err != nil || len(spans) != 1 || spans[0].Part.Set != (metadata.SetID{9}) {
			t.Errorf("parts %v, %v", spans, err)
		}
		if _, err := db.PartByNumber(t.Context(), v, 1); err != nil {
			t.Error(err)
		}
	}
}

// TestPartitionQuota: an account's quota is one over all partitions once it is balanced;
// between two balances it can be exceeded by what goes to the others.
func TestPartitionQuota(t *testing.T) {
	a, b := memkv.New(), memkv.New()
	db := partitioned(t, a, b)
	makeBuckets(t, db, "acc", "x0", "x1")
	ctx := t.Context()
	must(t, put(ctx, db, "x0", "before", 10), db.SetQuota(ctx, metadata.QuotaOf{Account: "acc"}, metadata.Quota{Bytes: 100}))
	makeBuckets(t, db, "acc", "y0", "y1") // are counted from their first object on
	must(t, put(ctx, db, "y0", "k", 40), put(ctx, db, "y1", "k", 40))
	state := func() metadata.QuotaState {
		t.Helper()
		list, err := db.Quotas(ctx)
		must(t, err)
		if len(list) != 1 {
			t.Fatalf("quotas %v", list)
		}
		return list[0]
	}
	if s := state(); s.Used != (metadata.Quota{Bytes: 90, Objects: 3}) || s.Counting {
		t.Errorf("used %+v", s)
	}
	must(t, db.BalanceQuotas(ctx))
	for _, bucket := range []string{"x0", "x1"} {
		if err := put(ctx, db, bucket, "more", 11); !errors.Is(err, metadata.ErrQuota) {
			t.Errorf("%s beyond the quota: %v", bucket, err)
		}
	}
	must(t, put(ctx, db, "x1", "more", 10))
	_, err := db.Delete(ctx, "y0", "k", "", metadata.Condition{})
	must(t, err, db.BalanceQuotas(ctx), put(ctx, db, "x1", "again", 40))
	// A partition that is new gets the quota before any bucket.
	c := memkv.New()
	wider := mapped(t, 9, placed(3), a, b, c)
	must(t, wider.UseMap(ctx))
	makeBuckets(t, wider, "acc", "z2")
	if err := put(ctx, wider, "z2", "k", 1); !errors.Is(err, metadata.ErrQuota) {
		t.Errorf("new partition: %v", err)
	}
	must(t, wider.SetQuota(ctx, metadata.QuotaOf{Account: "acc"}, metadata.Quota{}), put(ctx, wider, "z2", "k", 1000))
	// A bucket's quota is where the bucket is.
	must(t, db.SetQuota(ctx, metadata.QuotaOf{Bucket: "x1"}, metadata.Quota{Objects: 3}), put(ctx, db, "x1", "third", 1))
	if err := put(ctx, db, "x1", "fourth", 1); !errors.Is(err, metadata.ErrQuota) {
		t.Errorf("beyond the bucket's quota: %v", err)
	}
}

// fillBuckets makes some of everything that a store can have.
func fillBuckets(t *testing.T, db *metadata.DB, owner string, buckets ...string) {
	ctx := t.Context()
	makeBuckets(t, db, owner, buckets...)
	for _, bucket := range buckets {
		must(t, db.SetVersioning(ctx, bucket, metadata.VersioningEnabled))
		for i := range 5 {
			_, err := db.Put(ctx, bucket, smallObject(db, fmt.Sprint(i)), metadata.Condition{})
			must(t, err)
			_, err = db.Put(ctx, bucket, smallObject(db, fmt.Sprint(i)), metadata.Condition{})
			must(t, err)
		}
		v, _, err := db.Get(ctx, bucket, "4", "")
		must(t, err)
		_, err = db.Delete(ctx, bucket, "4", v.ID.String(), metadata.Condition{})
		must(t, err)
		for i := range 3 {
			u := &metadata.Upload{Key: fmt.Sprint("up", i)}
			must(t, db.CreateUpload(ctx, bucket, u), db.PutPart(ctx, bucket, u.Key, u.ID, &metadata.Part{Number: 1, Set: metadata.SetID{byte(i)}, Size: 5}))
			parts := []metadata.CompletedPart{{Number: 1, ETag: strings.Repeat("0", 32)}}
			switch i {
			case 0:
				must(t, db.Abort(ctx, bucket, u.Key, u.ID))
			case 1:
				_, err := db.Complete(ctx, bucket, u.Key, u.ID, parts, &metadata.Version{ID: db.NewVersionID()}, metadata.Condition{})
				must(t, err)
			}
		}
		must(t, db.SetQuota(ctx, metadata.QuotaOf{Bucket: bucket}, metadata.Quota{Objects: 1000}))
	}
	must(t, db.SetQuota(ctx, metadata.QuotaOf{Account: owner}, metadata.Quota{Bytes: 1 << 40}))
}

// TestDivide: one engine becomes three and one again, and no pair is lost or changed; what
// was made while there were three comes along.
func TestDivide(t *testing.T) {
	ctx := t.Context()
	one := memkv.New()
	db, err := metadata.New(one, metadata.Options{})
	must(t, err)
	fillBuckets(t, db, "acc", "a0", "b1", "c2", "d1")
	_, err = db.AddTarget(ctx, [16]byte{1}, "/t")
	must(t, err)
	into := []metadata.KV{memkv.New(), memkv.New(), memkv.New()}
	divide := func() {
		t.Helper()
		sources, err := metadata.Split(ctx, metadata.SourceOf(one), len(into), placed(3))
		must(t, err)
		for i, s := range sources {
			_, err := metadata.Copy(ctx, s, into[i], nil)
			must(t, err)
		}
	}
	divide()
	divide() // what is there already is compared
	if got, want := join(t, into), dumpKV(t, one); !bytes.Equal(got, want) {
		t.Errorf("together they are not what there was:\n%s\nwant\n%s", got, want)
	}
	three := partitioned(t, into...)
	if got := bucketNames(t, three); !slices.Equal(got, []string{"a0", "b1", "c2", "d1"}) {
		t.Errorf("buckets %v", got)
	}
	for i, bucket := range []string{"a0", "b1", "c2"} {
		if !bytes.Contains(dumpKV(t, into[i]), []byte(`"b`+bucket+`"`)) {
			t.Errorf("%s is not in partition %d", bucket, i)
		}
		v, _, err := three.Get(ctx, bucket, "up1", "")
		must(t, err)
		spans, err := three.PartsFor(ctx, v, 0, 5)
		if err != nil || len(spans) != 1 {
			t.Errorf("%s: parts %v, %v", bucket, spans, err)
		}
		uploads, err := three.ListUploads(ctx, bucket, "", "", "", "", 10)
		must(t, err)
		for _, u := range uploads.Entries {
			if parts, _, err := three.ListParts(ctx, bucket, u.Upload.Key, u.Upload.ID, 0, 10); err != nil || len(parts) != 1 {
				t.Errorf("%s: parts of an upload under way %v, %v", bucket, parts, err)
			}
		}
	}
	fillBuckets(t, three, "acc2", "e0", "f1", "g2")
	var snap bytes.Buffer
	must(t, three.SnapshotTo(ctx, &snap))
	back := memkv.New()
	_, err = metadata.Copy(ctx, metadata.SourceIn(bytes.NewReader(snap.Bytes())), back, nil)
	must(t, err)
	if got, want := dumpKV(t, back), join(t, into); !bytes.Equal(got, want) {
		t.Error("the snapshot is not all there is")
	}
	again, err := metadata.New(back, metadata.Options{})
	must(t, err)
	was, err := three.Usage(ctx)
	must(t, err)
	is, err := again.Usage(ctx)
	must(t, err)
	if !slices.Equal(was, is) || len(is) != 7 {
		t.Errorf("usage %v, was %v", is, was)
	}
	wasQuotas, err := three.Quotas(ctx)
	must(t, err)
	isQuotas, err := again.Quotas(ctx)
	must(t, err)
	if !slices.Equal(wasQuotas, isQuotas) {
		t.Errorf("quotas %v, were %v", isQuotas, wasQuotas)
	}
	wasGarbage, err := three.Garbage(ctx, 1000)
	must(t, err)
	isGarbage, err := again.Garbage(ctx, 1000)
	must(t, err)
	if len(wasGarbage) == 0 || len(wasGarbage) != len(isGarbage) {
		t.Errorf("%d sets of garbage, were %d", len(isGarbage), len(wasGarbage))
	}
}

func join(t *testing.T, engines []metadata.KV) []byte {
	t.Helper()
	var b bytes.Buffer
	must(t, metadata.SourceOfAll(engines)(t.Context(), func(k, v []byte) error {
		_, err := fmt.Fprintf(&b, "%q=%q\n", k, v)
		return err
	}))
	return b.Bytes()
}

// TestPartitionFaults: bucket making and quotas fail at every call, and done again they
// are whole.
func TestPartitionFaults(t *testing.T) {
	for name, run := range map[string]func(context.Context, *metadata.DB) error{
		"create": func(ctx context.Context, db *metadata.DB) error {
			_, err := db.MakeBucket(ctx, metadata.Bucket{Name: "n1", Owner: "acc"})
			return err
		},
		"delete": func(ctx context.Context, db *metadata.DB) error { return db.DeleteBucket(ctx, "gone1") },
		"quota": func(ctx context.Context, db *metadata.DB) error {
			return db.SetQuota(ctx, metadata.QuotaOf{Account: "acc"}, metadata.Quota{Bytes: 50})
		},
	} {
		t.Run(name, func(t *testing.T) {
			for i := 1; ; i++ {
				a, b := &kvtest.Faulty{KV: memkv.New()}, &kvtest.Faulty{KV: memkv.New()}
				db := partitioned(t, a, b)
				makeBuckets(t, db, "acc", "x0", "x1", "gone1")
				must(t, put(t.Context(), db, "x0", "k", 10), put(t.Context(), db, "x1", "k", 10))
				faulty, at := a, (i+1)/2
				if i%2 == 0 {
					faulty = b
				}
				faulty.Arm(at)
				err := run(t.Context(), db)
				reached := faulty.Calls() >= at
				faulty.Arm(0)
				if reached != (err != nil) {
					t.Fatalf("call %d failed: %v; the operation: %v", at, reached, err)
				}
				if err != nil {
					must(t, run(t.Context(), db))
				}
				list, err := db.Quotas(t.Context())
				must(t, err)
				if name == "quota" && (len(list) != 1 || list[0].Used != (metadata.Quota{Bytes: 20, Objects: 2}) || list[0].Counting) {
					t.Errorf("fault %d: %+v", i, list)
				}
				if !reached && i > 40 {
					return
				}
			}
		})
	}
}
