package store

import (
	"strings"
	"testing"

	"github.com/weftstore/weft/metadata"
)

// A client that had no answer completes its upload again while the first request is still at
// it. Both get the same version, and the manifest of the one that came late is not left on the
// targets, where a rebuild of the metadata would take it for a newer version.
func TestCompletedMeanwhile(t *testing.T) {
	for _, snapshot := range []bool{false, true} {
		r := newRig(t, rigOptions{layout: "ec:2+2"})
		r.addTargets(t)
		if err := r.db.SetVersioning(t.Context(), "b", metadata.VersioningEnabled); err != nil {
			t.Fatal(err)
		}
		up, parts, body := r.startUpload(t, "k", 5<<20, 1000)
		before := r.stored()
		var other *PutResult
		res, err := r.Complete(t.Context(), &CompleteRequest{Bucket: "b", Key: "k", Upload: up, Parts: parts,
			Check: func(Sums, int64) (err error) {
				if other, err = r.Complete(t.Context(), &CompleteRequest{Bucket: "b", Key: "k", Upload: up, Parts: parts}); err == nil && snapshot {
					err = r.Snapshot(t.Context())
				}
				return err
			}})
		if err != nil || res.VersionID != other.VersionID || res.ETag != other.ETag || res.Size != other.Size {
			t.Fatalf("%+v, then %+v, %v", other, res, err)
		}
		more := r.Layout().Small().Shards() // the manifest
		if snapshot {
			more *= 2
		}
		waitFor(t, func() bool { return r.stored() == before+more })
		db, targets, _ := r.rebuilt(t, 0)
		if _, _, err := db.Get(t.Context(), "b", "k", res.VersionID); err != nil {
			t.Fatalf("after a rebuild, snapshot %v: %v", snapshot, err)
		}
		serveRebuilt(t, r, db, targets, map[string][]byte{"k": body})
		r.close()
	}
}

// TestResultsTellTheTime: a result has the time that the version is read with.
func TestResultsTellTheTime(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	r.addTargets(t)
	defer r.close()
	put, err := r.Put(t.Context(), &PutRequest{Bucket: "b", Key: "put", Size: 1, Body: strings.NewReader("x")})
	if err != nil {
		t.Fatal(err)
	}
	up, parts, _ := r.startUpload(t, "parts", 5<<20, 1000)
	done, err := r.Complete(t.Context(), &CompleteRequest{Bucket: "b", Key: "parts", Upload: up, Parts: parts})
	if err != nil {
		t.Fatal(err)
	}
	for key, res := range map[string]*PutResult{"put": put, "parts": done} {
		v, _, err := r.db.Get(t.Context(), "b", key, "")
		if err != nil || v.Modified.UnixMilli() != res.Modified.UnixMilli() {
			t.Errorf("%s: %v, the result says %v, %v", key, v.Modified, res.Modified, err)
		}
	}
}
