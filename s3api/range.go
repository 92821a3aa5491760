package s3api

import (
	"strconv"
	"strings"
)

// byteRange is a part of an object: n bytes from off.
type byteRange struct{ off, n int64 }

// parseRange reads a Range header for an object of size bytes. ok is false when
// the header is to be ignored: another unit, several ranges, or malformed, as AWS
// does it (RFC 9110, section 14.2 allows that). A range beyond the end is
// errInvalidRange.
func parseRange(header string, size int64) (r byteRange, ok bool, err error) {
	spec, found := strings.CutPrefix(header, "bytes=")
	if !found {
		return r, false, nil
	}
	first, last, found := strings.Cut(strings.TrimSpace(spec), "-")
	if !found {
		return r, false, nil
	}
	first, last = strings.TrimSpace(first), strings.TrimSpace(last)
	if first == "" {
		n, valid := digits(last)
		switch {
		case !valid:
			return r, false, nil
		case n == 0 || size == 0:
			return r, true, errInvalidRange
		}
		n = min(n, size)
		return byteRange{size - n, n}, true, nil
	}
	from, valid := digits(first)
	if !valid {
		return r, false, nil
	}
	to := size - 1
	if last != "" {
		end, valid := digits(last)
		if !valid || end < from {
			return r, false, nil
		}
		to = min(to, end)
	}
	if from >= size {
		return r, true, errInvalidRange
	}
	return byteRange{from, to - from + 1}, true, nil
}

// digits reads a number; one too large for an int64 is the largest int64, since it
// lies beyond the end of everything.
func digits(s string) (int64, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, _ := strconv.ParseInt(s, 10, 64)
	return n, true
}

// contentRange is the value of the Content-Range header.
func contentRange(r byteRange, size int64) string {
	var buf [80]byte
	b := append(buf[:0], "bytes "...)
	b = strconv.AppendInt(b, r.off, 10)
	b = append(b, '-')
	b = strconv.AppendInt(b, r.off+r.n-1, 10)
	b = append(b, '/')
	b = strconv.AppendInt(b, size, 10)
	return string(b)
}
