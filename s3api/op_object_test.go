package s3api

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/weftstore/weft/internal/checksum"
	"github.com/weftstore/weft/store"
)

func sumOf(a checksum.Algorithm, s string) string {
	h := a.New()
	h.Write([]byte(s))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

func TestPutGetHeadDelete(t *testing.T) {
	e := newEnv(t)
	e.want(404, "NoSuchBucket", "PUT", "/b1-test/k", "x")
	e.want(404, "NoSuchBucket", "GET", "/b1-test/k", "")
	e.ok("PUT", "/b1-test", "")
	e.want(404, "NoSuchKey", "GET", "/b1-test/k", "")
	w := e.ok("PUT", "/b1-test/k", "hello", "Content-Type: text/plain", "X-Amz-Meta-Colour: blue", "Cache-Control: no-cache",
		"Content-Encoding: aws-chunked, gzip", "X-Amz-Tagging: a=1&b=%20x")
	const etag = `"5d41402abc4b2a76b9719d911017c592"`
	crc := sumOf(checksum.CRC64NVME, "hello")
	wantHeaders(t, w, "ETag: "+etag, "X-Amz-Checksum-Crc64nvme: "+crc, "X-Amz-Checksum-Type: FULL_OBJECT", "X-Amz-Version-Id: ")
	for _, method := range []string{"GET", "HEAD"} {
		w = e.want(200, "", method, "/b1-test/k", "", "X-Amz-Checksum-Mode: ENABLED")
		wantHeaders(t, w, "ETag: "+etag, "Content-Type: text/plain", "Cache-Control: no-cache", "Content-Encoding: gzip",
			"x-amz-tagging-count: 2", "Content-Length: 5", "Accept-Ranges: bytes", "Last-Modified: Tue, 03 Nov 2026 04:05:06 GMT",
			"X-Amz-Checksum-Crc64nvme: "+crc)
		if got := w.Header()["x-amz-meta-colour"]; len(got) != 1 || got[0] != "blue" { //nolint:staticcheck // names of user metadata go out in lower case
			t.Errorf("metadata %q", got)
		}
		body := map[string]string{"GET": "hello", "HEAD": ""}[method]
		if w.Body.String() != body {
			t.Errorf("%s: body %q", method, w.Body)
		}
	}
	wantHeaders(t, e.ok("GET", "/b1-test/k?response-content-type=a/b&response-cache-control=c", ""), "Content-Type: a/b", "Cache-Control: c",
		"X-Amz-Checksum-Crc64nvme: ")
	e.want(204, "", "DELETE", "/b1-test/k", "")
	e.want(204, "", "DELETE", "/b1-test/k", "")
	w = e.want(404, "", "HEAD", "/b1-test/k", "")
	if w.Body.Len() != 0 {
		t.Errorf("HEAD error has a body: %s", w.Body)
	}
	e.ok("PUT", "/b1-test/empty", "")
	wantHeaders(t, e.want(200, "", "GET", "/b1-test/empty", ""), "Content-Length: 0", "Content-Type: binary/octet-stream")
}

func TestRanges(t *testing.T) {
	e := newEnv(t)
	e.ok("PUT", "/bucket", "")
	e.ok("PUT", "/bucket/k", "0123456789")
	e.ok("PUT", "/bucket/empty", "")
	for _, c := range []struct{ spec, body, contentRange string }{
		{"bytes=0-3", "0123", "bytes 0-3/10"},
		{"bytes=8-", "89", "bytes 8-9/10"},
		{"bytes=-3", "789", "bytes 7-9/10"},
		{"bytes=-30", "0123456789", "bytes 0-9/10"},
		{"bytes=5-99999999999999999999", "56789", "bytes 5-9/10"},
	} {
		w := e.want(206, "", "GET", "/bucket/k", "", "Range: "+c.spec)
		if w.Body.String() != c.body {
			t.Errorf("%s: %q", c.spec, w.Body)
		}
		wantHeaders(t, w, "Content-Range: "+c.contentRange, "Content-Length: "+itoa(len(c.body)))
		wantHeaders(t, e.want(206, "", "HEAD", "/bucket/k", "", "Range: "+c.spec), "Content-Length: "+itoa(len(c.body)))
	}
	for _, spec := range []string{"bytes=0-1,3-4", "bytes=5-2", "octets=0-1", "bytes=a-b", "bytes=", "bytes=-", "bytes", "bytes=--1", "bytes=1"} {
		if w := e.want(200, "", "GET", "/bucket/k", "", "Range: "+spec); w.Body.Len() != 10 {
			t.Errorf("%s: %q", spec, w.Body)
		}
	}
	for _, spec := range []string{"bytes=10-", "bytes=10-11", "bytes=-0", "bytes=99999999999999999999-"} {
		w := e.want(416, "InvalidRange", "GET", "/bucket/k", "", "Range: "+spec)
		wantHeaders(t, w, "Content-Range: bytes */10")
	}
	e.want(416, "InvalidRange", "GET", "/bucket/empty", "", "Range: bytes=0-")
	e.want(206, "", "GET", "/bucket/k", "", "Range: bytes=0-1", "If-Range: \"781e5e245d69b566979b86e28d23f2c7\"")
	e.want(200, "", "GET", "/bucket/k", "", "Range: bytes=0-1", "If-Range: \"other\"")
	e.want(206, "", "GET", "/bucket/k?partNumber=1", "")
	e.want(416, "InvalidPartNumber", "GET", "/bucket/k?partNumber=2", "")
	e.want(400, "InvalidArgument", "GET", "/bucket/k?partNumber=0", "")
	e.want(400, "InvalidRequest", "GET", "/bucket/k?partNumber=1", "", "Range: bytes=0-1")
}

func TestConditionalReads(t *testing.T) {
	e := newEnv(t)
	e.ok("PUT", "/bucket", "")
	e.ok("PUT", "/bucket/k", "hello")
	const etag, other = `"5d41402abc4b2a76b9719d911017c592"`, `"x"`
	const before, same, after = "Tue, 03 Nov 2026 04:05:05 GMT", "Tue, 03 Nov 2026 04:05:06 GMT", "Tue, 03 Nov 2026 04:05:07 GMT"
	for _, c := range []struct {
		status  int
		headers []string
	}{
		{200, []string{"If-Match: " + etag}},
		{200, []string{"If-Match: " + strings.Trim(etag, `"`)}},
		{200, []string{"If-Match: *"}},
		{200, []string{"If-Match: " + other + ", " + etag}},
		{412, []string{"If-Match: " + other}},
		{412, []string{"If-Match: W/" + etag}},
		{304, []string{"If-None-Match: " + etag}},
		{304, []string{"If-None-Match: W/" + etag}},
		{304, []string{"If-None-Match: *"}},
		{200, []string{"If-None-Match: " + other}},
		{304, []string{"If-Modified-Since: " + same}},
		{200, []string{"If-Modified-Since: " + before}},
		{200, []string{"If-Modified-Since: nonsense"}},
		{412, []string{"If-Unmodified-Since: " + before}},
		{200, []string{"If-Unmodified-Since: " + same}},
		{200, []string{"If-Match: " + etag, "If-Unmodified-Since: " + before}},
		{304, []string{"If-None-Match: " + etag, "If-Modified-Since: " + before}},
		{200, []string{"If-None-Match: " + other, "If-Modified-Since: " + after}},
		{412, []string{"If-Match: " + other, "If-None-Match: " + etag}},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			w := e.do(method, "/bucket/k", "", c.headers...)
			if w.Code != c.status {
				t.Errorf("%s %q: %d, want %d", method, c.headers, w.Code, c.status)
			}
			if c.status == http.StatusNotModified && (w.Body.Len() > 0 || w.Header()["Etag"][0] != etag) {
				t.Errorf("%q: 304 with body %q, ETag %q", c.headers, w.Body, w.Header()["Etag"])
			}
		}
	}
}

func TestConditionalWrites(t *testing.T) {
	e := newEnv(t)
	e.ok("PUT", "/bucket", "")
	e.ok("PUT", "/bucket/k", "hello", "If-None-Match: *")
	e.want(412, "PreconditionFailed", "PUT", "/bucket/k", "again", "If-None-Match: *")
	e.want(412, "PreconditionFailed", "PUT", "/bucket/k", "again", `If-None-Match: "x", W/"5d41402abc4b2a76b9719d911017c592"`)
	e.want(412, "PreconditionFailed", "PUT", "/bucket/k", "again", `If-Match: "x"`)
	e.want(412, "PreconditionFailed", "PUT", "/bucket/k", "again", `If-Match: W/"5d41402abc4b2a76b9719d911017c592"`)
	e.ok("PUT", "/bucket/k", "again", `If-Match: "5d41402abc4b2a76b9719d911017c592"`)
	if got := e.ok("GET", "/bucket/k", "").Body.String(); got != "again" {
		t.Errorf("body %q", got)
	}
	e.want(501, "NotImplemented", "PUT", "/bucket/k", "x", "If-Unmodified-Since: Tue, 03 Nov 2026 04:05:05 GMT")
	e.want(412, "PreconditionFailed", "DELETE", "/bucket/k", "", `If-Match: "x"`)
	e.want(412, "PreconditionFailed", "DELETE", "/bucket/k", "", "X-Amz-If-Match-Size: 99")
	e.want(412, "PreconditionFailed", "DELETE", "/bucket/k", "", "X-Amz-If-Match-Last-Modified-Time: Thu, 01 Jan 2015 00:00:00 GMT")
	e.want(400, "InvalidArgument", "DELETE", "/bucket/k", "", "X-Amz-If-Match-Size: x")
	e.want(204, "", "DELETE", "/bucket/absent", "", "X-Amz-If-Match-Size: 99")
	e.want(204, "", "DELETE", "/bucket/k", "", `If-Match: *`)
}

func TestChecksums(t *testing.T) {
	e := newEnv(t)
	e.ok("PUT", "/bucket", "")
	for _, a := range checksum.All() {
		key := "/bucket/" + a.String()
		w := e.ok("PUT", key, "hello", a.Header()+": "+sumOf(a, "hello"), "X-Amz-Sdk-Checksum-Algorithm: "+a.String())
		wantHeaders(t, w, a.Header()+": "+sumOf(a, "hello"))
		wantHeaders(t, e.ok("GET", key, "", "X-Amz-Checksum-Mode: ENABLED"), a.Header()+": "+sumOf(a, "hello"))
		e.want(400, "BadDigest", "PUT", key+"x", "hello", a.Header()+": "+sumOf(a, "other"))
		e.want(404, "", "HEAD", key+"x", "")
		e.want(400, "InvalidRequest", "PUT", key+"x", "hello", a.Header()+": AAA=")

		trailer := strings.ToLower(a.Header())
		frame := func(sum string) string { return "5\r\nhello\r\n0\r\n" + trailer + ":" + sum + "\r\n\r\n" }
		headers := []string{"X-Amz-Content-Sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER", "X-Amz-Decoded-Content-Length: 5", "X-Amz-Trailer: " + trailer}
		w = e.ok("PUT", key+"t", frame(sumOf(a, "hello")), headers...)
		wantHeaders(t, w, a.Header()+": "+sumOf(a, "hello"))
		e.want(400, "BadDigest", "PUT", key+"tx", frame(sumOf(a, "other")), headers...)
		e.want(404, "", "HEAD", key+"tx", "")
	}
	md5 := sumOf(checksum.MD5, "hello")
	e.ok("PUT", "/bucket/md5", "hello", "Content-Md5: "+md5)
	e.want(400, "BadDigest", "PUT", "/bucket/bad", "Hello", "Content-Md5: "+md5)
	e.want(400, "InvalidDigest", "PUT", "/bucket/bad", "hello", "Content-Md5: nonsense")
	e.want(400, "InvalidDigest", "PUT", "/bucket/bad", "hello", "Content-Md5: AAAA")
	e.want(400, "InvalidRequest", "PUT", "/bucket/bad", "hello", "X-Amz-Checksum-Crc32: NhCmhg==", "X-Amz-Checksum-Sha1: qvTGHdzF6KLavt4PO0gs2a6pQ00=")
	e.want(400, "InvalidRequest", "PUT", "/bucket/bad", "hello", "X-Amz-Sdk-Checksum-Algorithm: CRC32")
	e.want(400, "BadDigest", "PUT", "/bucket/bad", "hello", "X-Amz-Checksum-Crc32: NhCmhg==", "X-Amz-Sdk-Checksum-Algorithm: SHA1")
	e.want(404, "", "HEAD", "/bucket/bad", "")
}

func TestMetadata(t *testing.T) {
	e := newEnv(t)
	e.ok("PUT", "/bucket", "")
	e.ok("PUT", "/bucket/k", "x", "X-Amz-Meta-A: =?UTF-8?B?w6Q=?=", "X-Amz-Meta-B: one", "X-Amz-Meta-B: two", "X-Amz-Meta-C: \xe9", "X-Amz-Meta-D: =?bad")
	h := e.ok("HEAD", "/bucket/k", "").Header()
	for name, want := range map[string]string{"a": "=?UTF-8?b?w6Q=?=", "b": "one,two", "c": "=?UTF-8?b?w6k=?=", "d": "=?bad"} {
		if got := h["x-amz-meta-"+name]; len(got) != 1 || got[0] != want {
			t.Errorf("metadata %s: %q, want %q", name, got, want)
		}
	}
	e.want(400, "MetadataTooLarge", "PUT", "/bucket/k", "x", "X-Amz-Meta-A: "+strings.Repeat("x", 2048))
	e.ok("PUT", "/bucket/k", "x", "X-Amz-Meta-A: "+strings.Repeat("x", 2047))
	long := "Content-Disposition: " + strings.Repeat("x", store.MaxDescribed-len("Content-Disposition")-3)
	e.want(400, "MetadataTooLarge", "PUT", "/bucket/k", "x", long)
	e.want(400, "MetadataTooLarge", "POST", "/bucket/k?uploads", "", long)
	e.want(400, "MetadataTooLarge", "PUT", "/bucket/k2", "", copySourceHeader+": /bucket/k", "X-Amz-Metadata-Directive: REPLACE", long)
	e.ok("PUT", "/bucket/k", "x", long[:len(long)-1])
}

func TestRefusedHeaders(t *testing.T) {
	e := newEnv(t)
	e.ok("PUT", "/bucket", "")
	for _, h := range []string{
		"X-Amz-Server-Side-Encryption: AES256",
		"X-Amz-Website-Redirect-Location: /x",
		"X-Amz-Storage-Class: GLACIER",
	} {
		e.want(501, "NotImplemented", "PUT", "/bucket/k", "x", h)
	}
	e.want(400, "InvalidStorageClass", "PUT", "/bucket/k", "x", "X-Amz-Storage-Class: FAST")
	e.want(400, "InvalidArgument", "PUT", "/bucket/k", "x", "X-Amz-Acl: everybody")
	e.want(400, "AccessControlListNotSupported", "PUT", "/bucket/k", "x", "X-Amz-Acl: public-read")
	e.want(400, "AccessControlListNotSupported", "PUT", "/bucket/k", "x", "X-Amz-Grant-Read: id=1")
	e.want(403, "AccessDenied", "PUT", "/bucket/k", "x", "X-Amz-Expected-Bucket-Owner: 123456789012")
	e.want(404, "", "HEAD", "/bucket/k", "")
	e.ok("PUT", "/bucket/k", "x", "X-Amz-Acl: private", "X-Amz-Storage-Class: STANDARD", "X-Amz-Unknown: y")
}

func TestRDMA(t *testing.T) {
	e := newEnv(t)
	e.ok("PUT", "/bucket", "")
	w := e.want(501, "NotImplemented", "PUT", "/bucket/k", "", "X-Amz-Rdma-Token: secret-token")
	wantHeaders(t, w, "X-Amz-Rdma-Reply: 501", "ETag: ")
	if strings.Contains(w.Body.String(), "secret-token") {
		t.Error("the answer repeats the token")
	}
	e.want(404, "", "HEAD", "/bucket/k", "")
	w = e.ok("PUT", "/bucket/k", "body", "X-Amz-Rdma-Token: t")
	wantHeaders(t, w, "X-Amz-Rdma-Reply: 501")
	w = e.ok("GET", "/bucket/k", "", "X-Amz-Rdma-Token: t")
	wantHeaders(t, w, "X-Amz-Rdma-Reply: 501", "Content-Length: 4")
	if w.Body.String() != "body" {
		t.Errorf("body %q", w.Body)
	}
}

func TestVersions(t *testing.T) {
	e := newEnv(t)
	e.ok("PUT", "/bucket", "")
	e.ok("PUT", "/bucket/k", "null version")
	e.ok("PUT", "/bucket?versioning", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
	v1 := e.ok("PUT", "/bucket/k", "one").Header().Get("X-Amz-Version-Id")
	v2 := e.ok("PUT", "/bucket/k", "two").Header().Get("X-Amz-Version-Id")
	if len(v1) != 32 || v1 == v2 {
		t.Fatalf("version ids %q, %q", v1, v2)
	}
	for id, want := range map[string]string{"null": "null version", v1: "one", v2: "two"} {
		w := e.ok("GET", "/bucket/k?versionId="+id, "")
		if w.Body.String() != want {
			t.Errorf("version %s: %q", id, w.Body)
		}
		wantHeaders(t, w, "X-Amz-Version-Id: "+id)
	}
	w := e.want(204, "", "DELETE", "/bucket/k", "")
	marker := w.Header().Get("X-Amz-Version-Id")
	wantHeaders(t, w, "X-Amz-Delete-Marker: true")
	for _, method := range []string{"GET", "HEAD"} {
		w = e.want(404, "NoSuchKey", method, "/bucket/k", "")
		wantHeaders(t, w, "X-Amz-Delete-Marker: true", "X-Amz-Version-Id: "+marker)
		w = e.want(405, "MethodNotAllowed", method, "/bucket/k?versionId="+marker, "")
		wantHeaders(t, w, "X-Amz-Delete-Marker: true", "Allow: DELETE")
		if w.Header().Get("Last-Modified") == "" {
			t.Error("no Last-Modified for a delete marker")
		}
	}
	list := e.ok("GET", "/bucket?versions", "")
	if ids := elements(list, "VersionId"); len(ids) != 4 || ids[0] != marker || ids[3] != "null" {
		t.Errorf("listed versions %q", ids)
	}
	if latest := elements(list, "IsLatest"); latest[0] != "true" || latest[1] != "false" {
		t.Errorf("IsLatest %q", latest)
	}
	wantHeaders(t, e.want(204, "", "DELETE", "/bucket/k?versionId="+marker, ""), "X-Amz-Delete-Marker: true", "X-Amz-Version-Id: "+marker)
	if got := e.ok("GET", "/bucket/k", "").Body.String(); got != "two" {
		t.Errorf("after removing the marker: %q", got)
	}
	e.want(404, "NoSuchVersion", "GET", "/bucket/k?versionId="+strings.Repeat("a", 32), "")
	e.want(400, "InvalidArgument", "GET", "/bucket/k?versionId=x", "")
	e.want(409, "BucketNotEmpty", "DELETE", "/bucket", "")
}

func TestCopy(t *testing.T) {
	e := newEnv(t)
	e.ok("PUT", "/bucket", "")
	e.ok("PUT", "/bucket/a%2Fb+c", "hello", "Content-Type: text/x", "X-Amz-Meta-M: 1", "X-Amz-Tagging: t=1", "X-Amz-Checksum-Crc32: "+sumOf(checksum.CRC32, "hello"))
	w := e.ok("PUT", "/bucket/copy", "", "X-Amz-Copy-Source: /bucket/a%2Fb%2Bc")
	if len(elements(w, "ETag")) != 1 || elements(w, "ChecksumCRC32")[0] != sumOf(checksum.CRC32, "hello") {
		t.Errorf("copy: %s", w.Body)
	}
	if got := elements(w, "LastModified"); len(got) != 1 || got[0] != testTime.Format(isoLayout) {
		t.Errorf("the copy was modified at %q, it says", got)
	}
	w = e.ok("GET", "/bucket/copy", "")
	wantHeaders(t, w, "Content-Type: text/x", "X-Amz-Tagging-Count: 1")
	if w.Body.String() != "hello" || w.Header()["x-amz-meta-m"][0] != "1" { //nolint:staticcheck // names of user metadata go out in lower case
		t.Errorf("copy reads %q", w.Body)
	}
	e.ok("PUT", "/bucket/copy2", "", "X-Amz-Copy-Source: bucket/a/b+c", "X-Amz-Metadata-Directive: REPLACE", "Content-Type: text/y",
		"X-Amz-Tagging-Directive: REPLACE", "X-Amz-Checksum-Algorithm: SHA256")
	w = e.ok("GET", "/bucket/copy2", "", "X-Amz-Checksum-Mode: ENABLED")
	wantHeaders(t, w, "Content-Type: text/y", "X-Amz-Tagging-Count: ", "X-Amz-Checksum-Sha256: "+sumOf(checksum.SHA256, "hello"))
	e.want(400, "InvalidRequest", "PUT", "/bucket/copy", "", "X-Amz-Copy-Source: bucket/copy")
	e.ok("PUT", "/bucket/copy", "", "X-Amz-Copy-Source: bucket/copy", "X-Amz-Metadata-Directive: REPLACE")
	e.ok("PUT", "/bucket/copy", "", "X-Amz-Copy-Source: bucket/copy", "X-Amz-Storage-Class: STANDARD")
	if w := e.ok("GET", "/bucket/copy", ""); w.Body.String() != "hello" {
		t.Errorf("copied to itself: %q", w.Body)
	}
	e.want(404, "NoSuchKey", "PUT", "/bucket/copy", "", "X-Amz-Copy-Source: bucket/absent")
	e.want(404, "NoSuchBucket", "PUT", "/bucket/copy", "", "X-Amz-Copy-Source: absent/k")
	e.want(404, "NoSuchBucket", "PUT", "/absent/copy", "", "X-Amz-Copy-Source: bucket/copy")
	e.want(400, "InvalidArgument", "PUT", "/bucket/copy", "", "X-Amz-Copy-Source: bucket")
	e.want(400, "InvalidArgument", "PUT", "/bucket/copy", "", "X-Amz-Copy-Source: bucket/k", "X-Amz-Metadata-Directive: MOVE")
	e.want(412, "PreconditionFailed", "PUT", "/bucket/c3", "", "X-Amz-Copy-Source: bucket/copy2", `X-Amz-Copy-Source-If-Match: "x"`)
	e.want(412, "PreconditionFailed", "PUT", "/bucket/c3", "", "X-Amz-Copy-Source: bucket/copy2", `X-Amz-Copy-Source-If-None-Match: *`)
	e.want(412, "PreconditionFailed", "PUT", "/bucket/copy2", "", "X-Amz-Copy-Source: bucket/copy", "If-None-Match: *")
	e.ok("PUT", "/bucket/empty", "")
	e.ok("PUT", "/bucket/empty2", "", "X-Amz-Copy-Source: bucket/empty")
}

func TestAttributes(t *testing.T) {
	e := newEnv(t)
	e.ok("PUT", "/bucket", "")
	e.ok("PUT", "/bucket/k", "hello")
	w := e.ok("GET", "/bucket/k?attributes", "", "X-Amz-Object-Attributes: ETag,Checksum", "X-Amz-Object-Attributes: ObjectSize, StorageClass,ObjectParts")
	for name, want := range map[string]string{"ETag": "5d41402abc4b2a76b9719d911017c592", "ObjectSize": "5", "StorageClass": "STANDARD",
		"ChecksumCRC64NVME": sumOf(checksum.CRC64NVME, "hello"), "ChecksumType": "FULL_OBJECT"} {
		if got := elements(w, name); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	e.want(400, "InvalidRequest", "GET", "/bucket/k?attributes", "")
	e.want(400, "InvalidArgument", "GET", "/bucket/k?attributes", "", "X-Amz-Object-Attributes: Colour")
}

func TestObjectTagging(t *testing.T) {
	e := newEnv(t)
	e.ok("PUT", "/bucket", "")
	e.want(404, "NoSuchKey", "GET", "/bucket/k?tagging", "")
	e.ok("PUT", "/bucket/k", "x", "X-Amz-Tagging: b=2&a=1")
	if keys := elements(e.ok("GET", "/bucket/k?tagging", ""), "Key"); strings.Join(keys, "") != "ab" {
		t.Errorf("keys %q", keys)
	}
	e.ok("PUT", "/bucket/k?tagging", "<Tagging><TagSet><Tag><Key>c d</Key><Value></Value></Tag></TagSet></Tagging>")
	if keys := elements(e.ok("GET", "/bucket/k?tagging", ""), "Key"); strings.Join(keys, "") != "c d" {
		t.Errorf("keys %q", keys)
	}
	e.want(204, "", "DELETE", "/bucket/k?tagging", "")
	if keys := elements(e.ok("GET", "/bucket/k?tagging", ""), "Key"); len(keys) != 0 {
		t.Errorf("keys %q", keys)
	}
	for _, h := range []string{"=x", "a=1&a=2", "aws:a=1", "a=%zz", strings.Repeat("k", 129) + "=1", "k=" + strings.Repeat("v", 257), "k=%3C",
		"a=&b=&c=&d=&e=&f=&g=&h=&i=&j=&k="} {
		if w := e.do("PUT", "/bucket/k", "x", "X-Amz-Tagging: "+h); w.Code != 400 {
			t.Errorf("tags %q: %d", h, w.Code)
		}
	}
}

// TestErrorHasNoHeadersOfObject: an error's document is not what the object's headers describe.
func TestErrorHasNoHeadersOfObject(t *testing.T) {
	e := newEnv(t)
	e.ok("PUT", "/bucket", "")
	e.ok("PUT", "/bucket/k", "body", "Content-Encoding: gzip", "Cache-Control: max-age=9", "Content-Disposition: attachment", "Expires: never")
	none := []string{"Content-Encoding: ", "Cache-Control: ", "Content-Disposition: ", "Expires: ", "Content-Type: application/xml"}
	wantHeaders(t, e.want(416, "InvalidRange", "GET", "/bucket/k", "", "Range: bytes=9-"), none...)
	wantHeaders(t, e.want(412, "PreconditionFailed", "GET", "/bucket/k", "", "If-Match: x"), none...)
	wantHeaders(t, e.want(304, "", "GET", "/bucket/k", "", "If-None-Match: *"), "Cache-Control: max-age=9")
	e.objects.failRead = store.ErrUnavailable
	wantHeaders(t, e.want(503, "ServiceUnavailable", "GET", "/bucket/k?response-cache-control=public", "", "X-Amz-Checksum-Mode: ENABLED"),
		append(none, "X-Amz-Checksum-Crc64nvme: ", "X-Amz-Checksum-Type: ")...)
}
