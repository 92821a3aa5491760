package checksum

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"sync"

	"github.com/minio/crc64nvme"
)

// polyCRC64 is the CRC-64/NVME polynomial, bits reflected (NVM Express NVM Command Set Specification 1.0c, section 5.2.1.3.4).
const polyCRC64 = 0x9a6c9329ac4bc9b5

// CRC64 returns the CRC-64/NVME of p.
func CRC64(p []byte) uint64 { return crc64nvme.Checksum(p) }

// UpdateCRC64 returns the CRC-64/NVME of what crc covers followed by p. The CRC of nothing is 0.
func UpdateCRC64(crc uint64, p []byte) uint64 { return crc64nvme.Update(crc, p) }

// CombineCRC64 returns the CRC-64/NVME of a concatenation from x, the CRC of the first piece, and y, the CRC of the second,
// which is yLen bytes long. A yLen of zero or less counts as zero. It costs one 64-step multiplication for each non-zero
// byte of yLen.
func CombineCRC64(x, y uint64, yLen int64) uint64 { return shift(shifts64(), polyCRC64, x, yLen) ^ y }

// Combine returns the digest of a concatenation from x, the digest of the first piece, and y, the digest of the second,
// which is yLen >= 0 bytes long. The caller owns the result. It fails when a is not linear or a digest has the wrong size.
func Combine(a Algorithm, x, y []byte, yLen int64) ([]byte, error) {
	if !a.Linear() {
		return nil, fmt.Errorf("combine %q: not a linear checksum", a.String())
	}
	if len(x) != a.Size() || len(y) != a.Size() || yLen < 0 {
		return nil, fmt.Errorf("combine %s: digests of %d and %d bytes, length %d", a, len(x), len(y), yLen)
	}
	switch a {
	case CRC64NVME:
		sum := CombineCRC64(binary.BigEndian.Uint64(x), binary.BigEndian.Uint64(y), yLen)
		return binary.BigEndian.AppendUint64(nil, sum), nil
	case CRC32:
		return combine32(shiftsIEEE(), crc32.IEEE, x, y, yLen), nil
	default:
		return combine32(shiftsCastagnoli(), crc32.Castagnoli, x, y, yLen), nil
	}
}

func combine32(t *shifts[uint32], poly uint32, x, y []byte, yLen int64) []byte {
	sum := shift(t, poly, binary.BigEndian.Uint32(x), yLen) ^ binary.BigEndian.Uint32(y)
	return binary.BigEndian.AppendUint32(nil, sum)
}

// word is a polynomial over GF(2) of degree below 32 or 64 with its bits reflected: the top bit is the coefficient of x^0.
type word interface{ uint32 | uint64 }

// shifts[i][v] is x^(8*v*256^i) modulo the polynomial: the factor that appending v*256^i zero bytes puts on a CRC register.
// All three CRCs start from and end with all ones, which cancels out in the sum of Combine.
type shifts[T word] [8][256]T

// The tables are 8 or 16 KiB and take about 0.2 ms to make, so a process that never combines does not pay for them.
var (
	shifts64         = sync.OnceValue(func() *shifts[uint64] { return newShifts[uint64](polyCRC64) })
	shiftsIEEE       = sync.OnceValue(func() *shifts[uint32] { return newShifts[uint32](crc32.IEEE) })
	shiftsCastagnoli = sync.OnceValue(func() *shifts[uint32] { return newShifts[uint32](crc32.Castagnoli) })
)

func newShifts[T word](poly T) *shifts[T] {
	one := ^(^T(0) >> 1) // x^0
	step := one >> 8     // x^8: one byte
	t := new(shifts[T])
	for i := range t {
		t[i][0] = one
		for v := 1; v < 256; v++ {
			t[i][v] = multiply(poly, t[i][v-1], step)
		}
		step = multiply(poly, t[i][255], step)
	}
	return t
}

// shift multiplies crc by x^(8n).
func shift[T word](t *shifts[T], poly, crc T, n int64) T {
	for i := 0; n > 0; i, n = i+1, n>>8 {
		if v := n & 0xff; v != 0 {
			crc = multiply(poly, crc, t[i][v])
		}
	}
	return crc
}

// multiply returns a*b modulo the polynomial, one coefficient of a at a time, the lowest power first.
func multiply[T word](poly, a, b T) T {
	var p T
	top := ^(^T(0) >> 1)
	for ; a != 0; a <<= 1 {
		if a&top != 0 {
			p ^= b
		}
		b = b>>1 ^ poly&-(b&1)
	}
	return p
}
