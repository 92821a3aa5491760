package server

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weftstore/weft/cmd/weft/internal/gateway"
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
	res, err := Rebuild(t.Context(), left, false, log, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !res.Snapshot || res.Lost != 0 {
		t.Fatalf("rebuild: %+v; want the snapshot of the stop and nothing lost", res)
	}
	if _, err := Rebuild(t.Context(), left, false, log, nil); err == nil {
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

// Fault model: the metadata is lost, and more targets than M do not mount. What can come back
// with them is not given up unasked.
func TestRebuildWithTargetsMissing(t *testing.T) {
	cfg := testConfig(t, 5)
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	r := start(t, cfg, log)
	r.makeBucket()
	all := objects("kept", 1)
	r.mustPut(all...)
	crashed := make([]string, len(cfg.Targets)) // as a crash leaves them: stopping takes a snapshot
	for i, dir := range cfg.Targets {
		crashed[i] = filepath.Join(t.TempDir(), "target")
		if err := os.CopyFS(crashed[i], os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
	}
	r.stop()

	for _, c := range []struct {
		targets    int
		acceptLoss bool
		refused    bool
	}{{2, false, true}, {2, true, false}, {5, false, false}} {
		left := cfg
		left.State, left.Targets = filepath.Join(t.TempDir(), "state"), crashed[:c.targets]
		res, err := Rebuild(t.Context(), left, c.acceptLoss, log, nil)
		if res == nil || errors.Is(err, gateway.ErrLoss) != c.refused || !c.refused && err != nil || (res.Dropped > 0) != (c.targets < 5) {
			t.Fatalf("%+v: %+v, %v", c, res, err)
		}
		if _, err := os.Stat(filepath.Join(left.State, gateway.MetadataFile)); (err == nil) == c.refused {
			t.Errorf("%+v: metadata: %v", c, err)
		}
		if c.targets == len(crashed) {
			r = start(t, left, log)
			r.mustGet(all...)
			r.mustBeClean()
		}
	}
}
