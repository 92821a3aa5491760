package store

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/weftstore/weft/metadata"
)

// Two change the lock of a version at once. A rebuild of the metadata gives it the lock that
// the last one to commit was told of, also when the chunks of the other are still there.
func TestRebuildAfterLocksAtOnce(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	defer r.close()
	r.cancel() // the collector
	r.addTargets(t)
	if err := r.db.SetVersioning(t.Context(), "b", metadata.VersioningEnabled); err != nil {
		t.Fatal(err)
	}
	if err := r.put("k", testBody(100, 1)); err != nil {
		t.Fatal(err)
	}
	var clock atomic.Int64
	begin := time.Now()
	r.cfg.Now = func() time.Time { return begin.Add(time.Duration(clock.Add(1)) * time.Second) }
	hold := func(state metadata.HoldState) {
		if _, err := r.SetLock(t.Context(), "b", "k", "", metadata.LockChange{Hold: state}); err != nil {
			t.Error(err)
		}
	}
	r.cfg.OpTimeout, r.cfg.Grace = time.Hour, time.Hour // the second is done while a target waits
	var began atomic.Bool
	for _, ft := range r.targets {
		ft.fault = func(op string) error {
			if op == "append" && began.CompareAndSwap(false, true) {
				hold(metadata.HoldOff)
			}
			return nil
		}
	}
	hold(metadata.HoldOn)
	db, _, _ := r.rebuilt(t, 0)
	for name, db := range map[string]*metadata.DB{"": r.db, " after a rebuild": db} {
		if v, _, err := db.Get(t.Context(), "b", "k", ""); err != nil || v.Lock.Hold != metadata.HoldOn {
			t.Errorf("the hold is %+v%s, %v", v, name, err)
		}
	}
}
