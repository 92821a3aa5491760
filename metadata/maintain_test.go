package metadata_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/metadata/memkv"
)

func TestDamage(t *testing.T) {
	db := newDB(t, memkv.New())
	ref := metadata.PartRef{BucketID: 1, Key: "k", Version: metadata.VersionID{3}, Number: 1}
	for _, shards := range []uint64{1, 4} {
		if err := db.AddDamage(t.Context(), []metadata.Damage{{Ref: ref, Set: metadata.SetID{1}, Shards: shards}, {Set: metadata.SetID{2}, Shards: 1}}); err != nil {
			t.Fatal(err)
		}
	}
	list, err := db.Damage(t.Context(), metadata.SetID{}, 1)
	ref.Set = metadata.SetID{1}
	if err != nil || len(list) != 1 || list[0].Shards != 5 || list[0].Ref != ref {
		t.Fatalf("damage %+v, %v", list, err)
	}
	if err := db.DamageDone(t.Context(), list[0].Set, 1|2); err != nil {
		t.Fatal(err)
	}
	if list, err = db.Damage(t.Context(), metadata.SetID{}, 1); err != nil || list[0].Ref != ref || list[0].Shards != 4 {
		t.Fatalf("damage %+v, %v", list, err)
	}
	if err := db.DamageDone(t.Context(), list[0].Set, 4); err != nil {
		t.Fatal(err)
	}
	if list, err = db.Damage(t.Context(), metadata.SetID{1}, 10); err != nil || len(list) != 1 || list[0].Set != (metadata.SetID{2}) {
		t.Fatalf("damage %+v, %v", list, err)
	}
}

func TestTargets(t *testing.T) {
	db := newDB(t, memkv.New())
	for i, uuid := range []byte{7, 8, 7, 9} {
		id, err := db.AddTarget(t.Context(), [16]byte{uuid}, "/mnt")
		if want := []metadata.TargetID{1, 2, 1, 3}[i]; err != nil || id != want {
			t.Fatalf("target %d has id %d, %v", uuid, id, err)
		}
	}
	if err := db.SetTarget(t.Context(), metadata.Target{ID: 3, UUID: [16]byte{9}, Path: "/x", Retired: true}); err != nil {
		t.Fatal(err)
	}
	list, err := db.Targets(t.Context())
	if err != nil || len(list) != 3 || list[2].Path != "/x" || !list[2].Retired || list[0].Retired {
		t.Fatalf("targets %+v, %v", list, err)
	}
}

func TestUpdatePart(t *testing.T) {
	db := newDB(t, memkv.New())
	f := newFixture(t, db)
	move := func(p *metadata.Part) error { p.Targets = []metadata.TargetID{9}; return nil }
	older := f.ref // its version becomes noncurrent
	if _, err := db.Put(t.Context(), "b", smallObject(db, "k"), metadata.Condition{}); err != nil {
		t.Fatal(err)
	}
	part := metadata.PartRef{Upload: f.upload, Number: 2, Set: metadata.SetID{1}}
	for _, ref := range []metadata.PartRef{older, part} {
		if err := db.UpdatePart(t.Context(), ref, move); err != nil {
			t.Fatal(err)
		}
		p, err := db.PartFor(t.Context(), ref)
		if err != nil || !slices.Equal(p.Targets, []metadata.TargetID{9}) {
			t.Fatalf("part %+v, %v", p, err)
		}
		ref.Set[5]++
		if err := db.UpdatePart(t.Context(), ref, move); !errors.Is(err, metadata.ErrStale) {
			t.Errorf("another set: %v", err)
		}
	}
	for _, ref := range []metadata.PartRef{{BucketID: 1, Key: "gone", Number: 1}, {Upload: metadata.UploadID{1}, Number: 1}, {Upload: f.upload}} {
		if err := db.UpdatePart(t.Context(), ref, move); !errors.Is(err, metadata.ErrStale) {
			t.Errorf("%+v: %v", ref, err)
		}
	}
}

func TestUsage(t *testing.T) {
	db := newDB(t, memkv.New())
	newFixture(t, db)
	if _, err := db.Delete(t.Context(), "b", "k", "", metadata.Condition{}); err != nil {
		t.Fatal(err)
	}
	list, err := db.Usage(t.Context())
	want := []metadata.BucketUsage{
		{Bucket: "b", Versions: 2, Markers: 1, Uploads: 1, Bytes: 8192},
		{Bucket: "empty", Uploads: 1},
		{Bucket: "plain", Objects: 2, Versions: 2, Bytes: 8192},
		{Bucket: "suspended", Objects: 1, Versions: 2, Bytes: 8192},
	}
	if err != nil || !slices.Equal(list, want) {
		t.Fatalf("usage %+v, %v", list, err)
	}
}

// TestFastClock: a marker is newer than the version it hides, even if that was put by
// a gateway whose clock is ahead.
func TestFastClock(t *testing.T) {
	kv := memkv.New()
	db := newDB(t, kv)
	if err := db.SetVersioning(t.Context(), "b", metadata.VersioningEnabled); err != nil {
		t.Fatal(err)
	}
	ahead, err := metadata.New(kv, metadata.Options{Now: func() time.Time { return time.Now().Add(time.Hour) }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ahead.Put(t.Context(), "b", smallObject(ahead, "k"), metadata.Condition{}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := db.Delete(t.Context(), "b", "k", "", metadata.Condition{}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := db.Get(t.Context(), "b", "k", ""); !errors.As(err, new(*metadata.DeleteMarkerError)) {
			t.Fatalf("after a delete: %v", err)
		}
	}
}

// TestImport: versions in any order give the same bucket as putting them did.
func TestImport(t *testing.T) {
	from := memkv.New()
	db := newDB(t, from)
	if err := db.SetVersioning(t.Context(), "b", metadata.VersioningEnabled); err != nil {
		t.Fatal(err)
	}
	var versions []*metadata.Version
	var parts [][]metadata.Part
	for i := range 12 {
		v := smallObject(db, []string{"k", "l", "l/m"}[i%3])
		if i >= 9 {
			u := &metadata.Upload{Key: v.Key}
			if err := db.CreateUpload(t.Context(), "b", u); err != nil {
				t.Fatal(err)
			}
			p := metadata.Part{Number: 3, Set: metadata.SetID{byte(i)}, K: 1, Size: 1}
			if err := db.PutPart(t.Context(), "b", v.Key, u.ID, &p); err != nil {
				t.Fatal(err)
			}
			v.Size, v.MD5 = 0, [16]byte{}
			list := []metadata.CompletedPart{{Number: 3, ETag: "00000000000000000000000000000000"}}
			if _, err := db.Complete(t.Context(), "b", v.Key, u.ID, list, v, metadata.Condition{}); err != nil {
				t.Fatal(err)
			}
			parts = append(parts, []metadata.Part{p})
		} else {
			if _, err := db.Put(t.Context(), "b", v, metadata.Condition{}); err != nil {
				t.Fatal(err)
			}
			parts = append(parts, nil)
		}
		versions = append(versions, v)
	}
	// What the bucket's own record and counters say is not imported.
	content := func(kv metadata.KV) []byte {
		lines := bytes.Split(dumpKV(t, kv), []byte("\n"))
		return bytes.Join(slices.DeleteFunc(lines, func(l []byte) bool { return len(l) > 1 && bytes.IndexByte([]byte("bc"), l[1]) >= 0 }), nil)
	}
	for range 20 {
		into := memkv.New()
		imported := newDB(t, into)
		for _, i := range append(rand.Perm(len(versions)), rand.Perm(len(versions))...) {
			if err := imported.ImportVersion(t.Context(), "b", versions[i], parts[i]); err != nil {
				t.Fatal(err)
			}
		}
		if b, err := imported.Bucket(t.Context(), "b"); err != nil || b.Versioning != metadata.VersioningEnabled {
			t.Fatalf("bucket %+v, %v", b, err)
		}
		if !bytes.Equal(content(from), content(into)) {
			t.Fatalf("imported\n%q\nwant\n%q", content(into), content(from))
		}
	}
}

// TestImportNull: the newest null version wins, in any order.
func TestImportNull(t *testing.T) {
	db := newDB(t, memkv.New())
	var versions []*metadata.Version
	for range 4 {
		v := smallObject(db, "k")
		v.Null = true
		versions = append(versions, v)
	}
	for _, i := range []int{1, 3, 0, 2} {
		if err := db.ImportVersion(t.Context(), "new", versions[i], nil); err != nil {
			t.Fatal(err)
		}
	}
	v, b, err := db.Get(t.Context(), "new", "k", "")
	if err != nil || v.ID != versions[3].ID || b.Versioning != metadata.Unversioned {
		t.Fatalf("%+v in %+v, %v", v, b, err)
	}
	if list, err := db.Garbage(t.Context(), 10); err != nil || len(list) != 3 {
		t.Fatalf("garbage %+v, %v", list, err)
	}
}

// TestWalkWhileChanging: parts that are there all the time are all passed, while other
// versions of the same keys come, go and are promoted between the pages.
func TestWalkWhileChanging(t *testing.T) {
	for seed := range uint64(30) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		db := newDB(t, memkv.New())
		if err := db.SetVersioning(t.Context(), "b", metadata.VersioningEnabled); err != nil {
			t.Fatal(err)
		}
		kept := map[metadata.SetID]bool{}
		var passing []metadata.DeleteItem
		put := func(keep bool) {
			v := smallObject(db, string(rune('a'+rnd.IntN(4))))
			if _, err := db.Put(t.Context(), "b", v, metadata.Condition{}); err != nil {
				t.Fatal(err)
			}
			if keep {
				kept[v.Inline.Set] = true
			} else {
				passing = append(passing, metadata.DeleteItem{Key: v.Key, VersionID: v.ID.String()})
			}
		}
		for range 30 {
			put(rnd.IntN(2) == 0)
		}
		var at []byte
		for {
			var last metadata.PartRef
			next, err := db.WalkParts(t.Context(), at, 1+rnd.IntN(3), func(ref metadata.PartRef, p *metadata.Part) error {
				delete(kept, p.Set)
				last = ref
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if at = next; at == nil {
				break
			}
			for range rnd.IntN(3) {
				put(false)
			}
			for range rnd.IntN(4) {
				if len(passing) > 0 {
					i := rnd.IntN(len(passing))
					// Best the one passed last: what is promoted in its place is yet to be passed.
					at := slices.IndexFunc(passing, func(d metadata.DeleteItem) bool { return d.VersionID == last.Version.String() })
					if at >= 0 && rnd.IntN(2) == 0 {
						i = at
					}
					if _, err := db.Delete(t.Context(), "b", passing[i].Key, passing[i].VersionID, metadata.Condition{}); err != nil {
						t.Fatal(err)
					}
					passing = slices.Delete(passing, i, i+1)
				}
			}
		}
		if len(kept) > 0 {
			t.Fatalf("seed %d: %d parts were not passed", seed, len(kept))
		}
	}
}

func TestBuckets(t *testing.T) {
	db := newDB(t, memkv.New())
	if _, err := db.CreateBucket(t.Context(), "b", ""); !errors.Is(err, metadata.ErrBucketExists) {
		t.Errorf("create again: %v", err)
	}
	first, err := db.Bucket(t.Context(), "b")
	if err != nil {
		t.Fatal(err)
	}
	v := smallObject(db, "k")
	if _, err := db.Put(t.Context(), "b", v, metadata.Condition{}); err != nil {
		t.Fatal(err)
	}
	if err := db.DeleteBucket(t.Context(), "b"); !errors.Is(err, metadata.ErrBucketNotEmpty) {
		t.Errorf("delete a full bucket: %v", err)
	}
	if _, err := db.Delete(t.Context(), "b", "k", "", metadata.Condition{}); err != nil {
		t.Fatal(err)
	}
	if err := db.DeleteBucket(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Bucket(t.Context(), "b"); !errors.Is(err, metadata.ErrNoSuchBucket) {
		t.Errorf("deleted bucket: %v", err)
	}
	if _, err := db.Put(t.Context(), "b", v, metadata.Condition{}); !errors.Is(err, metadata.ErrNoSuchBucket) {
		t.Errorf("put in a deleted bucket: %v", err)
	}
	again, err := db.CreateBucket(t.Context(), "b", "there")
	if err != nil || again.ID == first.ID || again.Region != "there" {
		t.Errorf("made again: %+v, %v", again, err)
	}
	for err = nil; err == nil; {
		_, err = db.CreateBucket(t.Context(), "x"+db.NewUploadID().String(), "")
	}
	if list, lerr := db.Buckets(t.Context()); !errors.Is(err, metadata.ErrTooManyBuckets) || len(list) != metadata.MaxBuckets {
		t.Errorf("%d buckets, %v, %v", len(list), lerr, err)
	}
	for _, key := range []string{"", "a\x00b", string(make([]byte, metadata.MaxKey+1))} {
		v.Key = key
		if _, err := db.Put(t.Context(), "b", v, metadata.Condition{}); !errors.Is(err, metadata.ErrInvalidKey) {
			t.Errorf("key %q: %v", key, err)
		}
	}
}
