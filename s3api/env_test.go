package s3api

import (
	"context"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/s3api/sigv4"
)

var testTime = time.Date(2026, 11, 3, 4, 5, 6, 789e6, time.UTC)

// fakeAuth lets everybody in whose request has an Authorization header.
type fakeAuth struct{}

func (fakeAuth) Verify(r *http.Request) (*sigv4.Result, error) {
	res := &sigv4.Result{Mode: sigv4.PayloadUnsigned}
	if r.Header.Get("X-Amz-Content-Sha256") == sigv4.PayloadChunkedUnsignedTrailer.String() {
		res.Mode = sigv4.PayloadChunkedUnsignedTrailer
	}
	if r.Header.Get("Authorization") == "" {
		return res, sigv4.ErrAnonymous
	}
	res.Identity.AccessKey = "root"
	return res, nil
}

func (fakeAuth) VerifyPost(_ context.Context, f *sigv4.Post) (*sigv4.Result, error) {
	if f.AccessKey == "" {
		return nil, sigv4.ErrAnonymous
	}
	return &sigv4.Result{Identity: sigv4.Identity{AccessKey: f.AccessKey}}, nil
}

// env is a handler over the real metadata and a fake store.
type env struct {
	t       testing.TB
	h       *Handler
	db      *metadata.DB
	objects *fakeObjects
}

func newEnv(t testing.TB, edit ...func(*Config)) *env {
	t.Helper()
	db, err := metadata.New(newMemKV(), metadata.Options{})
	if err != nil {
		t.Fatal(err)
	}
	e := &env{t: t, db: db, objects: newFakeObjects(db)}
	cfg := Config{Auth: fakeAuth{}, Buckets: db, Versions: db, Listings: db, Uploads: db, Objects: e.objects,
		Domains: []string{"s3.test"}, HostID: "host"}
	for _, f := range edit {
		f(&cfg)
	}
	if e.h, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	return e
}

// do sends a request; headers are "Name: value".
func (e *env) do(method, target, body string, headers ...string) *httptest.ResponseRecorder {
	e.t.Helper()
	r := httptest.NewRequest(method, "http://localhost"+target, strings.NewReader(body))
	if body == "" {
		r.Body, r.ContentLength = http.NoBody, 0
	}
	r.Header.Set("Authorization", "x")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		switch name {
		case "Host":
			r.Host = value
		case "Content-Length":
			r.ContentLength = -1
		default:
			r.Header.Add(name, value)
		}
	}
	w := httptest.NewRecorder()
	e.h.ServeHTTP(w, r)
	return w
}

// want sends a request and demands a status, and a code if it is not "".
func (e *env) want(status int, code, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	e.t.Helper()
	w := e.do(method, target, body, headers...)
	if w.Code != status {
		e.t.Fatalf("%s %s: status %d, want %d\n%s", method, target, w.Code, status, w.Body)
	}
	if code != "" && method != http.MethodHead && errorCode(w) != code {
		e.t.Fatalf("%s %s: code %q, want %q\n%s", method, target, errorCode(w), code, w.Body)
	}
	return w
}

func (e *env) ok(method, target, body string, headers ...string) *httptest.ResponseRecorder {
	e.t.Helper()
	w := e.do(method, target, body, headers...)
	if w.Code >= 300 {
		e.t.Fatalf("%s %s: status %d\n%s", method, target, w.Code, w.Body)
	}
	return w
}

func errorCode(w *httptest.ResponseRecorder) string {
	var doc struct{ Code string }
	_ = xml.Unmarshal(w.Body.Bytes(), &doc)
	return doc.Code
}

// header demands response headers, "Name: value"; an empty value means absent.
func wantHeaders(t testing.TB, w *httptest.ResponseRecorder, want ...string) {
	t.Helper()
	res := w.Result()
	_, _ = io.Copy(io.Discard, res.Body)
	for _, h := range want {
		name, value, _ := strings.Cut(h, ": ")
		if got := res.Header.Get(name); got != value {
			t.Errorf("header %s is %q, want %q", name, got, value)
		}
	}
}

// between returns the texts between two marks in a document.
func between(doc, from, to string) (out []string) {
	for {
		_, rest, ok := strings.Cut(doc, from)
		if !ok {
			return out
		}
		text, after, _ := strings.Cut(rest, to)
		out, doc = append(out, text), after
	}
}

func elements(w *httptest.ResponseRecorder, name string) []string {
	return between(w.Body.String(), "<"+name+">", "</"+name+">")
}
