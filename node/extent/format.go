package extent

import (
	"encoding/binary"
	"fmt"

	"github.com/weftstore/weft/erasure"
	"github.com/weftstore/weft/internal/checksum"
)

// Sizes of the format; doc.go has the boxes.
const (
	unit         = erasure.Unit
	headerBlock  = 4096 // first block of an extent
	headerCopy   = 2048 // distance of the two copies in it
	headerLen    = 112  // one copy
	recordAlign  = 64   // every record begins on a multiple
	regionAlign  = 4096 // data regions of created chunks begin on a multiple
	recordFixed  = 88   // fixed part of a record header
	maxUnits     = (MaxChunk + unit - 1) / unit
	maxRecord    = (recordFixed + 8*maxUnits + MaxMeta + recordAlign - 1) &^ (recordAlign - 1)
	formatNumber = 1
)

const (
	extentMagic = "weftext\n"
	recordMagic = 0x1a524657 // "WFR\x1a"
)

// Kinds of extents.
const (
	kindShared = 1
	kindOwn    = 2
)

// Types of records.
const (
	recChunk     = 1
	recTombstone = 2
	recReserve   = 3
)

func align(n, to int64) int64 { return (n + to - 1) &^ (to - 1) }

func unitsOf(length int64) int { return int((length + unit - 1) / unit) }

// extentHeader begins every extent file.
type extentHeader struct {
	identity Identity
	kind     uint16
	number   uint64
	salt     [16]byte
	created  int64 // Unix nanoseconds
	length   int64 // data bytes of an own-file extent, else 0
}

func (h *extentHeader) encode() []byte {
	b := make([]byte, headerBlock)
	for at := 0; at < headerBlock; at += headerCopy {
		c := b[at : at+headerLen]
		copy(c, extentMagic)
		le := binary.LittleEndian
		le.PutUint16(c[8:], formatNumber)
		le.PutUint16(c[10:], h.kind)
		copy(c[16:], h.identity.Deployment[:])
		copy(c[32:], h.identity.Target[:])
		le.PutUint64(c[48:], h.number)
		copy(c[56:], h.salt[:])
		le.PutUint64(c[72:], uint64(h.created))
		le.PutUint64(c[80:], uint64(h.length))
		le.PutUint64(c[104:], checksum.CRC64(c[:104]))
	}
	return b
}

// decodeExtentHeader takes the first copy that is whole.
func decodeExtentHeader(b []byte) (extentHeader, error) {
	var h extentHeader
	if len(b) < headerBlock {
		return h, fmt.Errorf("extent header: %d bytes: %w", len(b), ErrCorrupt)
	}
	err := fmt.Errorf("extent header: %w", ErrCorrupt)
	for at := 0; at < headerBlock; at += headerCopy {
		c := b[at : at+headerLen]
		le := binary.LittleEndian
		if string(c[:8]) != extentMagic || le.Uint64(c[104:]) != checksum.CRC64(c[:104]) {
			continue
		}
		if v := le.Uint16(c[8:]); v != formatNumber {
			err = fmt.Errorf("extent header: format version %d is not known: %w", v, ErrCorrupt)
			continue
		}
		h.kind = le.Uint16(c[10:])
		copy(h.identity.Deployment[:], c[16:])
		copy(h.identity.Target[:], c[32:])
		h.number = le.Uint64(c[48:])
		copy(h.salt[:], c[56:])
		h.created = int64(le.Uint64(c[72:]))
		h.length = int64(le.Uint64(c[80:]))
		if h.kind != kindShared && h.kind != kindOwn || h.length < 0 || h.length > MaxChunk {
			continue
		}
		return h, nil
	}
	return extentHeader{}, err
}

// seed is the start of the CRC of every record header in this extent.
func (h *extentHeader) seed() uint64 {
	var b [24]byte
	copy(b[:], h.salt[:])
	binary.LittleEndian.PutUint64(b[16:], h.number)
	return checksum.CRC64(b[:])
}

// recordSeed binds a header to its place in its extent.
func recordSeed(extentSeed uint64, off int64) uint64 { return mix(extentSeed ^ mix(uint64(off))) }

// recordHeader is the fixed part of a record.
type recordHeader struct {
	kind    uint8
	id      ID
	size    uint32 // header with table, metadata and padding
	metaLen uint32
	seq     uint64
	created int64 // Unix nanoseconds
	// data is the place of the data in the extent. Of a tombstone: the extent
	// of the record that it deletes.
	data int64
	// length of the data. Of a tombstone: it deletes records of the chunk up to
	// this sequence number.
	length int64
	// durable: every record before this offset was synced before this record
	// was written.
	durable int64
	bodyCRC uint64
}

func (r *recordHeader) units() int {
	if r.kind != recChunk {
		return 0
	}
	return unitsOf(r.length)
}

// headerSize is what the header of a chunk takes.
func headerSize(length int64, meta int) int64 {
	return align(recordFixed+8*int64(unitsOf(length))+int64(meta), recordAlign)
}

// put writes the fixed part into b; b[recordFixed:] has the body already, so
// that bodyCRC can be kept from an earlier call.
func (r *recordHeader) put(b []byte, extentSeed uint64, off int64) {
	le := binary.LittleEndian
	le.PutUint32(b[0:], recordMagic)
	b[4], b[5], b[6], b[7] = formatNumber, r.kind, r.id.Index, 0
	le.PutUint32(b[8:], r.size)
	le.PutUint32(b[12:], r.metaLen)
	copy(b[16:32], r.id.Set[:])
	le.PutUint64(b[32:], r.seq)
	le.PutUint64(b[40:], uint64(r.created))
	le.PutUint64(b[48:], uint64(r.data))
	le.PutUint64(b[56:], uint64(r.length))
	le.PutUint64(b[64:], uint64(r.durable))
	le.PutUint64(b[72:], r.bodyCRC)
	le.PutUint64(b[80:], checksum.UpdateCRC64(recordSeed(extentSeed, off), b[:80]))
}

// decodeRecord checks the fixed part that stands at off. ok is false for
// anything that this extent's owner did not write there.
func decodeRecord(b []byte, extentSeed uint64, off int64) (r recordHeader, ok bool) {
	le := binary.LittleEndian
	if len(b) < recordFixed || le.Uint32(b) != recordMagic ||
		le.Uint64(b[80:]) != checksum.UpdateCRC64(recordSeed(extentSeed, off), b[:80]) || b[4] != formatNumber || b[7] != 0 {
		return r, false
	}
	r.kind, r.id.Index = b[5], b[6]
	r.size, r.metaLen = le.Uint32(b[8:]), le.Uint32(b[12:])
	copy(r.id.Set[:], b[16:32])
	r.seq = le.Uint64(b[32:])
	r.created = int64(le.Uint64(b[40:]))
	r.data, r.length = int64(le.Uint64(b[48:])), int64(le.Uint64(b[56:]))
	r.durable = int64(le.Uint64(b[64:]))
	r.bodyCRC = le.Uint64(b[72:])
	return r, r.sane(off)
}

// sane bounds what a decoder allocates and where it reads.
func (r *recordHeader) sane(off int64) bool {
	if r.metaLen > MaxMeta || r.durable < 0 || r.durable > off {
		return false
	}
	switch r.kind {
	case recTombstone:
		return r.size == recordAlign*2 && r.metaLen == 0
	case recReserve:
		return r.size == recordAlign*2 && r.metaLen == 0 && r.data == align(off+int64(r.size), regionAlign) &&
			r.length >= 0 && r.length <= MaxChunk
	case recChunk:
		if r.length < 0 || r.length > MaxChunk || int64(r.size) != headerSize(r.length, int(r.metaLen)) {
			return false
		}
		inline := r.data == off+int64(r.size)
		before := r.data >= headerBlock && r.data <= off && r.length <= off-r.data
		return inline && r.length <= MaxInline || before
	}
	return false
}

// end is the offset of whatever follows the record that stands at off.
func (r *recordHeader) end(off int64) int64 {
	next := off + int64(r.size)
	switch {
	case r.kind == recChunk && r.data == next:
		return next + align(r.length, recordAlign)
	case r.kind == recReserve:
		return r.data + align(r.length, recordAlign)
	}
	return next
}

// footprint is what a chunk's record keeps busy.

// mix is the finalizer of SplitMix64 (Steele, Lea, Flood: "Fast splittable
// pseudorandom number generators"): a bijection in which every input bit
// changes every output bit with probability one half.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// mask is what the checksum table of a chunk is keyed with: an entry is the
// unit's CRC ^ mask.unit(i), so a table entry verifies only the unit that it
// was made for.
type mask uint64

func maskOf(id ID) mask {
	le := binary.LittleEndian
	h := mix(le.Uint64(id.Set[:8]))
	h = mix(h ^ le.Uint64(id.Set[8:]))
	return mask(mix(h ^ uint64(id.Index)))
}

func (m mask) unit(i int) uint64 { return mix(uint64(m) ^ uint64(i)) }

// verifyUnits checks the data from unit first on against its table entries.
func verifyUnits(m mask, first int, table []uint64, p []byte) bool {
	for i := 0; len(p) > 0; i++ {
		n := min(len(p), unit)
		if i >= len(table) || checksum.CRC64(p[:n])^m.unit(first+i) != table[i] {
			return false
		}
		p = p[n:]
	}
	return true
}

// verifyEncoded is verifyUnits with table entries as they are on disk.
func verifyEncoded(m mask, first int, p, table []byte) bool {
	for i := 0; len(p) > 0; i++ {
		n := min(len(p), unit)
		if 8*i+8 > len(table) || checksum.CRC64(p[:n])^m.unit(first+i) != binary.LittleEndian.Uint64(table[8*i:]) {
			return false
		}
		p = p[n:]
	}
	return true
}
