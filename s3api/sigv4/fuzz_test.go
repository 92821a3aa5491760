package sigv4

import (
	"bytes"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

func FuzzAuthorizationHeader(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential="+docScope+", SignedHeaders=host;x-amz-date, Signature="+EmptySHA256, "20130524T000000Z")
	f.Add("AWS4-HMAC-SHA256 Credential=a/b/20130524/r/s3/aws4_request,SignedHeaders=host,Signature=0", "20130524T000000Z")
	f.Add("AWS a:b", "")
	f.Fuzz(func(t *testing.T, h, date string) {
		r := request("GET", "http://h/b", "")
		r.Header["Authorization"] = []string{h}
		r.Header["X-Amz-Date"] = []string{date}
		r.Header["X-Amz-Content-Sha256"] = []string{EmptySHA256}
		if res, err := newVerifier().Verify(r); err == nil {
			t.Fatalf("accepted %q: %+v", h, res)
		} else if codeOf(err) == "" {
			t.Fatalf("%v is no S3 error", err)
		}
		a, err := parseHeader(h)
		if err != nil {
			return
		}
		c := a.credential
		if c.accessKey+"/"+c.scope != c.accessKey+"/"+strings.Join([]string{c.date, c.region, c.service, c.terminal}, "/") || !strings.Contains(h, c.scope) {
			t.Fatalf("%q parsed as %+v", h, c)
		}
	})
}

func FuzzQuery(f *testing.F) {
	f.Add("a=1&b=%2F&c+d=%20&&e")
	f.Add("X-Amz-Date=1&X%2DAmz-Date=2&x-amz-date=3")
	f.Add("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=x&X-Amz-Signature=%zz")
	f.Fuzz(func(t *testing.T, raw string) {
		var q query
		err := q.parse(raw)
		if len(q.buf) > 3*len(raw)+len(q.parameters) {
			t.Fatalf("%d bytes from %d", len(q.buf), len(raw))
		}
		if err != nil || strings.Contains(raw, ";") { // url.ParseQuery refuses semicolons
			return
		}
		// What the handlers will see is what was signed, all of it and nothing else.
		values, err := url.ParseQuery(raw)
		if err != nil {
			t.Fatalf("%q: accepted here, refused by net/url: %v", raw, err)
		}
		signed := string(q.appendCanonical(nil))
		again, err := url.ParseQuery(signed)
		if err != nil {
			t.Fatal(err)
		}
		delete(values, "X-Amz-Signature")
		if len(again) != len(values) {
			t.Fatalf("%q: %q, canonical %q", raw, values, signed)
		}
		for k, v := range values {
			slices.Sort(v)
			w := again[k]
			slices.Sort(w)
			if !slices.Equal(v, w) {
				t.Fatalf("%q: %s is %q, canonical %q", raw, k, v, w)
			}
		}
		var q2 query
		if err := q2.parse(signed); err != nil && len(q.parameters) <= maxParameters || string(q2.appendCanonical(nil)) != signed {
			t.Fatalf("%q: canonical form %q is not stable", raw, signed)
		}
		if q.presigned() {
			r := request("GET", "http://h/b", "")
			r.URL.RawQuery = raw
			if _, err := newVerifier().Verify(r); codeOf(err) == "" {
				t.Fatalf("%q: %v", raw, err)
			}
		}
	})
}

// Any payload in any chunking decodes to itself, read in pieces of any size; with one byte of a signed stream changed it never
// decodes to anything else.
func FuzzChunkRoundTrip(f *testing.F) {
	f.Add([]byte("hello, world"), uint16(5), uint16(3), uint16(7), byte(1), uint8(0))
	f.Add([]byte{}, uint16(1), uint16(1), uint16(0), byte(0), uint8(1))
	f.Add(pattern(9000), uint16(8192), uint16(5000), uint16(8300), byte(0x20), uint8(2))
	modes := []PayloadMode{PayloadChunkedSigned, PayloadChunkedSignedTrailer, PayloadChunkedUnsignedTrailer}
	f.Fuzz(func(t *testing.T, payload []byte, chunk, piece, at uint16, flip byte, mode uint8) {
		m := modes[int(mode)%len(modes)]
		if m == PayloadChunkedUnsignedTrailer {
			flip = 0
		}
		r, wire := signed(t, m, payload, int(chunk))
		wire = bytes.Clone(wire)
		wire[int(at)%len(wire)] ^= flip
		res, err := newVerifier().Verify(r)
		if err != nil {
			t.Fatal(err)
		}
		r.Body = http1Body(wire)
		b, err := res.Body(r)
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		for p := make([]byte, int(piece)+1); err == nil; {
			var n int
			n, err = b.Read(p)
			got = append(got, p[:n]...)
		}
		if err == io.EOF && !bytes.Equal(got, payload) {
			t.Fatalf("%s: accepted %d bytes that were not signed", m, len(got))
		}
		if flip == 0 && err != io.EOF {
			t.Fatalf("%s: %v", m, err)
		}
	})
}

// Arbitrary bytes as a chunked body: no panic, no more than the announced payload, and errors with a code.
func FuzzChunkDecoder(f *testing.F) {
	f.Add([]byte("4\r\ndata\r\n0\r\nx-amz-checksum-crc32:rfPzYw==\r\n\r\n"))
	f.Add([]byte("fffffffffffffff\r\n"))
	f.Add([]byte("0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, wire []byte) {
		r := request("PUT", "http://h/b/k", "", "X-Amz-Decoded-Content-Length", "4", "X-Amz-Trailer", "x-amz-checksum-crc32")
		r.Body = http1Body(wire)
		got, trailer, err := readBody(&Result{Mode: PayloadChunkedUnsignedTrailer}, r)
		if len(got) > 4 || err == nil && (len(got) != 4 || len(trailer) != 1) || err != nil && codeOf(err) == "" {
			t.Fatalf("%q, %v, %v", got, trailer, err)
		}
	})
}

func FuzzPresignRoundTrip(f *testing.F) {
	f.Add("/bucket/a b+c%", "prefix=x&y")
	f.Fuzz(func(t *testing.T, path, raw string) {
		r := request("GET", "http://h/", "")
		r.URL.Path, r.URL.RawQuery = "/"+path, raw
		if strings.Contains(raw, "Amz-") || strings.ContainsAny(raw, "%#") || strings.Contains(raw, "AWSAccessKeyId") {
			t.Skip()
		}
		if err := newSigner().Presign(r, docTime, time.Hour); err != nil {
			t.Skip()
		}
		again, err := url.Parse(r.URL.String())
		if err != nil {
			t.Skip()
		}
		r.URL = again
		r.Host = "h"
		if _, err := newVerifier().Verify(r); err != nil {
			t.Fatalf("%s: %v", r.URL, err)
		}
	})
}
