package s3load

import (
	"bufio"
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/weftstore/weft/s3api/sigv4"
)

// The examples of "Authenticating Requests: Using the Authorization Header" in the Amazon S3 API Reference that
// sign the headers this client sends.
func TestSignerAgainstAWSExamples(t *testing.T) {
	const date = "20130524T000000Z"
	now, err := time.Parse(amzTime, date)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, names, signature string
		req                    request
	}{
		{
			"get object with range", "host;range;x-amz-content-sha256;x-amz-date",
			"f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
			request{method: "GET", path: []byte("/test.txt"), ranged: true, first: 0, last: 9, payloadHash: emptySHA256},
		},
		{
			"get bucket lifecycle", "host;x-amz-content-sha256;x-amz-date",
			"fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
			request{method: "GET", path: []byte("/"), query: "lifecycle=", payloadHash: emptySHA256},
		},
		{
			"list objects", "host;x-amz-content-sha256;x-amz-date",
			"34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
			request{method: "GET", path: []byte("/"), query: "max-keys=2&prefix=J", payloadHash: emptySHA256},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSigner(&Endpoint{AccessKey: "AKIAIOSFODNN7EXAMPLE", SecretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}, "us-east-1")
			for range 2 { // the second time with all state reused
				got := string(s.appendHeaders([]byte("x"), &c.req, "examplebucket.s3.amazonaws.com", now))
				want := "authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, " +
					"SignedHeaders=" + c.names + ", Signature=" + c.signature + "\r\n"
				if !strings.HasSuffix(got, want) || !strings.HasPrefix(got, "xhost: examplebucket.s3.amazonaws.com\r\n") &&
					!strings.HasPrefix(got, "xhost:examplebucket.s3.amazonaws.com\r\n") {
					t.Errorf("got\n%s\nwant the end\n%s", got, want)
				}
				if !strings.Contains(got, "x-amz-date:"+date+"\r\n") {
					t.Errorf("no date in %s", got)
				}
			}
		})
	}
}

func TestSignerChangesKeyWithTheDay(t *testing.T) {
	r := request{method: "GET", path: []byte("/b/k"), payloadHash: emptySHA256}
	day1 := time.Date(2026, 1, 1, 23, 59, 59, 0, time.UTC)
	day2 := day1.Add(time.Second)
	reused := newSigner(&Endpoint{AccessKey: "a", SecretKey: "s"}, "r")
	reused.appendHeaders(nil, &r, "h", day1)
	got := string(reused.appendHeaders(nil, &r, "h", day2))
	if want := string(newSigner(&Endpoint{AccessKey: "a", SecretKey: "s"}, "r").appendHeaders(nil, &r, "h", day2)); got != want {
		t.Errorf("after midnight\n%s\nwant\n%s", got, want)
	}
}

func TestSignerDoesNotAllocate(t *testing.T) {
	r := request{method: "GET", path: []byte("/b/k"), ranged: true, last: 5, payloadHash: emptySHA256}
	s := newSigner(&Endpoint{AccessKey: "a", SecretKey: "s"}, "r")
	buf := make([]byte, 0, 1024)
	now := time.Now()
	if n := testing.AllocsPerRun(100, func() { buf = s.appendHeaders(buf[:0], &r, "h", now) }); n > 0 {
		t.Errorf("%g allocations a request", n)
	}
}

func TestAppendEscaped(t *testing.T) {
	if got := string(appendEscaped(nil, "a/b c+d~é=", true)); got != "a/b%20c%2Bd~%C3%A9%3D" {
		t.Error(got)
	}
	if got := string(appendEscaped(nil, "a/b", false)); got != "a%2Fb" {
		t.Error(got)
	}
}

func TestPayloadDigestIsThatOfTheBytesSent(t *testing.T) {
	p := payload{gen: newContent(), seed: 7, base: 5000, size: 10000}
	whole := make([]byte, p.size)
	p.read(whole, 0)
	raw := payload{raw: whole}
	if p.sha256(make([]byte, 999)) != raw.sha256(make([]byte, 64)) {
		t.Error("the digest depends on the pieces")
	}
	empty := payload{}
	if empty.sha256(nil) != emptySHA256 {
		t.Error("digest of nothing")
	}
}

// TestSignerWithCustomerKey: the verifier finds the key signed, with objects and with
// nothing else.
func TestSignerWithCustomerKey(t *testing.T) {
	ep := Endpoint{AccessKey: "a", SecretKey: "s", CustomerKey: make([]byte, 32)}
	v := &sigv4.Verifier{Region: "r", Lookup: func(context.Context, string, string) (sigv4.Key, error) {
		return sigv4.Key{Secret: "s"}, nil
	}}
	for path, sealed := range map[string]bool{"/b/k": true, "/b": false} {
		head := newSigner(&ep, "r").appendHeaders([]byte("GET "+path+" HTTP/1.1\r\n"), &request{method: "GET", path: []byte(path), payloadHash: emptySHA256}, "h", time.Now())
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(append(head, "\r\n"...))))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(r); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		signed := strings.Contains(r.Header.Get("Authorization"), ";x-amz-server-side-encryption-customer-key;x-amz-server-side-encryption-customer-key-md5,")
		if got := r.Header.Get("X-Amz-Server-Side-Encryption-Customer-Key") != ""; got != sealed || signed != sealed {
			t.Errorf("%s: a key %v, signed %v", path, got, signed)
		}
	}
}
