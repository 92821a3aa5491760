package store

import (
	"context"
	"sync"
	"testing"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/node/extent"
)

// Fault model: a target is removed in the middle of background work that looked at it before.

// askedTarget calls asked before it tells of a chunk.
type askedTarget struct {
	*fakeTarget
	asked func()
}

func (t askedTarget) Meta(ctx context.Context, id extent.ID) (extent.Info, []byte, error) {
	t.asked()
	return t.fakeTarget.Meta(ctx, id)
}

// The queue has a set with a chunk on the target, and then one chunk that is looked at first.
func TestRemovedUnderCollection(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2", targets: 5})
	defer r.close()
	r.cancel() // the collector: its turn is taken below
	const gone metadata.TargetID = 5
	r.cfg.Retired = func(id metadata.TargetID) bool { return id == gone }
	r.SetTarget(TargetConfig{ID: 1, Target: askedTarget{r.targets[0], func() { r.RemoveTarget(gone) }}})
	err := r.db.AddGarbage(t.Context(), []metadata.Garbage{
		{Set: metadata.SetID{1}, Targets: []metadata.TargetID{2, gone}},
		{Set: metadata.SetID{2}, Targets: []metadata.TargetID{1, 0}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		c := &collector{s: r.Store, partly: map[metadata.SetID]bool{}}
		if _, err := c.batch(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := r.db.Garbage(t.Context(), 10); err != nil || len(list) != 0 {
		t.Fatal(list, err)
	}
}

// The object is deleted while it is repaired, so that nothing is left on the target.
func TestRemovedUnderRepair(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2", targets: 5})
	defer r.close()
	if err := r.put("k", testBody(600<<10, 1)); err != nil {
		t.Fatal(err)
	}
	v, _, err := r.db.Get(t.Context(), "b", "k", "")
	if err != nil {
		t.Fatal(err)
	}
	lost, from := v.Inline.Targets[0], v.Inline.Targets[1]
	r.targets[lost-1].wipe()
	remove := sync.OnceFunc(func() {
		if _, err := r.db.Delete(t.Context(), "b", "k", "", metadata.Condition{}); err != nil {
			t.Error(err)
		}
		r.RemoveTarget(from)
	})
	r.targets[from-1].fault = func(op string) error {
		if op == "read" {
			remove()
		}
		return nil
	}
	if res, err := r.Repair(t.Context(), RepairOptions{}, nil); err != nil || res.Repaired != 0 {
		t.Fatalf("%+v, %v", res, err)
	}
}

// The targets are read anew in the middle of a look at several parts, as one of them names a
// target that is not known.
func TestRemovedUnderInspection(t *testing.T) {
	r := newRig(t, rigOptions{layout: "replica:2", targets: 2})
	defer r.close()
	r.cfg.Refresh = func(context.Context) error {
		r.RemoveTarget(2)
		return nil
	}
	old := &inspected{part: metadata.Part{K: 1, M: 1, Targets: []metadata.TargetID{1, 2}}}
	fresh := &inspected{part: metadata.Part{K: 1, M: 1, Targets: []metadata.TargetID{1, 3}}}
	r.inspect(t.Context(), []*inspected{old, fresh}, false, &throttle{})
	if n := old.count(shardMissing) + fresh.count(shardMissing); n != 4 {
		t.Fatalf("%d of 4 shards that are nowhere are missing", n)
	}
}
