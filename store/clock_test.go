package store

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/weftstore/weft/internal/clocktest"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/node/extent"
)

// restart goes on with the same metadata and targets, and with a clock that is wrong by so much.
func (r *rig) restart(t *testing.T, wrong time.Duration) {
	t.Helper()
	if err := r.Store.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return time.Now().Add(wrong) }
	r.db, _ = metadata.New(r.kv, metadata.Options{Now: now})
	c := r.cfg
	c.Meta, c.Now = r.db, now
	var err error
	if r.Store, err = New(c); err != nil {
		t.Fatal(err)
	}
}

// Fault model: the clock was ahead when a snapshot was taken and is right since a restart. Then
// the metadata is gone.
func TestRebuildAfterClockWentBack(t *testing.T) {
	for _, wrong := range []time.Duration{5 * time.Minute, 1000 * time.Hour} {
		for snapshots := range 4 {
			t.Run(fmt.Sprintf("%v,snapshots=%d", wrong, snapshots), func(t *testing.T) {
				r := newRig(t, rigOptions{layout: "ec:2+2"})
				defer r.close()
				r.restart(t, wrong)
				r.addTargets(t)
				puts := 0
				put := func() {
					t.Helper()
					if err := r.put(fmt.Sprint("k", puts), testBody(9000, uint64(puts))); err != nil {
						t.Fatal(err)
					}
					puts++
				}
				snapshot := func() {
					t.Helper()
					if err := r.Snapshot(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				for range 2 {
					put()
					snapshot()
				}
				r.restart(t, 0)
				for range snapshots {
					put()
					snapshot()
				}
				put()
				if seqs, err := r.db.SnapshotSeqs(t.Context()); err != nil || snapshots > 0 && len(seqs) != min(snapshots, keepSnapshots) {
					t.Errorf("%d snapshots are kept: %v", len(seqs), err)
				}
				want := listing(t, r.db)
				db, _, res := r.rebuilt(t, 0)
				if got := listing(t, db); !reflect.DeepEqual(got, want) {
					t.Errorf("%d objects of %d came back: %+v", len(got), len(want), res)
				}
			})
		}
	}
}

// The same for what has no id of its own: changes of locks, and parts of an upload under way.
func TestRebuildOfLocksAfterClockWentBack(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	defer r.close()
	r.restart(t, time.Hour)
	r.addTargets(t)
	if err := r.db.SetVersioning(t.Context(), "b", metadata.VersioningEnabled); err != nil {
		t.Fatal(err)
	}
	if err := r.put("k", testBody(9000, 1)); err != nil {
		t.Fatal(err)
	}
	up, _, _ := r.startUpload(t, "begun")
	if err := r.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.restart(t, 0)
	if _, err := r.SetLock(t.Context(), "b", "k", "", metadata.LockChange{Hold: metadata.HoldOn}); err != nil {
		t.Fatal(err)
	}
	part, err := r.PutPart(t.Context(), &PartRequest{Bucket: "b", Key: "begun", Upload: up, Number: 1, Size: 1000, Body: bytes.NewReader(testBody(1000, 2))})
	if err != nil {
		t.Fatal(err)
	}
	want := listing(t, r.db)
	db, _, res := r.rebuilt(t, 0)
	if got := listing(t, db); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v came back as %+v: %+v", want, got, res)
	}
	_, _, err = db.PrepareComplete(t.Context(), "b", "begun", up, []metadata.CompletedPart{{Number: 1, ETag: part.ETag}})
	if err != nil {
		t.Errorf("the part: %v", err)
	}
}

// Fault model: the clock of one gateway is behind that of the one which takes the snapshots. Then
// the metadata is gone.
func TestRebuildWithClocksApart(t *testing.T) {
	r, peer := newPeersRig(t)
	r.addTargets(t)
	behind := func() time.Time { return time.Now().Add(-10 * time.Minute) }
	c := r.cfg
	c.Meta, _ = metadata.New(fencedKV{r.kv}, metadata.Options{Now: behind})
	c.Peers, c.Now = peer, behind
	other, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close(context.Background())
	if err := r.put("k0", testBody(9000, 0)); err != nil {
		t.Fatal(err)
	}
	_, _, clock := other.Report()
	peer.set(func() { peer.clock = clock })
	if err := r.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Put(t.Context(), &PutRequest{Bucket: "b", Key: "k1", Size: 9000, Body: bytes.NewReader(testBody(9000, 1))}); err != nil {
		t.Fatal(err)
	}
	want := listing(t, r.db)
	db, _, res := r.rebuilt(t, 0)
	if got := listing(t, db); !reflect.DeepEqual(got, want) || len(got) != 2 {
		t.Errorf("%d objects of %d came back: %+v", len(got), len(want), res)
	}
}

// A clock that is set back keeps no target down or full.
func TestTargetAfterClockSetBack(t *testing.T) {
	for name, err := range map[string]error{"down": extent.ErrOffline, "full": extent.ErrFull} {
		tg, begun := newTarget(TargetConfig{Target: &fakeTarget{}}), time.Now()
		tg.failed(begun, err)
		for after, want := range map[time.Duration]bool{0: false, maxDown: true} {
			now := clocktest.Set(t, begun.Add(after), -time.Hour)
			if got := tg.usable(now) && !tg.full(now); got != want {
				t.Errorf("%s: usable after %v: %t", name, after, got)
			}
		}
	}
}
