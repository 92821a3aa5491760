package extent

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/weftstore/weft/internal/vfs"
)

func testID(n uint64) (id ID) {
	r := rand.New(rand.NewPCG(n, 7))
	for i := range id.Set {
		id.Set[i] = byte(r.Uint32())
	}
	id.Index = byte(n % 5)
	return id
}

func testData(seed uint64, n int) []byte {
	b := make([]byte, n)
	c := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
	_, _ = c.Read(b) // never fails
	return b
}

var testIdentity = Identity{Deployment: [16]byte{1, 2, 3}, Target: [16]byte{4, 5, 6}}

// store writes a chunk by the call that fits its length.
func store(t *Target, id ID, meta, data []byte) error {
	if len(data) <= MaxInline {
		return t.Append(context.Background(), id, meta, data, nil)
	}
	w, err := t.Create(context.Background(), id, int64(len(data)))
	if err != nil {
		return err
	}
	const block = 3 * unit
	for off := (len(data) - 1) / block * block; off >= 0; off -= block {
		if err := w.WriteAt(context.Background(), data[off:min(off+block, len(data))], int64(off), nil); err != nil {
			w.Abort()
			return err
		}
	}
	return w.Commit(context.Background(), meta)
}

func TestStoreAndReopen(t *testing.T) {
	dir := t.TempDir()
	fs, err := vfs.NewOS(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := Format(fs, testIdentity); err != nil {
		t.Fatal(err)
	}
	for _, index := range []string{"", t.TempDir() + "/index"} {
		cfg := Config{FS: fs, IndexPath: index, Identity: testIdentity}
		sizes := []int{0, 1, 4096, unit, unit + 1, MaxInline, MaxInline + 1, 512 << 10, 1<<20 + 5, OwnFile, OwnFile + 77}
		for round := range 3 {
			tg, err := Open(cfg)
			if err != nil {
				t.Fatal(err)
			}
			for i, n := range sizes {
				id := testID(uint64(i))
				data := testData(uint64(i), n)
				if round == 0 {
					if err := store(tg, id, []byte("meta"), data); err != nil {
						t.Fatal(n, err)
					}
					if err := store(tg, id, nil, data); !errors.Is(err, ErrExists) {
						t.Fatalf("second store: %v", err)
					}
				}
				got := make([]byte, n)
				if err := tg.ReadAt(context.Background(), id, got, 0); err != nil || !bytes.Equal(got, data) {
					t.Fatalf("round %d, %d bytes: %v", round, n, err)
				}
				if err := tg.Verify(context.Background(), id); err != nil {
					t.Fatal(err)
				}
				if info, meta, err := tg.Meta(context.Background(), id); err != nil || string(meta) != "meta" || info.Length != int64(n) {
					t.Fatal(info, meta, err)
				}
				if round == 2 {
					if err := tg.Delete(context.Background(), []ID{id, id}); err != nil {
						t.Fatal(err)
					}
					if err := tg.ReadAt(context.Background(), id, got, 0); !errors.Is(err, ErrNotFound) {
						t.Fatal(err)
					}
				}
			}
			infos, err := tg.List(context.Background(), nil, 100)
			if want := len(sizes); err != nil || round < 2 && len(infos) != want || round == 2 && len(infos) != 0 {
				t.Fatal(len(infos), err)
			}
			if err := tg.Check(context.Background()); err != nil {
				t.Fatal(err)
			}
			u, err := tg.Usage()
			t.Logf("%+v %v", u, err)
			if err := tg.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
