package extent

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/weftstore/weft/internal/vfs"
)

// Fault model of this file: two owners of one directory, as on a parallel file system. The
// first is frozen at any place and goes on when the second has taken over; it may know
// that its lease has ended, or not know yet.

var errLease = errors.New("lease ended")

type owners struct {
	t    *testing.T
	dir  string
	lost bool // the first owner knows
	old  *Target
}

func (o *owners) fs() vfs.FS {
	f, err := vfs.NewOS(o.dir)
	if err != nil {
		o.t.Fatal(err)
	}
	return f
}

func (o *owners) open(index string, guard func() error) *Target {
	o.t.Helper()
	t, err := Open(Config{
		FS: o.fs(), IndexPath: index, Identity: testIdentity, ExtentSize: 1 << 20, OwnFile: 300 << 10, AllocStep: 64 << 10, Guard: guard,
	})
	if err != nil {
		o.t.Fatal(err)
	}
	return t
}

func newOwners(t *testing.T) *owners {
	o := &owners{t: t, dir: t.TempDir()}
	if err := Format(o.fs(), testIdentity); err != nil {
		t.Fatal(err)
	}
	o.old = o.open(filepath.Join(t.TempDir(), "index"), func() error {
		if o.lost {
			return errLease
		}
		return nil
	})
	return o
}

func mustHave(t *testing.T, tg *Target, sizes map[uint64]int) {
	t.Helper()
	for n, size := range sizes {
		id := testID(n)
		if err := tg.Verify(t.Context(), id); err != nil {
			t.Fatalf("chunk %d of %d bytes: %v", n, size, err)
		}
		info, err := tg.Stat(id)
		if err != nil || info.Length != int64(size) {
			t.Fatalf("chunk %d: %d bytes, want %d, %v", n, info.Length, size, err)
		}
	}
}

func TestTakeOver(t *testing.T) {
	for _, knows := range []bool{true, false} {
		name := map[bool]string{true: "knows", false: "does not know"}[knows]
		t.Run(name, func(t *testing.T) {
			o := newOwners(t)
			have := map[uint64]int{}
			put := func(tg *Target, n uint64, size int) error {
				err := store(tg, testID(n), nil, testData(n, size))
				if err == nil {
					have[n] = size
				}
				return err
			}
			for n, size := range []int{100, 50 << 10, 200 << 10, 400 << 10, 250 << 10, 64 << 10, 180 << 10} {
				if err := put(o.old, uint64(n), size); err != nil {
					t.Fatal(err)
				}
			}
			// Two writers are half way when the first owner is frozen.
			shared, err := o.old.Create(t.Context(), testID(50), 200<<10)
			if err != nil {
				t.Fatal(err)
			}
			own, err := o.old.Create(t.Context(), testID(51), 400<<10)
			if err != nil {
				t.Fatal(err)
			}
			if err := shared.WriteAt(t.Context(), testData(50, 200<<10)[:unit], 0, nil); err != nil {
				t.Fatal(err)
			}
			if err := own.WriteAt(t.Context(), testData(51, 400<<10), 0, nil); err != nil {
				t.Fatal(err)
			}

			if _, err := TakeOver(o.fs(), [16]byte{2}, 1); err != nil {
				t.Fatal(err)
			}
			next := o.open(filepath.Join(t.TempDir(), "index"), nil)
			mustHave(t, next, have)
			for n := range uint64(6) {
				if err := put(next, 100+n, 150<<10); err != nil {
					t.Fatal(err)
				}
			}

			// It thaws and goes on with all it had in hand.
			o.lost = knows
			kept := len(have)
			if err := shared.WriteAt(t.Context(), testData(50, 200<<10)[unit:], unit, nil); err != nil && knows && !errors.Is(err, ErrFenced) {
				t.Fatal(err)
			}
			serr := shared.Commit(t.Context(), nil)
			oerr := own.Commit(t.Context(), nil)
			aerr := store(o.old, testID(52), nil, testData(52, 100))
			if knows && (!errors.Is(serr, ErrFenced) || !errors.Is(oerr, ErrFenced) || !errors.Is(aerr, ErrFenced)) {
				t.Fatalf("acknowledged after its lease: %v, %v, %v", serr, oerr, aerr)
			}
			var all []ID
			for n := range have {
				all = append(all, testID(n))
			}
			_ = o.old.Delete(context.Background(), all) // whatever it believes
			_, _ = o.old.Compact(context.Background(), 0)
			if err := o.old.Check(context.Background()); !errors.Is(err, ErrFenced) {
				t.Fatalf("its check: %v", err)
			}
			_ = o.old.Close()

			if len(have) != kept {
				t.Fatal("the test is wrong")
			}
			mustHave(t, next, have)
			if err := put(next, 200, 400<<10); err != nil {
				t.Fatal(err)
			}
			if _, err := next.Compact(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
			if err := next.Close(); err != nil {
				t.Fatal(err)
			}
			again := o.open(filepath.Join(t.TempDir(), "index"), nil)
			defer again.Close()
			if knows {
				mustHave(t, again, have)
			}
		})
	}
}

// A take-over that was cut short after the superblock is finished by whoever opens it.
func TestTakeOverCutShort(t *testing.T) {
	o := newOwners(t)
	if err := store(o.old, testID(1), nil, testData(1, 1000)); err != nil {
		t.Fatal(err)
	}
	if _, err := SetOwner(o.fs(), [16]byte{2}, 5); err != nil {
		t.Fatal(err)
	}
	next := o.open("", nil)
	defer next.Close()
	mustHave(t, next, map[uint64]int{1: 1000})
	if _, err := os.Stat(filepath.Join(o.dir, "extents.5")); err != nil {
		t.Fatal(err)
	}
	if _, err := o.old.Create(t.Context(), testID(2), 400<<10); err == nil {
		t.Fatal("the old owner made a file")
	}
	if _, err := TakeOver(o.fs(), [16]byte{3}, 5); !errors.Is(err, ErrFenced) {
		t.Fatalf("taken over with the same epoch: %v", err)
	}
	_ = o.old.Close()
}

// Fault model: an owner is frozen in the midst of taking over, another takes over with a higher
// epoch, and the first one thaws and writes its superblock. Who holds the target opens it again.
func TestTakeOverLateSuperblock(t *testing.T) {
	o := newOwners(t)
	if err := store(o.old, testID(1), nil, testData(1, 1000)); err != nil {
		t.Fatal(err)
	}
	late, err := ReadSuperblock(o.fs())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := TakeOver(o.fs(), [16]byte{3}, 6); err != nil {
		t.Fatal(err)
	}
	late.Owner, late.Epoch = [16]byte{2}, 5
	if err := writeSuperblock(o.fs(), late); err != nil {
		t.Fatal(err)
	}
	if err := nameExtents(o.fs(), 5); err == nil {
		t.Fatal("the late one has the extents")
	}
	for range 2 {
		next, err := Open(Config{FS: o.fs(), Identity: testIdentity, Epoch: 6})
		if err != nil {
			t.Fatal(err)
		}
		mustHave(t, next, map[uint64]int{1: 1000})
		if err := next.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := next.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := TakeOver(o.fs(), [16]byte{4}, 7); err != nil {
		t.Fatal(err)
	}
	_ = o.old.Close()
}
