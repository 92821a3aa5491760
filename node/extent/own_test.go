package extent

import (
	"context"
	"errors"
	"path"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/weftstore/weft/internal/faultfs"
	"github.com/weftstore/weft/internal/vfs"
)

// A deletion that failed is no success when it is tried again and the file is still there.
func TestDeleteOwnFileAgain(t *testing.T) {
	for op := 1; op <= 2; op++ { // the unlink, the sync of the directory
		fsys, l := formatted(t, 1<<30), newLedger()
		tg, err := Open(faultConfig(fsys, ""))
		if err != nil {
			t.Fatal(err)
		}
		if err := l.store(tg, 1, testOwn); err != nil {
			t.Fatal(err)
		}
		fsys.FailAt(fsys.Ops()+op, syscall.EIO)
		if err := l.remove(tg, testID(1)); !errors.Is(err, syscall.EIO) {
			t.Fatalf("operation %d: Delete = %v", op, err)
		}
		before := fsys.Ops()
		if err := l.remove(tg, testID(1)); err != nil {
			t.Fatal(err)
		}
		if fsys.Ops() == before {
			t.Errorf("operation %d: the second Delete did nothing", op)
		}
		for name := range fsys.Files() {
			if filepath.Ext(name) == ".o" {
				t.Errorf("operation %d: %s is left", op, name)
			}
		}
		if err := l.check(tg); err != nil {
			t.Error(err)
		}
		if u, _ := tg.Usage(); u.Extents != 0 || u.LiveBytes != 0 {
			t.Errorf("operation %d: left is %+v", op, u)
		}
		tg.Close()
	}
}

// stuckRemove holds up the first removal of a file.
type stuckRemove struct {
	vfs.FS
	once           sync.Once
	begun, release chan struct{}
}

func (f *stuckRemove) Remove(name string) error {
	stuck := false
	if filepath.Ext(name) == ".o" {
		f.once.Do(func() { stuck = true })
	}
	if stuck {
		close(f.begun)
		<-f.release
	}
	return f.FS.Remove(name)
}

// A deletion that hung, and that another one overtook, leaves alone what was stored since.
func TestDeleteOwnFileLate(t *testing.T) {
	fsys, l := formatted(t, 1<<30), newLedger()
	stuck := &stuckRemove{FS: fsys, begun: make(chan struct{}), release: make(chan struct{})}
	cfg := faultConfig(fsys, filepath.Join(t.TempDir(), "index"))
	cfg.FS = stuck
	tg, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer tg.Close()
	if err := l.store(tg, 1, testOwn); err != nil {
		t.Fatal(err)
	}
	late := make(chan error)
	go func() { late <- tg.Delete(context.Background(), []ID{testID(1)}) }()
	<-stuck.begun
	if err := l.remove(tg, testID(1)); err != nil {
		t.Fatal(err)
	}
	if err := l.store(tg, 1, testOwn); err != nil {
		t.Fatal(err)
	}
	if err := tg.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	close(stuck.release)
	if err := <-late; err != nil {
		t.Fatal(err)
	}
	if err := l.check(tg); err != nil {
		t.Error(err)
	}
}

// Fault model: the host dies while the record of an own file is being written, and part
// of it reaches the disk. The file is removed, however often the target is opened.
func TestTornOwnFileIsRemoved(t *testing.T) {
	fsys, l := formatted(t, 1<<30), newLedger()
	cfg := faultConfig(fsys, filepath.Join(t.TempDir(), "index"))
	tg, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := tg.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	if err := l.store(tg, 1, 96*unit); err != nil {
		t.Fatal(err)
	}
	at, err := tg.lookup(testID(1))
	if err != nil {
		t.Fatal(err)
	}
	tg.setDown(faultfs.ErrCrashed)
	tg.Close()
	fsys = fsys.Clone()
	name := extentName(at.extent, true)
	f, err := fsys.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(make([]byte, 512), at.rec+512); err != nil {
		t.Fatal(err)
	}
	var torn int
	cfg.FS, cfg.Events.Torn = fsys, func(ID, uint64) { torn++ }
	if tg, err = Open(cfg); err != nil {
		t.Fatal(err)
	}
	defer tg.Close()
	if _, ok := fsys.Files()[name]; ok || torn != 1 {
		t.Errorf("%s is there: %v; %d chunks were called torn", name, ok, torn)
	}
}

// endsAt is a context that ends when it is asked for the n-th time.
type endsAt struct {
	context.Context
	n int
}

func (c *endsAt) Err() error {
	if c.n--; c.n <= 0 {
		return context.DeadlineExceeded
	}
	return nil
}

// A deletion whose caller gave it up while the index was read deletes nothing: the caller may
// have stored the chunk anew when it goes on.
func TestDeleteTooLate(t *testing.T) {
	for _, size := range []int{100, testOwn} {
		fsys, l := formatted(t, 1<<30), newLedger()
		tg, err := Open(faultConfig(fsys, ""))
		if err != nil {
			t.Fatal(err)
		}
		defer tg.Close()
		if err := l.store(tg, 1, size); err != nil {
			t.Fatal(err)
		}
		if err := tg.Delete(&endsAt{t.Context(), 2}, []ID{testID(1)}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%d bytes: Delete = %v", size, err)
		}
		if err := l.check(tg); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// hookRemove calls a function before a file is removed.
type hookRemove struct {
	vfs.FS
	before func(name string)
}

func (f *hookRemove) Remove(name string) error {
	f.before(name)
	return f.FS.Remove(name)
}

// A read that comes just before a file is removed must not leave it open: its space would
// not come back.
func TestRemovedFileIsClosed(t *testing.T) {
	hook := &hookRemove{FS: formatted(t, 1<<30)}
	cfg := faultConfig(nil, "")
	cfg.FS = hook
	tg, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer tg.Close()
	var removed []uint64
	hook.before = func(name string) {
		num, own, _ := parseExtentName(path.Base(name))
		h, err := tg.files.acquire(num, own)
		if err != nil {
			t.Fatal(err)
		}
		tg.files.release(h)
		removed = append(removed, num)
	}
	l := newLedger()
	halfDead(t, tg, l)
	if err := errors.Join(l.store(tg, 1000, testOwn), l.remove(tg, testID(1000))); err != nil {
		t.Fatal(err)
	}
	if _, err := tg.Compact(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if len(removed) < 2 {
		t.Fatal("the load does too little")
	}
	for _, num := range removed {
		if tg.files.open[num] != nil {
			t.Errorf("extent %d is still open", num)
		}
	}
}

// A chunk with a file becomes durable while the target is closed: no checkpoint begins after that.
func TestCommitOwnFileBesideClose(t *testing.T) {
	fsys, l := formatted(t, 1<<30), newLedger()
	cfg := faultConfig(fsys, filepath.Join(t.TempDir(), "index"))
	cfg.CheckpointEntries = 1
	var tg *Target
	var armed, closed atomic.Bool
	cfg.Guard = func() error {
		if armed.Swap(false) {
			if err := tg.Close(); err != nil {
				t.Error(err)
			}
			closed.Store(true)
		}
		return nil
	}
	cfg.Events.Checkpoint = func(_ int, _ time.Duration, err error) {
		if closed.Load() {
			t.Errorf("a checkpoint of a closed target: %v", err)
		}
	}
	tg, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	armed.Store(true)
	if err := l.store(tg, 1, testOwn); err != nil {
		t.Fatal(err)
	}
	tg.loops.Wait()
	closed.Store(false)
	if tg, err = Open(cfg); err != nil {
		t.Fatal(err)
	}
	if err := l.check(tg); err != nil {
		t.Error(err)
	}
	if err := tg.Close(); err != nil {
		t.Fatal(err)
	}
}
