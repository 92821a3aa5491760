package sigv4

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"testing"

	"github.com/weftstore/weft/internal/checksum"
)

var allModes = []PayloadMode{PayloadSigned, PayloadUnsigned, PayloadChunkedSigned, PayloadChunkedSignedTrailer, PayloadChunkedUnsignedTrailer}

// signed makes a PUT in some payload mode and returns it with its body as it goes over the wire.
func signed(t testing.TB, m PayloadMode, payload []byte, chunk int) (*http.Request, []byte) {
	t.Helper()
	r := request("PUT", "http://127.0.0.1:9000/bucket/key", "")
	r.ContentLength = int64(len(payload))
	if !m.Chunked() {
		p := m.String()
		if m == PayloadSigned {
			sum := sha256.Sum256(payload)
			p = hex.EncodeToString(sum[:])
		}
		if err := newSigner().SignHeader(r, p, docTime); err != nil {
			t.Fatal(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(payload))
		return r, payload
	}
	st := Stream{Body: bytes.NewReader(payload), Size: int64(len(payload)), Mode: m, ChunkSize: chunk}
	if m.trailers() {
		st.Checksum = checksum.CRC64NVME
	}
	if err := newSigner().SignStream(r, st, docTime); err != nil {
		t.Fatal(err)
	}
	wire, err := io.ReadAll(r.Body)
	if err != nil || int64(len(wire)) != r.ContentLength {
		t.Fatalf("%s: wire of %d bytes, announced %d: %v", m, len(wire), r.ContentLength, err)
	}
	r.Body = io.NopCloser(bytes.NewReader(wire))
	return r, wire
}

// receive verifies r with another wire body and returns what a careful caller would store.
func receive(t testing.TB, r *http.Request, wire []byte) (string, http.Header, error) {
	t.Helper()
	r.Body = io.NopCloser(bytes.NewReader(wire))
	res, err := newVerifier().Verify(r)
	if err != nil {
		t.Fatal(err)
	}
	return readBody(res, r)
}

func http1Body(wire []byte) io.ReadCloser { return io.NopCloser(bytes.NewReader(wire)) }
