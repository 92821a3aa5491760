package sigv4

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/weftstore/weft/internal/checksum"
)

// The credentials and time of every example in the S3 API reference, "Authenticating Requests (AWS Signature Version 4)".
var (
	docCredentials = Credentials{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
	docTime        = time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)
)

const docScope = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"

func newVerifier() *Verifier {
	return &Verifier{
		Region: "us-east-1",
		Now:    func() time.Time { return docTime },
		Lookup: func(_ context.Context, accessKey, token string) (Key, error) {
			switch {
			case accessKey != docCredentials.AccessKey:
				return Key{}, ErrInvalidAccessKeyID
			case token == "old":
				return Key{}, ErrExpiredToken
			case token != "" && token != "good":
				return Key{}, ErrInvalidToken
			}
			if token == "" {
				return Key{Secret: docCredentials.SecretKey}, nil
			}
			return Key{Secret: docCredentials.SecretKey, Owner: token}, nil
		},
	}
}

func newSigner() *Signer { return &Signer{Credentials: docCredentials, Region: "us-east-1"} }

// request makes a request as a server sees it. headers are name, value, name, value.
func request(method, target, body string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func TestDocumentedHeaderSignatures(t *testing.T) {
	const host = "https://examplebucket.s3.amazonaws.com"
	const welcome = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"
	for _, c := range []struct {
		name, method, target, body, payload, list, signature string
		headers                                              []string
	}{
		{"get range", "GET", "/test.txt", "", EmptySHA256, "host;range;x-amz-content-sha256;x-amz-date",
			"f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41", []string{"Range", "bytes=0-9"}},
		{"put", "PUT", "/test$file.text", "Welcome to Amazon S3.", welcome, "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
			"98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
			[]string{"Date", "Fri, 24 May 2013 00:00:00 GMT", "X-Amz-Storage-Class", "REDUCED_REDUNDANCY"}},
		{"lifecycle", "GET", "/?lifecycle", "", EmptySHA256, "host;x-amz-content-sha256;x-amz-date",
			"fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543", nil},
		{"list", "GET", "/?max-keys=2&prefix=J", "", EmptySHA256, "host;x-amz-content-sha256;x-amz-date",
			"34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7", nil},
	} {
		r := request(c.method, host+c.target, c.body, c.headers...)
		if err := newSigner().SignHeader(r, c.payload, docTime); err != nil {
			t.Fatal(err)
		}
		want := "AWS4-HMAC-SHA256 Credential=" + docScope + ",SignedHeaders=" + c.list + ",Signature=" + c.signature
		if got := r.Header.Get("Authorization"); got != want {
			t.Errorf("%s: signer made\n%s, want\n%s", c.name, got, want)
		}
		r.Header.Set("Authorization", want)
		res, err := newVerifier().Verify(r)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if res.Identity != (Identity{AccessKey: docCredentials.AccessKey}) || res.Mode != PayloadSigned {
			t.Errorf("%s: identity %+v, mode %v", c.name, res.Identity, res.Mode)
		}
		if got, _, err := readBody(res, r); err != nil || got != c.body {
			t.Errorf("%s: body %q, %v", c.name, got, err)
		}
	}
}

func readBody(res *Result, r *http.Request) (string, http.Header, error) {
	b, err := res.Body(r)
	if err != nil {
		return "", nil, err
	}
	p, err := io.ReadAll(b)
	if err == nil {
		err = b.Finish()
	}
	return string(p), b.Trailer(), err
}

func TestDocumentedPresignedURL(t *testing.T) {
	const want = "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256" +
		"&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z" +
		"&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
	r := request("GET", "https://examplebucket.s3.amazonaws.com/test.txt", "")
	if err := newSigner().Presign(r, docTime, 24*time.Hour); err != nil || r.URL.String() != want {
		t.Errorf("presigned %s, %v, want %s", r.URL, err, want)
	}
	res, err := newVerifier().Verify(request("GET", want, ""))
	if err != nil || !res.Identity.Presigned || res.Mode != PayloadUnsigned {
		t.Errorf("%+v, %v", res, err)
	}
}

// The two chunked examples upload 65 KiB of "a" to /examplebucket/chunkObject.txt.
func TestDocumentedStreams(t *testing.T) {
	payload := strings.Repeat("a", 66560)
	for _, c := range []struct {
		mode       PayloadMode
		list       string
		seed       string
		signatures []string
		alg        checksum.Algorithm
		trailer    string
		length     int64
	}{
		{mode: PayloadChunkedSigned,
			list: "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class",
			seed: "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
			signatures: []string{"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
				"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
				"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"}, length: 66824},
		{mode: PayloadChunkedSignedTrailer, alg: checksum.CRC32C, trailer: "sOO8/Q==",
			list: "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer",
			seed: "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
			signatures: []string{"b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
				"1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
				"2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
				"d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"}, length: 66946},
	} {
		r := request("PUT", "https://s3.amazonaws.com/examplebucket/chunkObject.txt", "", "X-Amz-Storage-Class", "REDUCED_REDUNDANCY")
		if c.mode == PayloadChunkedSigned {
			r.Header.Set("Content-Length", "0") // the signer corrects it
		}
		st := Stream{Body: strings.NewReader(payload), Size: 66560, Mode: c.mode, Checksum: c.alg}
		if err := newSigner().SignStream(r, st, docTime); err != nil {
			t.Fatal(err)
		}
		want := "AWS4-HMAC-SHA256 Credential=" + docScope + ",SignedHeaders=" + c.list + ",Signature=" + c.seed
		if got := r.Header.Get("Authorization"); got != want || r.ContentLength != c.length {
			t.Errorf("%s: signer made %d bytes,\n%s, want %d,\n%s", c.mode, r.ContentLength, got, c.length, want)
		}
		wire, err := io.ReadAll(r.Body)
		if err != nil || int64(len(wire)) != c.length {
			t.Fatalf("%s: %d bytes on the wire, %v", c.mode, len(wire), err)
		}
		for i, s := range c.signatures {
			if !strings.Contains(string(wire), s) {
				t.Errorf("%s: signature %d is not on the wire", c.mode, i)
			}
		}
		r.Body = io.NopCloser(strings.NewReader(string(wire)))
		res, err := newVerifier().Verify(r)
		if err != nil {
			t.Fatal(err)
		}
		got, trailer, err := readBody(res, r)
		if err != nil || got != payload || trailer.Get("X-Amz-Checksum-Crc32c") != c.trailer {
			t.Errorf("%s: %d bytes, trailer %v, %v", c.mode, len(got), trailer, err)
		}
	}
}
