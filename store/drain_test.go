package store

import (
	"fmt"
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
