package vfs

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"
)

// page-aligned memory, as registered blocks have.
func alignedBytes(t *testing.T, n int) []byte {
	t.Helper()
	p, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(p) })
	return p
}

// Writes of every alignment, direct and buffered side by side in one file, must
// read back as a plain array does.
func TestWriteAtMixesDirectAndBuffered(t *testing.T) {
	fsys, err := NewOS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f, err := fsys.Create("f")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const size = 4 << 20
	if err := f.Allocate(0, size); err != nil {
		t.Fatal(err)
	}
	model := make([]byte, size)
	mem := alignedBytes(t, 1<<20)
	rng := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		n := 1 + rng.IntN(600<<10)
		shift := rng.IntN(2) * rng.IntN(directAlign)
		off := rng.Int64N(size - int64(n))
		if rng.IntN(2) == 0 {
			off &^= directAlign - 1
		}
		p := mem[shift : shift+n]
		for i := range p {
			p[i] = byte(rng.Uint32())
		}
		if w, err := f.WriteAt(p, off); err != nil || w != n {
			t.Fatalf("WriteAt(%d bytes, %d) = %d, %v", n, off, w, err)
		}
		copy(model[off:], p)
	}
	if err := f.SyncData(); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, size)
	if _, err := f.ReadAt(got, 0); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, model) {
		t.Fatal("file differs from what was written")
	}
}

// Only the aligned front of a long aligned write goes direct; a refusal of the
// file system turns direct writes off and loses nothing.
func TestWriteDirectIsBounded(t *testing.T) {
	fsys, err := NewOS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	file, err := fsys.Create("f")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	f := file.(*osFile)
	mem := alignedBytes(t, 1<<20)
	for _, c := range []struct {
		shift, n int
		off      int64
	}{{0, directMin - 1, 0}, {64, 512 << 10, 0}, {0, 512 << 10, 512}} {
		if n := f.writeDirect(mem[c.shift:c.shift+c.n], c.off); n != 0 {
			t.Errorf("writeDirect(%+v) wrote %d bytes", c, n)
		}
	}
	f.noDirect()
	if n := f.writeDirect(mem, 0); n != 0 {
		t.Errorf("wrote %d bytes after the file system refused", n)
	}
	if n, err := f.WriteAt(mem, 0); n != len(mem) || err != nil {
		t.Errorf("WriteAt = %d, %v", n, err)
	}
}
