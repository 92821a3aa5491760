package s3load

import (
	"bytes"
	"testing"
)

func TestContentIsAFunctionOfKeyAndOffset(t *testing.T) {
	c := newContent()
	seed := seedOf([]byte("some key"))
	whole := make([]byte, 3<<20)
	c.fill(whole, seed, 0)
	for _, r := range [][2]int{{0, 1}, {3, 9}, {7, 8}, {8, 4096}, {4090, 4110}, {4096, 12288}, {1048570, 1048580}, {1<<20 - 5, 2<<20 + 77}} {
		p := make([]byte, r[1]-r[0])
		c.fill(p, seed, int64(r[0]))
		if !bytes.Equal(p, whole[r[0]:r[1]]) {
			t.Errorf("range %v differs from the whole", r)
		}
		if at := c.check(p, seed, int64(r[0])); at != -1 {
			t.Errorf("range %v: own content refused at %d", r, at)
		}
	}
}

func TestCheckFindsEveryFlippedByte(t *testing.T) {
	c := newContent()
	seed := seedOf([]byte("k"))
	const off, n = 4000, 9000
	p := make([]byte, n)
	c.fill(p, seed, off)
	for i := range p {
		p[i] ^= 0x10
		if at := c.check(p, seed, off); at < 0 || at > i || i-at >= blockLen {
			t.Fatalf("byte %d changed, found at %d", i, at)
		}
		p[i] ^= 0x10
	}
}

func TestBlocksAreDistinct(t *testing.T) {
	c := newContent()
	seen := map[string]bool{}
	p := make([]byte, 8)
	for _, key := range []string{"a", "b", "weftbench/data-4096/00000001", "weftbench/data-4096/00000010"} {
		for block := range int64(2000) {
			c.fill(p, seedOf([]byte(key)), block*blockLen)
			if seen[string(p)] {
				t.Fatalf("block %d of %s starts like another", block, key)
			}
			seen[string(p)] = true
		}
	}
}

func BenchmarkCheck1MiB(b *testing.B) {
	c := newContent()
	p := make([]byte, 1<<20)
	c.fill(p, 42, 0)
	b.SetBytes(1 << 20)
	for b.Loop() {
		if c.check(p, 42, 0) >= 0 {
			b.Fatal("refused")
		}
	}
}
