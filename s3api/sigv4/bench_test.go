package sigv4

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

func BenchmarkVerifyHeader(b *testing.B) {
	r := request("GET", "http://127.0.0.1:9000/bucket/some/object/key-000123?partNumber=3", "", "Range", "bytes=0-65535",
		"User-Agent", "Boto3/1.43", "Accept-Encoding", "identity", "Amz-Sdk-Invocation-Id", "d5b2")
	if err := newSigner().SignHeader(r, EmptySHA256, docTime); err != nil {
		b.Fatal(err)
	}
	v := newVerifier()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyPresigned(b *testing.B) {
	r := request("GET", "http://127.0.0.1:9000/bucket/some/object/key-000123", "")
	if err := newSigner().Presign(r, docTime, maxExpires); err != nil {
		b.Fatal(err)
	}
	v := newVerifier()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBody(b *testing.B) {
	payload := make([]byte, 1<<20)
	buf := make([]byte, 256<<10)
	for _, m := range []PayloadMode{PayloadUnsigned, PayloadSigned, PayloadChunkedSigned, PayloadChunkedUnsignedTrailer} {
		b.Run(m.String(), func(b *testing.B) {
			r, wire := signed(b, m, payload, 0)
			v := newVerifier()
			b.SetBytes(int64(len(payload)))
			b.ReportAllocs()
			for b.Loop() {
				r.Body = io.NopCloser(bytes.NewReader(wire))
				res, err := v.Verify(r)
				if err != nil {
					b.Fatal(err)
				}
				body, err := res.Body(r)
				for err == nil {
					_, err = body.Read(buf)
				}
				if !errors.Is(err, io.EOF) {
					b.Fatal(err)
				}
			}
		})
	}
}
