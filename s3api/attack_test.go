package s3api

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/weftstore/weft/s3api/sigv4"
)

// Fault model: somebody who sees a signed request or URL, but not the secret, sends a
// changed one. Promise: it does nothing that the signed one does not do.
//
// Each attack is tried twice: on the server as it is, where it must fail, and on one with
// a planted bug, which takes any signature for good, where it must succeed. So an attack
// that no longer reaches its goal, and would fail for that reason, is found out.

type attack struct {
	method, target, host string
	header               []string // name, value
	presigned            bool
	change               func(*http.Request)
	// done tells whether the attack has reached its goal.
	done func(e *env, w *httptest.ResponseRecorder) bool
}

// anySignature is the planted bug.
type anySignature struct{ Authenticator }

func (a anySignature) Verify(r *http.Request) (*sigv4.Result, error) {
	res := &sigv4.Result{Mode: sigv4.PayloadUnsigned, Identity: sigv4.Identity{AccessKey: "root", Presigned: r.URL.Query().Has("X-Amz-Signature")}}
	return res, nil
}

func body(text string) func(*env, *httptest.ResponseRecorder) bool {
	return func(_ *env, w *httptest.ResponseRecorder) bool { return w.Code == 200 && w.Body.String() == text }
}

// stored tells whether the object k is now something else.
func stored(header, value string) func(*env, *httptest.ResponseRecorder) bool {
	return func(e *env, _ *httptest.ResponseRecorder) bool {
		v, _, err := e.db.Get(e.t.Context(), "bucket", "k", "")
		if err != nil {
			return false
		}
		switch header {
		case "tag":
			return v.Tags[value] != ""
		case "meta":
			return v.UserMeta[value] != ""
		}
		return v.ETag() == value
	}
}

func gone(e *env, _ *httptest.ResponseRecorder) bool {
	_, _, err := e.db.Get(e.t.Context(), "bucket", "k", "")
	return err != nil
}

const secretMD5 = "5ebe2294ecd0e0f08eab7690d2a6ee69" // of "secret"

var attacks = map[string]attack{
	"an unsigned header copies another object": {method: "PUT", target: "/bucket/k", change: func(r *http.Request) { r.Header.Set("X-Amz-Copy-Source", "/bucket/secret") }, done: stored("etag", secretMD5)},
	"an unsigned header adds tags":             {method: "PUT", target: "/bucket/k", change: func(r *http.Request) { r.Header.Set("X-Amz-Tagging", "a=b") }, done: stored("tag", "a")},
	"an unsigned header adds metadata":         {method: "PUT", target: "/bucket/k", change: func(r *http.Request) { r.Header.Set("X-Amz-Meta-A", "b") }, done: stored("meta", "a")},
	"a signed header gets a second value":      {method: "PUT", target: "/bucket/k", header: []string{"X-Amz-Meta-A", "b"}, change: func(r *http.Request) { r.Header["X-Amz-Meta-A"] = []string{"b", "c"} }, done: stored("meta", "a")},
	"another virtual host":                     {method: "GET", target: "/k", host: "bucket.s3.test", change: func(r *http.Request) { r.Host = "other.s3.test" }, done: body("other")},
	"a virtual host in place of a path":        {method: "GET", target: "/k", host: "s3.test", change: func(r *http.Request) { r.Host = "other.s3.test" }, done: body("other")},
	"a forwarded host":                         {method: "GET", target: "/k", host: "bucket.s3.test", change: func(r *http.Request) { r.Host = "other.s3.test"; r.Header.Set("X-Forwarded-Host", "bucket.s3.test") }, done: body("other")},
	"another method":                           {method: "GET", target: "/bucket/k", change: func(r *http.Request) { r.Method = "DELETE" }, done: gone},
	"another key":                              {method: "GET", target: "/bucket/k", change: func(r *http.Request) { r.URL.Path = "/bucket/secret" }, done: body("secret")},
	"a sub-resource":                           {method: "DELETE", target: "/bucket/k?tagging", change: func(r *http.Request) { r.URL.RawQuery = "" }, done: gone},
	"a parameter more in a presigned URL": {method: "GET", target: "/bucket/k", presigned: true, change: func(r *http.Request) { r.URL.RawQuery += "&response-content-type=text/html" }, done: func(_ *env, w *httptest.ResponseRecorder) bool {
		return w.Header().Get("Content-Type") == "text/html"
	}},
	"a sub-resource in a presigned URL": {method: "GET", target: "/bucket/k", presigned: true, change: func(r *http.Request) { r.URL.RawQuery += "&tagging" }, done: func(_ *env, w *httptest.ResponseRecorder) bool {
		return strings.Contains(w.Body.String(), "<Tagging")
	}},
	"a header in a presigned query":             {method: "PUT", target: "/bucket/k", presigned: true, change: func(r *http.Request) { r.URL.RawQuery += "&x-amz-meta-a=b" }, done: stored("meta", "a")},
	"an unsigned header beside a presigned URL": {method: "PUT", target: "/bucket/k", presigned: true, change: func(r *http.Request) { r.Header.Set("X-Amz-Tagging", "a=b") }, done: stored("tag", "a")},
	"another key in a presigned URL":            {method: "GET", target: "/bucket/k", presigned: true, change: func(r *http.Request) { r.URL.Path = "/bucket/secret" }, done: body("secret")},
	"a presigned URL with another life": {method: "GET", target: "/bucket/k", presigned: true, change: func(r *http.Request) {
		r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "X-Amz-Expires=60", "X-Amz-Expires=600", 1)
	}, done: body("mine")},
	"a presigned URL with two lives": {method: "GET", target: "/bucket/k", presigned: true, change: func(r *http.Request) { r.URL.RawQuery = "X-Amz-Expires=600&" + r.URL.RawQuery }, done: body("mine")},
	"a presigned GET as a PUT":       {method: "GET", target: "/bucket/k", presigned: true, change: func(r *http.Request) { r.Method = "PUT"; r.Header.Set("X-Amz-Copy-Source", "/bucket/secret") }, done: stored("etag", secretMD5)},
	"a dot segment":                  {method: "GET", target: "/bucket/dir/secret", change: func(r *http.Request) { r.URL.Path = "/bucket/dir/../secret" }, done: func(_ *env, w *httptest.ResponseRecorder) bool { return w.Code != 403 }},
	"an empty segment":               {method: "GET", target: "/bucket//k", change: func(r *http.Request) { r.URL.Path = "/bucket/k" }, done: body("mine")},
}

func TestAttacks(t *testing.T) {
	for name, a := range attacks {
		for _, planted := range []bool{false, true} {
			verifier, signer := benchAuth("us-east-1")
			e := newEnv(t, func(c *Config) {
				if c.Auth = verifier; planted {
					c.Auth = anySignature{verifier}
				}
			})
			if !planted {
				e.attackable(signer)
			} else {
				e.attackable(nil)
			}
			r := httptest.NewRequest(a.method, "http://localhost"+a.target, http.NoBody)
			if r.Host = "localhost"; a.host != "" {
				r.Host = a.host
			}
			for i := 0; i < len(a.header); i += 2 {
				r.Header.Set(a.header[i], a.header[i+1])
			}
			var err error
			if a.presigned {
				err = signer.Presign(r, time.Now(), time.Minute)
			} else {
				err = signer.SignHeader(r, sigv4.EmptySHA256, time.Now())
			}
			if err != nil {
				t.Fatal(err)
			}
			a.change(r)
			w := e.serve(r)
			if w.Code == http.StatusForbidden && planted {
				t.Errorf("%s: refused by what is said to have a bug: %s", name, w.Body)
			}
			done := a.done(e, w)
			if !planted && (done || w.Code < 400) {
				t.Errorf("%s: it worked: %d %s", name, w.Code, w.Body)
			}
			if planted && !done {
				t.Errorf("%s: would not work anyway: %d %s", name, w.Code, w.Body)
			}
		}
	}
}

// attackable stores what attacks are after.
func (e *env) attackable(signer *sigv4.Signer) {
	e.t.Helper()
	for _, b := range []string{"bucket", "other"} {
		if _, err := e.db.CreateBucket(e.t.Context(), b, ""); err != nil {
			e.t.Fatal(err)
		}
	}
	for target, text := range map[string]string{"/bucket/k": "mine", "/bucket/secret": "secret", "/other/k": "other"} {
		r := httptest.NewRequest("PUT", "http://localhost"+target, strings.NewReader(text))
		r.Host = "localhost"
		r.Header.Set("X-Amz-Tagging", "old=1")
		if signer != nil {
			if err := signer.SignHeader(r, "UNSIGNED-PAYLOAD", time.Now()); err != nil {
				e.t.Fatal(err)
			}
		}
		if w := e.serve(r); w.Code != 200 {
			e.t.Fatalf("%s: %d %s", target, w.Code, w.Body)
		}
	}
}

// TestSignedPathIsRouted: a signature for one form of a path is never good for another
// that leads elsewhere.
func TestSignedPathIsRouted(t *testing.T) {
	verifier, signer := benchAuth("us-east-1")
	forms := []string{"/bucket/a/b", "/bucket/a%2Fb", "/bucket/a%2fb", "/bucket/a//b", "/bucket//a/b", "//bucket/a/b", "/bucket/a/./b", "/bucket/a/../a/b",
		"/bucket/a/b/", "/bucket%2Fa/b", "/bucket/a%252Fb", "/bucket/a%20b", "/bucket/a+b", "/bucket/a%2Bb", "/bucket/a b", "/Bucket/a/b", "/bucket/%61/b", "/bucket/a%00b",
		"/bucket/a;b", "/bucket/a%3Bb", "/bucket/a%3Fb", "/bucket/a\\b", "/bucket/%C3%A4", "/bucket/a%CC%88", "/bucket", "/bucket/", "/"}
	parse := func(form string) *http.Request {
		r := httptest.NewRequest("GET", "http://localhost/", nil)
		u, err := url.Parse("http://localhost" + strings.ReplaceAll(form, " ", "%20"))
		if err != nil {
			t.Fatal(err)
		}
		r.URL, r.Host = u, "localhost"
		return r
	}
	checked := 0
	for _, from := range forms {
		signed := parse(from)
		if err := signer.SignHeader(signed, sigv4.EmptySHA256, time.Now()); err != nil {
			t.Fatal(err)
		}
		for _, to := range forms {
			sent := parse(to)
			sent.Header = signed.Header
			if _, err := verifier.Verify(sent); err != nil {
				continue
			}
			checked++
			a, errA := parseTarget("localhost", signed.URL.Path, signed.URL.RawPath, nil)
			b, errB := parseTarget("localhost", sent.URL.Path, sent.URL.RawPath, nil)
			if errA == nil && errB == nil && a != b {
				t.Errorf("signed for %s (%q), good for %s (%q)", from, a, to, b)
			}
		}
	}
	if checked < len(forms) {
		t.Errorf("%d signatures were good for %d forms", checked, len(forms))
	}
}
