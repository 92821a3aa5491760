package s3api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weftstore/weft/metadata"
)

func TestRenameObject(t *testing.T) {
	e := newEnv(t)
	e.ok("PUT", "/bucket", "")
	for _, row := range []struct{ key, source string }{
		{"k", "/bucket/k"}, {"k", "bucket/k"}, {"k", "k"}, {"k", "%2Fbucket%2Fk"}, {"a/b c+d", "a/b%20c+d"}, {"/x", "/bucket//x"},
	} {
		path := "/bucket/" + strings.ReplaceAll(row.key, " ", "%20")
		etag := e.ok("PUT", path, row.source, "X-Amz-Meta-A: b", "Content-Type: text/x").Header().Get("ETag")
		e.ok("PUT", "/bucket/to?renameObject", "", "X-Amz-Rename-Source: "+row.source)
		w := e.ok("GET", "/bucket/to", "")
		wantHeaders(t, w, "ETag: "+etag, "Content-Type: text/x")
		if w.Body.String() != row.source || !slices.Equal(w.Header()["x-amz-meta-a"], []string{"b"}) { //nolint:staticcheck // sent in lower case
			t.Errorf("%q: %q", row.key, w.Body)
		}
		e.want(404, "NoSuchKey", "GET", path, "")
	}
}

func TestRenameObjectRefused(t *testing.T) {
	e := newEnv(t)
	e.ok("PUT", "/bucket", "")
	etag := e.ok("PUT", "/bucket/k", "from").Header().Get("ETag")
	e.ok("PUT", "/bucket/other", "to")
	past, future := testTime.Add(-time.Hour).Format(http.TimeFormat), testTime.Add(time.Hour).Format(http.TimeFormat)
	for _, row := range []struct {
		status           int
		code, to, header string
	}{
		{400, "InvalidArgument", "new", "X-Unused: x"},
		{400, "InvalidArgument", "new", "X-Amz-Rename-Source: /elsewhere/k"},
		{400, "InvalidArgument", "new", "X-Amz-Rename-Source: /bucket/"},
		{400, "InvalidArgument", "new", "X-Amz-Rename-Source: %zz"},
		{404, "NoSuchKey", "new", "X-Amz-Rename-Source: missing"},
		{400, "InvalidRequest", "k", "X-Amz-Rename-Source: k"},
		{400, "InvalidRequest", "new/", "X-Amz-Rename-Source: k"},
		{400, "InvalidRequest", "new", "X-Amz-Rename-Source: k/"},
		{412, "PreconditionFailed", "other", "If-None-Match: *"},
		{412, "PreconditionFailed", "other", "If-Match: " + etag},
		{404, "NoSuchKey", "new", "If-Match: " + etag},
		{412, "PreconditionFailed", "other", "If-Modified-Since: " + future},
		{412, "PreconditionFailed", "new", "If-Modified-Since: " + past},
		{412, "PreconditionFailed", "other", "If-Unmodified-Since: " + past},
		{400, "InvalidArgument", "other", "If-Unmodified-Since: yesterday"},
		{412, "PreconditionFailed", "new", "X-Amz-Rename-Source-If-Match: beef"},
		{412, "PreconditionFailed", "new", "X-Amz-Rename-Source-If-None-Match: " + etag},
		{412, "PreconditionFailed", "new", "X-Amz-Rename-Source-If-None-Match: *"},
		{412, "PreconditionFailed", "new", "X-Amz-Rename-Source-If-Modified-Since: " + future},
		{412, "PreconditionFailed", "new", "X-Amz-Rename-Source-If-Unmodified-Since: " + past},
		{400, "InvalidArgument", "new", "X-Amz-Client-Token: with space"},
		{400, "InvalidArgument", "new", "X-Amz-Client-Token: " + strings.Repeat("x", 65)},
		{404, "NoSuchBucket", "../nowhere/x", "X-Amz-Rename-Source: k"},
	} {
		headers := []string{row.header}
		if !strings.HasPrefix(row.header, "X-Amz-Rename-Source:") && row.header != "X-Unused: x" {
			headers = append(headers, "X-Amz-Rename-Source: k")
		}
		target := "/bucket/" + row.to
		if row.code == "NoSuchBucket" {
			target = "/nowhere/x"
		}
		e.want(row.status, row.code, "PUT", target+"?renameObject", "", headers...)
	}
	e.want(501, "NotImplemented", "PUT", "/bucket/k", "", "X-Amz-Rename-Source: other") // must not overwrite
	if w := e.ok("GET", "/bucket/k", ""); w.Body.String() != "from" {
		t.Errorf("%q", w.Body)
	}
	e.ok("PUT", "/bucket/other?renameObject", "", "X-Amz-Rename-Source: k", "If-Match: *", "If-Unmodified-Since: "+past, "X-Amz-Rename-Source-If-Match: "+etag)
	if err := e.db.SetVersioning(t.Context(), "bucket", metadata.VersioningSuspended); err != nil {
		t.Fatal(err)
	}
	e.want(409, "InvalidBucketState", "PUT", "/bucket/new?renameObject", "", "X-Amz-Rename-Source: other")
}

func TestRenameObjectToken(t *testing.T) {
	e := newEnv(t)
	e.ok("PUT", "/bucket", "")
	rename := []string{"X-Amz-Rename-Source: k", "X-Amz-Client-Token: t1", "If-None-Match: *"}
	for range 3 {
		e.ok("PUT", "/bucket/k", "one")
		e.ok("PUT", "/bucket/to?renameObject", "", rename...)
	}
	if w := e.ok("GET", "/bucket/k", ""); w.Body.String() != "one" {
		t.Errorf("a repetition renamed again: %q", w.Body)
	}
	e.want(400, "IdempotencyParameterMismatch", "PUT", "/bucket/to?renameObject", "", "X-Amz-Rename-Source: other", "X-Amz-Client-Token: t1")
	e.ok("PUT", "/bucket/to?renameObject", "", "X-Amz-Rename-Source: k", "X-Amz-Client-Token: t2")
}

// TestRenameObjectIsTold: who looks for a key that is gone finds who renamed it.
func TestRenameObjectIsTold(t *testing.T) {
	var told []Access
	e := newEnv(t, func(c *Config) { c.Events.Access = func(a Access) { told = append(told, a) } })
	e.ok("PUT", "/bucket", "")
	e.ok("PUT", "/bucket/k", "x")
	e.ok("PUT", "/bucket/to?renameObject", "", "X-Amz-Rename-Source: /bucket/k")
	if a := told[len(told)-1]; a.Operation != "RenameObject" || a.Key != "to" || a.Source != "k" {
		t.Errorf("%+v", a)
	}
}

// TestRenameObjectSealed: what opens an object goes with it.
func TestRenameObjectSealed(t *testing.T) {
	e := cryptEnv(t)
	mine := customer(ssePrefix, 7)
	for _, row := range []struct{ put, get []string }{
		{mine, mine}, {[]string{sseHeader + ": AES256"}, nil}, {[]string{sseHeader + ": aws:kms"}, nil},
	} {
		e.ok("PUT", "/bucket/k", "secret", row.put...)
		e.ok("PUT", "/bucket/to?renameObject", "", "X-Amz-Rename-Source: k")
		if w := e.ok("GET", "/bucket/to", "", row.get...); w.Body.String() != "secret" {
			t.Errorf("%v: %q", row.put, w.Body)
		}
	}
}

// TestRenameObjectEvents: a rename is told as a removal and as a creation.
func TestRenameObjectEvents(t *testing.T) {
	e := newEnv(t)
	var seen []string
	e.db.SetOutbox(func(c metadata.Change) ([]metadata.Note, error) {
		seen = append(seen, fmt.Sprint(c.Kind, c.Version.Key))
		return nil, nil
	})
	e.ok("PUT", "/bucket", "")
	e.ok("PUT", "/bucket/k", "x")
	e.ok("PUT", "/bucket/to?renameObject", "", "X-Amz-Rename-Source: k")
	if want := []string{"1k", "3k", "1to"}; !slices.Equal(seen, want) {
		t.Errorf("%v, want %v", seen, want)
	}
}
