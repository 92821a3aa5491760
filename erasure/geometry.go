package erasure

import "fmt"

const (
	// Unit is the number of bytes that one checksum covers: 32 KiB, the size at
	// which a random small read costs little more than its own bytes.
	Unit = 32 << 10
	// Align is what the last block of a part is rounded up to, the width of an
	// AVX-512 register.
	Align = 64
	// MaxBlock bounds a block: what one bulk transfer carries.
	MaxBlock = 4 << 20
)

// Geometry is how one part of Size bytes is cut. It is recorded with the part,
// so that a later change of the defaults changes nothing that is stored.
type Geometry struct {
	Layout Layout
	Block  int   // bytes of a full block, a multiple of Unit unless the part has one stripe
	Size   int64 // bytes of user data
}

// NewGeometry cuts a part of size bytes into blocks of at most block bytes. A
// part that fits one stripe gets one stripe of the shortest blocks that hold it.
func NewGeometry(l Layout, block int, size int64) Geometry {
	if size <= int64(block)*int64(l.K) {
		block = shortBlock(size, int(l.K))
	}
	return Geometry{Layout: l, Block: block, Size: size}
}

// Validate reports what makes a decoded geometry impossible.
func (g Geometry) Validate() error {
	switch {
	case !g.Layout.Valid():
		return fmt.Errorf("geometry %+v: %w", g, ErrLayout)
	case g.Size < 0 || g.Block < 0 || g.Block > MaxBlock:
		return fmt.Errorf("geometry %+v: size or block out of range: %w", g, ErrLayout)
	case g.Size > 0 && g.Block == 0:
		return fmt.Errorf("geometry %+v: no block size: %w", g, ErrLayout)
	case g.Stripes() > 1 && g.Block%Unit != 0:
		return fmt.Errorf("geometry %+v: block is no multiple of %d: %w", g, Unit, ErrLayout)
	}
	return nil
}

// StripeSize is the number of user bytes in a full stripe.
func (g Geometry) StripeSize() int64 { return int64(g.Block) * int64(g.Layout.K) }

// Stripes is the number of stripes; 0 for an empty part.
func (g Geometry) Stripes() int64 {
	if g.Size == 0 {
		return 0
	}
	return (g.Size + g.StripeSize() - 1) / g.StripeSize()
}

// DataLen is the number of user bytes in stripe s.
func (g Geometry) DataLen(s int64) int64 {
	return min(g.StripeSize(), g.Size-s*g.StripeSize())
}

// BlockLen is the length of every block of stripe s.
func (g Geometry) BlockLen(s int64) int {
	if n := g.DataLen(s); n < g.StripeSize() {
		return shortBlock(n, int(g.Layout.K))
	}
	return g.Block
}

// ChunkLen is the length of each shard of the part.
func (g Geometry) ChunkLen() int64 {
	n := g.Stripes()
	if n == 0 {
		return 0
	}
	return (n-1)*int64(g.Block) + int64(g.BlockLen(n-1))
}

// Span is a run of user bytes inside one data block.
type Span struct {
	Stripe int64
	Shard  int   // data shard, 0 to K-1
	Chunk  int64 // offset in the shard's chunk
	Len    int   // bytes, never across a block's end
}

// Locate finds where the user byte at off (0 <= off < Size) is stored, and how
// many of the up to n bytes from there lie in the same block.
func (g Geometry) Locate(off, n int64) Span {
	s := off / g.StripeSize()
	in := off - s*g.StripeSize()
	b := int64(g.BlockLen(s))
	shard := in / b
	at := in - shard*b
	return Span{
		Stripe: s,
		Shard:  int(shard),
		Chunk:  s*int64(g.Block) + at,
		Len:    int(min(n, b-at, g.Size-off)),
	}
}

// Units is the number of checksum units in n bytes of a chunk.
func Units(n int64) int { return int((n + Unit - 1) / Unit) }

func shortBlock(n int64, k int) int {
	b := (n + int64(k) - 1) / int64(k)
	return int((b + Align - 1) / Align * Align)
}
