package s3load

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
)

const (
	// patternLen is the largest prime below 2^20, so that no two block-aligned offsets less than a
	// TiB apart see the same place of the pattern by accident of powers of two.
	patternLen = 1048573
	// blockLen is the distance between two stamps.
	blockLen = 4096
	// stampLen is the length of a stamp, at the start of each block.
	stampLen = 8
)

// content produces and checks object bytes. Byte o of the object with a given seed is taken from a
// fixed pseudo-random pattern at (o + shift(seed)) mod patternLen, except that each block of 4 KiB
// starts with 8 bytes derived from seed and block number. The pattern makes both directions run at
// the speed of memcpy and memcmp; the stamp makes every block of every object distinct, so a block
// from another object, offset or version of the run is noticed. Immutable, safe for concurrent use.
type content struct {
	pattern []byte // patternLen + blockLen bytes, the tail repeats the beginning
}

func newContent() *content {
	c := &content{pattern: make([]byte, patternLen+blockLen)}
	var seed [32]byte
	copy(seed[:], "weft bench object content")
	rng := rand.NewChaCha8(seed)
	_, _ = rng.Read(c.pattern[:patternLen]) // documented never to fail
	copy(c.pattern[patternLen:], c.pattern[:blockLen])
	return c
}

// seedOf is FNV-1a over the key, then mixed.
func seedOf(key []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, b := range key {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return mix(h)
}

// mix is the finaliser of splitmix64.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// block returns the pattern bytes for n bytes at off, which lie in one block, and the stamp bytes
// that replace the first of them (empty when off is behind the stamp).
func (c *content) block(seed uint64, off int64, n int, stamp *[stampLen]byte) (body, head []byte) {
	at := (uint64(off) + seed%patternLen) % patternLen
	body = c.pattern[at : at+uint64(n)]
	in := int(off % blockLen)
	if in >= stampLen {
		return body, nil
	}
	binary.LittleEndian.PutUint64(stamp[:], mix(seed^mix(uint64(off/blockLen)+1)))
	head = stamp[in:]
	return body, head[:min(len(head), n)]
}

// fill writes the object bytes [off, off+len(dst)) into dst.
func (c *content) fill(dst []byte, seed uint64, off int64) {
	var stamp [stampLen]byte
	for len(dst) > 0 {
		n := min(len(dst), blockLen-int(off%blockLen))
		body, head := c.block(seed, off, n, &stamp)
		copy(dst, body)
		copy(dst, head)
		dst = dst[n:]
		off += int64(n)
	}
}

// check compares p with the object bytes from off on and returns the index in p of the block with the
// first difference, or -1.
func (c *content) check(p []byte, seed uint64, off int64) int {
	var stamp [stampLen]byte
	for i := 0; i < len(p); {
		n := min(len(p)-i, blockLen-int(off%blockLen))
		body, head := c.block(seed, off, n, &stamp)
		got := p[i : i+n]
		if !bytes.Equal(got[:len(head)], head) || !bytes.Equal(got[len(head):], body[len(head):]) {
			return i
		}
		i += n
		off += int64(n)
	}
	return -1
}
