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

	"github.com/weftstore/weft/internal/checksum"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/node/extent"
)

// appendTo appends to an object as it is now.
func (r *rig) appendTo(key string, data []byte) error {
	v, _, err := r.db.Get(context.Background(), "b", key, "")
	if err != nil {
		return err
	}
	return r.appendAt(v, data, nil)
}

func (r *rig) appendAt(v *metadata.Version, data []byte, seal *Seal) error {
	_, err := r.Put(context.Background(), &PutRequest{
		Bucket: "b", Key: v.Key, Size: int64(len(data)), Body: bytes.NewReader(data), Algorithm: v.Digest.Algorithm, AppendTo: v, Seal: seal,
	})
	return err
}

// TestAppend: objects of every kind grow, what they are besides stays, the checksum is that of
// the whole, and a reader who began before goes on reading what was there.
func TestAppend(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	defer r.close()
	for k, b := range r.all(t, "k", 5<<20, 1000) {
		before, err := r.Open(t.Context(), "b", k, "")
		if err != nil {
			t.Fatal(err)
		}
		whole := b
		for i, n := range []int{1, 0, 70_000, 200_000} {
			more := testBody(n, uint64(i))
			if err := r.appendTo(k, more); err != nil {
				t.Fatal(k, i, err)
			}
			whole = append(whole[:len(whole):len(whole)], more...)
			r.mustGet(k, whole)
			if i == 1 {
				r.mustRename(k, "via "+k)
				r.mustRename("via "+k, k)
			}
		}
		v, _, err := r.db.Get(t.Context(), "b", k, "")
		if err != nil {
			t.Fatal(err)
		}
		is := *before.Version
		parts := max(is.PartCount, 1) + 4
		h := checksum.CRC64NVME.New()
		h.Write(whole)
		if v.PartCount != parts || v.Size != int64(len(whole)) || !bytes.Equal(v.Digest.Sum, h.Sum(nil)) || v.Digest.Type != checksum.FullObject {
			t.Errorf("%s: %+v, want %d parts", k, v, parts)
		}
		if !reflect.DeepEqual(v.UserMeta, is.UserMeta) || !reflect.DeepEqual(v.Attrs, is.Attrs) || !reflect.DeepEqual(v.Tags, is.Tags) {
			t.Errorf("%s: %+v", k, v)
		}
		if n := int64(len(whole)); n > 1000 {
			if got, err := r.get(k, n-200_500, 1000); err != nil || !bytes.Equal(got, whole[n-200_500:n-199_500]) {
				t.Errorf("range of %s: %v", k, err)
			}
		}
		st, err := before.Read(t.Context(), 0, is.Size)
		if err != nil {
			t.Fatal(err)
		}
		var old bytes.Buffer
		if _, err := st.WriteTo(&old); err != nil || !bytes.Equal(old.Bytes(), b) {
			t.Errorf("%s as it was: %d bytes, %v", k, old.Len(), err)
		}
		st.Close()
		if _, _, _, err := before.Part(t.Context(), parts); !errors.Is(err, metadata.ErrInvalidPart) {
			t.Errorf("part %d of %s as it was: %v", parts, k, err)
		}
		before.Close()
	}
	r.noOrphans(t)
	if res := mustCheck(t, r, true); !res.Clean() {
		t.Fatalf("check: %+v", res)
	}
	page, err := r.db.List(t.Context(), "b", metadata.ListQuery{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range page.Entries {
		if _, err := r.db.Delete(t.Context(), "b", e.Key, "", metadata.Condition{}); err != nil {
			t.Fatal(err)
		}
	}
	r.Kick()
	waitFor(t, func() bool { return r.stored() == 0 })
}

func TestAppendToSealed(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	defer r.close()
	seal := &Seal{Key: sealKey, Opaque: true}
	whole := testBody(100_000, 1)
	r.putSealed(t, "k", whole, seal, 0)
	for i := range 3 {
		v, _, err := r.db.Get(t.Context(), "b", "k", "")
		if err != nil {
			t.Fatal(err)
		}
		more := testBody(90_000, uint64(i))
		if err := r.appendAt(v, more, seal); err != nil {
			t.Fatal(err)
		}
		whole = append(whole, more...)
	}
	if got, err := r.getSealed(&seal.Key, "k", 0, -1); err != nil || !bytes.Equal(got, whole) {
		t.Fatal(err)
	}
	if got, err := r.getSealed(&seal.Key, "k", 99_000, 100_000); err != nil || !bytes.Equal(got, whole[99_000:199_000]) {
		t.Fatal(err)
	}
}

// TestAppendRace: of many who append to the same version one wins, and nothing of the others
// stays.
func TestAppendRace(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	defer r.close()
	whole := testBody(100, 1)
	if err := r.put("k", whole); err != nil {
		t.Fatal(err)
	}
	for round := range 5 {
		v, _, err := r.db.Get(t.Context(), "b", "k", "")
		if err != nil {
			t.Fatal(err)
		}
		var won atomic.Int32
		var winner atomic.Pointer[[]byte]
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				more := testBody(1000*(i+1), uint64(i))
				switch err := r.appendAt(v, more, nil); {
				case err == nil:
					won.Add(1)
					winner.Store(&more)
				case !errors.Is(err, metadata.ErrStale):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Fatalf("round %d: %d won", round, won.Load())
		}
		whole = append(whole, *winner.Load()...)
		r.mustGet("k", whole)
	}
	r.noOrphans(t)
	if res := mustCheck(t, r, true); !res.Clean() || res.Parts != 7 {
		t.Fatalf("%+v", res)
	}
}

func TestAppendRefused(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	defer r.close()
	if err := r.put("k", testBody(100, 1)); err != nil {
		t.Fatal(err)
	}
	v, _, err := r.db.Get(t.Context(), "b", "k", "")
	if err != nil {
		t.Fatal(err)
	}
	chunks := r.stored()
	if _, err := r.Put(t.Context(), &PutRequest{Bucket: "b", Key: "k", Size: 1, Body: bytes.NewReader([]byte("x")), AppendTo: v,
		Cond: metadata.Condition{IfMatch: []string{"beef"}}}); !errors.Is(err, metadata.ErrPrecondition) {
		t.Fatal(err)
	}
	wrong := errors.New("not what was promised")
	if _, err := r.Put(t.Context(), &PutRequest{Bucket: "b", Key: "k", Size: 1, Body: bytes.NewReader([]byte("x")), AppendTo: v,
		Check: func(Sums) error { return wrong }}); !errors.Is(err, wrong) {
		t.Fatal(err)
	}
	if err := r.db.SetQuota(t.Context(), metadata.QuotaOf{Bucket: "b"}, metadata.Quota{Bytes: 150}); err != nil {
		t.Fatal(err)
	}
	if err := r.appendTo("k", testBody(51, 1)); !errors.Is(err, metadata.ErrQuota) {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return r.stored() == chunks })
	if err := r.appendTo("k", testBody(50, 1)); err != nil {
		t.Fatal(err)
	}
	r.mustRename("k", "full") // does not need room
	if err := r.db.SetVersioning(t.Context(), "b", metadata.VersioningEnabled); err != nil {
		t.Fatal(err)
	}
	if err := r.appendTo("full", nil); !errors.Is(err, metadata.ErrVersioned) {
		t.Fatal(err)
	}
}

// The last part has number 10,000: what comes after is refused before its body is read.
func TestAppendTooManyParts(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	defer r.close()
	up := &metadata.Upload{Key: "k"}
	if err := r.db.CreateUpload(t.Context(), "b", up); err != nil {
		t.Fatal(err)
	}
	res, err := r.PutPart(t.Context(), &PartRequest{Bucket: "b", Key: "k", Upload: up.ID, Number: metadata.MaxParts, Size: 1, Body: bytes.NewReader([]byte("x"))})
	if err != nil {
		t.Fatal(err)
	}
	done := []metadata.CompletedPart{{Number: metadata.MaxParts, ETag: res.ETag}}
	if _, err := r.Complete(t.Context(), &CompleteRequest{Bucket: "b", Key: "k", Upload: up.ID, Parts: done}); err != nil {
		t.Fatal(err)
	}
	if err := r.appendTo("k", testBody(1, 1)); !errors.Is(err, ErrTooManyParts) {
		t.Fatal(err)
	}
}

// Fault model: as that of TestRenameFaults. Either the object has grown or it is as it was,
// and no chunk is left over.
func TestAppendFaults(t *testing.T) {
	everyFault(t, appendFault)
}

func appendFault(t *testing.T, kind string, size int, at int64) bool {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	defer r.close()
	data, more := testBody(size, 7), testBody(size, 8)
	if err := r.put("k", data); err != nil {
		t.Fatal(err)
	}
	return r.faultIn(t, kind, at, func() error { return r.appendTo("k", more) }, func(err error) {
		if err == nil {
			data = append(data, more...)
		}
		r.mustGet("k", data)
	})
}

// Too few targets for the part or for its manifest: the object is as it was.
func TestAppendWithoutQuorum(t *testing.T) {
	for after := range 2 {
		r := newRig(t, rigOptions{layout: "ec:2+2"})
		if err := r.put("k", testBody(100_000, 1)); err != nil {
			t.Fatal(err)
		}
		chunks := r.stored()
		for _, ft := range r.targets {
			var commits atomic.Int32
			ft.fault = func(op string) error {
				if (op == "append" || op == "commit") && int(commits.Add(1)) > after {
					return extent.ErrFull
				}
				return nil
			}
		}
		if err := r.appendTo("k", testBody(100_000, 2)); !errors.Is(err, ErrFull) {
			t.Fatalf("after %d: %v", after, err)
		}
		r.mustGet("k", testBody(100_000, 1))
		waitFor(t, func() bool { return r.stored() == chunks })
		r.close()
	}
}

// Fault model: as that of TestRebuildAfterRename, after appends.
func TestRebuildAfterAppend(t *testing.T) {
	for snapshotAt := -1; snapshotAt < 3; snapshotAt++ {
		for _, lost := range []int{0, 2} {
			for _, collected := range []bool{false, true} {
				t.Run(fmt.Sprintf("snapshot=%d,lost=%d,collected=%v", snapshotAt, lost, collected), func(t *testing.T) {
					rebuildAppended(t, snapshotAt, lost, collected)
				})
			}
		}
	}
}

func rebuildAppended(t *testing.T, snapshotAt, lost int, collected bool) {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	defer r.close()
	if !collected {
		r.cancel() // the collector
	}
	r.addTargets(t)
	bodies := r.all(t, "k", 1000)
	for i := range 3 {
		if i == snapshotAt {
			if err := r.Snapshot(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for k := range bodies {
			more := testBody(100+70_000*i, uint64(i))
			if err := r.appendTo(k, more); err != nil {
				t.Fatal(err)
			}
			bodies[k] = append(bodies[k], more...)
		}
		if i == 1 {
			r.mustRename("k1", "to k1")
			bodies["to k1"] = bodies["k1"]
			delete(bodies, "k1")
		}
	}
	if collected {
		r.noOrphans(t)
	}
	listed := listing(t, r.db)
	db, targets, res := r.rebuilt(t, lost)
	if res.Lost != 0 || len(res.Problems) != 0 {
		t.Fatalf("rebuild: %+v", res)
	}
	if got := listing(t, db); !reflect.DeepEqual(got, listed) {
		t.Fatalf("listing differs:\n%+v\n%+v", got, listed)
	}
	serveRebuilt(t, r, db, targets, bodies)
}
