package metadata_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/metadata/kvtest"
	"github.com/weftstore/weft/metadata/memkv"
)

// Fault model: any single call into the engine fails, in any operation. Then the
// operation returns that error and nothing has changed; repeated, it succeeds.

type faultCase struct {
	name string
	run  func(ctx context.Context, db *metadata.DB, f *fixture) error
}

// fixture is a versioned bucket in which there is something for every operation.
type fixture struct {
	version metadata.VersionID
	upload  metadata.UploadID
	ref     metadata.PartRef
	garbage []uint64
}

var faultCases = []faultCase{
	{"create bucket", func(ctx context.Context, db *metadata.DB, _ *fixture) error {
		_, err := db.CreateBucket(ctx, "new", "")
		return err
	}},
	{"delete bucket", func(ctx context.Context, db *metadata.DB, _ *fixture) error {
		return db.DeleteBucket(ctx, "empty")
	}},
	{"set bucket tags", func(ctx context.Context, db *metadata.DB, _ *fixture) error {
		return db.SetBucketTags(ctx, "b", map[string]string{"a": "b"})
	}},
	{"put", func(ctx context.Context, db *metadata.DB, _ *fixture) error {
		_, err := db.Put(ctx, "b", smallObject(db, "k"), metadata.Condition{IfMatch: []string{"*"}})
		return err
	}},
	{"put null", func(ctx context.Context, db *metadata.DB, _ *fixture) error {
		_, err := db.Put(ctx, "suspended", smallObject(db, "k"), metadata.Condition{})
		return err
	}},
	{"rename", func(ctx context.Context, db *metadata.DB, _ *fixture) error {
		v, _, err := db.Get(ctx, "plain", "k", "")
		if err != nil {
			return err
		}
		r := metadata.Rename{From: "k", To: "other", Seen: v.ID, ID: db.NewVersionID(), Manifest: &metadata.Part{Set: metadata.SetID{8}}}
		_, err = db.Rename(ctx, "plain", &r)
		return err
	}},
	{"append", func(ctx context.Context, db *metadata.DB, _ *fixture) error {
		v, _, err := db.Get(ctx, "plain", "k", "")
		if err != nil {
			return err
		}
		to := *v
		to.ID, to.Size, to.Upload = db.NewVersionID(), v.Size+10, metadata.UploadOf(v.Inline.Set)
		return db.Append(ctx, "plain", v.ID, &to, &metadata.Part{Number: 2, Set: metadata.SetID{8}, Size: 10}, metadata.Condition{})
	}},
	{"disown", func(ctx context.Context, db *metadata.DB, _ *fixture) error {
		v, _, err := db.Get(ctx, "plain", "k", "")
		if err != nil {
			return err
		}
		return db.Disown(ctx, "plain", metadata.PartRef{Key: "k", Version: v.ID}, &metadata.Version{ID: db.NewVersionID()})
	}},
	{"delete", func(ctx context.Context, db *metadata.DB, _ *fixture) error {
		_, err := db.Delete(ctx, "b", "k", "", metadata.Condition{})
		return err
	}},
	{"delete version", func(ctx context.Context, db *metadata.DB, f *fixture) error {
		_, err := db.Delete(ctx, "b", "k", f.version.String(), metadata.Condition{})
		return err
	}},
	{"delete many", func(ctx context.Context, db *metadata.DB, f *fixture) error {
		_, err := db.DeleteMany(ctx, "b", []metadata.DeleteItem{{Key: "k"}, {Key: "k", VersionID: f.version.String()}, {Key: "x"}})
		return err
	}},
	{"set tags", func(ctx context.Context, db *metadata.DB, _ *fixture) error {
		_, err := db.SetTags(ctx, "b", "k", "", metadata.VersionID{}, map[string]string{"a": "b"})
		return err
	}},
	{"put part", func(ctx context.Context, db *metadata.DB, f *fixture) error {
		return db.PutPart(ctx, "b", "up", f.upload, &metadata.Part{Number: 1, Set: metadata.SetID{9}})
	}},
	{"complete", func(ctx context.Context, db *metadata.DB, f *fixture) error {
		list := []metadata.CompletedPart{{Number: 2, ETag: "00000000000000000000000000000000"}}
		if _, _, err := db.PrepareComplete(ctx, "b", "up", f.upload, list); err != nil {
			return err
		}
		_, err := db.Complete(ctx, "b", "up", f.upload, list, &metadata.Version{ID: db.NewVersionID()}, metadata.Condition{})
		return err
	}},
	{"abort", func(ctx context.Context, db *metadata.DB, f *fixture) error {
		return db.Abort(ctx, "b", "up", f.upload)
	}},
	{"garbage done", func(ctx context.Context, db *metadata.DB, f *fixture) error {
		return db.GarbageDone(ctx, f.garbage)
	}},
	{"add damage", func(ctx context.Context, db *metadata.DB, f *fixture) error {
		return db.AddDamage(ctx, []metadata.Damage{{Ref: f.ref, Set: f.ref.Set, Shards: 1}})
	}},
	{"update part", func(ctx context.Context, db *metadata.DB, f *fixture) error {
		return db.UpdatePart(ctx, f.ref, func(p *metadata.Part) error { p.Targets = []metadata.TargetID{7}; return nil })
	}},
	{"add target", func(ctx context.Context, db *metadata.DB, _ *fixture) error {
		_, err := db.AddTarget(ctx, [16]byte{1}, "/mnt")
		return err
	}},
	{"import", func(ctx context.Context, db *metadata.DB, _ *fixture) error {
		v := smallObject(db, "k")
		return db.ImportVersion(ctx, "empty", v, nil)
	}},
}

func newFixture(t *testing.T, db *metadata.DB) *fixture {
	ctx := t.Context()
	f := new(fixture)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"suspended", "empty", "plain"} {
		_, err := db.CreateBucket(ctx, name, "")
		must(err)
	}
	put := func(bucket string) metadata.VersionID {
		v := smallObject(db, "k")
		_, err := db.Put(ctx, bucket, v, metadata.Condition{})
		must(err)
		f.ref = metadata.PartRef{BucketID: 1, Key: "k", Version: v.ID, Number: 1, Set: v.Inline.Set}
		return v.ID
	}
	for _, key := range []string{"k", "other"} {
		_, err := db.Put(ctx, "plain", smallObject(db, key), metadata.Condition{})
		must(err)
	}
	put("suspended")
	must(db.SetVersioning(ctx, "suspended", metadata.VersioningEnabled))
	put("suspended")
	must(db.SetVersioning(ctx, "suspended", metadata.VersioningSuspended))
	must(db.SetVersioning(ctx, "b", metadata.VersioningEnabled))
	put("b")
	f.version = put("b")
	for _, bucket := range []string{"b", "empty"} {
		u := &metadata.Upload{Key: "up"}
		must(db.CreateUpload(ctx, bucket, u))
		for n := range uint16(3) {
			must(db.PutPart(ctx, bucket, "up", u.ID, &metadata.Part{Number: 1 + n, Set: metadata.SetID{byte(n)}}))
		}
		if bucket == "b" {
			f.upload = u.ID
		} else {
			must(db.Abort(ctx, bucket, "up", u.ID))
		}
	}
	must(db.CreateUpload(ctx, "empty", &metadata.Upload{Key: "other"}))
	list, err := db.Garbage(ctx, 100)
	must(err)
	for _, g := range list {
		f.garbage = append(f.garbage, g.Seq)
	}
	return f
}

func dumpKV(t *testing.T, kv metadata.KV) []byte {
	var b bytes.Buffer
	if err := kv.View(t.Context(), func(r metadata.Reader) error {
		return r.Scan([]byte{0}, nil, func(k, v []byte) bool {
			fmt.Fprintf(&b, "%q=%q\n", k, v)
			return true
		})
	}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestFaultAtEveryCall(t *testing.T) {
	for _, c := range faultCases {
		t.Run(c.name, func(t *testing.T) {
			kv := &kvtest.Faulty{KV: memkv.New()}
			db := newDB(t, kv)
			f := newFixture(t, db)
			before := dumpKV(t, kv)
			for i := 1; ; i++ {
				kv.Arm(i)
				err := c.run(t.Context(), db, f)
				reached := kv.Calls() >= i
				kv.Arm(0)
				if !reached {
					if err != nil {
						t.Fatalf("without a fault: %v", err)
					}
					if i < 3 || bytes.Equal(dumpKV(t, kv), before) {
						t.Errorf("nothing was tested in %d calls", i)
					}
					return
				}
				if !errors.Is(err, kvtest.ErrInjected) {
					t.Fatalf("call %d failed, and the operation returned %v", i, err)
				}
				if !bytes.Equal(dumpKV(t, kv), before) {
					t.Fatalf("call %d failed, and something changed", i)
				}
			}
		})
	}
}

// TestRepeatedPut: a put whose outcome is unknown is repeated. Its chunks must not
// become garbage.
func TestRepeatedPut(t *testing.T) {
	db := newDB(t, memkv.New())
	v := smallObject(db, "k")
	for range 2 {
		if _, err := db.Put(t.Context(), "b", v, metadata.Condition{IfNoneMatch: []string{"*"}}); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := db.Garbage(t.Context(), 10); err != nil || len(list) != 0 {
		t.Fatalf("garbage %+v, %v", list, err)
	}
}

// TestSnapshotRestore: what is restored is what was there, and any cut or flipped
// bit is found.
func TestSnapshotRestore(t *testing.T) {
	kv := memkv.New()
	db := newDB(t, kv)
	newFixture(t, db)
	var snap bytes.Buffer
	if err := db.SnapshotTo(t.Context(), &snap); err != nil {
		t.Fatal(err)
	}
	into := memkv.New()
	if err := metadata.Restore(t.Context(), bytes.NewReader(snap.Bytes()), into); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(dumpKV(t, kv), dumpKV(t, into)) {
		t.Fatal("restored is not what was there")
	}
	if err := metadata.Restore(t.Context(), bytes.NewReader(snap.Bytes()), into); !errors.Is(err, metadata.ErrNotEmpty) {
		t.Errorf("restore over something: %v", err)
	}
	for i := range snap.Len() {
		if err := metadata.Restore(t.Context(), bytes.NewReader(snap.Bytes()[:i]), memkv.New()); !errors.Is(err, metadata.ErrCorrupt) {
			t.Fatalf("cut at %d: %v", i, err)
		}
		bad := slices.Clone(snap.Bytes())
		bad[i] ^= 1 << (i % 8)
		if err := metadata.Restore(t.Context(), bytes.NewReader(bad), memkv.New()); !errors.Is(err, metadata.ErrCorrupt) {
			t.Fatalf("bit of byte %d flipped: %v", i, err)
		}
	}
}

// measuredKV notes how much the largest transaction of more than one pair writes.
type measuredKV struct {
	metadata.KV
	most int
}

type measuredTxn struct {
	metadata.Txn
	pairs, size int
}

func (t *measuredTxn) Put(key, value []byte) error {
	t.pairs, t.size = t.pairs+1, t.size+len(key)+len(value)
	return t.Txn.Put(key, value)
}

func (kv *measuredKV) Update(ctx context.Context, fn func(metadata.Txn) error) error {
	return kv.KV.Update(ctx, func(t metadata.Txn) error {
		m := &measuredTxn{Txn: t}
		err := fn(m)
		if m.pairs > 1 {
			kv.most = max(kv.most, m.size)
		}
		return err
	})
}

// A snapshot with large records is restored in transactions that etcd takes: its default is
// 1.5 MiB.
func TestRestoreLargeRecords(t *testing.T) {
	from := memkv.New()
	err := from.Update(t.Context(), func(t metadata.Txn) error {
		for i, size := range []int{600 << 10, 600 << 10, 100, metadata.MaxKVValue, 100} {
			if err := t.Put([]byte{'x', byte(i)}, bytes.Repeat([]byte{byte(i)}, size)); err != nil {
				return err
			}
		}
		return nil
	})
	var snap bytes.Buffer
	db, derr := metadata.New(from, metadata.Options{})
	if err := errors.Join(err, derr, db.SnapshotTo(t.Context(), &snap)); err != nil {
		t.Fatal(err)
	}
	into := &measuredKV{KV: memkv.New()}
	if err := metadata.Restore(t.Context(), &snap, into); err != nil || into.most > 1<<20 {
		t.Errorf("%d bytes in a transaction, %v", into.most, err)
	}
	if !bytes.Equal(dumpKV(t, from), dumpKV(t, into)) {
		t.Error("restored is not what was there")
	}
}
