package extent

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/weftstore/weft/internal/vfs"
)

// halfDead fills extents and deletes most of what is in them. It gives what is left.
func halfDead(t *testing.T, tg *Target, l *ledger) {
	t.Helper()
	var gone []ID
	for n := range uint64(120) {
		if err := l.store(tg, n, 9000); err != nil {
			t.Fatal(err)
		}
		if n%6 != 0 {
			gone = append(gone, testID(n))
		}
	}
	if err := l.remove(tg, gone...); err != nil {
		t.Fatal(err)
	}
}

// badSector is a file system on which one file cannot be read.
type badSector struct {
	vfs.FS
	name string
}

func (f *badSector) Open(name string) (vfs.File, error) {
	h, err := f.FS.Open(name)
	if err == nil && f.name != "" && strings.HasSuffix(name, f.name) {
		h = unreadable{h}
	}
	return h, err
}

type unreadable struct{ vfs.File }

func (unreadable) ReadAt([]byte, int64) (int, error) { return 0, syscall.EIO }

// An extent that cannot be read does not keep the others from being compacted.
func TestCompactPassesUnreadableExtent(t *testing.T) {
	fsys, l := formatted(t, 1<<30), newLedger()
	bad := &badSector{FS: fsys}
	cfg := faultConfig(fsys, "")
	cfg.FS = bad
	tg, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer tg.Close()
	halfDead(t, tg, l)
	worst := tg.candidates()[0].num
	bad.name = fmt.Sprintf("%08d.x", worst)
	tg.files.drop(worst)
	n, err := tg.Compact(context.Background(), 0)
	if !errors.Is(err, syscall.EIO) {
		t.Errorf("Compact = %v, want the read error", err)
	}
	if n == 0 || len(tg.candidates()) > 1 {
		t.Errorf("%d bytes were given back, %d extents are left to compact", n, len(tg.candidates()))
	}
}

// Fault model: a chunk is corrupt and keeps its extent, another one was moved out of that and
// deleted, and the index is lost. The record that the other one left does not bring it back.
func TestCompactLeavesNoStaleRecords(t *testing.T) {
	fsys, l := formatted(t, 1<<30), newLedger()
	tg, err := Open(faultConfig(fsys, ""))
	if err != nil {
		t.Fatal(err)
	}
	n := uint64(0)
	fill := func() (ids []ID) { // the active extent
		t.Helper()
		for last := tg.nextExtent; tg.nextExtent == last; n++ {
			if err := l.store(tg, n, 9000); err != nil {
				t.Fatal(err)
			}
			ids = append(ids, testID(n))
		}
		return ids
	}
	empty := func(ids []ID) {
		t.Helper()
		if err := l.remove(tg, ids...); err != nil {
			t.Fatal(err)
		}
		if _, err := tg.Compact(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
	}
	fill()
	ids := fill()
	corrupt, moved := ids[0], ids[1]
	at, err := tg.lookup(corrupt)
	if err != nil {
		t.Fatal(err)
	}
	fsys.Flip(extentName(at.extent, false), at.data+5, 1)
	empty(ids[2:])
	if now, err := tg.lookup(moved); err != nil || now.extent == at.extent || tg.extents[at.extent] == nil {
		t.Fatalf("nothing was moved: %+v, %v", now, err)
	}
	if err := l.check(tg); !errors.Is(err, ErrCorrupt) {
		t.Fatal(err)
	}
	empty(append(fill(), moved))
	for range 3 {
		empty(fill()) // also the tombstone's extent
	}
	if err := tg.Close(); err != nil {
		t.Fatal(err)
	}
	if tg, err = Open(faultConfig(fsys, "")); err != nil {
		t.Fatal(err)
	}
	defer tg.Close()
	if err := tg.Verify(t.Context(), moved); !errors.Is(err, ErrNotFound) {
		t.Errorf("what was deleted: %v", err)
	}
	if err := tg.Verify(t.Context(), corrupt); !errors.Is(err, ErrCorrupt) {
		t.Errorf("what is corrupt: %v", err)
	}
}

// A file system that became smaller makes the length smaller from which chunks have files.
func TestCompactKeepsLongChunksInExtents(t *testing.T) {
	fsys, l := formatted(t, 1<<30), newLedger()
	tg, err := Open(faultConfig(fsys, ""))
	if err != nil {
		t.Fatal(err)
	}
	for n := range uint64(4) {
		if err := l.store(tg, n, testOwn-1); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.remove(tg, testID(0)); err != nil {
		t.Fatal(err)
	}
	if err := tg.Close(); err != nil {
		t.Fatal(err)
	}
	cfg := faultConfig(fsys, "")
	cfg.OwnFile = testOwn - 1
	if tg, err = Open(cfg); err != nil {
		t.Fatal(err)
	}
	defer tg.Close()
	if err := l.store(tg, 10, 200<<10); err != nil {
		t.Fatal(err)
	}
	before, _ := tg.Usage()
	for _, e := range tg.extents {
		if e.sealed && e.live > 0 {
			if err := tg.empty(context.Background(), e, &pacer{}); err != nil {
				t.Fatal(err)
			}
			if e.live != 0 {
				t.Errorf("extent %d has %d live bytes after all was moved", e.num, e.live)
			}
		}
	}
	if u, _ := tg.Usage(); u.Chunks != before.Chunks || u.LiveBytes != before.LiveBytes {
		t.Errorf("%+v became %+v", before, u)
	}
	if err := l.check(tg); err != nil {
		t.Error(err)
	}
}

// badHeader is a file system on which the header of one extent cannot be read.
type badHeader struct {
	vfs.FS
	name string
}

func (f *badHeader) Open(name string) (vfs.File, error) {
	h, err := f.FS.Open(name)
	if err == nil && name == f.name {
		h = headless{h}
	}
	return h, err
}

type headless struct{ vfs.File }

func (h headless) ReadAt(p []byte, off int64) (int, error) {
	if off < headerBlock {
		return 0, syscall.EIO
	}
	return h.File.ReadAt(p, off)
}

// The header of one extent cannot be read, and the index has what is needed to read on: the target
// opens with all that it has, and nothing more goes in there.
func TestUnreadableHeaderKeepsTarget(t *testing.T) {
	fsys, l := formatted(t, 1<<30), newLedger()
	cfg := faultConfig(fsys, filepath.Join(t.TempDir(), "index"))
	tg, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for n := range uint64(40) {
		if err := l.store(tg, n, 9000); err != nil {
			t.Fatal(err)
		}
	}
	last := tg.active.num
	if err := tg.Close(); err != nil {
		t.Fatal(err)
	}
	for _, num := range []uint64{1, last} {
		bad, damaged := cfg, uint64(0)
		bad.FS = &badHeader{FS: fsys, name: extentName(num, false)}
		bad.Events.Corrupt = func(_ ID, extent uint64, _ error) { damaged = extent }
		if tg, err = Open(bad); err != nil {
			t.Fatal(err)
		}
		if err := l.store(tg, 100+num, 100); err != nil {
			t.Error(err)
		}
		if at, err := tg.lookup(testID(100 + num)); err != nil || at.extent == num || damaged != num {
			t.Errorf("stored at %+v, %v; extent %d was called damaged", at, err, damaged)
		}
		if err := tg.Close(); err != nil {
			t.Fatal(err)
		}
		if tg, err = Open(bad); err != nil {
			t.Fatal(err)
		}
		for id := range l.data {
			if err := tg.ReadAt(t.Context(), id, make([]byte, len(l.data[id])), 0); err != nil {
				t.Error(err)
			}
		}
		if err := tg.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
