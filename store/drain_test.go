package store

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/weftstore/weft/metadata"
)

// Fault model: targets that are to go, well ones and dead ones, while others are there.

// drainTarget marks a target of the rig.
func (r *rig) drainTarget(i int, dead bool) metadata.TargetID {
	c := r.cfg.Targets[i]
	c.Draining = true
	if dead {
		c.Target = nil
	}
	r.SetTarget(c)
	return c.ID
}

func TestDrain(t *testing.T) {
	for _, dead := range []bool{false, true} {
		t.Run(fmt.Sprint("dead ", dead), func(t *testing.T) {
			r := newRig(t, rigOptions{layout: "ec:2+2", targets: 6})
			defer r.close()
			bodies := map[string][]byte{}
			add := func(prefix string) {
				for i, n := range []int{1, 5000, 9 << 10, 200 << 10, 1 << 20, 0, 70 << 10, 64 << 10} {
					k := fmt.Sprint(prefix, i)
					bodies[k] = testBody(n, uint64(i))
					if err := r.put(k, bodies[k]); err != nil {
						t.Fatal(err)
					}
				}
			}
			add("before")
			for range 2 {
				if err := r.Snapshot(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if n, err := r.Left(t.Context(), 1, 1000); err != nil || n == 0 {
				t.Fatalf("%d parts are on the target before: %v", n, err)
			}
			id := r.drainTarget(0, dead)
			add("after")
			res, err := r.Drain(t.Context(), RepairOptions{}, nil)
			if err != nil || res.Waiting+res.Failed > 0 || res.Repaired == 0 {
				t.Fatalf("%+v, %v", res, err)
			}
			if n, err := r.Left(t.Context(), id, 1000); err != nil || n != 0 {
				t.Fatalf("%d parts are left: %v", n, err)
			}
			if !dead {
				waitFor(t, func() bool { return r.targets[0].count() == 0 })
			}
			r.cfg.Retired = func(gone metadata.TargetID) bool { return gone == id }
			r.RemoveTarget(id)
			for k, b := range bodies {
				r.mustGet(k, b)
			}
			if res := mustCheck(t, r, true); !res.Clean() {
				t.Fatalf("%+v", res)
			}
			r.Kick()
			waitFor(t, func() bool {
				list, err := r.db.Garbage(t.Context(), 10)
				return err == nil && len(list) == 0
			})
		})
	}
}

func TestCannotDrain(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2", targets: 5})
	defer r.close()
	if err := r.CanDrain(map[metadata.TargetID]bool{1: true}); err != nil {
		t.Fatal(err)
	}
	if err := r.CanDrain(map[metadata.TargetID]bool{1: true, 2: true}); err == nil {
		t.Fatal("three targets would hold four shards")
	}
	r.drainTarget(4, false)
	if err := r.CanDrain(map[metadata.TargetID]bool{1: true}); err == nil {
		t.Fatal("three targets would hold four shards, as one drains already")
	}
}

// A target is removed while a write that began before it was drained still has a shard there.
func TestRemovedUnderAWrite(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2", targets: 5})
	defer r.close()
	wrote := make(chan int, 100)
	for i, ft := range r.targets {
		ft.fault = func(op string) error {
			if op == "write" {
				wrote <- i
			}
			return nil
		}
	}
	body := testBody(600<<10, 1)
	pr, pw := io.Pipe()
	result := make(chan error, 1)
	go func() {
		_, err := r.Put(t.Context(), &PutRequest{Bucket: "b", Key: "k", Size: int64(len(body)), Body: pr})
		result <- err
	}()
	if _, err := pw.Write(body[:300<<10]); err != nil {
		t.Fatal(err)
	}
	r.RemoveTarget(metadata.TargetID(1 + <-wrote))
	if _, err := pw.Write(body[300<<10:]); err != nil {
		t.Fatal(err)
	}
	_ = pw.Close()
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool {
		damage, err := r.db.Damage(t.Context(), metadata.SetID{}, 10)
		return err == nil && len(damage) == 1
	})
	if res, err := r.drainDamage(t.Context(), RepairOptions{}, nil); err != nil || res.Shards != 1 {
		t.Fatalf("%+v, %v", res, err)
	}
	if res := mustCheck(t, r, true); !res.Clean() {
		t.Fatalf("%+v", res)
	}
	r.mustGet("k", body)
}

// Whoever opened an object before its shards are moved, all of them, reads it to the end.
func TestDrainUnderRead(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2", targets: 8})
	defer r.close()
	body := testBody(1<<20, 1)
	if err := r.put("k", body); err != nil {
		t.Fatal(err)
	}
	o, err := r.Open(t.Context(), "b", "k", "")
	if err != nil {
		t.Fatal(err)
	}
	old := o.Version.Inline.Targets
	for _, id := range old {
		r.drainTarget(int(id)-1, false)
	}
	if res, err := r.Drain(t.Context(), RepairOptions{}, nil); err != nil || res.Shards != 4 || res.Waiting+res.Failed > 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	c := &collector{s: r.Store, partly: map[metadata.SetID]bool{}}
	if _, err := c.batch(t.Context()); err != nil {
		t.Fatal(err)
	}
	st, err := o.Read(t.Context(), 0, int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(st); err != nil || !bytes.Equal(got, body) {
		t.Fatalf("%d bytes of %d: %v", len(got), len(body), err)
	}
	_ = st.Close()
	o.Close()
	for _, id := range old {
		waitFor(t, func() bool {
			r.Kick()
			return r.targets[id-1].count() == 0
		})
	}
	r.mustGet("k", body)
}
