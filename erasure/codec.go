package erasure

import (
	"errors"
	"fmt"

	"github.com/klauspost/reedsolomon"
)

// ErrTooFewShards means that fewer than K shards of a stripe are left.
var ErrTooFewShards = errors.New("too few shards")

// Codec computes the parity of one Layout. Safe for concurrent use.
type Codec struct {
	layout Layout
	rs     reedsolomon.Encoder // nil where parity is a copy or there is none
}

// NewCodec returns the codec of a layout, or ErrLayout.
func NewCodec(l Layout) (*Codec, error) {
	if !l.Valid() {
		return nil, fmt.Errorf("new codec %d+%d: %w", l.K, l.M, ErrLayout)
	}
	c := &Codec{layout: l}
	if l.K == 1 || l.M == 0 {
		return c, nil
	}
	// The caller spreads stripes over cores; goroutines inside one encode of a
	// few hundred KiB cost more than they bring.
	rs, err := reedsolomon.New(int(l.K), int(l.M), reedsolomon.WithMaxGoroutines(1))
	if err != nil {
		return nil, fmt.Errorf("new codec %v: %w", l, err)
	}
	c.rs = rs
	return c, nil
}

// Layout is what the codec was made for.
func (c *Codec) Layout() Layout { return c.layout }

// Encode fills blocks[K:] from blocks[:K]. There are K+M blocks of one length.
// Where K is 1 a parity block may be the data block itself, and nothing is
// copied then.
func (c *Codec) Encode(blocks [][]byte) error {
	if c.rs != nil {
		return c.rs.Encode(blocks)
	}
	for _, p := range blocks[c.layout.K:] {
		if len(p) > 0 && &p[0] != &blocks[0][0] {
			copy(p, blocks[0])
		}
	}
	return nil
}

// Rebuild fills the blocks that are wanted and not present from those that are
// present. Every block has its full length, present or not; those neither
// present nor wanted may be nil. Fewer than K present is ErrTooFewShards.
func (c *Codec) Rebuild(blocks [][]byte, present, want []bool) error {
	have, need := 0, false
	first := -1
	for i := range blocks {
		if present[i] {
			have++
			if first < 0 {
				first = i
			}
		}
		need = need || (want[i] && !present[i])
	}
	if !need {
		return nil
	}
	if have < int(c.layout.K) || c.layout.M == 0 {
		return fmt.Errorf("rebuild %v: %d of %d shards: %w", c.layout, have, c.layout.K, ErrTooFewShards)
	}
	if c.rs == nil {
		for i, b := range blocks {
			if want[i] && !present[i] {
				copy(b, blocks[first])
			}
		}
		return nil
	}
	return c.rebuildRS(blocks, present, want)
}

func (c *Codec) rebuildRS(blocks [][]byte, present, want []bool) error {
	// The encoder takes zero length with capacity as "missing, rebuild here",
	// and nil as "missing"; a missing block that is not wanted stays unbuilt.
	work := make([][]byte, len(blocks))
	required := make([]bool, len(blocks))
	for i, b := range blocks {
		switch {
		case present[i]:
			work[i] = b
		case want[i]:
			work[i], required[i] = b[:0:len(b)], true
		}
	}
	if err := c.rs.ReconstructSome(work, required); err != nil {
		return fmt.Errorf("rebuild %v: %w", c.layout, err)
	}
	return nil
}
