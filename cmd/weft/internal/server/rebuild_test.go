package server

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
)

// Fault model: the state directory is lost together with any M targets. The
// server must refuse to start as an empty store, and what Rebuild makes of the
// targets that are left must give back every object; repair then restores full
// redundancy.
func TestRebuildAfterStateLoss(t *testing.T) {
	cfg := testConfig(t, 5)
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	r := start(t, cfg, log)
	r.makeBucket()
	all := objects("kept", 1)
	r.mustPut(all...)
	layout := r.layout
	r.stop()

	lost := cfg.Targets[:layout.M]
	left := cfg
	left.Targets = cfg.Targets[layout.M:]
	for _, dir := range append([]string{cfg.State}, lost...) {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	if s, err := New(context.Background(), left, log); err == nil || !strings.Contains(err.Error(), "rebuild-metadata") {
		if s != nil {
			err = errors.Join(err, s.close())
		}
		t.Fatalf("start without metadata: %v; want a refusal that names rebuild-metadata", err)
	}
	res, err := Rebuild(t.Context(), left, log, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !res.Snapshot || res.Lost != 0 {
		t.Fatalf("rebuild: %+v; want the snapshot of the stop and nothing lost", res)
	}
	if _, err := Rebuild(t.Context(), left, log, nil); err == nil {
		t.Fatal("a second rebuild wrote over the metadata of the first")
	}

	r = start(t, cfg, log)
	if r.layout != layout {
		t.Errorf("layout is %v after the rebuild, was %v", r.layout, layout)
	}
	r.mustGet(all...)
	for _, dir := range lost {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	r.mustRepair()
	r.mustBeClean()
}
