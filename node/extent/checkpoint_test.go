package extent

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/weftstore/weft/internal/faultfs"
)

// Fault model: no checkpoint can be written, as on a full state directory. The changes that
// are kept for it are bounded: new chunks are refused, deletions go on, and so does all
// else when the index can be written again.
func TestUnwrittenIndexIsBounded(t *testing.T) {
	index := filepath.Join(t.TempDir(), "index")
	cfg := faultConfig(formatted(t, 1<<30), index)
	tg, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer tg.Close()
	if err := os.Mkdir(index+sumSuffix+".tmp", 0o700); err != nil { // in the way of the checksum
		t.Fatal(err)
	}
	const bound = 100 // times what a checkpoint takes
	n := uint64(0)
	for ; err == nil; n++ {
		if n == bound*uint64(cfg.CheckpointEntries) {
			t.Fatalf("%d chunks were taken that the index does not have", n)
		}
		err = store(tg, testID(n), nil, nil)
	}
	if !errors.Is(err, syscall.EISDIR) {
		t.Fatalf("refused for another reason: %v", err)
	}
	if err := tg.Delete(context.Background(), []ID{testID(0)}); err != nil {
		t.Error(err)
	}
	if err := os.Remove(index + sumSuffix + ".tmp"); err != nil {
		t.Fatal(err)
	}
	for store(tg, testID(n), nil, nil) != nil {
		runtime.Gosched() // the refusal started another checkpoint
	}
}

// The same while a lost index is made again.
func TestUnwrittenIndexIsBoundedInRecovery(t *testing.T) {
	fsys := formatted(t, 1<<30)
	tg, err := Open(faultConfig(fsys, ""))
	if err != nil {
		t.Fatal(err)
	}
	for n := range uint64(500) {
		if err := store(tg, testID(n), nil, make([]byte, 4096)); err != nil {
			t.Fatal(err)
		}
	}
	tg.Close()
	cfg := faultConfig(fsys, filepath.Join(t.TempDir(), "index"))
	most := 0
	cfg.Events.Checkpoint = func(entries int, _ time.Duration, _ error) { most = max(most, entries) }
	if err := os.Mkdir(cfg.IndexPath+sumSuffix+".tmp", 0o700); err != nil {
		t.Fatal(err)
	}
	if tg, err = Open(cfg); !errors.Is(err, syscall.EISDIR) {
		t.Errorf("Open = %v, %v", tg, err)
	}
	if most >= 500 {
		t.Errorf("%d changes were kept in memory", most)
	}
}

// Fault model: the index is lost, and an extent has many records. What is found in one is not
// kept in memory as a whole.
func TestRecoveryIsBoundedWithinExtent(t *testing.T) {
	fsys := formatted(t, 1<<30)
	tg, err := Open(faultConfig(fsys, ""))
	if err != nil {
		t.Fatal(err)
	}
	const chunks = 600
	for n := range uint64(chunks) {
		if err := store(tg, testID(n), nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	if tg.active.num != 1 {
		t.Fatalf("the chunks are in %d extents", tg.active.num)
	}
	if err := tg.Close(); err != nil {
		t.Fatal(err)
	}
	cfg := faultConfig(fsys, filepath.Join(t.TempDir(), "index"))
	most := 0
	cfg.Events.Checkpoint = func(entries int, _ time.Duration, _ error) { most = max(most, entries) }
	for range 2 {
		if tg, err = Open(cfg); err != nil {
			t.Fatal(err)
		}
		u, err := tg.Usage()
		if err != nil || u.Chunks != chunks || tg.extents[1].live != int64(u.LiveBytes) {
			t.Errorf("%+v in all, %d bytes in extent 1, %v", u, tg.extents[1].live, err)
		}
		if err := tg.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if most > 4*cfg.CheckpointEntries {
		t.Errorf("%d changes were kept in memory", most)
	}
}

// Fault model: the process dies when all was moved out of an extent and that is to be removed,
// and the host dies while the next process recovers, with the index or without.
func TestCrashInRecovery(t *testing.T) {
	fsys, l := formatted(t, 1<<30), newLedger()
	index := t.TempDir()
	cfg := faultConfig(fsys, filepath.Join(index, "index"))
	cfg.CheckpointEntries = 1000
	tg, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	halfDead(t, tg, l)
	for n := uint64(0); tg.extents[1].live > 0; n += 6 {
		if err := l.remove(tg, testID(n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := tg.empty(t.Context(), tg.extents[1], &pacer{}); err != nil {
		t.Fatal(err)
	}
	if err := tg.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	for n := range uint64(500) {
		if err := l.store(tg, 1000+n, 0); err != nil {
			t.Fatal(err)
		}
	}
	tg.setDown(faultfs.ErrCrashed)
	tg.Close()
	seed := testSeed(t)
	for k, lost := 1, true; ; k, lost = k+1, !lost {
		dir, before := t.TempDir(), fsys.Clone()
		if !lost {
			if err := os.CopyFS(dir, os.DirFS(index)); err != nil {
				t.Fatal(err)
			}
		}
		before.CrashAt(k)
		cfg := faultConfig(before, filepath.Join(dir, "index"))
		tg, open := Open(cfg)
		if open == nil {
			tg.setDown(faultfs.ErrCrashed)
			tg.Close()
		}
		cfg.FS = before.Crash(rand.New(rand.NewPCG(seed, uint64(k))), 0)
		if tg, err = Open(cfg); err != nil {
			t.Fatalf("crash at operation %d, open: %v", k, err)
		}
		if err := l.check(tg); err != nil {
			t.Errorf("crash at operation %d: %v", k, err)
		}
		if err := tg.Close(); err != nil {
			t.Fatal(err)
		}
		if open == nil && lost { // which has the most operations
			break
		}
	}
}
