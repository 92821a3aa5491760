package extent

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
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
