package s3api

import (
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/weftstore/weft/metadata"
)

const (
	xmlHeader = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	xmlSpace  = "http://s3.amazonaws.com/doc/2006-03-01/"
)

// doc builds a response document by appending, without reflection: a listing of
// 1,000 keys is the biggest and the most frequent of them.
type doc struct{ b []byte }

// newDoc begins a document whose root element is in S3's namespace.
func newDoc(root string, size int) *doc {
	d := &doc{b: make([]byte, 0, size)}
	d.raw(xmlHeader)
	d.raw("<")
	d.raw(root)
	d.raw(" xmlns=\"" + xmlSpace + "\">")
	return d
}

func (d *doc) raw(s string) { d.b = append(d.b, s...) }

func (d *doc) open(name string) {
	d.b = append(d.b, '<')
	d.b = append(d.b, name...)
	d.b = append(d.b, '>')
}

func (d *doc) close(name string) {
	d.b = append(d.b, '<', '/')
	d.b = append(d.b, name...)
	d.b = append(d.b, '>')
}

// str writes an element with escaped text.
func (d *doc) str(name, value string) {
	d.open(name)
	d.text(value)
	d.close(name)
}

// opt is str for a value that may be absent.
func (d *doc) opt(name, value string) {
	if value != "" {
		d.str(name, value)
	}
}

func (d *doc) int(name string, n int64) {
	d.open(name)
	d.b = strconv.AppendInt(d.b, n, 10)
	d.close(name)
}

func (d *doc) bool(name string, v bool) {
	d.open(name)
	d.b = strconv.AppendBool(d.b, v)
	d.close(name)
}

func (d *doc) time(name string, t time.Time) {
	d.open(name)
	d.b = appendISO(d.b, t)
	d.close(name)
}

// appendISO is t.AppendFormat(isoLayout), four times as fast.
func appendISO(b []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	if year < 0 || year > 9999 {
		return t.AppendFormat(b, isoLayout)
	}
	hour, minute, second := t.Clock()
	b = append(b, byte('0'+year/1000), byte('0'+year/100%10))
	b = two(b, year%100, '-')
	b = two(b, int(month), '-')
	b = two(b, day, 'T')
	b = two(b, hour, ':')
	b = two(b, minute, ':')
	b = two(b, second, '.')
	ms := t.Nanosecond() / 1e6
	return append(b, byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10), 'Z')
}

func two(b []byte, n int, sep byte) []byte {
	return append(b, byte('0'+n/10), byte('0'+n%10), sep)
}

// text appends s escaped. Characters that XML 1.0 has no form for are sent as
// character references, as AWS does; clients that need them ask for
// encoding-type=url. Invalid UTF-8 becomes U+FFFD.
func (d *doc) text(s string) {
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c < utf8.RuneSelf && c != '&' && c != '<' && c != '>' && c != '"' && c != '\'' {
			i++
			continue
		}
		size, esc := 1, ""
		switch {
		case c == '&':
			esc = "&amp;"
		case c == '<':
			esc = "&lt;"
		case c == '>':
			esc = "&gt;"
		case c == '"':
			esc = "&quot;"
		case c == '\'':
			esc = "&#39;"
		case c < 0x20:
			esc = "&#x" + strconv.FormatUint(uint64(c), 16) + ";"
		default:
			var r rune
			r, size = utf8.DecodeRuneInString(s[i:])
			switch {
			case r == utf8.RuneError && size == 1:
				esc = "\uFFFD"
			case r == 0xfffe || r == 0xffff:
				esc = "&#x" + strconv.FormatUint(uint64(r), 16) + ";"
			default:
				i += size
				continue
			}
		}
		d.b = append(d.b, s[start:i]...)
		d.b = append(d.b, esc...)
		i += size
		start = i
	}
	d.b = append(d.b, s[start:]...)
}

// urlText appends s as encoding-type=url wants it: escaped like a query value,
// with slashes left alone. A space is %20, which decoders of paths and those of
// queries read alike.
func (d *doc) urlText(s string) {
	const digits = "0123456789ABCDEF"
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9',
			c == '-', c == '_', c == '.', c == '*', c == '/':
			d.b = append(d.b, c)
		default:
			d.b = append(d.b, '%', digits[c>>4], digits[c&15])
		}
	}
}

// key writes an element that encoding-type=url applies to.
func (d *doc) key(name, value string, url bool) {
	d.open(name)
	if url {
		d.urlText(value)
	} else {
		d.text(value)
	}
	d.close(name)
}

// etag writes an ETag in quotes, escaped as AWS does it.
func (d *doc) etag(sum *[16]byte, parts int) {
	d.raw("<ETag>&quot;")
	d.b = appendBareETag(d.b, sum, parts)
	d.raw("&quot;</ETag>")
}

// digest writes a checksum under the name of its algorithm.
func (d *doc) digest(sum *metadata.Digest, parts int) {
	if sum.Algorithm.Valid() && len(sum.Sum) > 0 {
		d.str("Checksum"+sum.Algorithm.String(), digestValue(sum, parts))
	}
}

func (d *doc) owner(name, id string) {
	d.open(name)
	d.str("ID", id)
	d.str("DisplayName", displayName(id))
	d.close(name)
}

// displayName is what is shown beside a canonical id: the same, as names of accounts
// are nobody else's business.
func displayName(id string) string { return id }
