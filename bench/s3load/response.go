package s3load

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

const (
	// maxHead bounds a response head.
	maxHead = 64 << 10
	// maxXML bounds a response body that is kept (listings, upload ids).
	maxXML = 16 << 20
)

var (
	errHead  = errors.New("malformed response head")
	errChunk = errors.New("malformed chunk framing")
)

// respHead is what the client wants to know of a response head. The slices alias the parsed buffer.
type respHead struct {
	status  int
	length  int64 // Content-Length, -1 when absent
	chunked bool
	close   bool
	etag    []byte
	server  []byte
}

// parseHead parses one response head at the start of b. It returns the length of the head, or 0 when
// b holds only a part of one. An error means that the bytes are not HTTP/1.x as far as it matters here.
func parseHead(b []byte) (respHead, int, error) {
	h := respHead{length: -1}
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		if len(b) >= maxHead {
			return h, 0, fmt.Errorf("%w: longer than %d bytes", errHead, maxHead)
		}
		return h, 0, nil
	}
	// "HTTP/1.1 200 OK": the reason phrase may be absent.
	if end < 12 || string(b[:7]) != "HTTP/1." || b[8] != ' ' {
		return h, 0, fmt.Errorf("%w: status line", errHead)
	}
	for _, d := range b[9:12] {
		if d < '0' || d > '9' {
			return h, 0, fmt.Errorf("%w: status line", errHead)
		}
		h.status = h.status*10 + int(d-'0')
	}
	h.close = b[7] == '0'
	line := bytes.IndexByte(b, '\n') + 1
	for line < end {
		next := end
		if i := bytes.IndexByte(b[line:end], '\r'); i >= 0 {
			next = line + i
		}
		if err := h.field(b[line:next]); err != nil {
			return h, 0, err
		}
		line = next + 2
	}
	return h, end + 4, nil
}

// field takes one header line.
func (h *respHead) field(line []byte) error {
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 {
		return fmt.Errorf("%w: header without a name", errHead)
	}
	name, value := line[:colon], bytes.TrimSpace(line[colon+1:])
	switch colon { // by length first: most names are none of ours
	case len("etag"):
		if bytes.EqualFold(name, []byte("etag")) {
			h.etag = value
		}
	case len("server"):
		if bytes.EqualFold(name, []byte("server")) {
			h.server = value
		}
	case len("connection"):
		if bytes.EqualFold(name, []byte("connection")) {
			h.close = bytes.EqualFold(value, []byte("close"))
		}
	case len("content-length"):
		if bytes.EqualFold(name, []byte("content-length")) {
			n, err := strconv.ParseUint(string(value), 10, 63)
			if err != nil || h.length >= 0 && h.length != int64(n) {
				return fmt.Errorf("%w: content-length %.20q", errHead, value)
			}
			h.length = int64(n)
		}
	case len("transfer-encoding"):
		if bytes.EqualFold(name, []byte("transfer-encoding")) {
			h.chunked = bytes.EqualFold(value, []byte("chunked"))
		}
	}
	return nil
}

// parseChunkLine parses a chunk-size line without its CRLF; extensions are skipped.
func parseChunkLine(b []byte) (int64, error) {
	if i := bytes.IndexByte(b, ';'); i >= 0 {
		b = b[:i]
	}
	b = bytes.TrimSpace(b)
	if len(b) == 0 || len(b) > 15 {
		return 0, fmt.Errorf("%w: size %.20q", errChunk, b)
	}
	n, err := strconv.ParseUint(string(b), 16, 63)
	if err != nil {
		return 0, fmt.Errorf("%w: size %.20q", errChunk, b)
	}
	return int64(n), nil
}
