package store

import (
	"context"
	"io"

	"github.com/weftstore/weft/erasure"
	"github.com/weftstore/weft/internal/tracing"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/rdma"
)

// segment is a run of user bytes within one stripe, in memory or on its way: what
// one round of reads brings.
type segment struct {
	pieces []piece
	one    [1]piece // of most
}

// piece is what a segment takes from one shard.
type piece struct {
	shard int
	chunk chunkRange // what is read: whole units
	skip  int        // bytes in the range before the wanted ones
	n     int        // wanted bytes
	block *rdma.Block
	base  int // of the wanted bytes in block
}

// chunkRange is a run of bytes of a chunk that begins on a unit and ends on one or
// with the chunk.
type chunkRange struct {
	off int64
	n   int
}

func (r chunkRange) end() int64 { return r.off + int64(r.n) }

func (r chunkRange) covers(o chunkRange) bool { return r.off <= o.off && r.end() >= o.end() }

// join is the shortest range that has both.
func (r chunkRange) join(o chunkRange) chunkRange {
	if r.n == 0 {
		return o
	}
	off := min(r.off, o.off)
	return chunkRange{off, int(max(r.end(), o.end()) - off)}
}

// units rounds a span out to whole units of a chunk of length bytes.
func units(off int64, n int, length int64) chunkRange {
	from := off / erasure.Unit * erasure.Unit
	to := (off + int64(n) + erasure.Unit - 1) / erasure.Unit * erasure.Unit
	return chunkRange{from, int(min(to, length) - from)}
}

// plan makes the segment of a part that begins at off and ends within [off, end),
// and returns where it ends: at most one stripe, and no range, nor that of all pieces
// together, longer than a block of limit bytes.
func plan(g erasure.Geometry, off, end int64, limit int) (*segment, int64) {
	seg := new(segment)
	seg.pieces = seg.one[:0]
	length := g.ChunkLen()
	var all chunkRange
	stripe := off / g.StripeSize()
	end = min(end, (stripe+1)*g.StripeSize())
	for off < end {
		sp := g.Locate(off, end-off)
		r := units(sp.Chunk, sp.Len, length)
		if r.n > limit {
			// Stored in longer blocks than this process has now: a piece at a time.
			sp.Len = int(r.off + int64(limit) - sp.Chunk)
			r.n = limit
			end = off + int64(sp.Len)
		}
		if all = all.join(r); all.n > limit {
			return seg, off // rebuilding reads all of it into one block
		}
		seg.pieces = append(seg.pieces, piece{shard: sp.Shard, chunk: r, skip: int(sp.Chunk - r.off), n: sp.Len})
		off += int64(sp.Len)
	}
	return seg, end
}

// longest is the length of the longest range of a segment.
func (seg *segment) longest() int {
	n := 0
	for i := range seg.pieces {
		n = max(n, seg.pieces[i].chunk.n)
	}
	return n
}

// poolFor chooses the pool whose blocks hold n bytes.
func (s *Store) poolFor(n int) *rdma.Pool {
	if n <= s.small.BlockSize() {
		return s.small
	}
	return s.pool
}

// release gives the blocks of a segment back. Idempotent.
func (seg *segment) release() {
	for i := range seg.pieces {
		p := &seg.pieces[i]
		if p.block == nil {
			continue
		}
		last := true
		for j := i + 1; j < len(seg.pieces); j++ {
			last = last && seg.pieces[j].block != p.block
		}
		if last {
			p.block.Release()
		}
		p.block = nil
	}
}

// bytes of a piece, valid until the segment is released.
func (p *piece) bytes() []byte { return p.block.Bytes()[p.base : p.base+p.n] }

// writeTo writes the segment from off to w.
func (seg *segment) writeTo(w io.Writer, off int) (int64, error) {
	var total int64
	for i := range seg.pieces {
		b := seg.pieces[i].bytes()
		if off >= len(b) {
			off -= len(b)
			continue
		}
		n, err := w.Write(b[off:])
		total += int64(n)
		if err != nil {
			return total, err
		}
		off = 0
	}
	return total, nil
}

// copyTo copies from off on into p.
func (seg *segment) copyTo(p []byte, off int) int {
	n := 0
	for i := range seg.pieces {
		b := seg.pieces[i].bytes()
		if off >= len(b) {
			off -= len(b)
			continue
		}
		n += copy(p[n:], b[off:])
		off = 0
	}
	return n
}

// size is the number of user bytes in the segment.
func (seg *segment) size() int {
	n := 0
	for i := range seg.pieces {
		n += seg.pieces[i].n
	}
	return n
}

// load reads the segment into blocks, one for each piece, which are its own from now on.
func (s *Store) load(ctx context.Context, part *metadata.Part, ref metadata.PartRef, seg *segment, blocks []*rdma.Block) error {
	ctx, span := tracing.StartRepeated(ctx, "store.fetch")
	span.Int("weft.bytes", int64(seg.size()))
	f := newFetch(ctx, s, part, ref, seg)
	err := f.read(blocks)
	if err == errNarrow {
		err = f.readWide()
	}
	endSpan(span, err)
	return err
}
