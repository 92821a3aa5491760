package sigv4

import (
	"bytes"
	"strings"
	"testing"
)

// Fault model: somebody between client and server, who does not know the secret, may cut the body anywhere, change any byte of
// it, and repeat, swap, drop or add whole chunks and trailers; also those of another request signed with the same key on the
// same day. Promise: whoever reads to io.EOF has the signed payload and trailers, or no io.EOF.

// chunks splits a wire body into frames: the data chunks, then the last chunk, then the trailer section.
func chunks(t *testing.T, wire []byte) [][]byte {
	t.Helper()
	var frames [][]byte
	for {
		eol := bytes.Index(wire, []byte("\r\n"))
		size, _, ok := parseChunkSize(wire[:eol+2])
		if !ok {
			t.Fatalf("no chunk header in %q", wire[:min(len(wire), 100)])
		}
		if size == 0 {
			return append(frames, wire[:eol+2], wire[eol+2:])
		}
		end := eol + 2 + int(size) + 2
		frames, wire = append(frames, wire[:end]), wire[end:]
	}
}

func TestTamperedChunks(t *testing.T) {
	for _, m := range []PayloadMode{PayloadChunkedSigned, PayloadChunkedSignedTrailer} {
		// Two chunks of equal content differ in their signatures only.
		payload := bytes.Repeat(pattern(64), 5)
		r, wire := signed(t, m, payload, 64)
		f := chunks(t, wire)
		other, otherWire := signed(t, m, pattern(len(payload)), 64)
		if other.Header.Get("Authorization") != r.Header.Get("Authorization") {
			t.Fatal("the other request should have the same seed signature: its payload is not in it")
		}
		alien := chunks(t, otherWire)
		empty := append([]byte("0"), f[len(f)-2][1:]...)
		for name, frames := range map[string][][]byte{
			"replay":             {f[0], f[0], f[2], f[3], f[4], f[5], f[6]},
			"swap":               {f[1], f[0], f[2], f[3], f[4], f[5], f[6]},
			"drop":               {f[0], f[1], f[2], f[3], f[5], f[6]},
			"drop the first":     {f[1], f[2], f[3], f[4], f[5], f[6]},
			"add":                {f[0], f[1], f[2], f[3], f[4], f[4], f[5], f[6]},
			"end early":          {f[0], f[1], f[5], f[6]},
			"an earlier end":     {f[0], empty, f[1], f[2], f[3], f[4], f[5], f[6]},
			"alien chunk":        {f[0], alien[1], f[2], f[3], f[4], f[5], f[6]},
			"alien tail":         {f[0], f[1], f[2], f[3], f[4], alien[5], alien[6]},
			"after the end":      {f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[0]},
			"chunks not signed":  {[]byte("140\r\n"), payload, []byte("\r\n0\r\n\r\n")},
			"signature cut":      {bytes.Replace(f[0], []byte(chunkSignature), []byte(";chunk-signature"), 1), f[1], f[2], f[3], f[4], f[5], f[6]},
			"chunk split in two": {[]byte("20"), f[0][2:], f[1], f[2], f[3], f[4], f[5], f[6]},
		} {
			if got, trailer, err := receive(t, r, bytes.Join(frames, nil)); err == nil {
				t.Errorf("%s, %s: accepted %d bytes, %v", m, name, len(got), trailer)
			}
		}
		if got, _, err := receive(t, r, bytes.Join(f, nil)); err != nil || got != string(payload) {
			t.Errorf("%s, untouched: %v", m, err)
		}
		// Version 4 cannot tell two requests apart that have the same second, headers and length: either one's body fits the other.
		if got, _, err := receive(t, r, otherWire); err != nil || got != string(pattern(len(payload))) {
			t.Errorf("%s: the other request's body: %v", m, err)
		}
	}
}

func TestTamperedTrailers(t *testing.T) {
	r, wire := signed(t, PayloadChunkedSignedTrailer, pattern(100), 64)
	text := string(wire)
	at := strings.Index(text, "x-amz-checksum")
	value := text[at+len("x-amz-checksum-crc64nvme:"):][:12]
	signature := text[strings.Index(text, trailerSignature):]
	for name, c := range map[string]struct{ wire, code string }{
		"value":             {strings.Replace(text, value, "AAAAAAAAAAA=", 1), "SignatureDoesNotMatch"},
		"name":              {strings.Replace(text, "crc64nvme", "sha256", 1), "MalformedTrailerError"},
		"dropped":           {text[:at] + signature, "MalformedTrailerError"},
		"all dropped":       {text[:at] + "\r\n", "MalformedTrailerError"},
		"signature dropped": {strings.TrimSuffix(text, signature), "SignatureDoesNotMatch"},
		"signature short":   {strings.TrimSuffix(text, "\r\n\r\n")[:len(text)-5] + "\r\n\r\n", "SignatureDoesNotMatch"},
		"signature twice":   {strings.TrimSuffix(text, "\r\n") + signature, "MalformedTrailerError"},
		"after signature":   {strings.TrimSuffix(text, "\r\n") + "x-amz-checksum-crc64nvme:" + value + "\r\n", "MalformedTrailerError"},
		"added":             {strings.Replace(text, trailerSignature, "x-amz-meta-a:b\r\n"+trailerSignature, 1), "MalformedTrailerError"},
	} {
		if _, trailer, err := receive(t, r, []byte(c.wire)); codeOf(err) != c.code || trailer != nil {
			t.Errorf("%s: trailer %v, %v, want %s", name, trailer, err, c.code)
		}
	}
}

// Every truncation, and every byte changed in turn, must end without io.EOF or with payload and trailers as signed. (Some bytes mean
// nothing: the case of a size, the white space in a trailer.)
func TestEveryByteMatters(t *testing.T) {
	for _, m := range []PayloadMode{PayloadSigned, PayloadChunkedSigned, PayloadChunkedSignedTrailer} {
		payload := pattern(150)
		r, wire := signed(t, m, payload, 64)
		_, want, err := receive(t, r, wire)
		if err != nil {
			t.Fatal(err)
		}
		for cut := range wire[:len(wire)-4] {
			if _, _, err := receive(t, r, wire[:cut]); err == nil {
				t.Fatalf("%s: cut at %d of %d and accepted", m, cut, len(wire))
			}
		}
		refused := 0
		for i := range wire {
			for _, flip := range []byte{1, 0x20, 0x80, wire[i] ^ '\n'} {
				if flip == 0 {
					continue
				}
				bad := bytes.Clone(wire)
				bad[i] ^= flip
				got, trailer, err := receive(t, r, bad)
				if err != nil {
					refused++
				} else if got != string(payload) || trailer.Get("X-Amz-Checksum-Crc64nvme") != want.Get("X-Amz-Checksum-Crc64nvme") {
					t.Fatalf("%s: byte %d ^ %#x accepted: %q", m, i, flip, bad[max(0, i-20):min(len(bad), i+20)])
				}
			}
		}
		if refused < 3*len(wire) {
			t.Errorf("%s: only %d changes refused", m, refused)
		}
	}
}

// A mismatch of the payload's hash shows at the end only, and then for good.
func TestPayloadHashMismatch(t *testing.T) {
	r, wire := signed(t, PayloadSigned, pattern(1000), 0)
	wire = bytes.Clone(wire)
	wire[500] ^= 1
	got, _, err := receive(t, r, wire)
	if codeOf(err) != "XAmzContentSHA256Mismatch" || len(got) != 1000 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	res, err := newVerifier().Verify(r)
	if err != nil {
		t.Fatal(err)
	}
	r.Body = http1Body(wire)
	b, err := res.Body(r)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := b.Read(make([]byte, 2000)); n != 1000 || err != nil {
		t.Errorf("first read: %d, %v", n, err)
	}
	for range 2 {
		if err := b.Finish(); codeOf(err) != "XAmzContentSHA256Mismatch" {
			t.Errorf("Finish: %v", err)
		}
	}
}
