package metadata_test

import (
	"errors"
	"testing"
	"time"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/metadata/memkv"
)

// lockFixture is a bucket in which versions can be locked, and a clock.
type lockFixture struct {
	*metadata.DB
	t   *testing.T
	now time.Time
}

func newLockFixture(t *testing.T) *lockFixture {
	f := &lockFixture{t: t, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	var err error
	if f.DB, err = metadata.New(memkv.New(), metadata.Options{Now: func() time.Time { return f.now }}); err != nil {
		t.Fatal(err)
	}
	_, err = f.MakeBucket(t.Context(), metadata.Bucket{Name: "b", Versioning: metadata.VersioningEnabled,
		Configs: map[string]string{metadata.ConfigObjectLock: metadata.LockEnabled}})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *lockFixture) put(key string, l metadata.Lock) string {
	f.t.Helper()
	v := smallObject(f.DB, key)
	v.Lock = l
	res, err := f.Put(f.t.Context(), "b", v, metadata.Condition{})
	if err != nil {
		f.t.Fatal(err)
	}
	return res.VersionID
}

func (f *lockFixture) remove(key, id string, bypass bool) error {
	_, err := f.Delete(f.t.Context(), "b", key, id, metadata.Condition{BypassGovernance: bypass})
	return err
}

// Every way in which metadata lets a version go refuses a locked one.
func TestLockForbidsRemoval(t *testing.T) {
	f := newLockFixture(t)
	hour := f.now.Add(time.Hour)
	for _, c := range []struct {
		name           string
		lock           metadata.Lock
		bypass, expire bool
		removed        bool
	}{
		{"governance", metadata.Lock{Mode: metadata.LockGovernance, Until: hour}, false, false, false},
		{"governance bypassed", metadata.Lock{Mode: metadata.LockGovernance, Until: hour}, true, false, true},
		{"compliance bypassed", metadata.Lock{Mode: metadata.LockCompliance, Until: hour}, true, false, false},
		{"compliance over", metadata.Lock{Mode: metadata.LockCompliance, Until: hour}, false, true, true},
		{"hold", metadata.Lock{Hold: metadata.HoldOn}, true, true, false},
		{"hold off", metadata.Lock{Hold: metadata.HoldOff}, false, false, true},
		{"governance and hold", metadata.Lock{Mode: metadata.LockGovernance, Until: hour, Hold: metadata.HoldOn}, true, false, false},
	} {
		start := f.now
		id := f.put(c.name, c.lock)
		if c.expire {
			f.now = hour
		}
		res, err := f.DeleteMany(t.Context(), "b", []metadata.DeleteItem{{Key: c.name, VersionID: id, Cond: metadata.Condition{BypassGovernance: c.bypass}}, {Key: "other"}})
		if err != nil || res[1].Err != nil || (res[0].Err == nil) != c.removed || res[0].Err != nil && !errors.Is(res[0].Err, metadata.ErrLocked) {
			t.Errorf("%s, among many: %+v, %v", c.name, res, err)
		}
		if err := f.remove(c.name, id, c.bypass); (err == nil) != c.removed {
			t.Errorf("%s: %v", c.name, err)
		}
		if err := f.remove(c.name, "", false); err != nil {
			t.Errorf("%s: a delete marker is no removal: %v", c.name, err)
		}
		f.now = start
	}
	if err := f.SetVersioning(t.Context(), "b", metadata.VersioningSuspended); !errors.Is(err, metadata.ErrLocked) {
		t.Errorf("versioning suspended: %v", err)
	}
	if err := f.SetBucketConfig(t.Context(), "b", metadata.ConfigObjectLock, ""); !errors.Is(err, metadata.ErrLocked) {
		t.Errorf("configuration removed: %v", err)
	}
	if err := f.DeleteBucket(t.Context(), "b"); !errors.Is(err, metadata.ErrBucketNotEmpty) {
		t.Errorf("bucket deleted: %v", err)
	}
}

// A null version from before versioning is replaced by nothing while it is locked, even
// if the bucket's own configuration were lost.
func TestLockedNullVersion(t *testing.T) {
	db := newDB(t, memkv.New())
	ctx := t.Context()
	if err := db.SetBucketConfig(ctx, "b", metadata.ConfigObjectLock, metadata.LockEnabled); !errors.Is(err, metadata.ErrNotVersioned) {
		t.Fatalf("lock without versioning: %v", err)
	}
	if _, err := db.Put(ctx, "b", smallObject(db, "k"), metadata.Condition{}); err != nil {
		t.Fatal(err)
	}
	if err := db.SetVersioning(ctx, "b", metadata.VersioningEnabled); err != nil {
		t.Fatal(err)
	}
	hold := metadata.Lock{Hold: metadata.HoldOn}
	if _, err := db.SetLock(ctx, "b", "k", "null", metadata.LockChange{Hold: metadata.HoldOn}, hold, testPart(7)); err != nil {
		t.Fatal(err)
	}
	if err := db.SetVersioning(ctx, "b", metadata.VersioningSuspended); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := db.Put(ctx, "b", smallObject(db, "k"), metadata.Condition{}); !errors.Is(err, metadata.ErrLocked) {
			t.Errorf("replaced by a put: %v", err)
		}
		if _, err := db.Delete(ctx, "b", "k", "", metadata.Condition{}); !errors.Is(err, metadata.ErrLocked) {
			t.Errorf("replaced by a marker: %v", err)
		}
		v, _, err := db.Get(ctx, "b", "k", "null")
		if err != nil || v.Lock != hold || v.LockPart == nil {
			t.Fatalf("%+v, %v", v, err)
		}
		// And the same with the locked one noncurrent.
		if err := db.SetVersioning(ctx, "b", metadata.VersioningEnabled); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Put(ctx, "b", smallObject(db, "k"), metadata.Condition{}); err != nil {
			t.Fatal(err)
		}
		if err := db.SetVersioning(ctx, "b", metadata.VersioningSuspended); err != nil {
			t.Fatal(err)
		}
	}
}

func testPart(set byte) *metadata.Part {
	return &metadata.Part{Number: 1, Set: metadata.SetID{set}, K: 1, Targets: []metadata.TargetID{1}, Modified: time.UnixMilli(int64(set)).UTC()}
}

// What may become of a retention.
func TestLockChanges(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	g, c := metadata.LockGovernance, metadata.LockCompliance
	at := func(m metadata.LockMode, hours int) metadata.Lock {
		return metadata.Lock{Mode: m, Until: now.Add(time.Duration(hours) * time.Hour)}
	}
	for i, row := range []struct {
		from, to metadata.Lock
		bypass   bool
		allowed  bool
	}{
		{metadata.Lock{}, at(g, 1), false, true},
		{at(g, 1), at(g, 2), false, true},
		{at(g, 2), at(g, 1), false, false},
		{at(g, 2), at(g, 1), true, true},
		{at(g, 1), at(c, 1), false, false},
		{at(g, 1), at(c, 1), true, true},
		{at(g, 1), metadata.Lock{}, false, false},
		{at(g, 1), metadata.Lock{}, true, true},
		{at(c, 1), at(c, 2), false, true},
		{at(c, 2), at(c, 1), true, false},
		{at(c, 1), at(g, 2), true, false},
		{at(c, 1), metadata.Lock{}, true, false},
		{at(c, -1), at(g, 1), false, true},
		{at(c, -1), metadata.Lock{}, false, true},
	} {
		change := metadata.LockChange{Retention: &row.to, Bypass: row.bypass}
		row.from.Hold = metadata.HoldOn
		got, err := change.Apply(row.from, now)
		if (err == nil) != row.allowed || row.allowed && (got.Mode != row.to.Mode || !got.Until.Equal(row.to.Until) || got.Hold != metadata.HoldOn) {
			t.Errorf("row %d: %+v, %v", i, got, err)
		}
	}
}

// The part that says a lock on the targets is a part like others: it is walked, moves,
// and becomes garbage when it is replaced and when its version goes.
func TestLockPart(t *testing.T) {
	f := newLockFixture(t)
	ctx := t.Context()
	id := f.put("k", metadata.Lock{})
	set := func(hold metadata.HoldState, p *metadata.Part) {
		t.Helper()
		if _, err := f.SetLock(ctx, "b", "k", id, metadata.LockChange{Hold: hold}, metadata.Lock{Hold: hold}, p); err != nil {
			t.Fatal(err)
		}
	}
	set(metadata.HoldOn, testPart(7))
	_, err := f.SetLock(ctx, "b", "k", id, metadata.LockChange{Hold: metadata.HoldOff}, metadata.Lock{Hold: metadata.HoldOn}, testPart(8))
	if !errors.Is(err, metadata.ErrStale) {
		t.Errorf("a lock that is not what was worked out: %v", err)
	}
	set(metadata.HoldOff, testPart(9))
	var ref metadata.PartRef
	seen := map[uint16]int{}
	for limit := 1; limit < 3; limit++ {
		var at []byte
		for {
			at, err = f.WalkParts(ctx, at, limit, func(r metadata.PartRef, p *metadata.Part) error {
				seen[r.Number]++
				if r.Number == metadata.LockPartNumber {
					ref = r
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if at == nil {
				break
			}
		}
	}
	if seen[metadata.LockPartNumber] != 2 || seen[1] != 2 || ref.Set != (metadata.SetID{9}) {
		t.Fatalf("walked %v, %+v", seen, ref)
	}
	if err := f.UpdatePart(ctx, ref, func(p *metadata.Part) error { p.Targets = []metadata.TargetID{5}; return nil }); err != nil {
		t.Fatal(err)
	}
	if p, err := f.PartFor(ctx, ref); err != nil || p.Targets[0] != 5 {
		t.Fatalf("%+v, %v", p, err)
	}
	if err := f.remove("k", id, false); err != nil {
		t.Fatal(err)
	}
	sets := map[byte]bool{}
	list, err := f.Garbage(ctx, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range list {
		sets[g.Set[0]] = true
	}
	if !sets[7] || !sets[9] {
		t.Errorf("garbage %v", sets)
	}
}

// Locks that are found on the targets: the newest counts, in whatever order they come.
func TestImportLock(t *testing.T) {
	for _, order := range [][]byte{{3, 5}, {5, 3}} {
		db := newDB(t, memkv.New())
		v := smallObject(db, "k")
		if err := db.ImportVersion(t.Context(), "b", v, nil); err != nil {
			t.Fatal(err)
		}
		for _, set := range order {
			hold := metadata.HoldOff
			if set == 5 {
				hold = metadata.HoldOn
			}
			is := &metadata.Version{Key: "k", ID: v.ID, Lock: metadata.Lock{Hold: hold}, LockPart: testPart(set)}
			if err := db.ImportLock(t.Context(), "b", is); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := db.Delete(t.Context(), "b", "k", v.ID.String(), metadata.Condition{}); !errors.Is(err, metadata.ErrLocked) {
			t.Errorf("order %v: %v", order, err)
		}
		if b, err := db.Bucket(t.Context(), "b"); err != nil || b.Configs[metadata.ConfigObjectLock] == "" {
			t.Errorf("%+v, %v", b, err)
		}
		gone := &metadata.Version{Key: "gone", ID: v.ID, Lock: metadata.Lock{Hold: metadata.HoldOn}, LockPart: testPart(9)}
		if err := db.ImportLock(t.Context(), "b", gone); !errors.Is(err, metadata.ErrNoSuchVersion) {
			t.Errorf("a lock without a version: %v", err)
		}
	}
}
