// Package checksum knows the checksum algorithms that S3 accepts in x-amz-checksum-* headers and trailers, and the
// arithmetic by which the CRCs of pieces become the CRC of their concatenation.
//
// It computes and names digests; it neither reads HTTP messages nor decides what a mismatch means. Digests are raw bytes in
// the order S3 base64-encodes them, which is big-endian for every algorithm whose result is a number.
//
// Main types: [Algorithm], whose numeric values are stored on disk and never change, and [Type], which tells whether the
// checksum of a multipart object covers its bytes (FULL_OBJECT) or the checksums of its parts (COMPOSITE).
// [Combine] and [CombineCRC64] do the CRC arithmetic. Nothing here keeps state; everything is safe for concurrent use
// except the hashes that [Algorithm.New] returns, which belong to one goroutine each.
//
// [Combine] returns an error for algorithms that are not linear and for digests of the wrong size; the package has no
// other failures.
package checksum

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"hash/crc32"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/minio/crc64nvme"
	"github.com/zeebo/xxh3"
)

// Algorithm names one checksum algorithm. The zero value is [None]. The numbers are stored on disk: append, never renumber.
type Algorithm uint8

// The algorithms of S3's ChecksumAlgorithm enumeration.
const (
	None      Algorithm = 0
	CRC32     Algorithm = 1
	CRC32C    Algorithm = 2
	CRC64NVME Algorithm = 3
	SHA1      Algorithm = 4
	SHA256    Algorithm = 5
	SHA512    Algorithm = 6
	XXHash3   Algorithm = 7 // XXH3, 64 bits, seed 0
	XXHash64  Algorithm = 8 // XXH64, seed 0
	XXHash128 Algorithm = 9 // XXH3, 128 bits, seed 0
	MD5       Algorithm = 10

	numAlgorithms = 11
)

// HeaderPrefix begins the canonical MIME form of every checksum header that carries a value. X-Amz-Checksum-Mode,
// -Algorithm and -Type begin with it too and are not values; [FromHeader] tells them apart.
const HeaderPrefix = "X-Amz-Checksum-"

type properties struct {
	name      string
	header    string
	size      int
	types     [3]bool // indexed by Type; Unspecified is never looked at
	preferred Type
}

// traits follows S3's user guide, "Checking object integrity": CRCs have a full-object form because they can be combined,
// CRC-64/NVME has only that form, and everything else is composite in multipart uploads.
var traits = [numAlgorithms]properties{
	CRC32:     {"CRC32", "X-Amz-Checksum-Crc32", 4, [3]bool{FullObject: true, Composite: true}, Composite},
	CRC32C:    {"CRC32C", "X-Amz-Checksum-Crc32c", 4, [3]bool{FullObject: true, Composite: true}, Composite},
	CRC64NVME: {"CRC64NVME", "X-Amz-Checksum-Crc64nvme", 8, [3]bool{FullObject: true}, FullObject},
	SHA1:      {"SHA1", "X-Amz-Checksum-Sha1", sha1.Size, [3]bool{Composite: true}, Composite},
	SHA256:    {"SHA256", "X-Amz-Checksum-Sha256", sha256.Size, [3]bool{Composite: true}, Composite},
	SHA512:    {"SHA512", "X-Amz-Checksum-Sha512", sha512.Size, [3]bool{Composite: true}, Composite},
	XXHash3:   {"XXHASH3", "X-Amz-Checksum-Xxhash3", 8, [3]bool{Composite: true}, Composite},
	XXHash64:  {"XXHASH64", "X-Amz-Checksum-Xxhash64", 8, [3]bool{Composite: true}, Composite},
	XXHash128: {"XXHASH128", "X-Amz-Checksum-Xxhash128", 16, [3]bool{Composite: true}, Composite},
	MD5:       {"MD5", "X-Amz-Checksum-Md5", md5.Size, [3]bool{Composite: true}, Composite},
}

// All lists every algorithm except [None], in numeric order. The caller owns the slice.
func All() []Algorithm {
	all := make([]Algorithm, 0, numAlgorithms-1)
	for a := CRC32; a < numAlgorithms; a++ {
		all = append(all, a)
	}
	return all
}

// Parse finds the algorithm with S3's name ("CRC64NVME", "XXHASH3"), in any case. It reports false for the empty string.
func Parse(name string) (Algorithm, bool) {
	for a := CRC32; a < numAlgorithms; a++ {
		if strings.EqualFold(traits[a].name, name) {
			return a, true
		}
	}
	return None, false
}

// FromHeader finds the algorithm whose value header is h, in any case.
func FromHeader(h string) (Algorithm, bool) {
	if len(h) <= len(HeaderPrefix) || !strings.EqualFold(h[:len(HeaderPrefix)], HeaderPrefix) {
		return None, false
	}
	return Parse(h[len(HeaderPrefix):])
}

func (a Algorithm) traits() properties {
	if a < numAlgorithms {
		return traits[a]
	}
	return properties{}
}

// Valid reports whether a is one of the algorithms above other than [None]; numbers read from disk should be asked.
func (a Algorithm) Valid() bool { return a > None && a < numAlgorithms }

// String returns S3's name, "" for [None] and unknown numbers.
func (a Algorithm) String() string { return a.traits().name }

// Header returns the canonical MIME form of the header that carries a value, such as "X-Amz-Checksum-Crc64nvme";
// "" for [None] and unknown numbers.
func (a Algorithm) Header() string { return a.traits().header }

// Size returns the length of a raw digest in bytes, 0 for [None] and unknown numbers.
func (a Algorithm) Size() int { return a.traits().size }

// New returns a hash whose Sum appends the bytes that S3 base64-encodes. It is nil for [None] and unknown numbers.
func (a Algorithm) New() hash.Hash {
	switch a {
	case CRC32:
		return crc32.NewIEEE()
	case CRC32C:
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case CRC64NVME:
		return crc64nvme.New()
	case SHA1:
		return sha1.New()
	case SHA256:
		return sha256.New()
	case SHA512:
		return sha512.New()
	case XXHash3:
		return xxh3.New()
	case XXHash64:
		return xxhash.New()
	case XXHash128:
		return xxh3.New128()
	case MD5:
		return md5.New()
	default:
		return nil
	}
}

// Linear reports whether [Combine] works: the checksum of a concatenation follows from the checksums of the pieces.
func (a Algorithm) Linear() bool { return a == CRC32 || a == CRC32C || a == CRC64NVME }

// Supports reports whether S3 takes checksums of type t from multipart uploads that use a. It is false for [Unspecified].
func (a Algorithm) Supports(t Type) bool { return t <= Composite && a.traits().types[t] }

// DefaultType is the type that a multipart upload gets when it names a but no type; [Unspecified] for [None].
func (a Algorithm) DefaultType() Type { return a.traits().preferred }

// CompositeOf returns the COMPOSITE checksum of a multipart object, without the "-N" that S3 appends to its base64 form:
// the digest of the parts' raw digests in part order. It is nil for [None] and unknown numbers.
func (a Algorithm) CompositeOf(digests ...[]byte) []byte {
	h := a.New()
	if h == nil {
		return nil
	}
	for _, d := range digests {
		h.Write(d) // a hash.Hash never fails
	}
	return h.Sum(nil)
}

// Type says what the checksum of an object that was uploaded in parts covers. The zero value is [Unspecified]. The numbers
// are stored on disk.
type Type uint8

// The values of S3's x-amz-checksum-type header.
const (
	Unspecified Type = 0
	FullObject  Type = 1 // the bytes of the object
	Composite   Type = 2 // the raw checksums of the parts, in order
)

// ParseType reads S3's name of a type, in any case. It reports false for the empty string.
func ParseType(name string) (Type, bool) {
	switch {
	case strings.EqualFold(name, "FULL_OBJECT"):
		return FullObject, true
	case strings.EqualFold(name, "COMPOSITE"):
		return Composite, true
	default:
		return Unspecified, false
	}
}

// String returns S3's name, "" for [Unspecified] and unknown numbers.
func (t Type) String() string {
	switch t {
	case FullObject:
		return "FULL_OBJECT"
	case Composite:
		return "COMPOSITE"
	default:
		return ""
	}
}
