package s3load

import (
	"bytes"
	"testing"
)

func TestParseHead(t *testing.T) {
	for _, c := range []struct {
		in     string
		status int
		length int64
		flags  string // c: chunked, x: close
		etag   string
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nETag: \"ab\"\r\n\r\n", 200, 12, "", `"ab"`},
		{"HTTP/1.1 206\r\ncontent-length:0\r\n\r\n", 206, 0, "", ""},
		{"HTTP/1.0 200 OK\r\n\r\n", 200, -1, "x", ""},
		{"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", 200, -1, "", ""},
		{"HTTP/1.1 503 Slow Down\r\nConnection: CLOSE\r\nTransfer-Encoding: chunked\r\n\r\n", 503, -1, "cx", ""},
		{"HTTP/1.1 204 No Content\r\nServer:\r\nDate: x:y\r\n\r\n", 204, -1, "", ""},
	} {
		h, n, err := parseHead([]byte(c.in + "body"))
		flags := ""
		if h.chunked {
			flags += "c"
		}
		if h.close {
			flags += "x"
		}
		if err != nil || n != len(c.in) || h.status != c.status || h.length != c.length || flags != c.flags || string(h.etag) != c.etag {
			t.Errorf("%q: %+v, %d, %v", c.in, h, n, err)
		}
		for cut := range len(c.in) - 1 {
			if _, n, err := parseHead([]byte(c.in[:cut])); n != 0 || err != nil {
				t.Fatalf("%q: %d, %v for a part of a head", c.in[:cut], n, err)
			}
		}
	}
	for _, in := range []string{
		"HTTP/2.0 200 OK\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n", "ICY 200 OK\r\n\r\n0000", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
		"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n",
		"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", "\r\n\r\n",
	} {
		if h, _, err := parseHead([]byte(in)); err == nil {
			t.Errorf("%q: accepted as %+v", in, h)
		}
	}
	if _, _, err := parseHead(bytes.Repeat([]byte("a"), maxHead)); err == nil {
		t.Error("an endless head is accepted")
	}
}

// FuzzParseHead: no panic; what is accepted lies within the input, and stays the same whatever follows.
func FuzzParseHead(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 12\r\nETag: \"ab\"\r\n\r\nbody"))
	f.Add([]byte("HTTP/1.0 404 \r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 200 OK\n\r\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n, err := parseHead(b)
		if err != nil || n == 0 {
			return
		}
		if n < 16 || n > len(b) || h.status < 0 || h.status > 999 || h.length < -1 {
			t.Fatalf("%+v, %d", h, n)
		}
		again, m, err := parseHead(append(bytes.Clone(b[:n]), "\r\n\r\nmore"...))
		if err != nil || m != n || again.status != h.status || again.length != h.length || again.chunked != h.chunked ||
			again.close != h.close || !bytes.Equal(again.etag, h.etag) {
			t.Fatalf("%+v, %d, %v: want %+v, %d", again, m, err, h, n)
		}
	})
}

func FuzzParseChunkLine(f *testing.F) {
	for _, s := range []string{"0", "1a; x=y", "ffffffffffffffff", " ", "-1"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, err := parseChunkLine(b); err == nil && n < 0 {
			t.Fatalf("%d from %q", n, b)
		}
	})
}

// FuzzScanXML: scanning finds only what is there and ends.
func FuzzScanXML(f *testing.F) {
	f.Add([]byte("<Contents><Key>a</Key></Contents><NextContinuationToken>x&amp;y</NextContinuationToken>"))
	f.Add([]byte("<Key><Key>"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		for k := range eachKey(b) {
			n++
			if !bytes.Contains(b, k) {
				t.Fatalf("key %q is not in %q", k, b)
			}
		}
		if n > countKeys(b) {
			t.Fatalf("%d keys, counted %d", n, countKeys(b))
		}
		if text, ok := element(b, "Key"); ok {
			unescape(text)
		}
	})
}
