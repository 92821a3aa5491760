package extent

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"github.com/weftstore/weft/internal/faultfs"
	"github.com/weftstore/weft/internal/vfs"
)

// Random operations against a map, with reopening, compaction and crashes of
// the fault model in fault_test.go. -seed replays a failure.
func TestRandomOperations(t *testing.T) {
	seed := testSeed(t)
	rng := rand.New(rand.NewPCG(seed, 1))
	fsys, l := formatted(t, 1<<30), newLedger()
	index := ""
	if seed%2 == 0 {
		index = filepath.Join(t.TempDir(), "index")
	}
	open := func() *Target {
		tg, err := Open(faultConfig(fsys, index))
		if err != nil {
			t.Fatal(err)
		}
		return tg
	}
	tg := open()
	var ids []ID
	steps := 2000
	if testing.Short() {
		steps = 300
	}
	for n := range steps {
		switch p := rng.IntN(100); {
		case p < 55:
			size := rng.IntN(6000)
			if rng.IntN(10) == 0 {
				size = rng.IntN(testOwn + 20000)
			}
			if err := l.store(tg, uint64(n), size); err != nil {
				t.Fatalf("step %d: %v", n, err)
			}
			ids = append(ids, testID(uint64(n)))
		case p < 90:
			for range min(rng.IntN(4), len(ids)) {
				i := rng.IntN(len(ids))
				if err := l.remove(tg, ids[i]); err != nil {
					t.Fatalf("step %d: %v", n, err)
				}
				ids = append(ids[:i], ids[i+1:]...)
			}
		case p < 94:
			if _, err := tg.Compact(context.Background(), 0); err != nil {
				t.Fatalf("step %d: %v", n, err)
			}
		case p < 97:
			if err := tg.Close(); err != nil {
				t.Fatal(err)
			}
			tg = open()
		default:
			tg.setDown(faultfs.ErrCrashed)
			tg.Close()
			fsys = fsys.Crash(rng, 0.5)
			tg = open()
		}
		if n%50 == 0 {
			if err := l.check(tg); err != nil {
				t.Fatalf("step %d: %v", n, err)
			}
		}
	}
	if err := l.check(tg); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if err := l.remove(tg, id); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 { // tombstones go after their victims
		if _, err := tg.Compact(context.Background(), 0); err != nil {
			t.Fatal(err)
		}
	}
	if u, _ := tg.Usage(); u.Extents > 2 || u.LiveBytes != 0 || u.Chunks != 0 {
		t.Errorf("everything was deleted, and left is %+v", u)
	}
	if err := tg.Close(); err != nil {
		t.Fatal(err)
	}
	// A new index comes to the same end.
	index = ""
	tg = open()
	if err := l.check(tg); err != nil {
		t.Fatal(err)
	}
	tg.Close()
}

// Fault model: one bit of one byte in one file of the target is inverted while
// it is closed. Reads then give the right bytes or an error, never other bytes,
// and other chunks are not touched by more than the damage of their extent.
func TestFlippedBit(t *testing.T) {
	fsys, l := formatted(t, 1<<30), newLedger()
	tg, err := Open(faultConfig(fsys, ""))
	if err != nil {
		t.Fatal(err)
	}
	for n, size := range []int{0, 1, 500, unit, unit + 3, MaxInline + 100, testOwn} {
		if err := l.store(tg, uint64(n), size); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.remove(tg, testID(1)); err != nil {
		t.Fatal(err)
	}
	tg.Close()
	rng := rand.New(rand.NewPCG(testSeed(t), 2))
	flips, bad := 0, 0
	for name, size := range fsys.Files() {
		offsets := make([]int64, 0, 4000)
		for off := int64(0); off < min(size, 600); off++ {
			offsets = append(offsets, off)
		}
		for range 500 {
			offsets = append(offsets, rng.Int64N(size))
		}
		for _, off := range offsets {
			c := fsys.Clone()
			c.Flip(name, off, 1<<rng.IntN(8))
			flips++
			cfg := faultConfig(c, "")
			cfg.ReadOnly = off%2 == 0
			tg, err := Open(cfg)
			if err != nil {
				bad++
				if !errors.Is(err, ErrCorrupt) {
					t.Fatalf("%s, byte %d: %v", name, off, err)
				}
				continue
			}
			for id, data := range l.data {
				got := make([]byte, len(data))
				err := tg.ReadAt(context.Background(), id, got, 0)
				switch {
				case err == nil && !bytes.Equal(got, data):
					t.Fatalf("%s, byte %d: wrong bytes", name, off)
				case err == nil && l.state[id] == deleted:
					bad++ // its tombstone was hit: back, but whole
				case err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNotFound):
					t.Fatalf("%s, byte %d: %v", name, off, err)
				case err != nil && l.state[id] == stored:
					bad++
				}
			}
			tg.Close()
		}
	}
	if bad == 0 {
		t.Error("no flip was noticed: the test tests nothing")
	}
	t.Logf("%d flips, %d with an effect", flips, bad)
}

// Concurrent use of everything, for the race detector. No faults.
func TestConcurrentUse(t *testing.T) {
	fsys, err := vfs.NewOS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := Format(fsys, testIdentity); err != nil {
		t.Fatal(err)
	}
	cfg := faultConfig(nil, filepath.Join(t.TempDir(), "index"))
	cfg.FS, cfg.CheckpointEntries, cfg.OpenFiles = fsys, 32, 4
	tg, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	stop := make(chan struct{})
	var background, workers sync.WaitGroup
	background.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := tg.Compact(ctx, 0); err != nil {
				t.Error(err)
			}
			if _, err := tg.List(ctx, nil, 50); err != nil {
				t.Error(err)
			}
			if err := tg.Check(ctx); err != nil {
				t.Error(err)
			}
		}
	})
	for g := range uint64(4) {
		workers.Go(func() {
			rng := rand.New(rand.NewPCG(g, 3))
			live := make(map[ID][]byte)
			for n := range uint64(150) {
				id := testID(g*1000 + n)
				size := rng.IntN(5000)
				if n%20 == 0 {
					size = rng.IntN(testOwn * 2)
				}
				data := testData(g*1000+n, size)
				if err := store(tg, id, []byte("m"), data); err != nil {
					t.Error(err)
					return
				}
				live[id] = data
				for id, data := range live {
					got := make([]byte, len(data))
					if err := tg.ReadAt(ctx, id, got, 0); err != nil || !bytes.Equal(got, data) {
						t.Errorf("read: %v", err)
					}
					if rng.IntN(3) > 0 {
						if err := tg.Delete(ctx, []ID{id}); err != nil {
							t.Error(err)
						}
						if err := tg.ReadAt(ctx, id, got, 0); !errors.Is(err, ErrNotFound) {
							t.Errorf("deleted chunk: %v", err)
						}
						delete(live, id)
					}
					if rng.IntN(4) == 0 {
						break
					}
				}
			}
		})
	}
	workers.Wait()
	close(stop)
	background.Wait()
	if err := tg.Close(); err != nil {
		t.Fatal(err)
	}
}

// gateFS lets a test stop the syncs of extents.
type gateFS struct {
	vfs.FS
	mu   sync.Mutex
	gate chan chan struct{} // a sync sends its own channel and waits for it
}

func (g *gateFS) arm(c chan chan struct{}) {
	g.mu.Lock()
	g.gate = c
	g.mu.Unlock()
}

func (g *gateFS) Open(name string) (vfs.File, error) {
	f, err := g.FS.Open(name)
	return &gateFile{f, g}, err
}

func (g *gateFS) Create(name string) (vfs.File, error) {
	f, err := g.FS.Create(name)
	return &gateFile{f, g}, err
}

type gateFile struct {
	vfs.File
	g *gateFS
}

func (f *gateFile) SyncData() error {
	f.g.mu.Lock()
	gate := f.g.gate
	f.g.gate = nil // one only
	f.g.mu.Unlock()
	if gate != nil {
		mine := make(chan struct{})
		gate <- mine
		<-mine
	}
	return f.File.SyncData()
}

// A commit is under way in an extent that a Create seals: compaction must not
// take the extent for dead, although nothing in it is visible yet.
func TestCompactSparesCommitUnderWay(t *testing.T) {
	g := &gateFS{FS: formatted(t, 1<<30)}
	cfg := faultConfig(nil, "")
	cfg.FS = g
	tg, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l := newLedger()
	if err := l.store(tg, 1, 100); err != nil {
		t.Fatal(err)
	}
	if err := l.remove(tg, testID(1)); err != nil {
		t.Fatal(err)
	}
	gate := make(chan chan struct{})
	g.arm(gate)
	answer := make(chan error)
	go func() { answer <- l.store(tg, 2, 5000) }()
	stopped := <-gate
	for n := range uint64(4) { // more than the extent has room for
		w, err := tg.Create(t.Context(), testID(10+n), testOwn-100)
		if err != nil {
			t.Fatal(err)
		}
		w.Abort()
	}
	if _, err := tg.Compact(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	close(stopped)
	if err := <-answer; err != nil {
		t.Fatal(err)
	}
	if err := l.check(tg); err != nil {
		t.Fatal(err)
	}
	if err := tg.Close(); err != nil {
		t.Fatal(err)
	}
	if tg, err = Open(cfg); err != nil {
		t.Fatal(err)
	}
	if err := l.check(tg); err != nil {
		t.Fatal(err)
	}
	tg.Close()
}
