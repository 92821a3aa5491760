package extent

// Fault model of the tests in this file: the host dies at any file system
// operation. Of what was not synced, any subset of 512-byte sectors and of
// directory changes survives (package faultfs). Or one operation fails, with EIO
// or ENOSPC, writes having written their first half. The index file is on
// another, reliable disk or does not exist.
//
// Expected: every acknowledged chunk reads back byte by byte, every
// acknowledged deletion holds, and what was in flight is there whole or not at all.

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/weftstore/weft/internal/faultfs"
)

var seedFlag = flag.Uint64("seed", 0, "seed of the random tests; 0 takes a new one")

func testSeed(t *testing.T) uint64 {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("replay with -seed %d", seed)
	return seed
}

// ledger is what clients know.
type ledger struct {
	mu    sync.Mutex
	state map[ID]fate
	data  map[ID][]byte
}

type fate int

const (
	flying  fate = iota // asked for, not answered
	stored              // acknowledged
	dying               // deletion asked for
	deleted             // deletion acknowledged
)

func newLedger() *ledger { return &ledger{state: make(map[ID]fate), data: make(map[ID][]byte)} }

func (l *ledger) set(id ID, f fate) {
	l.mu.Lock()
	l.state[id] = f
	l.mu.Unlock()
}

func (l *ledger) store(t *Target, n uint64, size int) error {
	id, data := testID(n), testData(n, size)
	l.mu.Lock()
	l.state[id], l.data[id] = flying, data
	l.mu.Unlock()
	err := store(t, id, fmt.Appendf(nil, "meta %d", n), data)
	if err == nil {
		l.set(id, stored)
	}
	return err
}

func (l *ledger) remove(t *Target, ids ...ID) error {
	for _, id := range ids {
		l.set(id, dying)
	}
	err := t.Delete(context.Background(), ids)
	if err == nil {
		for _, id := range ids {
			l.set(id, deleted)
		}
	}
	return err
}

// check compares a target with the ledger.
func (l *ledger) check(t *Target) error {
	for id, f := range l.state {
		data := l.data[id]
		got := make([]byte, len(data))
		err := t.ReadAt(context.Background(), id, got, 0)
		gone := errors.Is(err, ErrNotFound)
		switch {
		case err != nil && !gone:
			return fmt.Errorf("chunk %v (fate %d): %w", id, f, err)
		case gone && f == stored:
			return fmt.Errorf("chunk %v of %d bytes was acknowledged and is lost", id, len(data))
		case !gone && f == deleted:
			return fmt.Errorf("chunk %v was deleted and is back", id)
		case !gone && !bytes.Equal(got, data):
			return fmt.Errorf("chunk %v has wrong bytes", id)
		}
		if gone {
			continue
		}
		if err := t.Verify(context.Background(), id); err != nil {
			return fmt.Errorf("chunk %v (fate %d): %w", id, f, err)
		}
	}
	infos, err := t.List(context.Background(), nil, 1<<20)
	if err != nil {
		return err
	}
	u, _ := t.Usage()
	if u.Chunks != uint64(len(infos)) {
		return fmt.Errorf("%d chunks counted, %d listed", u.Chunks, len(infos))
	}
	for _, info := range infos {
		if _, known := l.state[info.ID]; !known {
			return fmt.Errorf("chunk %v was never written", info.ID)
		}
	}
	return nil
}

// settle makes the fates definite after a crash: what is there stays.
func (l *ledger) settle(t *Target) {
	for id, f := range l.state {
		if f == flying || f == dying {
			if _, err := t.Stat(id); err == nil {
				l.state[id] = stored
			} else {
				l.state[id] = deleted
			}
		}
	}
}

const testOwn = 96 << 10

func faultConfig(fsys *faultfs.FS, index string) Config {
	return Config{
		FS: fsys, IndexPath: index, Identity: testIdentity, ExtentSize: 256 << 10, AllocStep: 32 << 10,
		OwnFile: testOwn, Reserve: 192 << 10, CheckpointEntries: 16,
	}
}

// work is a fixed load: concurrent small chunks, chunks in blocks, own files,
// deletions, a compaction. It ends at the first error.
func work(t *Target, l *ledger, base uint64) error {
	ctx := context.Background()
	for round := range uint64(3) {
		var wg sync.WaitGroup
		errs := make([]error, 6)
		n := base + round*100
		for i, size := range []int{100, 4096, unit + 9, MaxInline, MaxInline + 5000, testOwn + 100} {
			wg.Go(func() { errs[i] = l.store(t, n+uint64(i), size) })
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			return err
		}
		for i := range uint64(4) {
			if err := l.store(t, n+10+i, 3000); err != nil {
				return err
			}
		}
		if err := l.remove(t, testID(n), testID(n+2), testID(n+3), testID(n+4), testID(n+5), testID(n+11)); err != nil {
			return err
		}
		if round == 1 {
			if _, err := t.Compact(ctx, 0); err != nil {
				return err
			}
		}
	}
	if _, err := t.Compact(ctx, 0); err != nil {
		return err
	}
	return t.Close()
}

func formatted(t *testing.T, total int64) *faultfs.FS {
	fsys := faultfs.New(total)
	if err := Format(fsys, testIdentity); err != nil {
		t.Fatal(err)
	}
	return fsys
}

// crashRound runs work until a crash at operation k, twice in a row, and
// checks what is left each time. done is true when work ended before the crash.
func crashRound(t *testing.T, seed uint64, k int, index string, lie bool) (done bool, err error) {
	rng := rand.New(rand.NewPCG(seed, uint64(k)))
	fsys, l := formatted(t, 1<<30), newLedger()
	for life := range uint64(2) {
		if lie {
			fsys.LieAboutSync()
		}
		fsys.CrashAt(fsys.Ops() + k)
		tg, err := Open(faultConfig(fsys, index))
		if err == nil {
			done = work(tg, l, life*1000) == nil
			tg.setDown(faultfs.ErrCrashed) // a dead process writes no checkpoint
			tg.Close()
		}
		fsys = fsys.Crash(rng, []float64{0.5, 0.9, 0.1}[rng.IntN(3)])
		tg, err = Open(faultConfig(fsys, index))
		if err != nil {
			return done, fmt.Errorf("life %d, open after the crash: %w", life, err)
		}
		if err := l.check(tg); err != nil {
			tg.Close()
			return done, fmt.Errorf("life %d: %w", life, err)
		}
		l.settle(tg)
		// Half of the lives end without a clean close.
		if rng.IntN(2) == 0 {
			tg.setDown(faultfs.ErrCrashed)
		}
		tg.Close()
	}
	return done, nil
}

func TestCrashAtEveryOperation(t *testing.T) {
	seed := testSeed(t)
	for k := 1; ; k++ {
		done, err := crashRound(t, seed, k, "", false)
		if err != nil {
			t.Fatalf("crash at operation %d: %v", k, err)
		}
		if done {
			t.Logf("%d operations", k)
			if k < 100 {
				t.Fatal("the load does too little")
			}
			return
		}
	}
}

func TestCrashWithIndex(t *testing.T) {
	seed := testSeed(t)
	for k := 1; ; k += 9 {
		done, err := crashRound(t, seed, k, filepath.Join(t.TempDir(), fmt.Sprint(k)), false)
		if err != nil {
			t.Fatalf("crash at operation %d: %v", k, err)
		}
		if done {
			return
		}
	}
}

// The checker can fail: when syncs do nothing, losses are seen.
func TestCrashCheckerSeesLoss(t *testing.T) {
	lost := 0
	for k := 40; k < 120; k += 4 {
		if _, err := crashRound(t, 1, k, "", true); err != nil {
			lost++
		}
	}
	if lost < 10 {
		t.Fatalf("only %d of 20 crashes without sync were noticed", lost)
	}
}

// A process that dies without its host leaves the page cache: everything that
// was written is there, synced or not.
func TestKillKeepsPageCache(t *testing.T) {
	fsys, l := formatted(t, 1<<30), newLedger()
	for k := 5; k < 400; k += 7 {
		fsys.CrashAt(fsys.Ops() + k)
		tg, err := Open(faultConfig(fsys, ""))
		if err == nil {
			_ = work(tg, l, uint64(k)*1000)
			tg.setDown(faultfs.ErrCrashed)
			tg.Close()
		}
		fsys = fsys.Clone()
		if tg, err = Open(faultConfig(fsys, "")); err != nil {
			t.Fatal(err)
		}
		if err := l.check(tg); err != nil {
			t.Fatalf("kill at %d: %v", k, err)
		}
		l.settle(tg)
		tg.Close()
	}
}

// A process dies at any operation, the next one finds its work in the page cache and goes
// on, and then the host dies: what the second one acknowledged holds.
func TestKillThenCrash(t *testing.T) {
	for k := 1; ; k++ {
		fsys, l := faultfs.New(1<<30), newLedger()
		fsys.CrashAt(k)
		first := func() error {
			if err := Format(fsys, testIdentity); err != nil {
				return err
			}
			tg, err := Open(faultConfig(fsys, ""))
			if err != nil {
				return err
			}
			defer tg.Close()
			defer tg.setDown(faultfs.ErrCrashed)
			return errors.Join(l.store(tg, 1, 100), l.store(tg, 2, testOwn), l.remove(tg, testID(2)))
		}
		done := first() == nil
		fsys.Revive()
		tg, err := Open(faultConfig(fsys, ""))
		if err != nil {
			if errors.Is(err, ErrOffline) {
				continue // not formatted yet
			}
			t.Fatal(err)
		}
		if err := errors.Join(l.store(tg, 3, 100), l.remove(tg, testID(2))); err != nil {
			t.Fatal(err)
		}
		tg.setDown(faultfs.ErrCrashed)
		tg.Close()
		tg, err = Open(faultConfig(fsys.Crash(rand.New(rand.NewPCG(1, uint64(k))), 0), ""))
		if err != nil {
			t.Errorf("kill at %d, open: %v", k, err)
			continue
		}
		if err := l.check(tg); err != nil {
			t.Errorf("kill at %d: %v", k, err)
		}
		tg.Close()
		if done {
			return
		}
	}
}

func TestFailEveryOperation(t *testing.T) {
	for _, failure := range []error{syscall.EIO, syscall.ENOSPC} {
		for i := 1; ; i++ {
			fsys, l := formatted(t, 1<<30), newLedger()
			at := fsys.Ops() + i
			fsys.FailAt(at, failure)
			tg, err := Open(faultConfig(fsys, ""))
			if err != nil {
				if errors.Is(err, failure) || errors.Is(err, ErrFull) {
					continue
				}
				t.Fatalf("operation %d, open: %v", i, err)
			}
			_ = work(tg, l, 0)
			tg.Close()
			after := fsys.Ops() >= at
			if tg, err = Open(faultConfig(fsys.Crash(rand.New(rand.NewPCG(1, uint64(i))), 0.5), "")); err != nil {
				t.Fatalf("%v at operation %d, open: %v", failure, i, err)
			}
			if err := l.check(tg); err != nil {
				t.Fatalf("%v at operation %d: %v", failure, i, err)
			}
			l.settle(tg)
			// The target works again.
			if err := l.store(tg, 99999, 5000); err != nil {
				t.Fatal(err)
			}
			tg.Close()
			if !after {
				t.Logf("%d operations", i)
				break
			}
		}
	}
}

// The target goes on in the same process after one failed operation.
func TestGoesOnAfterFailure(t *testing.T) {
	for i := 5; i < 60; i++ {
		fsys, l := formatted(t, 1<<30), newLedger()
		tg, err := Open(faultConfig(fsys, ""))
		if err != nil {
			t.Fatal(err)
		}
		fsys.FailAt(fsys.Ops()+i, syscall.EIO)
		failures := 0
		for n := range uint64(40) {
			if err := l.store(tg, n, 2000*int(n%50)); err != nil {
				failures++
			}
		}
		if failures > 1 {
			t.Fatalf("operation %d: one failure made %d chunks fail", i, failures)
		}
		if err := l.check(tg); err != nil {
			t.Fatal(err)
		}
		tg.Close()
	}
}

func TestFullTarget(t *testing.T) {
	fsys, l := formatted(t, 3<<20), newLedger()
	tg, err := Open(faultConfig(fsys, ""))
	if err != nil {
		t.Fatal(err)
	}
	var full error
	var n uint64
	for ; full == nil && n < 2000; n++ {
		full = l.store(tg, n, 9000)
	}
	if !errors.Is(full, ErrFull) {
		t.Fatalf("a full target answers %v", full)
	}
	if err := l.check(tg); err != nil {
		t.Fatal(err)
	}
	for i := range n - 1 {
		if i%4 != 0 {
			if err := l.remove(tg, testID(i)); err != nil {
				t.Fatalf("delete on a full target: %v", err)
			}
		}
	}
	got, err := tg.Compact(context.Background(), 0)
	if err != nil || got < 1<<20 {
		t.Fatalf("compaction of a full target gave %d: %v", got, err)
	}
	if err := l.store(tg, 5000, 9000); err != nil {
		t.Fatalf("after making room: %v", err)
	}
	if err := l.check(tg); err != nil {
		t.Fatal(err)
	}
	tg.Close()
}

// Fault model: the block with both copies of a header was zeroed, and the index is lost.
// What a crash cannot have left is damage, and is not thrown away.
func TestZeroedHeaderIsDamage(t *testing.T) {
	fsys, l := formatted(t, 1<<30), newLedger()
	tg, err := Open(faultConfig(fsys, ""))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.store(tg, 1, 3000); err != nil {
		t.Fatal(err)
	}
	if err := tg.Close(); err != nil {
		t.Fatal(err)
	}
	name := extentName(1, false)
	f, err := fsys.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(make([]byte, headerBlock), 0); err != nil {
		t.Fatal(err)
	}
	damaged := 0
	cfg := faultConfig(fsys, "")
	cfg.Events.Corrupt = func(ID, uint64, error) { damaged++ }
	if tg, err = Open(cfg); err != nil {
		t.Fatal(err)
	}
	defer tg.Close()
	if _, ok := fsys.Files()[name]; !ok || damaged != 1 {
		t.Errorf("%s is there: %v; %d extents were called damaged", name, ok, damaged)
	}
}

// The block with both copies of an extent's header is damaged. The index has what is
// needed to read on, but what is written from then on must not need the index.
func TestDamagedHeaderTakesNoMore(t *testing.T) {
	fsys, l := formatted(t, 1<<30), newLedger()
	index := filepath.Join(t.TempDir(), "index")
	for n := range uint64(2) {
		tg, err := Open(faultConfig(fsys, index))
		if err != nil {
			t.Fatal(err)
		}
		if err := l.store(tg, n, 100); err != nil {
			t.Fatal(err)
		}
		if err := l.check(tg); err != nil {
			t.Fatal(err)
		}
		tg.Close()
		if n == 0 {
			fsys.Flip(extentName(1, false), 20, 1)
			fsys.Flip(extentName(1, false), headerCopy+20, 1)
		}
	}
	tg, err := Open(faultConfig(fsys, "")) // the index is lost
	if err != nil {
		t.Fatal(err)
	}
	defer tg.Close()
	if err := tg.Verify(context.Background(), testID(1)); err != nil {
		t.Errorf("what was stored after the damage: %v", err)
	}
}
