package sigv4

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/weftstore/weft/internal/checksum"
)

type capturedRequest struct {
	Method, URL string
	Headers     [][2]string
	Body        []byte // base64 in JSON
}

func (c capturedRequest) header(name string) string {
	for _, h := range c.Headers {
		if strings.EqualFold(h[0], name) {
			return h[1]
		}
	}
	return ""
}

// parsed serializes the request as the client would and parses it as net/http's server does.
func (c capturedRequest) parsed(t *testing.T) *http.Request {
	t.Helper()
	u, err := url.Parse(c.URL)
	if err != nil {
		t.Fatal(err)
	}
	_, target, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(c.URL, "https://"), "http://"), "/")
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s /%s HTTP/1.1\r\nHost: %s\r\n", c.Method, target, u.Host)
	for _, h := range c.Headers {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	switch {
	case c.header("Transfer-Encoding") != "":
		fmt.Fprintf(&b, "\r\n%x\r\n%s\r\n0\r\n\r\n", len(c.Body), c.Body)
	case c.header("Content-Length") == "" && len(c.Body) > 0:
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(c.Body), c.Body)
	default:
		fmt.Fprintf(&b, "\r\n%s", c.Body)
	}
	r, err := http.ReadRequest(bufio.NewReader(&b))
	if err != nil {
		t.Fatalf("%s: %v", c.URL, err)
	}
	return r
}

// Requests that boto3 made, with awkward keys, must verify as they are and fail when their method, path or query changes.
func TestBotocoreRequests(t *testing.T) {
	data, err := os.ReadFile("testdata/botocore.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Requests []capturedRequest }
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Requests) < 50 {
		t.Fatalf("%d requests", len(file.Requests))
	}
	modes := map[PayloadMode]int{}
	for _, c := range file.Requests {
		r := c.parsed(t)
		stamp := r.Header.Get("X-Amz-Date")
		if stamp == "" {
			stamp = r.URL.Query().Get("X-Amz-Date")
		}
		at, err := time.Parse(stampLayout, stamp)
		if err != nil {
			t.Fatal(err)
		}
		v := newVerifier()
		v.Now = func() time.Time { return at.Add(time.Minute) }
		v.Lookup = func(context.Context, string, string) (Key, error) { return Key{Secret: docCredentials.SecretKey}, nil }
		res, err := v.Verify(r)
		if err != nil {
			t.Errorf("%s %s: %v", c.Method, c.URL, err)
			continue
		}
		modes[res.Mode]++
		checkCapturedBody(t, c, res, r)
		for name, change := range map[string]func(*http.Request){
			"method": func(r *http.Request) { r.Method = "DELETE" },
			"path":   func(r *http.Request) { r.URL.Path += "x" },
			"query":  func(r *http.Request) { r.URL.RawQuery += "&versionId=1" },
			"host":   func(r *http.Request) { r.Host = "other.example.test" },
		} {
			r := c.parsed(t)
			change(r)
			if _, err := v.Verify(r); codeOf(err) != "SignatureDoesNotMatch" {
				t.Errorf("%s %s with another %s: %v", c.Method, c.URL, name, err)
			}
		}
	}
	if modes[PayloadSigned] == 0 || modes[PayloadUnsigned] == 0 || modes[PayloadChunkedUnsignedTrailer] == 0 {
		t.Errorf("modes seen: %v", modes)
	}
}

func checkCapturedBody(t *testing.T, c capturedRequest, res *Result, r *http.Request) {
	t.Helper()
	got, trailer, err := readBody(res, r)
	if err != nil {
		t.Errorf("%s %s: body: %v", c.Method, c.URL, err)
		return
	}
	if !res.Mode.Chunked() {
		if got != string(c.Body) {
			t.Errorf("%s: body %q", c.URL, got)
		}
		return
	}
	a, _ := checksum.FromHeader(c.header("X-Amz-Trailer"))
	h := a.New()
	h.Write([]byte(got))
	if want := base64.StdEncoding.EncodeToString(h.Sum(nil)); trailer.Get(a.Header()) != want {
		t.Errorf("%s: trailer %v, want %s", c.URL, trailer, want)
	}
}
