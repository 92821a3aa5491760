package store

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weftstore/weft/node/extent"
)

// Fault model: the commit of one shard comes late, after the write was acknowledged without it,
// and the target refuses to delete it then. The object is read while the shard is repaired, onto
// the same target. What was queued as garbage must not take the repaired shard.
func TestGarbageSparesRepairedShard(t *testing.T) {
	for _, c := range []struct {
		op   string
		size int
	}{{"append", 1000}, {"commit", 200_000}} {
		t.Run(c.op, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { garbageSparesRepairedShard(t, c.op, c.size) })
		})
	}
}

func garbageSparesRepairedShard(t *testing.T, op string, size int) {
	release, open := newGate()
	defer open()
	layout := "ec:2+2"
	if op == "append" {
		layout = "replica:3" // every target has a copy
	}
	r := newRig(t, rigOptions{layout: layout})
	ft := r.targets[0]
	ft.fault = func(o string) error {
		switch o {
		case op:
			<-release
		case "delete":
			return extent.ErrOffline
		}
		return nil
	}
	data := testBody(size, 3)
	if err := r.put("k", data); err != nil {
		t.Fatal(err)
	}
	o, err := r.Open(context.Background(), "b", "k", "")
	if err != nil {
		t.Fatal(err)
	}
	open()
	synctest.Wait()
	if n := mustCheck(t, r, false).Garbage; n != 1 || ft.count() != 1 {
		t.Fatalf("%d sets are garbage, %d chunks on the target", n, ft.count())
	}
	ft.fault = nil
	time.Sleep(time.Minute) // of the bubble: the target counts as well again
	if res, err := r.Repair(t.Context(), RepairOptions{}, nil); err != nil || res.Repaired != 1 || res.Waiting != 0 {
		t.Fatalf("repair: %+v, %v", res, err)
	}
	o.Close()
	time.Sleep(20 * time.Second) // of the bubble: the collector has had its turns
	if res := mustCheck(t, r, true); !res.Clean() || res.Orphans != 0 || res.Garbage != 0 {
		t.Fatalf("%+v", res)
	}
	r.mustGet("k", data)
	r.close()
}
