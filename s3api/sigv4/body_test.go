package sigv4

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/weftstore/weft/internal/checksum"
)

func pattern(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i*7 + i>>8)
	}
	return p
}

func TestBodyRoundTrip(t *testing.T) {
	for _, m := range allModes {
		for _, size := range []int{0, 1, 15, 16, 17, 4095, 4096, 4097, 70000, 200000} {
			for _, chunk := range []int{16, 8192, 0} {
				if chunk == 16 && size > 5000 {
					continue
				}
				payload := pattern(size)
				r, wire := signed(t, m, payload, chunk)
				got, trailer, err := receive(t, r, wire)
				if err != nil || got != string(payload) {
					t.Fatalf("%s, %d bytes, chunks of %d: got %d bytes, %v", m, size, chunk, len(got), err)
				}
				if m.trailers() != (trailer.Get(checksum.CRC64NVME.Header()) != "") {
					t.Errorf("%s: trailer %v", m, trailer)
				}
			}
		}
	}
}

func TestBodyLengthAndClose(t *testing.T) {
	for _, m := range allModes {
		r, _ := signed(t, m, pattern(1000), 0)
		res, err := newVerifier().Verify(r)
		if err != nil {
			t.Fatal(err)
		}
		b, err := res.Body(r)
		if err != nil || b.Length() != 1000 || b.Trailer() != nil {
			t.Fatalf("%s: length %d, trailer %v, %v", m, b.Length(), b.Trailer(), err)
		}
		if n, err := b.Read(nil); n != 0 || err != nil {
			t.Errorf("%s: an empty read returned %d, %v", m, n, err)
		}
		if err := b.Finish(); !errors.Is(err, ErrIncompleteBody) {
			t.Errorf("%s: Finish with payload left: %v", m, err)
		}
		if err := errors.Join(b.Close(), b.Close()); err != nil {
			t.Errorf("%s: Close failed", m)
		}
		if _, err := b.Read(make([]byte, 10)); err == nil || err == io.EOF {
			t.Errorf("%s: read after close: %v", m, err)
		}
	}
}

// A reader that notes which buffers it is asked to fill.
type spy struct {
	r    io.Reader
	p    []byte // the caller's buffer
	into int    // bytes put straight into it
}

func (s *spy) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if n > 0 && len(s.p) > 0 && within(s.p, p) {
		s.into += n
	}
	return n, err
}

func within(outer, inner []byte) bool {
	for i := range outer {
		if &outer[i] == &inner[0] {
			return true
		}
	}
	return false
}

// Bulk bytes go from the connection into the caller's buffer; only what came along with a chunk header may be copied.
func TestBodyReadsDirectly(t *testing.T) {
	for _, m := range allModes {
		payload := pattern(1 << 20)
		r, wire := signed(t, m, payload, 256<<10)
		s := &spy{r: bytes.NewReader(wire), p: make([]byte, 256<<10)}
		r.Body = io.NopCloser(s)
		res, err := newVerifier().Verify(r)
		if err != nil {
			t.Fatal(err)
		}
		b, err := res.Body(r)
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = b.Read(s.p)
		}
		if err != io.EOF || s.into < len(payload)-5*maxLine {
			t.Errorf("%s: %d of %d bytes went straight to the caller, %v", m, s.into, len(payload), err)
		}
	}
}

func TestBodyFromSlowAndBrokenConnections(t *testing.T) {
	broken := errors.New("connection reset")
	for _, m := range allModes {
		payload := pattern(10000)
		r, wire := signed(t, m, payload, 4000)
		res, err := newVerifier().Verify(r)
		if err != nil {
			t.Fatal(err)
		}
		for name, src := range map[string]io.Reader{"one byte": iotest.OneByteReader(bytes.NewReader(wire)),
			"data with EOF": iotest.DataErrReader(bytes.NewReader(wire))} {
			r.Body = io.NopCloser(src)
			if got, _, err := readBody(res, r); err != nil || got != string(payload) {
				t.Errorf("%s, %s: %d bytes, %v", m, name, len(got), err)
			}
		}
		for _, end := range []error{broken, io.ErrUnexpectedEOF} {
			r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(wire[:5000]), iotest.ErrReader(end)))
			_, _, err := readBody(res, r)
			if end == broken && !errors.Is(err, broken) || end != broken && !errors.Is(err, ErrIncompleteBody) {
				t.Errorf("%s: %v after %v", m, err, end)
			}
		}
	}
}

// Framing that is wrong in itself, in the unsigned mode, where no signature hides it.
func TestChunkFramingErrors(t *testing.T) {
	const crc = "x-amz-checksum-crc32:rfPzYw==\r\n"
	ten := "a\r\n0123456789\r\n"
	var many strings.Builder
	for i := range 17 {
		fmt.Fprintf(&many, "x-amz-checksum-crc32%d:a\r\n", i)
	}
	for _, c := range []struct {
		name, wire, code string
	}{
		{"good", ten + "0\r\n" + crc + "\r\n", ""},
		{"no final CRLF", ten + "0\r\n" + crc, ""},
		{"no line end at all", ten + "0\r\n" + strings.TrimSpace(crc), ""},
		{"empty line before trailer", ten + "0\r\n\r\n" + crc + "\r\n", ""},
		{"minio-go's line ends", ten + "0\r\nx-amz-checksum-crc32:rfPzYw==\n\r\n\r\n", ""},
		{"upper case and leading zeros", "00A\r\n0123456789\r\n0000\r\n" + crc, ""},
		{"extension", "a;name=value\r\n0123456789\r\n0\r\n" + crc, ""},
		{"two chunks", "4\r\n0123\r\n6\r\n456789\r\n0\r\n" + crc, ""},
		{"empty", "", "IncompleteBody"},
		{"no last chunk", ten, "IncompleteBody"},
		{"too short", "9\r\n012345678\r\n0\r\n" + crc, "IncompleteBody"},
		{"too long", "b\r\n0123456789a\r\n0\r\n" + crc, "IncompleteBody"},
		{"too long in two", ten + "1\r\na\r\n0\r\n" + crc, "IncompleteBody"},
		{"short chunk", "a\r\n012345678\r\n0\r\n" + crc, "IncompleteBody"},
		{"no CRLF after data", "a\r\n01234567890\r\n" + crc, "IncompleteBody"},
		{"other bytes for CRLF", "a\r\n0123456789xx0\r\n" + crc, "IncompleteBody"},
		{"another byte for CR", "a\r\n0123456789x\n0\r\n" + crc, "IncompleteBody"},
		{"bare LF in header", "a\n0123456789\r\n0\r\n" + crc, "IncompleteBody"},
		{"no size", "\r\n0123456789\r\n0\r\n" + crc, "IncompleteBody"},
		{"sign", "-a\r\n0123456789\r\n0\r\n" + crc, "IncompleteBody"},
		{"prefix", "0xa\r\n0123456789\r\n0\r\n" + crc, "IncompleteBody"},
		{"space", "a \r\n0123456789\r\n0\r\n" + crc, "IncompleteBody"},
		{"huge size", "ffffffffffffffff\r\n0123456789\r\n0\r\n" + crc, "IncompleteBody"},
		{"60 bits", "fffffffffffffff\r\n0123456789\r\n0\r\n" + crc, "IncompleteBody"},
		{"endless header", "a;" + strings.Repeat("x", maxLine) + "\r\n0123456789\r\n0\r\n" + crc, "IncompleteBody"},
		{"no trailer", ten + "0\r\n\r\n", "MalformedTrailerError"},
		{"other trailer", ten + "0\r\nx-amz-checksum-sha1:rfPzYw==\r\n\r\n", "MalformedTrailerError"},
		{"trailer twice", ten + "0\r\n" + crc + crc, "MalformedTrailerError"},
		{"trailer and more", ten + "0\r\n" + crc + "\r\njunk", "MalformedTrailerError"},
		{"second body", ten + "0\r\n" + crc + "\r\n" + ten + "0\r\n" + crc, "MalformedTrailerError"},
		{"trailer without value", ten + "0\r\nx-amz-checksum-crc32:\r\n", "MalformedTrailerError"},
		{"trailer without colon", ten + "0\r\nx-amz-checksum-crc32\r\n", "MalformedTrailerError"},
		{"many trailers", ten + "0\r\n" + many.String(), "MalformedTrailerError"},
		{"endless trailer", ten + "0\r\nx-amz-checksum-crc32:" + strings.Repeat("x", maxTrailerBytes), "MalformedTrailerError"},
		{"endless lines", ten + "0\r\n" + strings.Repeat("\r\n", maxTrailerBytes) + crc, "MalformedTrailerError"},
		{"signature where none belongs", ten + "0\r\n" + crc + "x-amz-trailer-signature:00\r\n", "MalformedTrailerError"},
	} {
		r := request("PUT", "http://h/b/k", c.wire, "X-Amz-Decoded-Content-Length", "10", "X-Amz-Trailer", "x-amz-checksum-crc32")
		got, trailer, err := readBody(&Result{Mode: PayloadChunkedUnsignedTrailer}, r)
		if codeOf(err) != c.code || c.code == "" && (err != nil || got != "0123456789" || len(trailer) != 1) {
			t.Errorf("%s: %q, %v, %v, want %q", c.name, got, trailer, err, c.code)
		}
		if len(got) > 10 {
			t.Errorf("%s: %d bytes, more than announced", c.name, len(got))
		}
		if err != nil && trailer != nil {
			t.Errorf("%s: trailers in spite of an error", c.name)
		}
	}
}

func TestBodyHeaderErrors(t *testing.T) {
	const length, trailer = "X-Amz-Decoded-Content-Length", "X-Amz-Trailer"
	for _, c := range []struct {
		name    string
		mode    PayloadMode
		headers []string
		code    string
	}{
		{"no length", PayloadChunkedUnsignedTrailer, nil, "MissingContentLength"},
		{"negative", PayloadChunkedUnsignedTrailer, []string{length, "-1"}, "InvalidArgument"},
		{"word", PayloadChunkedUnsignedTrailer, []string{length, "ten"}, "InvalidArgument"},
		{"two", PayloadChunkedUnsignedTrailer, []string{length, "1", length, "2"}, "InvalidArgument"},
		{"overflow", PayloadChunkedUnsignedTrailer, []string{length, "9223372036854775808"}, "InvalidArgument"},
		{"too large", PayloadChunkedUnsignedTrailer, []string{length, "5368709121"}, "EntityTooLarge"},
		{"largest", PayloadChunkedUnsignedTrailer, []string{length, "5368709120"}, ""},
		{"no checksum", PayloadChunkedUnsignedTrailer, []string{length, "1", trailer, "x-amz-meta-a"}, "InvalidRequest"},
		{"unknown checksum", PayloadChunkedUnsignedTrailer, []string{length, "1", trailer, "x-amz-checksum-crc16"}, "InvalidRequest"},
		{"too many", PayloadChunkedUnsignedTrailer, []string{length, "1", trailer, strings.Repeat("x-amz-checksum-md5,", 16) + "x-amz-checksum-sha1"}, "InvalidRequest"},
		{"unsigned result", PayloadChunkedSigned, []string{length, "1"}, "InvalidRequest"},
		{"framed but not streaming", PayloadUnsigned, []string{length, "1"}, "InvalidRequest"},
		{"length repeated", PayloadUnsigned, []string{length, "4"}, ""},
	} {
		_, err := (&Result{Mode: c.mode}).Body(request("PUT", "http://h/b/k", "data", c.headers...))
		if codeOf(err) != c.code || c.code == "" && err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	r := request("PUT", "http://h/b/k", "")
	r.ContentLength = MaxBodyLength + 1
	if _, err := (&Result{Mode: PayloadUnsigned}).Body(r); codeOf(err) != "EntityTooLarge" {
		t.Error(err)
	}
	for _, n := range []int64{3, 5} {
		r = request("PUT", "http://h/b/k", "data")
		r.ContentLength = n
		if _, _, err := readBody(&Result{Mode: PayloadUnsigned}, r); codeOf(err) != "IncompleteBody" {
			t.Errorf("4 bytes of %d: %v", n, err)
		}
	}
	r = request("PUT", "http://h/b/k", "")
	r.Body, r.ContentLength = nil, 0
	if got, _, err := readBody(&Result{Mode: PayloadUnsigned}, r); got != "" || err != nil {
		t.Errorf("no body: %q, %v", got, err)
	}
}

func TestSignStreamRefusesNonsense(t *testing.T) {
	for _, st := range []Stream{{Mode: PayloadSigned}, {Mode: PayloadChunkedSigned, Size: -1}, {Mode: PayloadChunkedSigned, Checksum: checksum.MD5},
		{Mode: PayloadChunkedSignedTrailer}, {Mode: PayloadChunkedSigned, ChunkSize: -1}} {
		if newSigner().SignStream(request("PUT", "/b/k", ""), st, docTime) == nil {
			t.Errorf("%+v is signed", st)
		}
	}
	r := request("PUT", "/b/k", "")
	st := Stream{Body: strings.NewReader("short"), Size: 6, Mode: PayloadChunkedSigned}
	if err := newSigner().SignStream(r, st, docTime); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(r.Body); err != io.ErrUnexpectedEOF {
		t.Errorf("payload shorter than announced: %v", err)
	}
}

func TestStripAWSChunked(t *testing.T) {
	for in, want := range map[string]string{"": "", "aws-chunked": "", "gzip": "gzip", "aws-chunked,gzip": "gzip", "gzip, aws-chunked": "gzip",
		"gzip,deflate": "gzip,deflate", "aws-chunked, gzip, br,aws-chunked": "gzip, br", "my-aws-chunked": "my-aws-chunked"} {
		if got := StripAWSChunked(in); got != want {
			t.Errorf("StripAWSChunked(%q) = %q, want %q", in, got, want)
		}
	}
	for _, m := range allModes {
		if m.Chunked() != strings.HasPrefix(m.String(), "STREAMING-") || PayloadMode(0).String() != "" {
			t.Errorf("%d is %q", m, m)
		}
	}
}
