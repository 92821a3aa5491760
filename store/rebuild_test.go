package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/node/extent"
	"github.com/weftstore/weft/rdma"
)

// listing is everything that S3 shows of a bucket's versions.
func listing(t *testing.T, db *metadata.DB) []metadata.Version {
	t.Helper()
	page, err := db.ListVersions(t.Context(), "b", metadata.ListQuery{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	var list []metadata.Version
	for _, e := range page.Entries {
		v, _, err := db.Get(t.Context(), "b", e.Key, e.VersionID())
		if err != nil {
			t.Fatal(err)
		}
		c := *v
		c.Inline, c.Manifest, c.LockPart = nil, nil, nil
		list = append(list, c)
	}
	return list
}

// addTargets registers the targets in the metadata, as a server does.
func (r *rig) addTargets(t *testing.T) {
	t.Helper()
	for i := range r.targets {
		if id, err := r.db.AddTarget(t.Context(), [16]byte{byte(i + 1)}, fmt.Sprint("t", i)); err != nil || int(id) != i+1 {
			t.Fatal(id, err)
		}
	}
}

func (r *rig) multipart(t *testing.T, key string, sizes ...int) []byte {
	t.Helper()
	up, parts, body := r.startUpload(t, key, sizes...)
	if _, err := r.Complete(t.Context(), &CompleteRequest{Bucket: "b", Key: key, Upload: up, Parts: parts}); err != nil {
		t.Fatal(err)
	}
	return body
}

func (r *rig) startUpload(t *testing.T, key string, sizes ...int) (metadata.UploadID, []metadata.CompletedPart, []byte) {
	t.Helper()
	ctx := t.Context()
	up := &metadata.Upload{ID: r.db.NewUploadID(), Key: key, Initiated: r.now(), Template: metadata.Version{UserMeta: map[string]string{"m": "p"}}}
	if err := r.db.CreateUpload(ctx, "b", up); err != nil {
		t.Fatal(err)
	}
	var all []byte
	var done []metadata.CompletedPart
	for i, n := range sizes {
		p := testBody(n, uint64(n))
		res, err := r.PutPart(ctx, &PartRequest{Bucket: "b", Key: key, Upload: up.ID, Number: i + 1, Size: int64(n), Body: bytes.NewReader(p)})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p...)
		done = append(done, metadata.CompletedPart{Number: uint16(i + 1), ETag: res.ETag})
	}
	return up.ID, done, all
}

// Fault model: the metadata is gone; lost targets have lost all chunks as well.
func TestRebuildBringsEverythingBack(t *testing.T) {
	for _, versioned := range []bool{false, true} {
		for snapshotAt := -1; snapshotAt < 2; snapshotAt++ {
			for _, lost := range []int{0, 2} {
				t.Run(fmt.Sprintf("versioned=%v,snapshot=%d,lost=%d", versioned, snapshotAt, lost), func(t *testing.T) {
					testRebuild(t, versioned, snapshotAt, lost)
				})
			}
		}
	}
}

func testRebuild(t *testing.T, versioned bool, snapshotAt, lost int) {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	defer r.close()
	if versioned {
		if err := r.db.SetVersioning(t.Context(), "b", metadata.VersioningEnabled); err != nil {
			t.Fatal(err)
		}
	}
	r.addTargets(t)
	bodies := map[string][]byte{}
	for round := range 2 {
		for i, n := range []int{0, 10, 9000, 300 << 10} {
			k := fmt.Sprint("k", i+round)
			bodies[k] = testBody(n, uint64(10*round+i))
			_, err := r.Put(t.Context(), &PutRequest{
				Bucket: "b", Key: k, Size: int64(n), Body: bytes.NewReader(bodies[k]),
				UserMeta: map[string]string{"round": fmt.Sprint(round)}, Tags: map[string]string{"t": "v"},
				Headers: map[string]string{"Content-Type": "text/plain"},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		k := fmt.Sprint("multi", round)
		bodies[k] = r.multipart(t, k, 5<<20, 1000)
		if versioned {
			r.lockSome(t, round, bodies)
		}
		if round == snapshotAt {
			if err := r.Snapshot(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := listing(t, r.db)
	db, targets, res := r.rebuilt(t, lost)
	if res.Lost != 0 || res.Snapshot != (snapshotAt >= 0) {
		t.Fatalf("rebuild: %+v", res)
	}
	if got := listing(t, db); !reflect.DeepEqual(got, want) {
		t.Fatalf("listing differs:\n%+v\n%+v", got, want)
	}
	serveRebuilt(t, r, db, targets, bodies)
}

// lockSome locks an object as it is put, and changes the locks of others twice.
func (r *rig) lockSome(t *testing.T, round int, bodies map[string][]byte) {
	t.Helper()
	k := fmt.Sprint("locked", round)
	bodies[k] = testBody(100, 1)
	until := r.now().Add(time.Hour)
	_, err := r.Put(t.Context(), &PutRequest{Bucket: "b", Key: k, Size: 100, Body: bytes.NewReader(bodies[k]),
		Lock: metadata.Lock{Mode: metadata.LockCompliance, Until: until.UTC().Truncate(time.Millisecond)}})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{k, fmt.Sprint("k", round), fmt.Sprint("multi", round)} {
		for i := range 2 {
			c := metadata.LockChange{Hold: metadata.HoldOn,
				Retention: &metadata.Lock{Mode: metadata.LockCompliance, Until: until.Add(time.Duration(i+1) * time.Minute)}}
			if _, err := r.SetLock(t.Context(), "b", k, "", c); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// serveRebuilt reads everything through a store on the new metadata.
func serveRebuilt(t *testing.T, r *rig, db *metadata.DB, targets []TargetConfig, bodies map[string][]byte) {
	c := r.cfg
	c.Meta, c.Targets = db, nil
	rows, err := db.Targets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		tc := TargetConfig{ID: row.ID, UUID: row.UUID, Name: row.Path, Target: newFakeTarget(r.fabric)} // put back empty
		for _, given := range targets {
			if given.UUID == row.UUID {
				tc.Target = given.Target
			}
		}
		c.Targets = append(c.Targets, tc)
	}
	for len(c.Targets) < c.Layout.Shards() { // new ones in place of the lost
		id, err := db.AddTarget(t.Context(), [16]byte{0xff, byte(len(c.Targets))}, "new")
		if err != nil {
			t.Fatal(err)
		}
		c.Targets = append(c.Targets, TargetConfig{ID: id, Name: "new", Target: newFakeTarget(r.fabric)})
	}
	again := *r
	again.db, again.Store = db, nil
	if again.Store, err = New(c); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := again.Store.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
	}()
	for k, b := range bodies {
		again.mustGet(k, b)
	}
	if res, err := again.Repair(t.Context(), RepairOptions{}, nil); err != nil || res.Failed+res.Waiting != 0 {
		t.Fatalf("repair: %+v, %v", res, err)
	}
	if res := mustCheck(t, &again, true); !res.Clean() || res.Orphans != 0 {
		t.Fatalf("check: %+v", res)
	}
	for k, b := range bodies {
		again.mustGet(k, b)
	}
}

// Fault model: the metadata is gone, and a quota counts what was deleted since the snapshot.
func TestRebuildBeyondQuota(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	defer r.close()
	r.cancel() // the collector
	r.addTargets(t)
	of := metadata.QuotaOf{Bucket: "b"}
	if err := r.db.SetQuota(t.Context(), of, metadata.Quota{Bytes: 3000}); err != nil {
		t.Fatal(err)
	}
	up, done, _ := r.startUpload(t, "multi")
	for _, k := range []string{"k0", "k1", "k2"} {
		if err := r.put(k, testBody(1000, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"k0", "k1"} {
		if _, err := r.db.Delete(t.Context(), "b", k, "", metadata.Condition{}); err != nil {
			t.Fatal(err)
		}
	}
	bodies := map[string][]byte{"new": testBody(900, 2)}
	if err := r.put("new", bodies["new"]); err != nil {
		t.Fatal(err)
	}
	res, err := r.PutPart(t.Context(), &PartRequest{Bucket: "b", Key: "multi", Upload: up, Number: 1, Size: 1000, Body: bytes.NewReader(testBody(1000, 3))})
	if err != nil {
		t.Fatal(err)
	}
	done = append(done, metadata.CompletedPart{Number: 1, ETag: res.ETag})
	db, targets, found := r.rebuilt(t, 0)
	if len(found.Problems) != 0 || found.Lost != 0 {
		t.Fatalf("rebuild: %+v", found)
	}
	if _, _, err := db.PrepareComplete(t.Context(), "b", "multi", up, done); err != nil {
		t.Fatal(err)
	}
	serveRebuilt(t, r, db, targets, bodies)
}

// Fault model: the metadata is gone, and parts of an upload that were replaced since the
// snapshot are still on the targets.
func TestRebuildOfPartReplaced(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	defer r.close()
	r.cancel() // the collector
	r.addTargets(t)
	up, done, _ := r.startUpload(t, "multi")
	if err := r.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	now := r.now()
	for i := range 8 {
		r.cfg.Now = func() time.Time { return now.Add(time.Duration(i) * time.Millisecond) }
		res, err := r.PutPart(t.Context(), &PartRequest{Bucket: "b", Key: "multi", Upload: up, Number: 1, Size: 1000, Body: bytes.NewReader(testBody(1000, uint64(i)))})
		if err != nil {
			t.Fatal(err)
		}
		done = []metadata.CompletedPart{{Number: 1, ETag: res.ETag}}
	}
	db, _, found := r.rebuilt(t, 0)
	if len(found.Problems) != 0 || found.Lost != 0 {
		t.Fatalf("rebuild: %+v", found)
	}
	if _, _, err := db.PrepareComplete(t.Context(), "b", "multi", up, done); err != nil {
		t.Fatal(err)
	}
}

// Fault model: the metadata is gone, and a target is there that was dead, drained and removed. Of
// some of its shards there is a copy elsewhere.
func TestRebuildOfTargetRetired(t *testing.T) {
	const gone = 5
	r := newRig(t, rigOptions{layout: "ec:2+2", targets: gone})
	defer r.close()
	r.addTargets(t)
	bodies, moved := map[string][]byte{}, map[string]bool{}
	for i := range 8 {
		k := fmt.Sprint("k", i)
		bodies[k] = testBody(300<<10, uint64(i))
		if err := r.put(k, bodies[k]); err != nil {
			t.Fatal(err)
		}
		v, _, err := r.db.Get(t.Context(), "b", k, "")
		if err != nil {
			t.Fatal(err)
		}
		if shard := slices.Index(v.Inline.Targets, gone); i%2 == 0 && shard >= 0 {
			for to := range gone - 1 {
				if !slices.Contains(v.Inline.Targets, metadata.TargetID(to+1)) {
					id := chunkID(v.Inline.Set, shard)
					r.targets[to].chunks[id], moved[k] = r.targets[gone-1].chunks[id], true
				}
			}
		}
	}
	_, err := r.db.UpdateTarget(t.Context(), gone, func(row *metadata.Target) error {
		row.Draining, row.Retired = true, true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	db, targets, _ := r.rebuilt(t, 0)
	rows, err := db.Targets(t.Context())
	if err != nil || rows[gone-1].Retired || !rows[gone-1].Draining {
		t.Fatalf("shards are on target %+v: %v", rows[gone-1], err)
	}
	for k := range moved {
		v, _, err := db.Get(t.Context(), "b", k, "")
		if err != nil || slices.Contains(v.Inline.Targets, gone) {
			t.Fatalf("%s: %+v, %v", k, v, err)
		}
	}
	if len(moved) == 0 {
		t.Fatal("no shard was moved")
	}
	serveRebuilt(t, r, db, targets, bodies)
}

// Fault model: the metadata is gone. A shard was repaired to another target
// and its corrupt chunk is still where it was.
func TestRebuildOfShardTwice(t *testing.T) {
	for _, last := range []bool{false, true} {
		r := newRig(t, rigOptions{layout: "stripe:2", targets: 3})
		r.addTargets(t)
		body := testBody(300<<10, 1)
		if err := r.put("k", body); err != nil {
			t.Fatal(err)
		}
		v, _, err := r.db.Get(t.Context(), "b", "k", "")
		if err != nil {
			t.Fatal(err)
		}
		free := 1 + 2 + 3 - v.Inline.Targets[0] - v.Inline.Targets[1]
		bad, good := free, v.Inline.Targets[0]
		if (bad > good) != last {
			bad, good = good, bad
		}
		id := chunkID(v.Inline.Set, 0)
		whole := *r.targets[v.Inline.Targets[0]-1].chunks[id]
		damaged := whole
		damaged.corrupt = true
		r.targets[good-1].chunks[id], r.targets[bad-1].chunks[id] = &whole, &damaged
		db, _, _ := r.rebuilt(t, 0)
		if v, _, err = db.Get(t.Context(), "b", "k", ""); err != nil || v.Inline.Targets[0] != good {
			t.Errorf("whole on target %d, damaged on %d: rebuilt as %v, %v", good, bad, v.Inline.Targets, err)
		}
		r.close()
	}
}

// leavingTarget goes away after some of one of its operations.
type leavingTarget struct {
	*fakeTarget
	op          string
	calls, last int
}

func (t *leavingTarget) leave(op string) error {
	if op != t.op {
		return nil
	}
	if t.calls++; t.calls > t.last {
		return rdma.ErrClosed
	}
	return nil
}

func (t *leavingTarget) Meta(ctx context.Context, id extent.ID) (extent.Info, []byte, error) {
	if err := t.leave("meta"); err != nil {
		return extent.Info{}, nil, err
	}
	return t.fakeTarget.Meta(ctx, id)
}

func (t *leavingTarget) Read(ctx context.Context, id extent.ID, off int64, dst rdma.Remote) error {
	if err := t.leave("read"); err != nil {
		return err
	}
	return t.fakeTarget.Read(ctx, id, off, dst)
}

// Fault model: a target goes away while the metadata is rebuilt. What it has must not be missing,
// as the collector of orphans would take it.
func TestRebuildWithTargetGone(t *testing.T) {
	r := newRig(t, rigOptions{layout: "stripe:1"})
	defer r.close()
	r.cancel() // the collector
	r.addTargets(t)
	up, _, _ := r.startUpload(t, "begun")
	if err := r.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.multipart(t, "multi", 1000)
	if err := r.put("k", testBody(1000, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.SetLock(t.Context(), "b", "k", "", metadata.LockChange{Hold: metadata.HoldOn}); err != nil {
		t.Fatal(err)
	}
	_, err := r.PutPart(t.Context(), &PartRequest{Bucket: "b", Key: "begun", Upload: up, Number: 1, Size: 1000, Body: bytes.NewReader(testBody(1000, 3))})
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range []string{"meta", "read"} {
		for last := 0; ; last++ {
			target := &leavingTarget{fakeTarget: r.targets[0], op: op, last: last}
			kv := &memKV{}
			db, _ := metadata.New(kv, metadata.Options{})
			_, err := Rebuild(t.Context(), RebuildConfig{Meta: db, KV: kv, Pool: r.pool, Small: r.small,
				Targets: []TargetConfig{{UUID: [16]byte{1}, Name: "t0", Target: target}}}, nil)
			if target.calls <= last && err == nil {
				break
			}
			if !errors.Is(err, rdma.ErrClosed) {
				t.Fatalf("%s %d failed: %v", op, last+1, err)
			}
		}
	}
}
