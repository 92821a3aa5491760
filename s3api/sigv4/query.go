package sigv4

import (
	"bytes"
	"net/url"
	"slices"
	"strings"
)

const maxParameters = 256

// The query parameters that carry authentication, as indices of query.auth.
const (
	qAlgorithm = iota
	qCredential
	qDate
	qExpires
	qSignedHeaders
	qSignature
	qSecurityToken
	qContentSHA256
	numAuthParameters
)

func authParameter(encodedName []byte) int {
	const prefix = "X-Amz-"
	if len(encodedName) <= len(prefix) || string(encodedName[:len(prefix)]) != prefix {
		return -1
	}
	switch string(encodedName[len(prefix):]) {
	case "Algorithm":
		return qAlgorithm
	case "Credential":
		return qCredential
	case "Date":
		return qDate
	case "Expires":
		return qExpires
	case "SignedHeaders":
		return qSignedHeaders
	case "Signature":
		return qSignature
	case "Security-Token":
		return qSecurityToken
	case "Content-Sha256", "Content-SHA256":
		return qContentSHA256
	default:
		return -1
	}
}

// parameter locates one encoded "name=value" in query.buf.
type parameter struct{ start, eq, end int32 }

// query is a parsed query string: every parameter encoded canonically, and the values of those that authenticate. It is
// part of a scratch and reused; the strings in auth are not.
type query struct {
	buf        []byte
	parameters []parameter
	auth       [numAuthParameters]string
	present    [numAuthParameters]bool
	duplicate  bool // an authentication parameter occurs twice
	version2   bool // signature version 2's parameters occur
}

// parse reads a raw query. Names compare after decoding, so an escaped "X%2DAmz-Date" is X-Amz-Date here as it is for the handlers.
func (q *query) parse(raw string) error {
	*q = query{buf: q.buf[:0], parameters: q.parameters[:0]}
	for raw != "" {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		if pair == "" {
			continue
		}
		if len(q.parameters) == maxParameters {
			return ErrInvalidURI
		}
		name, value, _ := strings.Cut(pair, "=")
		if err := q.add(name, value); err != nil {
			return err
		}
	}
	return nil
}

func (q *query) add(name, value string) error {
	var p parameter
	var ok bool
	p.start = int32(len(q.buf))
	if q.buf, ok = appendRecoded(q.buf, name); !ok {
		return ErrInvalidURI
	}
	p.eq = int32(len(q.buf))
	q.buf = append(q.buf, '=')
	if q.buf, ok = appendRecoded(q.buf, value); !ok {
		return ErrInvalidURI
	}
	p.end = int32(len(q.buf))
	encoded := q.buf[p.start:p.eq]
	if i := authParameter(encoded); i >= 0 {
		q.duplicate = q.duplicate || q.present[i]
		q.present[i] = true
		decoded, err := url.QueryUnescape(value)
		if err != nil {
			return ErrInvalidURI
		}
		q.auth[i] = decoded
	}
	q.version2 = q.version2 || string(encoded) == "AWSAccessKeyId"
	q.parameters = append(q.parameters, p)
	return nil
}

// presigned reports whether the query tries to authenticate by version 4.
func (q *query) presigned() bool {
	return q.present[qAlgorithm] || q.present[qCredential] || q.present[qSignature]
}

// appendCanonical appends the canonical query string, without the signature itself.
func (q *query) appendCanonical(dst []byte) []byte {
	slices.SortFunc(q.parameters, func(a, b parameter) int {
		if c := bytes.Compare(q.buf[a.start:a.eq], q.buf[b.start:b.eq]); c != 0 {
			return c
		}
		return bytes.Compare(q.buf[a.eq:a.end], q.buf[b.eq:b.end])
	})
	first := true
	for _, p := range q.parameters {
		if q.present[qSignature] && string(q.buf[p.start:p.eq]) == "X-Amz-Signature" {
			continue
		}
		if !first {
			dst = append(dst, '&')
		}
		first = false
		dst = append(dst, q.buf[p.start:p.end]...)
	}
	return dst
}

// appendRecoded decodes one name or value of a query and appends it encoded canonically. It fails on a broken escape.
func appendRecoded(dst []byte, s string) ([]byte, bool) {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch c {
		case '+':
			c = ' '
		case '%':
			if i+2 >= len(s) {
				return dst, false
			}
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi > 15 || lo > 15 {
				return dst, false
			}
			c, i = hi<<4|lo, i+2
		}
		dst = appendEncoded(dst, c)
	}
	return dst, true
}

func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	default:
		return 0xff
	}
}

// appendEncoded appends one byte as S3's UriEncode does: unreserved characters of RFC 3986 as they are, all else as %XX.
func appendEncoded(dst []byte, c byte) []byte {
	if isUnreserved(c) {
		return append(dst, c)
	}
	const digits = "0123456789ABCDEF"
	return append(dst, '%', digits[c>>4], digits[c&15])
}

func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.' || c == '~'
}

// appendPath appends the canonical path of a decoded one.
func appendPath(dst []byte, path string) []byte {
	if path == "" {
		return append(dst, '/')
	}
	for i := range len(path) {
		if c := path[i]; c == '/' {
			dst = append(dst, c)
		} else {
			dst = appendEncoded(dst, c)
		}
	}
	return dst
}
