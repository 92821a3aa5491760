package erasure

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
)

func TestParseLayoutRoundTrip(t *testing.T) {
	for _, s := range []string{"ec:2+2", "ec:10+2", "replica:3", "stripe:1", "stripe:4"} {
		l, err := ParseLayout(s)
		if err != nil || l.String() != s {
			t.Errorf("ParseLayout(%q) = %v, %v", s, l, err)
		}
	}
	for _, s := range []string{"", "ec", "ec:", "ec:2", "ec:+2+2", "ec:0+2", "ec:2+0", "ec:33+2", "ec:4+9", "replica:0", "replica:-1", "stripe:0", "raid:5", "ec:2+2 "} {
		if l, err := ParseLayout(s); !errors.Is(err, ErrLayout) {
			t.Errorf("ParseLayout(%q) = %v, %v; want ErrLayout", s, l, err)
		}
	}
}

func TestDefaultLayouts(t *testing.T) {
	want := map[int]string{1: "stripe:1", 2: "replica:2", 3: "replica:3", 4: "ec:2+2", 5: "ec:3+2", 8: "ec:6+2", 12: "ec:10+2", 100: "ec:10+2"}
	for n, s := range want {
		if got := Default(n).String(); got != s {
			t.Errorf("Default(%d) = %s, want %s", n, got, s)
		}
	}
	if q := (Layout{2, 2}).WriteQuorum(); q != 3 {
		t.Errorf("quorum of ec:2+2 = %d", q)
	}
	if q := (Layout{4, 0}).WriteQuorum(); q != 4 {
		t.Errorf("quorum of stripe:4 = %d", q)
	}
}

// Every user byte must be found by Locate exactly once, in order, inside the
// chunk that ChunkLen announces.
func TestGeometryCoversEveryByte(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		l := Layout{K: uint8(1 + rng.IntN(10)), M: uint8(rng.IntN(4))}
		g := NewGeometry(l, Unit*(1+rng.IntN(4)), rng.Int64N(3<<20))
		if err := g.Validate(); err != nil {
			t.Fatal(err)
		}
		perShard := make([]int64, l.K)
		for off := int64(0); off < g.Size; {
			sp := g.Locate(off, g.Size)
			if sp.Len <= 0 || sp.Chunk+int64(sp.Len) > g.ChunkLen() {
				t.Fatalf("%+v: Locate(%d) = %+v beyond chunk of %d", g, off, sp, g.ChunkLen())
			}
			if sp.Chunk < perShard[sp.Shard] {
				t.Fatalf("%+v: Locate(%d) = %+v goes back in its chunk", g, off, sp)
			}
			perShard[sp.Shard] = sp.Chunk + int64(sp.Len)
			off += int64(sp.Len)
		}
		waste := g.ChunkLen()*int64(l.K) - g.Size
		if waste < 0 || waste >= int64(l.K)*Align+Align {
			t.Fatalf("%+v: %d bytes of padding", g, waste)
		}
	}
}

func TestRebuildAnyLoss(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, s := range []string{"ec:2+2", "ec:4+2", "ec:10+2", "replica:3", "ec:3+1"} {
		l, _ := ParseLayout(s)
		c, err := NewCodec(l)
		if err != nil {
			t.Fatal(err)
		}
		n := l.Shards()
		blocks := make([][]byte, n)
		for i := range blocks {
			blocks[i] = make([]byte, 4096+64)
			for j := range blocks[i] {
				blocks[i][j] = byte(rng.Uint32())
			}
		}
		if err := c.Encode(blocks); err != nil {
			t.Fatal(err)
		}
		for mask := range 1 << n {
			lost := 0
			present, want := make([]bool, n), make([]bool, n)
			work := make([][]byte, n)
			for i := range n {
				present[i] = mask&(1<<i) == 0
				want[i] = !present[i]
				work[i] = bytes.Clone(blocks[i])
				if !present[i] {
					lost++
					clear(work[i])
				}
			}
			err := c.Rebuild(work, present, want)
			if lost > int(l.M) {
				if !errors.Is(err, ErrTooFewShards) {
					t.Fatalf("%s lost %d: %v", s, lost, err)
				}
				continue
			}
			if err != nil {
				t.Fatalf("%s lost %b: %v", s, mask, err)
			}
			for i := range n {
				if !bytes.Equal(work[i], blocks[i]) {
					t.Fatalf("%s lost %b: block %d differs", s, mask, i)
				}
			}
		}
	}
}
