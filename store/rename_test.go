package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weftstore/weft/metadata"
)

// rename renames without conditions.
func (r *rig) rename(from, to string) error {
	return r.Rename(context.Background(), &RenameRequest{Bucket: "b", From: from, To: to})
}

func (r *rig) mustRename(from, to string) {
	r.t.Helper()
	if err := r.rename(from, to); err != nil {
		r.t.Fatalf("rename %s to %s: %v", from, to, err)
	}
}

// noOrphans waits until what is to be deleted is, and fails when chunks that are old enough
// are taken for orphans.
func (r *rig) noOrphans(t *testing.T) {
	t.Helper()
	r.age()
	waitFor(t, func() bool {
		r.Kick()
		list, err := r.db.Garbage(t.Context(), 10)
		return err == nil && len(list) == 0 && mustCheck(t, r, false).Orphans == 0
	})
	if n, err := r.sweep(t.Context(), true, new(CheckResult), nil); err != nil || n != 0 {
		t.Fatalf("%d chunks were taken for orphans, %v", n, err)
	}
}

// all puts objects of every kind: empty, as copies, in stripes, in parts.
func (r *rig) all(t *testing.T, prefix string, parts ...int) map[string][]byte {
	t.Helper()
	bodies := map[string][]byte{}
	for i, n := range []int{0, 10, 9000, 300 << 10} {
		k := fmt.Sprint(prefix, i)
		bodies[k] = testBody(n, uint64(i))
		_, err := r.Put(t.Context(), &PutRequest{
			Bucket: "b", Key: k, Size: int64(n), Body: bytes.NewReader(bodies[k]),
			UserMeta: map[string]string{"of": k}, Tags: map[string]string{"t": "v"}, Attrs: map[string]string{"a": "b"},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	k := prefix + "multi"
	bodies[k] = r.multipart(t, k, parts...)
	return bodies
}

// TestRename: an object of every kind is the same under its new name, after a second rename
// too, and none of its chunks is an orphan.
func TestRename(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	defer r.close()
	for k, b := range r.all(t, "k", 5<<20, 1000) {
		before, _, err := r.db.Get(t.Context(), "b", k, "")
		if err != nil {
			t.Fatal(err)
		}
		if err := r.put("to "+k, testBody(100, 9)); err != nil { // is replaced
			t.Fatal(err)
		}
		r.mustRename(k, "via "+k)
		r.mustRename("via "+k, "to "+k)
		for _, gone := range []string{k, "via " + k} {
			if _, err := r.get(gone, 0, -1); !errors.Is(err, metadata.ErrNoSuchKey) {
				t.Fatalf("%s: %v", gone, err)
			}
		}
		r.mustGet("to "+k, b)
		if n := int64(len(b)); n > 100 {
			if got, err := r.get("to "+k, n/2, 50); err != nil || !bytes.Equal(got, b[n/2:n/2+50]) {
				t.Fatalf("range of %s: %v", k, err)
			}
		}
		after, _, err := r.db.Get(t.Context(), "b", "to "+k, "")
		if err != nil {
			t.Fatal(err)
		}
		same := *after
		same.Key, same.ID, same.Inline, same.Upload, same.Manifest = before.Key, before.ID, before.Inline, before.Upload, before.Manifest
		if !reflect.DeepEqual(&same, before) {
			t.Fatalf("%s became\n%+v, was\n%+v", k, after, before)
		}
	}
	r.noOrphans(t)
	if res := mustCheck(t, r, true); !res.Clean() || res.Orphans != 0 {
		t.Fatalf("check: %+v", res)
	}
	for k := range r.all(t, "k", 1000) {
		if _, err := r.db.Delete(t.Context(), "b", k, "", metadata.Condition{}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.db.Delete(t.Context(), "b", "to "+k, "", metadata.Condition{}); err != nil {
			t.Fatal(err)
		}
	}
	r.Kick()
	waitFor(t, func() bool { return r.stored() == 0 })
}

// TestRenameOfSealed: the key of an encrypted object opens it under its new name.
func TestRenameOfSealed(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	defer r.close()
	seal := &Seal{Key: Key{1, 2, 3}, Opaque: true}
	for i, n := range []int{10, 200 << 10} {
		b := testBody(n, uint64(i))
		was := r.putSealed(t, "k", b, seal, 0)
		r.mustRename("k", "to")
		if got, err := r.getSealed(&seal.Key, "to", 0, -1); err != nil || !bytes.Equal(got, b) {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if v, _, err := r.db.Get(t.Context(), "b", "to", ""); err != nil || v.ETag() != was.ETag {
			t.Fatal(v, err)
		}
	}
}

// TestRenameRefused: what may not be leaves both names and no chunk behind.
func TestRenameRefused(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	defer r.close()
	for _, k := range []string{"a", "b"} {
		if err := r.put(k, testBody(5000, uint64(k[0]))); err != nil {
			t.Fatal(err)
		}
	}
	a, _, err := r.db.Get(t.Context(), "b", "a", "")
	if err != nil {
		t.Fatal(err)
	}
	chunks := r.stored()
	etag := metadata.Condition{IfMatch: []string{a.ETag()}}
	other := metadata.Condition{IfMatch: []string{"beef"}}
	for name, c := range map[string]struct {
		req  RenameRequest
		want error
	}{
		"no source":          {RenameRequest{From: "x", To: "c"}, metadata.ErrNoSuchKey},
		"itself":             {RenameRequest{From: "a", To: "a"}, metadata.ErrInvalidKey},
		"source differs":     {RenameRequest{From: "a", To: "c", Source: other}, metadata.ErrPrecondition},
		"source is the same": {RenameRequest{From: "a", To: "c", Source: metadata.Condition{IfNoneMatch: []string{a.ETag()}}}, metadata.ErrPrecondition},
		"source is older":    {RenameRequest{From: "a", To: "c", Source: metadata.Condition{ModifiedSince: r.now().Add(time.Hour)}}, metadata.ErrPrecondition},
		"source is newer":    {RenameRequest{From: "a", To: "c", Source: metadata.Condition{UnmodifiedSince: r.now().Add(-time.Hour)}}, metadata.ErrPrecondition},
		"target is there":    {RenameRequest{From: "a", To: "b", Dest: metadata.Condition{IfNoneMatch: []string{"*"}}}, metadata.ErrPrecondition},
		"target differs":     {RenameRequest{From: "a", To: "b", Dest: etag}, metadata.ErrPrecondition},
		"target is missing":  {RenameRequest{From: "a", To: "c", Dest: etag}, metadata.ErrNoSuchKey},
		"none is newer":      {RenameRequest{From: "a", To: "c", Dest: metadata.Condition{ModifiedSince: r.now().Add(-time.Hour)}}, metadata.ErrPrecondition},
		"target is newer":    {RenameRequest{From: "a", To: "b", Dest: metadata.Condition{UnmodifiedSince: r.now().Add(-time.Hour)}}, metadata.ErrPrecondition},
		"no bucket":          {RenameRequest{Bucket: "x", From: "a", To: "b"}, metadata.ErrNoSuchBucket},
	} {
		if c.req.Bucket == "" {
			c.req.Bucket = "b"
		}
		if err := r.Rename(t.Context(), &c.req); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	r.mustGet("a", testBody(5000, 'a'))
	r.mustGet("b", testBody(5000, 'b'))
	waitFor(t, func() bool { return r.stored() == chunks })
	if err := r.Rename(t.Context(), &RenameRequest{Bucket: "b", From: "a", To: "b", Source: etag, Dest: metadata.Condition{IfMatch: []string{"*"}}}); err != nil {
		t.Fatal(err)
	}
	r.mustGet("b", testBody(5000, 'a'))
	for _, state := range []metadata.VersioningState{metadata.VersioningEnabled, metadata.VersioningSuspended} {
		if err := r.db.SetVersioning(t.Context(), "b", state); err != nil {
			t.Fatal(err)
		}
		if err := r.rename("b", "c"); !errors.Is(err, metadata.ErrVersioned) {
			t.Errorf("versioning %d: %v", state, err)
		}
	}
}

// TestRenameAgain: a request with a token is carried out once.
func TestRenameAgain(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	defer r.close()
	first, second := testBody(5000, 1), testBody(5000, 2)
	req := RenameRequest{Bucket: "b", From: "a", To: "b", Token: "token", Params: "1", Dest: metadata.Condition{IfNoneMatch: []string{"*"}}}
	if err := r.put("a", first); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := r.Rename(t.Context(), &req); err != nil {
			t.Fatal(i, err)
		}
		if err := r.put("a", second); err != nil { // is not to be renamed by a repetition
			t.Fatal(err)
		}
	}
	r.mustGet("a", second)
	r.mustGet("b", first)
	req.Params = "2"
	if err := r.Rename(t.Context(), &req); !errors.Is(err, metadata.ErrTokenReused) {
		t.Fatal(err)
	}
	r.mustRename("b", "c")
	req.Token = "token 2"
	if err := r.Rename(t.Context(), &req); err != nil {
		t.Fatal(err)
	}
	r.mustGet("b", second)
	r.noOrphans(t)
}

// TestRenameRace: of many renames of one object one wins, and of many to one name that must
// not be there as well.
func TestRenameRace(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	defer r.close()
	const n = 16
	var won atomic.Int32
	count := func(err error, want error) {
		switch {
		case err == nil:
			won.Add(1)
		case !errors.Is(err, want):
			t.Error(err)
		}
	}
	for i := range n {
		if err := r.put(fmt.Sprint("s", i), testBody(1000, uint64(i))); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { count(r.rename("s0", fmt.Sprint("d", i)), metadata.ErrNoSuchKey) })
	}
	wg.Wait()
	if n := won.Swap(0); n != 1 {
		t.Fatalf("%d renames of one object", n)
	}
	for i := 1; i < n; i++ {
		wg.Go(func() {
			count(r.Rename(t.Context(), &RenameRequest{Bucket: "b", From: fmt.Sprint("s", i), To: "one", Dest: metadata.Condition{IfNoneMatch: []string{"*"}}}), metadata.ErrPrecondition)
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Fatalf("%d renames to one name", won.Load())
	}
	page, err := r.db.List(t.Context(), "b", metadata.ListQuery{Limit: 100})
	if err != nil || len(page.Entries) != n {
		t.Fatalf("%d objects of %d, %v", len(page.Entries), n, err)
	}
	r.noOrphans(t)
}

// Fault model: as that of TestFaultAtOperation, and the metadata fails at any of its commits.
// Either the rename is done or nothing is, and no chunk is left over.
func TestRenameFaults(t *testing.T) {
	everyFault(t, renameFault)
}

func renameFault(t *testing.T, kind string, size int, at int64) bool {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	defer r.close()
	data := testBody(size, 7)
	for k, b := range map[string][]byte{"from": data, "to": testBody(10, 1)} {
		if err := r.put(k, b); err != nil {
			t.Fatal(err)
		}
	}
	return r.faultIn(t, kind, at, func() error { return r.rename("from", "to") }, func(err error) {
		if err == nil {
			r.mustGet("to", data)
			return
		}
		r.mustGet("from", data)
		r.mustGet("to", testBody(10, 1))
	})
}

// What was queued for repair before a rename is repaired after it, and a scrub finds what
// is corrupt in an object whose chunks have its old name.
func TestRepairAfterRename(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	defer r.close()
	bodies := r.all(t, "k", 1000)
	r.targets[1].wipe()
	if _, _, err := r.findDamage(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for k, b := range bodies {
		r.mustRename(k, "to "+k)
		delete(bodies, k)
		bodies["to "+k] = b
	}
	if res, err := r.drainDamage(t.Context(), RepairOptions{}, nil); err != nil || res.Repaired == 0 || res.Failed+res.Waiting != 0 {
		t.Fatalf("repair: %+v, %v", res, err)
	}
	if res := mustCheck(t, r, true); !res.Clean() {
		t.Fatalf("check: %+v", res)
	}
	waitFor(t, func() bool { // the manifest before is gone
		r.Kick()
		list, err := r.db.Garbage(t.Context(), 10)
		return err == nil && len(list) == 0
	})
	var bad int64
	for _, c := range r.targets[2].chunks {
		c.corrupt = true
		bad++
	}
	if res, err := r.Scrub(t.Context(), ScrubOptions{}, nil); err != nil || res.Corrupt != bad {
		t.Fatalf("scrub: %+v, %v", res, err)
	}
	if res, err := r.drainDamage(t.Context(), RepairOptions{}, nil); err != nil || res.Repaired != bad {
		t.Fatalf("repair of %d: %+v, %v", bad, res, err)
	}
	for k, b := range bodies {
		r.mustGet(k, b)
	}
}

// A target that has chunks of an object is not left, whatever a walk came by.
func TestLeftAfterRename(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	defer r.close()
	if err := r.put("k", testBody(100_000, 1)); err != nil {
		t.Fatal(err)
	}
	r.mustRename("k", "to")
	for i := range r.targets {
		id := metadata.TargetID(i + 1)
		if n, err := r.leftChunks(t.Context(), id, 10); err != nil || n == 0 {
			t.Errorf("target %d: %d, %v", id, n, err)
		}
	}
}
