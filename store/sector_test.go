package store

import (
	"context"
	"testing"

	"github.com/weftstore/weft/node"
	"github.com/weftstore/weft/node/extent"
	"github.com/weftstore/weft/rdma"
)

// sectorTarget has one chunk that cannot be read, until it is written anew.
type sectorTarget struct {
	*fakeTarget
	bad *fakeChunk
}

func (t *sectorTarget) look(id extent.ID) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.chunks[id]; c != nil && c == t.bad {
		return node.ErrIO
	}
	return nil
}

func (t *sectorTarget) Read(ctx context.Context, id extent.ID, off int64, dst rdma.Remote) error {
	if err := t.look(id); err != nil {
		return err
	}
	return t.fakeTarget.Read(ctx, id, off, dst)
}

func (t *sectorTarget) Verify(ctx context.Context, id extent.ID) error {
	if err := t.look(id); err != nil {
		return err
	}
	return t.fakeTarget.Verify(ctx, id)
}

// badSectorRig puts an object whose first shard is on a bad sector. It gives the chunk of another.
func badSectorRig(t *testing.T, data []byte) (r *rig, other func() (*fakeTarget, extent.ID)) {
	t.Helper()
	r = newRig(t, rigOptions{layout: "ec:2+2"})
	if err := r.put("k", data); err != nil {
		t.Fatal(err)
	}
	v, _, err := r.db.Get(t.Context(), "b", "k", "")
	if err != nil {
		t.Fatal(err)
	}
	p := v.Inline
	on := &sectorTarget{fakeTarget: r.targets[p.Targets[0]-1]}
	on.bad = on.chunks[chunkID(p.Set, 0)]
	r.SetTarget(TargetConfig{ID: p.Targets[0], Name: "bad", Target: on})
	return r, func() (*fakeTarget, extent.ID) { return r.targets[p.Targets[3]-1], chunkID(p.Set, 3) }
}

// Fault model: a sector of a disk that works otherwise cannot be read. The scrub finds it, and the
// shard that has it is made anew.
func TestScrubFindsBadSector(t *testing.T) {
	data := testBody(300<<10, 1)
	r, _ := badSectorRig(t, data)
	defer r.close()
	if res, err := r.Scrub(t.Context(), ScrubOptions{}, nil); err != nil || res.Errors != 1 || res.Corrupt != 0 {
		t.Fatalf("scrub: %+v, %v", res, err)
	}
	if res, err := r.drainDamage(t.Context(), RepairOptions{}, nil); err != nil || res.Repaired != 1 {
		t.Fatalf("repair: %+v, %v", res, err)
	}
	if c := mustCheck(t, r, true); !c.Clean() || c.Orphans != 0 {
		t.Fatalf("check after the repair: %+v", c)
	}
	r.mustGet("k", data)
}

// Fault model: a shard is lost, and one of those to rebuild it from is on a bad sector. It is
// rebuilt from others, and so is that.
func TestRepairPassesBadSector(t *testing.T) {
	data := testBody(300<<10, 1)
	r, other := badSectorRig(t, data)
	defer r.close()
	ft, id := other()
	if err := ft.Delete(t.Context(), []extent.ID{id}); err != nil {
		t.Fatal(err)
	}
	if res, err := r.Repair(t.Context(), RepairOptions{}, nil); err != nil || res.Repaired != 1 || res.Waiting+res.Failed != 0 {
		t.Fatalf("repair: %+v, %v", res, err)
	}
	if c := mustCheck(t, r, true); !c.Clean() || c.Orphans != 0 {
		t.Fatalf("check after the repair: %+v", c)
	}
	r.mustGet("k", data)
}

// Fault model: nothing of a target can be read. That is no damage of its chunks: they stay.
func TestRepairSparesUnreadableTarget(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	defer r.close()
	for i := range 20 {
		if err := r.put(string(rune('a'+i)), testBody(300<<10, uint64(i))); err != nil {
			t.Fatal(err)
		}
	}
	r.SetTarget(TargetConfig{ID: 1, Name: "bad", Target: &unreadableTarget{r.targets[0]}})
	if _, err := r.Scrub(t.Context(), ScrubOptions{}, nil); err != nil {
		t.Fatal(err)
	}
	res, err := r.drainDamage(t.Context(), RepairOptions{}, nil)
	if err != nil || res.Repaired != 0 {
		t.Fatalf("repair: %+v, %v", res, err)
	}
}

type unreadableTarget struct{ *fakeTarget }

func (unreadableTarget) Read(context.Context, extent.ID, int64, rdma.Remote) error { return node.ErrIO }
func (unreadableTarget) Verify(context.Context, extent.ID) error                   { return node.ErrIO }
