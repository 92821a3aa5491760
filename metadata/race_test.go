package metadata_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/metadata/boltkv"
	"github.com/weftstore/weft/metadata/etcdkv"
	"github.com/weftstore/weft/metadata/etcdkv/etcdtest"
	"github.com/weftstore/weft/metadata/memkv"
)

// openEtcd skips the test where there is no etcd.
func openEtcd(t *testing.T) metadata.KV {
	s := etcdtest.Start(t, "http")
	kv, err := etcdkv.Open(t.Context(), etcdkv.Config{Endpoints: []string{s.Addr}, Prefix: "/weft/", DialTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kv.Close() })
	return kv
}

func engines(t *testing.T) map[string]func(*testing.T) metadata.KV {
	kv, err := boltkv.OpenWith(filepath.Join(t.TempDir(), "kv"), boltkv.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kv.Close() })
	return map[string]func(*testing.T) metadata.KV{
		"memkv":  func(*testing.T) metadata.KV { return memkv.New() },
		"boltkv": func(*testing.T) metadata.KV { return kv },
		"etcdkv": openEtcd,
	}
}

// TestConditionalPutRace: of 32 puts that want to be the first, and then of 32 that
// want to replace the same version, one wins.
func TestConditionalPutRace(t *testing.T) {
	for name, open := range engines(t) {
		t.Run(name, func(t *testing.T) {
			db := newDB(t, open(t))
			for round := range 20 {
				cond := metadata.Condition{IfNoneMatch: []string{"*"}}
				if round%2 == 1 {
					v, _, err := db.Get(t.Context(), "b", "k", "")
					if err != nil {
						t.Fatal(err)
					}
					cond = metadata.Condition{IfMatch: []string{v.ETag()}}
				} else if _, err := db.Delete(t.Context(), "b", "k", "", metadata.Condition{}); err != nil {
					t.Fatal(err)
				}
				var won atomic.Int32
				var winner atomic.Pointer[metadata.Version]
				var wg sync.WaitGroup
				for range 32 {
					wg.Go(func() {
						v := smallObject(db, "k")
						_, err := db.Put(t.Context(), "b", v, cond)
						switch {
						case err == nil:
							won.Add(1)
							winner.Store(v)
						case !errors.Is(err, metadata.ErrPrecondition):
							t.Error(err)
						}
					})
				}
				wg.Wait()
				if won.Load() != 1 {
					t.Fatalf("round %d: %d puts won", round, won.Load())
				}
				if v, _, err := db.Get(t.Context(), "b", "k", ""); err != nil || v.ID != winner.Load().ID {
					t.Fatalf("round %d: the winner is not what is read: %v", round, err)
				}
			}
		})
	}
}

// TestAppendRace: of 16 appends to one version one wins, and of 16 renames of an object too.
func TestAppendRace(t *testing.T) {
	for name, open := range engines(t) {
		t.Run(name, func(t *testing.T) {
			db := newDB(t, open(t))
			first := smallObject(db, "k")
			if _, err := db.Put(t.Context(), "b", first, metadata.Condition{}); err != nil {
				t.Fatal(err)
			}
			size := first.Size
			for number := uint16(2); number < 10; number++ {
				seen, _, err := db.Get(t.Context(), "b", "k", "")
				if err != nil {
					t.Fatal(err)
				}
				oneWins(t, metadata.ErrStale, func(int) error {
					v := *seen
					v.ID, v.Upload, v.Size = db.NewVersionID(), metadata.UploadOf(first.Inline.Set), size+1
					part := &metadata.Part{Number: number, Set: metadata.SetID(v.ID), K: 1, Size: 1, Targets: []metadata.TargetID{1}}
					return db.Append(t.Context(), "b", seen.ID, &v, part, metadata.Condition{})
				})
				size++
			}
			v, _, err := db.Get(t.Context(), "b", "k", "")
			if err != nil {
				t.Fatal(err)
			}
			if parts, err := db.AllParts(t.Context(), v); err != nil || len(parts) != 9 || v.Size != size {
				t.Fatalf("%d parts of %d bytes, %v", len(parts), v.Size, err)
			}
			oneWins(t, metadata.ErrNoSuchKey, func(i int) error {
				r := metadata.Rename{From: "k", To: fmt.Sprint("k", i), Seen: v.ID, ID: db.NewVersionID()}
				_, err := db.Rename(t.Context(), "b", &r)
				return err
			})
		})
	}
}

// oneWins runs do 16 times at once; the others must fail with lost.
func oneWins(t *testing.T, lost error, do func(i int) error) {
	t.Helper()
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			switch err := do(i); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, lost):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Fatalf("%d won", won.Load())
	}
}

// TestUploadRace: parts, an abort and a completion at once. Either the object is
// there with the parts it was completed from, or all parts are garbage.
func TestUploadRace(t *testing.T) {
	for name, open := range engines(t) {
		t.Run(name, func(t *testing.T) {
			db := newDB(t, open(t))
			for range 50 {
				uploadRace(t, db)
			}
		})
	}
}

func uploadRace(t *testing.T, db *metadata.DB) {
	u := &metadata.Upload{Key: "k"}
	if err := db.CreateUpload(t.Context(), "b", u); err != nil {
		t.Fatal(err)
	}
	part := func() *metadata.Part {
		return &metadata.Part{Number: 1, Set: metadata.SetID(db.NewVersionID()), K: 1, Size: 1, Targets: []metadata.TargetID{1}}
	}
	if err := db.PutPart(t.Context(), "b", "k", u.ID, part()); err != nil {
		t.Fatal(err)
	}
	v := &metadata.Version{ID: db.NewVersionID()}
	var put, abort, complete error
	second := part()
	var wg sync.WaitGroup
	wg.Go(func() { put = db.PutPart(t.Context(), "b", "k", u.ID, second) })
	wg.Go(func() { abort = db.Abort(t.Context(), "b", "k", u.ID) })
	wg.Go(func() {
		list := []metadata.CompletedPart{{Number: 1, ETag: "00000000000000000000000000000000"}}
		if _, _, complete = db.PrepareComplete(t.Context(), "b", "k", u.ID, list); complete == nil {
			_, complete = db.Complete(t.Context(), "b", "k", u.ID, list, v, metadata.Condition{})
		}
	})
	wg.Wait()
	if put != nil && !errors.Is(put, metadata.ErrNoSuchUpload) {
		t.Fatal(put)
	}
	switch {
	case abort == nil && errors.Is(complete, metadata.ErrNoSuchUpload):
		return
	case abort == nil && errors.Is(complete, metadata.ErrStale):
		return
	case errors.Is(abort, metadata.ErrNoSuchUpload) && complete == nil:
	default:
		t.Fatalf("abort: %v, complete: %v, put: %v", abort, complete, put)
	}
	span, err := db.PartByNumber(t.Context(), v, 1)
	if err != nil || put == nil && span.Part.Set != second.Set {
		t.Fatalf("part of the object: %+v, %v; put: %v", span, err, put)
	}
}
