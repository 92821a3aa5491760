package s3api

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestBucketLoggingByLists: where there are access control lists, the target's list may let
// the logging service in, and TargetGrants others to what it wrote.
func TestBucketLoggingByLists(t *testing.T) {
	const grants = "<TargetGrants><Grant><Grantee><URI>" + groupPrefix + authenticated + "</URI></Grantee><Permission>READ</Permission></Grant></TargetGrants>"
	e := newACLEnv(t, ownerWriter)
	e.must("A", "PUT", "/bucket", "")
	e.must("A", "PUT", "/logs", "")
	e.must("A", "PUT", "/bucket?logging", loggingDoc("logs", grants))
	if got := e.must("A", "GET", "/bucket?logging", "").Body.String(); !strings.Contains(got, groupPrefix+authenticated) || !strings.Contains(got, ">READ<") {
		t.Error(got)
	}
	logged := func() []string {
		e.must("A", "GET", "/bucket", "")
		e.h.AccessLogs().Flush(t.Context())
		return elements(e.must("A", "GET", "/logs", ""), "Key")
	}
	if keys := logged(); len(keys) != 0 {
		t.Errorf("delivered without a right to: %q", keys)
	}
	e.must("A", "PUT", "/logs?acl", "", "X-Amz-Acl: log-delivery-write")
	keys := logged()
	if len(keys) != 1 {
		t.Fatalf("delivered with log-delivery-write: %q", keys)
	}
	for target, want := range map[string]string{"": "AB", "?acl": "A"} {
		if got := e.who("GET", "/logs/"+keys[0]+target, ""); got != want {
			t.Errorf("GET %s by %q, want %q", target, got, want)
		}
	}
	// The list lets in the service alone, and not who has no account either.
	if got := e.who("PUT", "/logs/x", "x"); got != "A" {
		t.Errorf("log-delivery-write lets %q write", got)
	}
	for code, doc := range map[string]string{
		"MalformedACLError": strings.Replace(grants, "Grantee>", "Grunt>", 2),
		"MalformedXML":      strings.Replace(grants, "READ", "READ_ACP", 1),
		"InvalidArgument":   strings.Replace(grants, authenticated, "global/Friends", 1),
	} {
		if w := e.as("A", "PUT", "/bucket?logging", loggingDoc("logs", doc)); w.Code != 400 || errorCode(w) != code {
			t.Errorf("%s: %d %s", doc, w.Code, w.Body)
		}
	}

	e.must("A", "PUT", "/logs?acl", "", "X-Amz-Acl: private")
	e.must("A", "PUT", "/logs?ownershipControls", "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>")
	if w := e.as("A", "PUT", "/bucket?logging", loggingDoc("logs", grants)); w.Code != 400 || errorCode(w) != "AccessControlListNotSupported" {
		t.Errorf("grants in a bucket without lists: %d %s", w.Code, w.Body)
	}
	e.must("A", "PUT", "/bucket?logging", loggingDoc("logs", "<TargetGrants/>"))
}

// slowReader is a body that comes after a while.
type slowReader struct {
	io.Reader
	after time.Duration
}

func (s slowReader) Read(p []byte) (int, error) {
	time.Sleep(s.after)
	return s.Reader.Read(p)
}

// TestTurnaround: neither the time in which a request comes nor that in which its answer
// is taken is the server's.
func TestTurnaround(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, func(c *Config) { c.Objects = &slowObjects{c.Objects.(*fakeObjects), 3 * time.Second} })
		for _, b := range []string{"bucket", "logs"} {
			e.ok("PUT", "/"+b, "")
		}
		e.ok("PUT", "/logs?policy", letLogs("logs", "bucket"))
		e.ok("PUT", "/bucket?logging", loggingDoc("logs", ""))
		e.h.AccessLogs().Flush(t.Context())
		send := func(r *http.Request) {
			r.Header.Set("Authorization", "x")
			e.h.ServeHTTP(slowClient{httptest.NewRecorder()}, r)
		}
		r := httptest.NewRequest("PUT", "http://localhost/bucket/k", slowReader{strings.NewReader("hello"), 5 * time.Second})
		r.ContentLength = 5
		send(r)
		send(httptest.NewRequest("GET", "http://localhost/bucket/k", nil))
		send(httptest.NewRequest("GET", "http://localhost/bucket/absent", nil))
		_, lines := e.logs("logs")
		all := strings.Join(lines, "\n")
		for _, want := range []string{`"PUT /bucket/k HTTP/1.1" 200 - 0 5 13000 3000 `, `"GET /bucket/k HTTP/1.1" 200 - 5 5 7000 0 `, `"GET /bucket/absent HTTP/1.1" 404 NoSuchKey `} {
			if !strings.Contains(all, want) {
				t.Errorf("no %s in\n%s", want, all)
			}
		}
	})
}

// slowClient takes its time for what it is sent.
type slowClient struct{ *httptest.ResponseRecorder }

func (s slowClient) Write(p []byte) (int, error) {
	time.Sleep(7 * time.Second)
	return s.ResponseRecorder.Write(p)
}
