package s3load

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
)

// request is one HTTP request as the worker fills it in. The worker reuses it; path and query are in
// the canonical form of Signature Version 4 (escaped, parameters sorted).
type request struct {
	method     string
	path       []byte
	query      string
	ranged     bool
	first      int64 // with ranged: first and last byte wanted, inclusive
	last       int64
	contentMD5 string

	payloadHash string
	body        payload
}

// ofObject says that the path names an object, and not a bucket.
func (r *request) ofObject() bool { return bytes.IndexByte(r.path[1:], '/') > 0 }

// appendRange appends the value of the Range header.
func (r *request) appendRange(dst []byte) []byte {
	dst = strconv.AppendInt(append(dst, "bytes="...), r.first, 10)
	return strconv.AppendInt(append(dst, '-'), r.last, 10)
}

// payload is a request body: raw bytes, or size bytes of generated object content from offset base.
// The zero payload is empty.
type payload struct {
	raw  []byte
	gen  *content
	seed uint64
	base int64
	size int64
}

func (p *payload) len() int64 {
	if p.gen != nil {
		return p.size
	}
	return int64(len(p.raw))
}

// read copies body bytes from offset off into dst, which must not reach behind the end.
func (p *payload) read(dst []byte, off int64) {
	if p.gen != nil {
		p.gen.fill(dst, p.seed, p.base+off)
		return
	}
	copy(dst, p.raw[off:])
}

// sha256 returns the hex digest of the body, generated piece by piece into scratch.
func (p *payload) sha256(scratch []byte) string {
	h := sha256.New()
	for off := int64(0); off < p.len(); {
		n := min(p.len()-off, int64(len(scratch)))
		p.read(scratch[:n], off)
		h.Write(scratch[:n])
		off += n
	}
	return hex.EncodeToString(h.Sum(nil))
}

// appendEscaped appends s in the URI encoding of Signature Version 4: everything but unreserved
// characters is escaped, '/' too unless keepSlash.
func appendEscaped(dst []byte, s string, keepSlash bool) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(s) {
		b := s[i]
		switch {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9',
			b == '-', b == '_', b == '.', b == '~', b == '/' && keepSlash:
			dst = append(dst, b)
		default:
			dst = append(dst, '%', digits[b>>4], digits[b&15])
		}
	}
	return dst
}
