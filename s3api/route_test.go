package s3api

import (
	"net/http/httptest"
	"strings"
	"testing"
)

// TestRoutes asks for every row of the table, in both host styles.
func TestRoutes(t *testing.T) {
	rows := Routes()
	rt := newRouter(rows)
	seen := map[string]bool{}
	for _, row := range rows {
		if seen[row.Operation] {
			t.Errorf("%s is twice in the table", row.Operation)
		}
		seen[row.Operation] = true
		path := map[Level]string{Service: "/", BucketLevel: "/bucket", ObjectLevel: "/bucket/key/with//odd/../parts/"}[row.Level]
		for _, host := range []string{"localhost:9000", "bucket.s3.test", "Bucket.S3.Test:9000"} {
			if host != "localhost:9000" {
				if row.Level == Service {
					continue
				}
				path = "/" + strings.TrimPrefix(strings.TrimPrefix(path, "/bucket"), "/")
			}
			r := httptest.NewRequest(row.Method, "http://localhost"+path+"?"+row.Query+"&unknown=1", nil)
			if row.Header != "" {
				r.Header.Set(row.Header, "x")
			}
			q, err := parseQuery(r.URL.RawQuery)
			if err != nil {
				t.Fatal(err)
			}
			tg, err := parseTarget(host, r.URL.Path, r.URL.RawPath, []string{"s3.test"})
			if err != nil {
				t.Fatal(err)
			}
			got := rt.find(row.Method, tg.level(), &q, r.Header)
			if got == nil || got.Operation != row.Operation {
				t.Errorf("%s %s%s?%s: got %v, want %s", row.Method, host, path, row.Query, got, row.Operation)
			}
		}
	}
}

func TestNoRoute(t *testing.T) {
	e := newEnv(t)
	e.ok("PUT", "/bucket", "")
	for _, c := range []string{"PATCH /bucket/k", "POST /bucket/k", "POST /", "PUT /", "DELETE /", "TRACE /bucket", "POST /bucket/k?acl", "HEAD /bucket?acl",
		"GET /bucket/k?versions", "PUT /bucket/k?delete", "GET /?acl", "PUT /bucket/k?append&annotation", "BREW /bucket"} {
		method, target, _ := strings.Cut(c, " ")
		e.want(501, "NotImplemented", method, target, "")
	}
	if keys := elements(e.ok("GET", "/bucket", ""), "Key"); len(keys) != 0 {
		t.Errorf("something was stored: %q", keys)
	}
}

func TestTargets(t *testing.T) {
	for _, c := range []struct{ host, target, bucket, key, code string }{
		{"h", "/", "", "", ""},
		{"h", "/b", "b", "", ""},
		{"h", "/b/", "b", "", ""},
		{"h", "/b//", "b", "/", ""},
		{"h", "/b/a//b/", "b", "a//b/", ""},
		{"h", "/b/.", "b", ".", ""},
		{"h", "/b/./x", "b", "./x", ""},
		{"h", "/b/a/../c", "b", "a/../c", ""},
		{"h", "/b/..", "", "", "InvalidURI"},
		{"h", "/b/a/../../c", "", "", "InvalidURI"},
		{"h", "/b/%2e%2e/c", "", "", "InvalidURI"},
		{"h", "/b/..x", "b", "..x", ""},
		{"h", "/b/a%2Fb", "b", "a/b", ""},
		{"h", "/b/a+b%2B%20c", "b", "a+b+ c", ""},
		{"h", "/b/%C3%A4", "b", "ä", ""},
		{"h", "/b/a%25b", "b", "a%b", ""},
		{"h", "/b/%00", "", "", "InvalidArgument"},
		{"h", "/b/%ff", "", "", "InvalidArgument"},
		{"h", "/b%2Fc", "", "", "InvalidBucketName"},
		{"h", "//b/c", "", "", "InvalidBucketName"},
		{"h", "/b/" + strings.Repeat("k", 1024), "b", strings.Repeat("k", 1024), ""},
		{"h", "/b/" + strings.Repeat("k", 1025), "", "", "KeyTooLongError"},
		{"b.s3.test", "/", "b", "", ""},
		{"b.s3.test", "/k", "b", "k", ""},
		{"b.s3.test:80", "/k%2Fx//y", "b", "k/x//y", ""},
		{"a.b.s3.test", "/", "a.b", "", ""},
		{"s3.test", "/b/k", "b", "k", ""},
		{"xs3.test", "/b/k", "b", "k", ""},
	} {
		r := httptest.NewRequest("GET", "http://localhost"+c.target, nil)
		got, err := parseTarget(c.host, r.URL.Path, r.URL.RawPath, []string{"s3.test"})
		code := ""
		if err != nil {
			code = err.(*Error).Code
			got = target{}
		}
		if code != c.code || got.bucket != c.bucket || got.key != c.key {
			t.Errorf("%s %s: %q %q %q, want %q %q %q", c.host, c.target, got.bucket, got.key, code, c.bucket, c.key, c.code)
		}
	}
	if _, err := parseTarget("h", "*", "", nil); err == nil {
		t.Error("OPTIONS * has a target")
	}
}

func TestAccess(t *testing.T) {
	var events []Access
	e := newEnv(t, func(c *Config) { c.Events.Access = func(a Access) { events = append(events, a) } })
	e.ok("PUT", "/bucket", "")
	e.ok("PUT", "/bucket/k", "hello")
	e.ok("GET", "/bucket/k", "", "Range: bytes=1-2")
	e.want(404, "NoSuchKey", "GET", "/bucket/absent", "")
	want := []Access{
		{Operation: "CreateBucket", Status: 200},
		{Operation: "PutObject", Status: 200, Received: 5, Key: "k"},
		{Operation: "GetObject", Status: 206, Sent: 2, Key: "k"},
		{Operation: "GetObject", Status: 404, Code: "NoSuchKey", Key: "absent", Sent: -1},
	}
	for i, w := range want {
		a := events[i]
		if a.Operation != w.Operation || a.Status != w.Status || a.Received != w.Received || w.Sent >= 0 && a.Sent != w.Sent ||
			a.Code != w.Code || a.Key != w.Key || a.Bucket != "bucket" || a.AccessKey != "root" || len(a.RequestID) != 16 {
			t.Errorf("event %d: %+v, want %+v", i, a, w)
		}
	}
}

func TestAnonymous(t *testing.T) {
	e := newEnv(t)
	e.ok("PUT", "/bucket", "")
	for _, c := range []string{"GET /", "GET /bucket", "PUT /bucket/k", "GET /bucket?acl", "PATCH /bucket/k"} {
		method, target, _ := strings.Cut(c, " ")
		r := httptest.NewRequest(method, target, strings.NewReader("x"))
		w := httptest.NewRecorder()
		e.h.ServeHTTP(w, r)
		if w.Code != 403 || errorCode(w) != "AccessDenied" {
			t.Errorf("%s: %d %s", c, w.Code, w.Body)
		}
	}
	for target, want := range map[string]int{"/healthz/live": 200, "/healthz/ready": 200, "/healthz/other": 404} {
		w := httptest.NewRecorder()
		e.h.ServeHTTP(w, httptest.NewRequest("GET", target, nil))
		if w.Code != want {
			t.Errorf("%s: %d", target, w.Code)
		}
	}
}
