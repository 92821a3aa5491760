package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// scratch holds the buffers of one verification or signing. It is pooled because they would otherwise be most of its cost.
type scratch struct {
	query     query
	canonical []byte // canonical request
	toSign    []byte // string to sign
	name      []byte // a header name in MIME form
	sum       [sha256.Size]byte
	hex       [2 * sha256.Size]byte
}

var scratches = sync.Pool{New: func() any {
	return &scratch{canonical: make([]byte, 0, 1024), toSign: make([]byte, 0, 256), name: make([]byte, 0, 64)}
}}

// keepScratch bounds what a pooled scratch may hold on to after an enormous request.
const keepScratch = 32 << 10

func getScratch() *scratch { return scratches.Get().(*scratch) }

func (s *scratch) release() {
	clear(s.query.auth[:]) // they alias the request
	if cap(s.canonical) <= keepScratch && cap(s.query.buf) <= keepScratch && cap(s.name) <= keepScratch {
		scratches.Put(s)
	}
}

// buildCanonical fills s.canonical from the request and s.query. It returns how many of the signed headers are x-amz-* ones that the
// request has.
func (s *scratch) buildCanonical(r *http.Request, signedHeaders, payload string) (amz int) {
	b := append(s.canonical[:0], r.Method...)
	b = append(b, '\n')
	b = appendPath(b, r.URL.Path)
	b = append(b, '\n')
	b = s.query.appendCanonical(b)
	b = append(b, '\n')
	for rest, more := signedHeaders, true; more; {
		var name string
		name, rest, more = strings.Cut(rest, ";")
		b = append(b, name...)
		b = append(b, ':')
		values := s.header(r, name)
		for i, v := range values {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendTrimmed(b, v)
		}
		if len(values) == 0 {
			b = appendImplied(b, r, name)
		} else if strings.HasPrefix(name, "x-amz-") {
			amz++
		}
		b = append(b, '\n')
	}
	b = append(b, '\n')
	b = append(b, signedHeaders...)
	b = append(b, '\n')
	s.canonical = append(b, payload...)
	return amz
}

// header finds the values of a header given in lower case, without allocating its MIME form.
func (s *scratch) header(r *http.Request, name string) []string {
	s.name = append(s.name[:0], name...)
	upper := true
	for i, c := range s.name {
		if upper && 'a' <= c && c <= 'z' {
			s.name[i] = c - 'a' + 'A'
		}
		upper = c == '-'
	}
	return r.Header[string(s.name)]
}

// appendImplied appends the value of a header that net/http keeps outside the header map.
func appendImplied(b []byte, r *http.Request, name string) []byte {
	switch name {
	case "host":
		if r.Host != "" {
			return appendTrimmed(b, r.Host)
		}
		return appendTrimmed(b, r.URL.Host)
	case "content-length":
		if r.ContentLength >= 0 {
			return strconv.AppendInt(b, r.ContentLength, 10)
		}
	case "transfer-encoding":
		return append(b, strings.Join(r.TransferEncoding, ",")...)
	}
	return b
}

// appendTrimmed appends v without white space at its ends and with every run of it inside made one space.
func appendTrimmed(b []byte, v string) []byte {
	start, pending := len(b), false
	for i := range len(v) {
		switch c := v[i]; c {
		case ' ', '\t', '\n', '\v', '\f', '\r':
			pending = len(b) > start
		default:
			if pending {
				b = append(b, ' ')
				pending = false
			}
			b = append(b, c)
		}
	}
	return b
}

// amzHeaders counts the x-amz-* headers of a request. net/http keeps its keys in MIME form; any other spelling counts too, so that
// a header that cannot be found under its canonical name is refused, not ignored.
func amzHeaders(h http.Header) (n int) {
	for k := range h {
		if isAmz(k) {
			n++
		}
	}
	return n
}

func isAmz(name string) bool {
	return len(name) >= 6 && (name[0] == 'X' || name[0] == 'x') && strings.EqualFold(name[:6], "x-amz-")
}

// buildStringToSign fills s.toSign for s.canonical.
func (s *scratch) buildStringToSign(stamp, scope string) {
	s.sum = sha256.Sum256(s.canonical)
	b := append(s.toSign[:0], algorithm...)
	b = append(b, '\n')
	b = append(b, stamp...)
	b = append(b, '\n')
	b = append(b, scope...)
	b = append(b, '\n')
	s.toSign = hex.AppendEncode(b, s.sum[:])
}
