package node

import (
	"log/slog"
	"os"
	"slices"
	"testing"

	"github.com/weftstore/weft/internal/vfs"
	"github.com/weftstore/weft/node/extent"
)

// Every owner has an index of its own, and the state directory only that of the last.
func TestOpenRemovesOldIndexes(t *testing.T) {
	dir, indexes := t.TempDir(), t.TempDir()
	id := extent.Identity{Deployment: seq(0x40), Target: seq(1)}
	if err := FormatExtent(dir, id); err != nil {
		t.Fatal(err)
	}
	other := TargetUUID(seq(2)).String() + ".index"
	if err := os.WriteFile(indexPath(indexes, seq(2)), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	fsys, err := vfs.NewOS(dir)
	if err != nil {
		t.Fatal(err)
	}
	for epoch := range uint64(12) {
		if epoch > 0 {
			if _, err := extent.TakeOver(fsys, seq(9), epoch); err != nil {
				t.Fatal(err)
			}
		}
		b, _, err := OpenExtent(dir, indexes, OpenOptions{Logger: slog.New(slog.DiscardHandler), Epoch: epoch})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Append(t.Context(), testID(byte(epoch)), nil, []byte("x"), nil); err != nil {
			t.Fatal(err)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		files, err := os.ReadDir(indexes)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, f := range files {
			names = append(names, f.Name())
		}
		if len(names) != 3 || !slices.Contains(names, other) {
			t.Fatalf("epoch %d: %q", epoch, names)
		}
	}
}

// An index that cannot be written is told of: until it can, its changes are kept in memory.
func TestFailedCheckpointIsLogged(t *testing.T) {
	dir, indexes := t.TempDir(), t.TempDir()
	if err := FormatExtent(dir, extent.Identity{Target: seq(1)}); err != nil {
		t.Fatal(err)
	}
	var log syncBuffer
	b, _, err := OpenExtent(dir, indexes, OpenOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := os.RemoveAll(indexes); err != nil {
		t.Fatal(err)
	}
	if err := b.Checkpoint(); err == nil {
		t.Fatal("no error")
	}
	if n := log.count("index cannot be written"); n != 1 {
		t.Errorf("logged %d times", n)
	}
}
