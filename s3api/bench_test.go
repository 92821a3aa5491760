package s3api

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/weftstore/weft/internal/checksum"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/s3api/policy"
	"github.com/weftstore/weft/s3api/sigv4"
	"github.com/weftstore/weft/store"
)

// oneObject is a store with one object of 4 KiB, which costs nothing itself.
type oneObject struct {
	Objects
	v    *metadata.Version
	data []byte
}

func (o *oneObject) Info() (*metadata.Version, string) { return o.v, "" }
func (o *oneObject) Part(context.Context, int) (int64, int64, *metadata.Part, error) {
	return 0, 0, nil, nil
}
func (o *oneObject) Parts(context.Context, int, int) ([]metadata.Part, bool, error) {
	return nil, false, nil
}
func (o *oneObject) Close()           {}
func (o *oneObject) Unlock(*[32]byte) {}

func (o *oneObject) Open(context.Context, string, string, string) (Object, error) { return o, nil }

func (o *oneObject) Read(context.Context, int64, int64) (Stream, error) {
	return oneStream{o.data}, nil
}

func (o *oneObject) Put(_ context.Context, r *store.PutRequest) (*store.PutResult, error) {
	var buf [8 << 10]byte
	for {
		if _, err := r.Body.Read(buf[:]); err == io.EOF {
			break
		} else if err != nil {
			return nil, err
		}
	}
	return &store.PutResult{ETag: "5d41402abc4b2a76b9719d911017c592", Sums: store.Sums{Digest: o.v.Digest}}, nil
}

type oneStream struct{ data []byte }

func (s oneStream) Read([]byte) (int, error) { return 0, io.EOF }
func (s oneStream) Close() error             { return nil }
func (s oneStream) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(s.data)
	return int64(n), err
}

// discard is a ResponseWriter that keeps nothing.
type discard struct{ h http.Header }

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

func (d *discard) SetReadDeadline(time.Time) error  { return nil }
func (d *discard) SetWriteDeadline(time.Time) error { return nil }

func benchHandler(b *testing.B, auth Authenticator, prepare ...func(*env) error) *Handler {
	data := bytes.Repeat([]byte("x"), 4096)
	o := &oneObject{data: data, v: &metadata.Version{Modified: time.Unix(1e9, 0), Size: 4096,
		Headers: map[string]string{"Content-Type": "binary/octet-stream"},
		Digest:  metadata.Digest{Algorithm: checksum.CRC64NVME, Type: checksum.FullObject, Sum: make([]byte, 8)}}}
	e := newEnv(b, func(c *Config) { c.Auth, c.Objects = auth, o })
	if _, err := e.db.CreateBucket(b.Context(), "bucket", ""); err != nil {
		b.Fatal(err)
	}
	for _, f := range prepare {
		if err := f(e); err != nil {
			b.Fatal(err)
		}
	}
	return e.h
}

func benchAuth(region string) (*sigv4.Verifier, *sigv4.Signer) {
	cred := sigv4.Credentials{AccessKey: "AKIAIOSFODNN7EXAMPLE", SecretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
	v := &sigv4.Verifier{Region: region, Lookup: func(context.Context, string, string) (sigv4.Key, error) {
		return sigv4.Key{Secret: cred.SecretKey}, nil
	}}
	return v, &sigv4.Signer{Credentials: cred, Region: region}
}

// BenchmarkGet4K is this package's share of a GET of 4 KiB, signature included: for the
// root keys, and for a user with policies in a bucket with one.
func BenchmarkGet4K(b *testing.B) {
	b.Run("root", func(b *testing.B) {
		v, signer := benchAuth("us-east-1")
		benchGet(b, benchHandler(b, v), signer)
	})
	b.Run("policies", func(b *testing.B) {
		v, signer := benchAuth("us-east-1")
		who := &Principal{Name: "user", ID: "AIDA", Principal: policy.Principal{Account: "111111111111", ARNs: []string{"arn:aws:iam::111111111111:user/user"}}}
		for _, text := range []string{
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:PutObject","s3:GetObject"],"Resource":"arn:aws:s3:::home/${aws:username}/*"}]}`,
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject","s3:ListBucket"],"Resource":["arn:aws:s3:::bucket","arn:aws:s3:::bucket/*"]}]}`,
		} {
			d, err := policy.Parse([]byte(text), policy.Identity, "")
			if err != nil {
				b.Fatal(err)
			}
			who.Policies = append(who.Policies, d)
		}
		v.Lookup = func(context.Context, string, string) (sigv4.Key, error) {
			return sigv4.Key{Secret: signer.Credentials.SecretKey, Owner: who}, nil
		}
		h := benchHandler(b, v, func(e *env) error {
			return e.db.SetBucketConfig(b.Context(), "bucket", configPolicy, `{"Version":"2012-10-17","Statement":[
				{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::bucket/*","Condition":{"NotIpAddress":{"aws:SourceIp":"192.0.2.0/24"}}},
				{"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::bucket/*"}]}`)
		})
		benchGet(b, h, signer)
	})
}

func benchGet(b *testing.B, h *Handler, signer *sigv4.Signer) {
	r := httptest.NewRequest("GET", "http://localhost/bucket/key", nil)
	if err := signer.SignHeader(r, sigv4.EmptySHA256, time.Now()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		w := &discard{h: make(http.Header, 16)}
		h.ServeHTTP(w, r)
		if w.h["Content-Length"][0] != "4096" {
			b.Fatal(w.h)
		}
	}
}

// BenchmarkPut4K is this package's share of a PUT of 4 KiB.
func BenchmarkPut4K(b *testing.B) {
	v, signer := benchAuth("us-east-1")
	h := benchHandler(b, v)
	data := bytes.Repeat([]byte("x"), 4096)
	r := httptest.NewRequest("PUT", "http://localhost/bucket/key", nil)
	r.ContentLength = 4096
	if err := signer.SignHeader(r, "UNSIGNED-PAYLOAD", time.Now()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		r.Body = io.NopCloser(bytes.NewReader(data))
		w := &discard{h: make(http.Header, 16)}
		h.ServeHTTP(w, r)
		if len(w.h["Etag"]) != 1 {
			b.Fatal(w.h)
		}
	}
}

// onePage is a listing of 1,000 keys, made once.
type onePage struct {
	Listings
	page metadata.ListPage
}

func (o *onePage) List(context.Context, string, metadata.ListQuery) (*metadata.ListPage, error) {
	return &o.page, nil
}

// BenchmarkList1000 encodes a page of 1,000 keys.
func BenchmarkList1000(b *testing.B) {
	page := &onePage{}
	for i := range 1000 {
		page.page.Entries = append(page.page.Entries, metadata.ListEntry{Key: fmt.Sprintf("some/prefix/of/keys/object-%06d.bin", i), Size: 4096,
			Modified: time.Unix(1e9, 0), Algorithm: checksum.CRC64NVME, Type: checksum.FullObject})
	}
	e := newEnv(b, func(c *Config) { c.Listings = page })
	r := httptest.NewRequest("GET", "http://localhost/bucket?list-type=2&prefix=some/", nil)
	r.Header.Set("Authorization", "x")
	b.ReportAllocs()
	for b.Loop() {
		w := &discard{h: make(http.Header, 16)}
		e.h.ServeHTTP(w, r)
	}
}
