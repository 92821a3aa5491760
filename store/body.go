package store

import (
	"fmt"
	"io"

	"github.com/weftstore/weft/erasure"
	"github.com/weftstore/weft/internal/checksum"
)

// peekLen is how much of a stripe is read before memory is taken for it, so that
// a client that sends nothing holds nothing. It fits what an HTTP body has in
// its buffer anyway.
const peekLen = 512

// body reads exactly size bytes, straight into the blocks it is given.
type body struct {
	r      io.Reader
	left   int64 // not handed out yet
	peeked int
	peek   [peekLen]byte
}

// wait returns when the first bytes of what comes next are there.
func (b *body) wait() error {
	if b.peeked > 0 || b.left == 0 {
		return nil
	}
	for b.peeked == 0 {
		n, err := b.r.Read(b.peek[:min(b.left, peekLen)])
		b.peeked = n
		if n == 0 && err != nil {
			return bodyError(err)
		}
	}
	return nil
}

// fill reads len(p) bytes.
func (b *body) fill(p []byte) error {
	n := copy(p, b.peek[:b.peeked])
	b.peeked = copy(b.peek[:], b.peek[n:b.peeked])
	b.left -= int64(len(p))
	for n < len(p) {
		m, err := b.r.Read(p[n:])
		n += m
		if err != nil && n < len(p) {
			return bodyError(err)
		}
	}
	return nil
}

// end reads on to io.EOF: trailers are checked there by who made the reader.
func (b *body) end() error {
	for {
		switch n, err := b.r.Read(b.peek[:1]); {
		case n > 0:
			return fmt.Errorf("body goes on: %w", ErrShortBody)
		case err == io.EOF:
			return nil
		case err != nil:
			return bodyError(err)
		}
	}
}

func bodyError(err error) error {
	if err == io.EOF {
		return fmt.Errorf("body ended early: %w", ErrShortBody)
	}
	return fmt.Errorf("read body: %w", err)
}

// unitCRCs appends the checksums of p's units.
func unitCRCs(dst []uint64, p []byte) []uint64 {
	for len(p) > 0 {
		n := min(len(p), erasure.Unit)
		dst = append(dst, checksum.CRC64(p[:n]))
		p = p[n:]
	}
	return dst
}

// joinCRCs extends crc, the checksum of what comes before, by the first n bytes
// of block, whose unit checksums are known.
func joinCRCs(crc uint64, block []byte, n int, units []uint64) uint64 {
	for i, u := range units {
		at := i * erasure.Unit
		if at >= n {
			break
		}
		unit := block[at:min(at+erasure.Unit, len(block))]
		if at+len(unit) <= n {
			crc = checksum.CombineCRC64(crc, u, int64(len(unit)))
		} else { // padding follows in this unit
			crc = checksum.UpdateCRC64(crc, unit[:n-at])
		}
	}
	return crc
}
