package store

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/weftstore/weft/metadata"
)

// rebuilt is the metadata as Rebuild makes it with the first targets lost.
func (r *rig) rebuilt(t *testing.T, lost int) (*metadata.DB, []TargetConfig, *RebuildResult) {
	t.Helper()
	kv := &memKV{}
	db, _ := metadata.New(kv, metadata.Options{})
	cfg := RebuildConfig{Meta: db, KV: kv, Pool: r.pool, Small: r.small}
	for i, ft := range r.targets {
		if i < lost {
			ft.wipe()
			continue
		}
		cfg.Targets = append(cfg.Targets, TargetConfig{UUID: [16]byte{byte(i + 1)}, Name: fmt.Sprint("t", i), Target: ft})
	}
	res, err := Rebuild(t.Context(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	return db, cfg.Targets, res
}

// Fault model: the metadata is gone after objects were renamed, and so are m targets. What
// was replaced is still on the targets or not.
func TestRebuildAfterRename(t *testing.T) {
	for snapshotAt := -1; snapshotAt < 4; snapshotAt++ {
		for _, lost := range []int{0, 2} {
			for _, collected := range []bool{false, true} {
				t.Run(fmt.Sprintf("snapshot=%d,lost=%d,collected=%v", snapshotAt, lost, collected), func(t *testing.T) {
					rebuildRenamed(t, snapshotAt, lost, collected)
				})
			}
		}
	}
}

func rebuildRenamed(t *testing.T, snapshotAt, lost int, collected bool) {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	defer r.close()
	if !collected {
		r.cancel() // the collector
	}
	r.addTargets(t)
	want := map[string][]byte{}
	step := 0
	snapshot := func() {
		if step == snapshotAt {
			if err := r.Snapshot(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		step++
	}
	bodies := r.all(t, "k", 1000)
	snapshot()
	for k := range bodies { // over another object, which is replaced
		if err := r.put("via "+k, testBody(50, 8)); err != nil {
			t.Fatal(err)
		}
		r.mustRename(k, "via "+k)
	}
	snapshot()
	for k := range bodies { // again, and another object takes the first name
		r.mustRename("via "+k, "to "+k)
		if err := r.put(k, testBody(77, 5)); err != nil {
			t.Fatal(err)
		}
		want["to "+k], want[k] = bodies[k], testBody(77, 5)
	}
	snapshot()
	if !collected { // replaces one that was renamed; a snapshot may have it by an older name
		if err := r.put("to k1", testBody(78, 5)); err != nil {
			t.Fatal(err)
		}
		want["to k1"] = testBody(78, 5)
	}
	r.mustRename("to k0", "k1")
	want["k1"] = want["to k0"]
	delete(want, "to k0")
	snapshot()
	listed := listing(t, r.db)
	if collected {
		r.noOrphans(t)
	}
	db, targets, res := r.rebuilt(t, lost)
	if res.Lost != 0 || len(res.Problems) != 0 {
		t.Fatalf("rebuild: %+v", res)
	}
	got := slices.DeleteFunc(listing(t, db), func(v metadata.Version) bool {
		// A rebuild cannot know that it was replaced: what replaced it has another name.
		return !collected && strings.HasPrefix(v.Key, "via ") && v.Size == 50
	})
	if !reflect.DeepEqual(got, listed) {
		t.Fatalf("listing differs:\n%+v\n%+v", got, listed)
	}
	serveRebuilt(t, r, db, targets, want)
}

// Fault model: the metadata is gone and a snapshot has an upload as under way that was
// completed since. Nothing may be left with which its parts could be aborted.
func TestRebuildOfUploadCompletedSince(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	defer r.close()
	r.addTargets(t)
	up, done, body := r.startUpload(t, "k", 5<<20, 1000)
	if err := r.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Complete(t.Context(), &CompleteRequest{Bucket: "b", Key: "k", Upload: up, Parts: done}); err != nil {
		t.Fatal(err)
	}
	db, targets, res := r.rebuilt(t, 0)
	if res.Lost != 0 || len(res.Problems) != 0 {
		t.Fatalf("rebuild: %+v", res)
	}
	if err := db.Abort(t.Context(), "b", "k", up); !errors.Is(err, metadata.ErrNoSuchUpload) {
		t.Fatalf("the object's parts could be aborted: %v", err)
	}
	serveRebuilt(t, r, db, targets, map[string][]byte{"k": body})
}

// Fault model: as before, and no part of the object is one that the snapshot's upload has; then
// the object was renamed or not. A part that the upload has is not the object's.
func TestRebuildOfUploadBegunBefore(t *testing.T) {
	for _, left := range []bool{false, true} {
		for _, to := range []string{"k", "to"} {
			t.Run(fmt.Sprintf("left=%v,to=%s", left, to), func(t *testing.T) { rebuildBegun(t, left, to) })
		}
	}
}

func rebuildBegun(t *testing.T, left bool, to string) {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	defer r.close()
	r.cancel() // the collector
	r.addTargets(t)
	up, _, _ := r.startUpload(t, "k")
	part := func(number int) metadata.CompletedPart {
		res, err := r.PutPart(t.Context(), &PartRequest{Bucket: "b", Key: "k", Upload: up, Number: number, Size: 1000, Body: bytes.NewReader(testBody(1000, 1))})
		if err != nil {
			t.Fatal(err)
		}
		return metadata.CompletedPart{Number: uint16(number), ETag: res.ETag}
	}
	if left {
		part(2)
	}
	if err := r.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	done := []metadata.CompletedPart{part(1)}
	if _, err := r.Complete(t.Context(), &CompleteRequest{Bucket: "b", Key: "k", Upload: up, Parts: done}); err != nil {
		t.Fatal(err)
	}
	if to != "k" {
		r.mustRename("k", to)
	}
	db, targets, res := r.rebuilt(t, 0)
	if res.Lost != 0 || len(res.Problems) != 0 {
		t.Fatalf("rebuild: %+v", res)
	}
	if err := db.Abort(t.Context(), "b", "k", up); !errors.Is(err, metadata.ErrNoSuchUpload) {
		t.Fatalf("the object's parts could be aborted: %v", err)
	}
	v, _, err := db.Get(t.Context(), "b", to, "")
	if err != nil {
		t.Fatal(err)
	}
	if parts, err := db.AllParts(t.Context(), v); err != nil || len(parts) != 1 {
		t.Fatalf("%d parts, %v", len(parts), err)
	}
	serveRebuilt(t, r, db, targets, map[string][]byte{to: testBody(1000, 1)})
}
