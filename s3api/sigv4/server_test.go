package sigv4

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/weftstore/weft/internal/checksum"
)

// received is what a server got, after verification.
type received struct {
	body    []byte
	trailer http.Header
	mode    PayloadMode
	err     error
}

// server runs the verifier behind net/http and keeps the outcome of the last request.
func server(t *testing.T) (*httptest.Server, func() received) {
	t.Helper()
	var mu sync.Mutex
	var last received
	v := newVerifier()
	v.Now = nil
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		last = received{}
		res, err := v.Verify(r)
		if err == nil {
			last.mode = res.Mode
			var b *Body
			if b, err = res.Body(r); err == nil {
				last.body, err = io.ReadAll(b)
				last.trailer = b.Trailer()
			}
		}
		if last.err = err; err != nil {
			status := http.StatusInternalServerError
			if e, ok := errors.AsType[*Error](err); ok {
				status = e.Status
			}
			w.WriteHeader(status)
			return
		}
		w.Header().Set("ETag", `"00000000000000000000000000000000"`)
	}))
	t.Cleanup(s.Close)
	return s, func() received {
		mu.Lock()
		defer mu.Unlock()
		return last
	}
}

// minio-go streams signed chunks over http, with and without trailers, and has line ends of its own.
func TestMinioGo(t *testing.T) {
	s, last := server(t)
	for _, trailing := range []bool{false, true} {
		c, err := minio.New(strings.TrimPrefix(s.URL, "http://"), &minio.Options{
			Creds:           credentials.NewStaticV4(docCredentials.AccessKey, docCredentials.SecretKey, ""),
			Region:          "us-east-1",
			TrailingHeaders: trailing,
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range []int{0, 1, 65536, 200001} {
			for _, key := range []string{"key", "a b+c/é(1)%"} {
				payload := pattern(size)
				_, err := c.PutObject(context.Background(), "bucket", key, bytes.NewReader(payload), int64(size),
					minio.PutObjectOptions{UserMetadata: map[string]string{"a": "b  c"}, Checksum: checksumOption(trailing)})
				got := last()
				if err != nil || got.err != nil || !bytes.Equal(got.body, payload) {
					t.Errorf("%d bytes, trailers %v: %v, server got %d bytes, mode %v: %v", size, trailing, err, len(got.body), got.mode, got.err)
				}
				if trailing && size > 0 && (got.mode != PayloadChunkedSignedTrailer || len(got.trailer) != 1) {
					t.Errorf("%d bytes: mode %v, trailer %v", size, got.mode, got.trailer)
				}
			}
		}
	}
}

func checksumOption(trailing bool) minio.ChecksumType {
	if trailing {
		return minio.ChecksumCRC32C
	}
	return minio.ChecksumNone
}

// The signer's requests survive net/http on both sides, in every mode, with every header that net/http treats in its own way.
func TestSignerOverHTTP(t *testing.T) {
	s, last := server(t)
	for _, m := range allModes {
		payload := pattern(100000)
		signedRequest, wire := signed(t, m, payload, 0) // for its headers
		r, err := http.NewRequest("PUT", s.URL+"/bucket/a%20b%2Bc?partNumber=1&uploadId=x%2Fy", bytes.NewReader(wire))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "text/plain")
		r.Header.Set("Content-Length", fmt.Sprint(len(wire)))
		if m.Chunked() {
			st := Stream{Body: bytes.NewReader(payload), Size: int64(len(payload)), Mode: m}
			if m.trailers() {
				st.Checksum = checksum.SHA256
			}
			err = newSigner().SignStream(r, st, time.Now())
		} else {
			err = newSigner().SignHeader(r, signedRequest.Header.Get("X-Amz-Content-Sha256"), time.Now())
		}
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := last(); got.err != nil || resp.StatusCode != 200 || got.mode != m || !bytes.Equal(got.body, payload) {
			t.Errorf("%s: %d, %d bytes, %v", m, resp.StatusCode, len(got.body), got.err)
		}
	}
}
