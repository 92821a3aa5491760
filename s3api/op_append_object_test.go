package s3api

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weftstore/weft/metadata"
)

// at is the header of an append.
func at(offset int) string { return fmt.Sprint("X-Amz-Write-Offset-Bytes: ", offset) }

func TestAppendObject(t *testing.T) {
	e := newEnv(t)
	e.ok("PUT", "/bucket", "")
	first := e.ok("PUT", "/bucket/k", "one", at(0), "X-Amz-Meta-A: b", "Content-Type: text/x", "X-Amz-Tagging: t=v")
	wantHeaders(t, first, "X-Amz-Object-Size: 3")
	w := e.ok("PUT", "/bucket/k", " two", at(3), "Content-Type: ignored/x")
	wantHeaders(t, w, "X-Amz-Object-Size: 7")
	if tag := w.Header().Get("Etag"); tag == first.Header().Get("Etag") || !strings.HasSuffix(tag, `-2"`) {
		t.Errorf("ETag %s", tag)
	}
	e.ok("PUT", "/bucket/k", "!", at(7), "X-Amz-Checksum-Crc32: nmv/0w==", "If-Match: "+w.Header().Get("Etag")) // of "!"
	got := e.ok("GET", "/bucket/k", "")
	wantHeaders(t, got, "Content-Type: text/x", "X-Amz-Tagging-Count: 1")
	if got.Body.String() != "one two!" {
		t.Errorf("%q", got.Body)
	}
	wantHeaders(t, e.want(206, "", "GET", "/bucket/k?partNumber=2", ""), "X-Amz-Mp-Parts-Count: 3", "Content-Length: 4")
}

func TestAppendObjectRefused(t *testing.T) {
	e := newEnv(t)
	e.ok("PUT", "/bucket", "")
	e.ok("PUT", "/bucket/k", "one")
	for _, row := range []struct {
		status           int
		code, key, at, h string
	}{
		{400, "InvalidWriteOffset", "k", "0", ""},
		{400, "InvalidWriteOffset", "k", "2", ""},
		{400, "InvalidWriteOffset", "k", "4", ""},
		{400, "InvalidWriteOffset", "new", "1", ""},
		{400, "InvalidArgument", "k", "-1", ""},
		{400, "InvalidArgument", "k", "three", ""},
		{412, "PreconditionFailed", "k", "3", "If-None-Match: *"},
		{412, "PreconditionFailed", "k", "3", "If-Match: beef"},
		{404, "NoSuchKey", "new", "0", "If-Match: *"},
		{400, "InvalidRequest", "k", "3", "X-Amz-Meta-A: b"},
		{400, "InvalidRequest", "k", "3", "X-Amz-Tagging: a=b"},
		{400, "InvalidRequest", "k", "3", "X-Amz-Acl: private"},
		{400, "BadDigest", "k", "3", "Content-MD5: CY9rzUYh03PK3k6DJie09g=="},
	} {
		headers := []string{"X-Amz-Write-Offset-Bytes: " + row.at}
		if row.h != "" {
			headers = append(headers, row.h)
		}
		e.want(row.status, row.code, "PUT", "/bucket/"+row.key, "x", headers...)
	}
	e.want(501, "NotImplemented", "POST", "/bucket/k?uploads", "", at(0))
	e.want(501, "NotImplemented", "PUT", "/bucket/k", "", at(3), "X-Amz-Copy-Source: bucket/k")
	if w := e.ok("GET", "/bucket/k", ""); w.Body.String() != "one" {
		t.Errorf("%q", w.Body)
	}
	e.want(404, "NoSuchKey", "GET", "/bucket/new", "")
	e.want(404, "NoSuchBucket", "PUT", "/nowhere/k", "x", at(0))
	if err := e.db.SetVersioning(t.Context(), "bucket", metadata.VersioningEnabled); err != nil {
		t.Fatal(err)
	}
	e.want(409, "InvalidBucketState", "PUT", "/bucket/k", "x", at(3))
	e.want(409, "InvalidBucketState", "PUT", "/bucket/new", "x", at(0))
}

func TestAppendObjectSealed(t *testing.T) {
	e := cryptEnv(t)
	mine, other := customer(ssePrefix, 7), customer(ssePrefix, 8)
	server, service := []string{sseHeader + ": AES256"}, []string{sseHeader + ": aws:kms"}
	for _, row := range []struct{ put, get, wrong []string }{
		{mine, mine, server}, {server, nil, service}, {service, nil, mine}, {nil, nil, server},
	} {
		e.ok("PUT", "/bucket/k", "secret", row.put...)
		e.want(400, "EncryptionTypeMismatch", "PUT", "/bucket/k", "s", append([]string{at(6)}, row.wrong...)...)
		e.ok("PUT", "/bucket/k", " one", append([]string{at(6)}, row.put...)...)
		e.ok("PUT", "/bucket/k", " two", append([]string{at(10)}, row.get...)...)
		if w := e.ok("GET", "/bucket/k", "", row.get...); w.Body.String() != "secret one two" {
			t.Errorf("%v: %q", row.put, w.Body)
		}
	}
	e.ok("PUT", "/bucket/k", "secret", mine...)
	e.want(403, "AccessDenied", "PUT", "/bucket/k", "x", append([]string{at(6)}, other...)...)
	e.want(400, "EncryptionTypeMismatch", "PUT", "/bucket/k", "x", at(6))
}
