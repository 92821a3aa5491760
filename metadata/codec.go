package metadata

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// recordFormat is the first byte of every value.
const recordFormat = 1

// bucketFormat is that of a bucket which has an owner or configurations.
const bucketFormat = 2

// attrsFormat is that of versions, parts and uploads which have attributes, or of
// which the bytes are sealed.
const attrsFormat = 2

// lockFormat is that of versions and uploads which have a lock.
const lockFormat = 3

// crcLen is the length of the checksum that ends every value.
const crcLen = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal appends the checksum over key and the record that begins at dst[start].
func seal(dst []byte, start int, key []byte) []byte {
	sum := crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, dst[start:])
	return binary.LittleEndian.AppendUint32(dst, sum)
}

// unseal checks a value and returns a decoder of what follows the format byte.
func unseal(key, value []byte) (decoder, error) {
	d, _, err := unsealUpTo(recordFormat, key, value)
	return d, err
}

// unsealUpTo is unseal for records of which there are several formats; it returns
// which one the value has.
func unsealUpTo(newest byte, key, value []byte) (decoder, byte, error) {
	n := len(value) - crcLen
	if n < 1 {
		return decoder{}, 0, fmt.Errorf("value of %d bytes: %w", len(value), ErrCorrupt)
	}
	sum := crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value[:n])
	if sum != binary.LittleEndian.Uint32(value[n:]) {
		return decoder{}, 0, fmt.Errorf("checksum: %w", ErrCorrupt)
	}
	if value[0] < recordFormat || value[0] > newest {
		return decoder{}, 0, fmt.Errorf("format %d: %w", value[0], ErrCorrupt)
	}
	return decoder{b: value[1:n], format: value[0]}, value[0], nil
}

// decoder reads a record front to back. After a read past the end bad is set and
// everything reads as zero.
type decoder struct {
	b      []byte
	format byte
	bad    bool
}

// end reports what went wrong, bytes left over included.
func (d *decoder) end() error {
	if d.bad || len(d.b) != 0 {
		return fmt.Errorf("record does not decode: %w", ErrCorrupt)
	}
	return nil
}

// take lends n bytes.
func (d *decoder) take(n int) []byte {
	if n < 0 || n > len(d.b) {
		d.bad, d.b = true, nil
		return nil
	}
	b := d.b[:n:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) u8() uint8 {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) u16() uint16 {
	if b := d.take(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (d *decoder) u32() uint32 {
	if b := d.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (d *decoder) u64() uint64 {
	if b := d.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (d *decoder) time() time.Time { return time.UnixMilli(int64(d.u64())).UTC() }

// length reads a uvarint that counts things of at least size bytes each.
func (d *decoder) length(size int) int {
	n, w := binary.Uvarint(d.b)
	if w <= 0 || n > uint64((len(d.b)-w)/size) {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[w:]
	return int(n)
}

func (d *decoder) str() string { return string(d.take(d.length(1))) }

// pairs reads what appendPairs wrote, nil for an empty map. The strings share one
// copy of the bytes.
func (d *decoder) pairs() map[string]string {
	n := d.length(2)
	if n == 0 {
		return nil
	}
	m := make(map[string]string, n)
	for range n {
		k := d.take(d.length(1))
		v := d.take(d.length(1))
		if d.bad {
			return nil
		}
		name := commonName(k)
		if name == "" {
			name = string(k)
		}
		m[name] = string(v)
	}
	return m
}

// commonName spares an allocation for the header nearly every object has.
func commonName(k []byte) string {
	switch string(k) {
	case "Content-Type":
		return "Content-Type"
	case "Cache-Control":
		return "Cache-Control"
	case "Content-Encoding":
		return "Content-Encoding"
	}
	return ""
}

func appendU16(dst []byte, v uint16) []byte { return binary.LittleEndian.AppendUint16(dst, v) }
func appendU32(dst []byte, v uint32) []byte { return binary.LittleEndian.AppendUint32(dst, v) }
func appendU64(dst []byte, v uint64) []byte { return binary.LittleEndian.AppendUint64(dst, v) }
func appendLen(dst []byte, n int) []byte    { return binary.AppendUvarint(dst, uint64(n)) }

func appendTime(dst []byte, t time.Time) []byte { return appendU64(dst, uint64(t.UnixMilli())) }

func appendStr(dst []byte, s string) []byte { return append(appendLen(dst, len(s)), s...) }

// appendPairs writes a map in the order of its names, so that a record has one encoding.
func appendPairs(dst []byte, m map[string]string) []byte {
	dst = appendLen(dst, len(m))
	var few [8]string
	names := few[:0]
	if len(m) > len(few) {
		names = make([]string, 0, len(m))
	}
	for name := range maps.Keys(m) {
		names = append(names, name)
	}
	slices.SortFunc(names, strings.Compare)
	for _, name := range names {
		dst = appendStr(appendStr(dst, name), m[name])
	}
	return dst
}

// scratch is the memory that one operation builds keys and values in.
type scratch struct {
	key, key2, value      []byte
	partition, partitions int // where the transaction is, of how many
}

var scratches = sync.Pool{New: func() any {
	return &scratch{key: make([]byte, 0, 128), key2: make([]byte, 0, 128), value: make([]byte, 0, 512)}
}}

func getScratch() *scratch { return scratches.Get().(*scratch) }

// release gives s back unless a large record has made it big.
func (s *scratch) release() {
	if cap(s.value) <= 64<<10 {
		scratches.Put(s)
	}
}
