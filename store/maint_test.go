package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/node/extent"
)

func mustCheck(t *testing.T, r *rig, deep bool) *CheckResult {
	t.Helper()
	res, err := r.Check(t.Context(), CheckOptions{Deep: deep}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func (t *fakeTarget) wipe() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.chunks)
}

// Fault model: all chunks of any m targets are gone, twice in a row with a repair
// between; nothing else fails.
func TestRepairAfterLoss(t *testing.T) {
	for _, layout := range []string{"ec:2+2", "ec:4+2", "replica:3"} {
		t.Run(layout, func(t *testing.T) {
			r := newRig(t, rigOptions{layout: layout})
			defer r.close()
			bodies := map[string][]byte{}
			for i, n := range []int{0, 1, 5000, 8 << 10, 9 << 10, 200 << 10, 1 << 20} {
				k := fmt.Sprint("k", i)
				bodies[k] = testBody(n, uint64(i))
				if err := r.put(k, bodies[k]); err != nil {
					t.Fatal(err)
				}
			}
			if res := mustCheck(t, r, true); !res.Clean() || res.Orphans != 0 || res.Parts != int64(len(bodies)) {
				t.Fatalf("check before: %+v", res)
			}
			for _, first := range []int{0, 2, 1} {
				r.targets[first].wipe()
				r.targets[first+1-2*(first/2)].wipe()
				if res := mustCheck(t, r, false); res.Missing == 0 || res.Clean() {
					t.Fatalf("check after the loss: %+v", res)
				}
				for k, b := range bodies {
					r.mustGet(k, b)
				}
				res, err := r.Repair(t.Context(), RepairOptions{}, nil)
				if err != nil || res.Failed+res.Waiting+res.Lost != 0 || res.Repaired == 0 {
					t.Fatalf("repair: %+v, %v", res, err)
				}
				if res := mustCheck(t, r, true); !res.Clean() || res.Orphans != 0 {
					t.Fatalf("check after the repair: %+v", res)
				}
			}
		})
	}
}

// Fault model: some chunks of every size are corrupt, at most m of a part.
func TestScrubFindsAll(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	defer r.close()
	for i := range 20 {
		if err := r.put(fmt.Sprint("k", i), testBody(i*7000, uint64(i))); err != nil {
			t.Fatal(err)
		}
	}
	var bad int64
	sets := map[extent.SetID]bool{}
	for _, ft := range r.targets {
		for id, c := range ft.chunks {
			if !sets[id.Set] {
				sets[id.Set], c.corrupt = true, true
				bad++
			}
		}
	}
	res, err := r.Scrub(t.Context(), ScrubOptions{}, nil)
	if err != nil || res.Corrupt != bad || bad != 20 {
		t.Fatalf("scrub: %+v, %v; %d are corrupt", res, err, bad)
	}
	if c := mustCheck(t, r, true); c.Corrupt != bad {
		t.Fatalf("check: %+v", c)
	}
	if res, err := r.drainDamage(t.Context(), RepairOptions{}, nil); err != nil || res.Repaired != bad {
		t.Fatalf("repair: %+v, %v", res, err)
	}
	if c := mustCheck(t, r, true); !c.Clean() || c.Orphans != 0 {
		t.Fatalf("check after the repair: %+v", c)
	}
	st, err := r.Status(t.Context())
	if err != nil || st.Redundancy != "full" || st.LastScrub.IsZero() {
		t.Fatalf("status: %+v, %v", st, err)
	}
}

// A scrub that could not reach a target goes on with it, and does not read the others again;
// one that is asked for by itself reads all.
func TestScrubResumes(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	defer r.close()
	for i := range 20 {
		if err := r.put(fmt.Sprint("k", i), testBody(i*7000, uint64(i))); err != nil {
			t.Fatal(err)
		}
	}
	if due, err := r.scrubDue(t.Context(), 0); err != nil || due {
		t.Fatal("due in a store that is new: ", err)
	}
	r.SetTarget(TargetConfig{ID: 1})
	if res, err := r.Scrub(t.Context(), ScrubOptions{}, nil); err != nil || res.Errors != 1 || int(res.Chunks) != r.stored()-r.targets[0].count() {
		t.Fatalf("%+v, %v", res, err)
	}
	if st, err := r.Status(t.Context()); err != nil || !st.LastScrub.IsZero() && st.LastScrub.After(time.Now()) {
		t.Fatal(st.LastScrub, err)
	}
	r.SetTarget(TargetConfig{ID: 1, Target: r.targets[0]})
	if due, err := r.scrubDue(t.Context(), time.Hour); err != nil || !due {
		t.Fatal("what is left of a pass is not due: ", err)
	}
	if res, err := r.Scrub(t.Context(), ScrubOptions{Resume: true}, nil); err != nil || int(res.Chunks) != r.targets[0].count() {
		t.Fatalf("%+v, %v; there are %d chunks", res, err, r.targets[0].count())
	}
	if due, err := r.scrubDue(t.Context(), time.Hour); err != nil || due {
		t.Fatal("due at once after a whole pass: ", err)
	}
	if res, err := r.Scrub(t.Context(), ScrubOptions{}, nil); err != nil || int(res.Chunks) != r.stored() {
		t.Fatalf("%+v, %v", res, err)
	}
}

// deafTarget does not answer when it is asked for its chunks.
type deafTarget struct{ *fakeTarget }

func (t deafTarget) List(ctx context.Context, _ *extent.ID, _ int) ([]extent.Info, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// Fault model: a target hangs. A scrub ends all the same, with the others.
func TestScrubOfHungTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{layout: "ec:2+2"})
		if err := r.put("k", testBody(200_000, 1)); err != nil {
			t.Fatal(err)
		}
		r.SetTarget(TargetConfig{ID: 1, Target: deafTarget{r.targets[0]}})
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		if res, err := r.Scrub(ctx, ScrubOptions{}, nil); err != nil || res.Errors != 1 || res.Chunks != 3 {
			t.Errorf("%+v, %v", res, err)
		}
		r.close()
	})
}

// Fault model: chunks that records refer to are gone, parity too, which nobody reads. What
// is well and belongs elsewhere is left to a repair.
func TestScrubFindsMissing(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	defer r.close()
	for i := range 20 {
		if err := r.put(fmt.Sprint("k", i), testBody(i*7000, uint64(i))); err != nil {
			t.Fatal(err)
		}
	}
	n := int64(r.targets[3].count())
	r.targets[3].wipe()
	if res, err := r.Scrub(t.Context(), ScrubOptions{}, nil); err != nil || res.Missing != n || res.Corrupt+res.Errors != 0 {
		t.Fatalf("scrub: %+v, %v; %d are missing", res, err, n)
	}
	if res, err := r.drainDamage(t.Context(), RepairOptions{}, nil); err != nil || res.Shards != n {
		t.Fatalf("repair: %+v, %v", res, err)
	}
	if c := mustCheck(t, r, true); !c.Clean() {
		t.Fatalf("check after the repair: %+v", c)
	}
	r.SetTarget(TargetConfig{ID: 1, Draining: true, Target: r.targets[0]})
	if res, err := r.Scrub(t.Context(), ScrubOptions{}, nil); err != nil || res.Missing != 0 {
		t.Fatalf("scrub: %+v, %v", res, err)
	}
	if list, err := r.db.Damage(t.Context(), metadata.SetID{}, 10); err != nil || len(list) != 0 {
		t.Fatal("queued by a scrub: ", list, err)
	}
}

// Places of a pass survive encoding; what is not one is no place.
func TestScrubPlace(t *testing.T) {
	for _, p := range []scrubPlace{
		{pass: 7, done: true}, {pass: 1 << 60, after: &extent.ID{Set: extent.SetID{1, 2, 15: 3}, Index: 9}},
	} {
		if got := decodePlace(encodePlace(p)); !reflect.DeepEqual(got, p) {
			t.Errorf("%+v became %+v", p, got)
		}
	}
	if got := decodePlace([]byte("nonsense, and long")); got != (scrubPlace{}) {
		t.Errorf("%+v", got)
	}
}

// Fault model: two shards of a part rot; the second is found while the first is made anew.
func TestDamageFoundDuringRepair(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	defer r.close()
	if err := r.put("k", testBody(200_000, 1)); err != nil {
		t.Fatal(err)
	}
	v, b, err := r.db.Get(t.Context(), "b", "k", "")
	if err != nil {
		t.Fatal(err)
	}
	p := v.Inline
	rot := func(shard int) error {
		ft := r.targets[p.Targets[shard]-1]
		ft.mu.Lock()
		ft.chunks[chunkID(p.Set, shard)].corrupt = true
		ft.mu.Unlock()
		ref := metadata.PartRef{BucketID: b.ID, Key: "k", Version: v.ID, Number: 1, Set: p.Set}
		return r.db.AddDamage(t.Context(), []metadata.Damage{{Ref: ref, Set: p.Set, Shards: 1 << shard}})
	}
	if err := rot(2); err != nil {
		t.Fatal(err)
	}
	var found error
	r.targets[p.Targets[2]-1].fault = func(op string) error {
		if op == "commit" {
			found = rot(3)
		}
		return nil
	}
	for range 2 {
		if res, err := r.drainDamage(t.Context(), RepairOptions{}, nil); err != nil || found != nil || res.Shards != 1 {
			t.Fatalf("repair: %+v, %v, %v", res, err, found)
		}
	}
	if res := mustCheck(t, r, true); !res.Clean() {
		t.Fatalf("check after the repair: %+v", res)
	}
	if left, err := r.db.Damage(t.Context(), metadata.SetID{}, 10); err != nil || len(left) != 0 {
		t.Fatal("left in the queue: ", left, err)
	}
}

// What has lost the most shards is told first and repaired first.
func TestRepairStatus(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	defer r.close()
	for _, lost := range []int{1, 2, 1} {
		key := fmt.Sprint("k", r.stored())
		if err := r.put(key, testBody(200_000, 1)); err != nil {
			t.Fatal(err)
		}
		o, err := r.Open(t.Context(), "b", key, "")
		if err != nil {
			t.Fatal(err)
		}
		set := o.Version.Inline.Set
		for i := range lost {
			delete(r.targets[o.Version.Inline.Targets[i]-1].chunks, chunkID(set, i))
		}
		o.Close()
	}
	if _, _, err := r.findDamage(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	st, err := r.RepairStatus(t.Context())
	if err != nil || st.Running || !slices.Equal(st.Waiting, []int64{2, 1}) {
		t.Fatalf("%+v, %v", st, err)
	}
	r.upkeep.run.begin(r.now().Add(-10*time.Second), 100)
	for range 25 {
		r.upkeep.run.add(1000)
	}
	st, err = r.RepairStatus(t.Context())
	if err != nil || st.Done != 25 || st.Rate < 2400 || st.Rate > 2500 || st.Left.Round(time.Second) != 30*time.Second {
		t.Fatalf("%+v, %v", st, err)
	}
}

// Fault model: a crash left chunks whose metadata was never committed.
func TestOrphansAreCollected(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	defer r.close()
	if err := r.put("kept", testBody(100000, 1)); err != nil {
		t.Fatal(err)
	}
	before := maps.Clone(r.targets[0].chunks)
	if err := r.put("lost", testBody(100000, 2)); err != nil {
		t.Fatal(err)
	}
	n := 0
	for id, c := range r.targets[0].chunks { // beside the record, under another set
		if before[id] == nil {
			id.Set[0] ^= 0xff
			r.targets[1].chunks[id] = &fakeChunk{data: c.data, meta: c.meta}
			n++
		}
	}
	if res := mustCheck(t, r, false); !res.Clean() || res.Orphans != int64(n) {
		t.Fatalf("check: %+v, want %d orphans", res, n)
	}
	if res, err := r.Repair(t.Context(), RepairOptions{}, nil); err != nil || res.Orphans != int64(n) {
		t.Fatalf("repair: %+v, %v", res, err)
	}
	if res := mustCheck(t, r, true); !res.Clean() || res.Orphans != 0 {
		t.Fatalf("check: %+v", res)
	}
	r.mustGet("kept", testBody(100000, 1))
	r.mustGet("lost", testBody(100000, 2))
}

// Fault model: puts and deletes go on while orphans are collected. To make the age
// no shield, every chunk claims to be old; only puts under way could be harmed by
// that, so none is while the sweep runs.
func TestSweepSparesWhatIsReferenced(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	defer r.close()
	for i := range 60 {
		if err := r.put(fmt.Sprint("k", i), testBody(i*900, uint64(i))); err != nil {
			t.Fatal(err)
		}
	}
	for _, ft := range r.targets {
		for _, c := range ft.chunks {
			c.created = r.upkeep.started.Add(-1)
		}
	}
	done := make(chan error)
	go func() {
		var err error
		for i := 0; i < 60 && err == nil; i += 2 {
			_, err = r.db.Delete(context.Background(), "b", fmt.Sprint("k", i), "", metadata.Condition{})
			r.Kick()
			if err == nil {
				err = r.put(fmt.Sprint("n", i), testBody(i*900, uint64(i)))
			}
		}
		done <- err
	}()
	var err error
	for running := true; running; {
		if _, e := r.sweep(t.Context(), true, new(CheckResult), nil); e != nil {
			t.Fatal(e)
		}
		select {
		case err = <-done:
			running = false
		default:
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	for i := range 60 {
		k := fmt.Sprint("k", i)
		if i%2 == 0 {
			k = fmt.Sprint("n", i)
		}
		r.mustGet(k, testBody(i*900, uint64(i)))
	}
	if res := mustCheck(t, r, true); !res.Clean() {
		t.Fatalf("check: %+v", res)
	}
}

func TestSnapshotsAreNoOrphans(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	defer r.close()
	for i := range 5 {
		if err := r.put(fmt.Sprint("k", i), testBody(i*9000, uint64(i))); err != nil {
			t.Fatal(err)
		}
		if err := r.Snapshot(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	seqs, err := r.db.SnapshotSeqs(t.Context())
	if err != nil || len(seqs) != keepSnapshots {
		t.Fatalf("%d snapshots, %v", len(seqs), err)
	}
	for _, ft := range r.targets {
		ft.mu.Lock()
		for _, c := range ft.chunks {
			c.created = r.upkeep.started.Add(-1)
		}
		ft.mu.Unlock()
	}
	if res := mustCheck(t, r, true); !res.Clean() || res.Orphans != 0 {
		t.Fatalf("check: %+v", res)
	}
}

// failingKV fails the second record of a piece of a snapshot, or commits it and does not tell.
type failingKV struct {
	*memKV
	mute   bool
	pieces int
}

type failingTxn struct {
	metadata.Txn
	kv *failingKV
}

func (t failingTxn) Put(k, v []byte) error {
	if k[0] == 's' {
		if t.kv.pieces++; t.kv.pieces == 2 && !t.kv.mute {
			return metadata.ErrUnavailable
		}
	}
	return t.Txn.Put(k, v)
}

func (kv *failingKV) Update(ctx context.Context, fn func(metadata.Txn) error) error {
	err := kv.memKV.Update(ctx, func(t metadata.Txn) error { return fn(failingTxn{t, kv}) })
	if err == nil && kv.pieces == 2 {
		return metadata.ErrUnknown
	}
	return err
}

// putMuch makes more metadata than one piece of a snapshot holds.
func (r *rig) putMuch(t *testing.T) {
	t.Helper()
	for i := range 80 {
		_, err := r.db.Put(t.Context(), "b", &metadata.Version{Key: fmt.Sprint("k", i), ID: r.db.NewVersionID(),
			Inline: &metadata.Part{Number: 1, K: 1, Targets: []metadata.TargetID{1}}, UserMeta: map[string]string{"m": string(testBody(60<<10, 1))}}, metadata.Condition{})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// failSnapshot takes a snapshot of two pieces that fails, in another process.
func (r *rig) failSnapshot(t *testing.T, kv *failingKV, want error) {
	t.Helper()
	c := r.cfg
	c.Meta, _ = metadata.New(kv, metadata.Options{})
	other, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Snapshot(t.Context()); !errors.Is(err, want) || kv.pieces != 2 {
		t.Fatal(kv.pieces, err)
	}
	if err := other.Close(t.Context()); err != nil { // waits for what is deleted
		t.Fatal(err)
	}
}

// Fault model: the metadata does not answer while the pieces of a snapshot are recorded. What
// came of it takes the place of no snapshot that is whole.
func TestHalfSnapshotIsNotKept(t *testing.T) {
	r := newRig(t, rigOptions{layout: "replica:2", block: 1 << 20})
	defer r.close()
	r.putMuch(t)
	if err := r.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	before, err := r.db.SnapshotSeqs(t.Context())
	if err != nil || len(before) != 1 {
		t.Fatal(before, err)
	}
	r.failSnapshot(t, &failingKV{memKV: r.kv}, metadata.ErrUnavailable)
	if err := r.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	after, err := r.db.SnapshotSeqs(t.Context())
	if err != nil || len(after) != keepSnapshots || after[0] != before[0] {
		t.Fatalf("%v are kept, %v is the whole one before; %v", after, before, err)
	}
}

// Fault model: the metadata records the last piece and does not tell. What is recorded as whole
// is whole.
func TestSnapshotOfUnknownOutcome(t *testing.T) {
	r := newRig(t, rigOptions{layout: "replica:2", block: 1 << 20})
	defer r.close()
	r.putMuch(t)
	r.failSnapshot(t, &failingKV{memKV: r.kv, mute: true}, metadata.ErrUnknown)
	pieces := 0
	err := r.eachSnapshotPart(t.Context(), func(p *metadata.Part) error {
		pieces++
		_, _, err := r.targets[0].Meta(t.Context(), chunkID(p.Set, slices.Index(p.Targets, 1)))
		return err
	})
	if err != nil || pieces != 2 {
		t.Fatalf("%d pieces are recorded, %v", pieces, err)
	}
}
