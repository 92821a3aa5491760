package s3api

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/weftstore/weft/internal/checksum"
	"github.com/weftstore/weft/s3api/sigv4"
)

// signedEnv is a handler behind the real verifier.
func signedEnv(t *testing.T) (*env, *sigv4.Signer) {
	verifier, signer := benchAuth("us-east-1")
	e := newEnv(t, func(c *Config) { c.Auth = verifier })
	if _, err := e.db.CreateBucket(t.Context(), "bucket", ""); err != nil {
		t.Fatal(err)
	}
	return e, signer
}

func (e *env) serve(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	e.h.ServeHTTP(w, r)
	return w
}

func request(method, target, body string) *http.Request {
	r := httptest.NewRequest(method, "http://localhost"+target, strings.NewReader(body))
	r.Host = "localhost"
	return r
}

func TestSigned(t *testing.T) {
	e, signer := signedEnv(t)
	now := time.Now()
	const key = "/bucket/a%2Fb/../c//+d%20%C3%A4"
	for _, mode := range []sigv4.PayloadMode{sigv4.PayloadChunkedSigned, sigv4.PayloadChunkedSignedTrailer, sigv4.PayloadChunkedUnsignedTrailer} {
		for _, tamper := range []bool{false, true} {
			r := request("PUT", key+mode.String(), "")
			a := checksum.None
			if mode != sigv4.PayloadChunkedSigned {
				a = checksum.CRC32C
			}
			data := strings.Repeat("0123456789", 20000)
			if err := signer.SignStream(r, sigv4.Stream{Body: strings.NewReader(data), Size: int64(len(data)), Mode: mode, Checksum: a}, now); err != nil {
				t.Fatal(err)
			}
			if tamper {
				raw, _ := io.ReadAll(r.Body)
				raw = bytes.Replace(raw, []byte("5678901234"), []byte("5678901235"), 1)
				r.Body = io.NopCloser(bytes.NewReader(raw))
			}
			before := e.objects.puts.Load()
			w := e.serve(r)
			if tamper != (w.Code != 200) || tamper && e.objects.puts.Load() != before {
				t.Errorf("%s, tampered %v: %d %s", mode, tamper, w.Code, w.Body)
			}
			if tamper {
				continue
			}
			r = request("GET", key+mode.String(), "")
			if err := signer.Presign(r, now, time.Hour); err != nil {
				t.Fatal(err)
			}
			if w = e.serve(r); w.Body.String() != data {
				t.Errorf("%s: presigned GET: %d, %d bytes", mode, w.Code, w.Body.Len())
			}
		}
	}
	r := request("GET", "/bucket/k", "")
	_ = signer.SignHeader(r, sigv4.EmptySHA256, now)
	r.URL.Path = "/bucket/other"
	if w := e.serve(r); w.Code != 403 || errorCode(w) != "SignatureDoesNotMatch" || len(elements(w, "StringToSign")) != 1 {
		t.Errorf("other path: %d %s", w.Code, w.Body)
	}
	r = request("GET", "/bucket/k", "")
	_ = signer.SignHeader(r, sigv4.EmptySHA256, now.Add(-time.Hour))
	if w := e.serve(r); w.Code != 403 || errorCode(w) != "RequestTimeTooSkewed" {
		t.Errorf("skewed: %d %s", w.Code, w.Body)
	}
	r = request("PUT", "/bucket/k", "hello")
	_ = signer.SignHeader(r, sigv4.EmptySHA256, now)
	if w := e.serve(r); w.Code != 400 || errorCode(w) != "XAmzContentSHA256Mismatch" {
		t.Errorf("other body: %d %s", w.Code, w.Body)
	}
}

// TestHoisted: what SDKs move from headers into a presigned query counts as if it
// were still a header.
func TestHoisted(t *testing.T) {
	e, signer := signedEnv(t)
	put := func(query, body string) *httptest.ResponseRecorder {
		r := request("PUT", "/bucket/k?"+query, body)
		if err := signer.Presign(r, time.Now(), time.Hour); err != nil {
			t.Fatal(err)
		}
		return e.serve(r)
	}
	for query, code := range map[string]string{
		"x-amz-acl=public-read": "AccessControlListNotSupported", "x-amz-server-side-encryption=AES256": "NotImplemented", "x-amz-copy-source=a/b": "NotImplemented",
		"x-amz-checksum-crc32=AAAAAA%3D%3D": "BadDigest", "X-Amz-Storage-Class=none": "InvalidStorageClass",
	} {
		if w := put(query, "hello"); errorCode(w) != code {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
	if w := put("x-amz-meta-colour=red&x-amz-acl=private", "hello"); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	r := request("HEAD", "/bucket/k", "")
	_ = signer.SignHeader(r, sigv4.EmptySHA256, time.Now())
	if got := e.serve(r).Header()["x-amz-meta-colour"]; len(got) != 1 || got[0] != "red" { //nolint:staticcheck // names of user metadata go out in lower case
		t.Errorf("metadata %q", got)
	}
}
