package s3api

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/weftstore/weft/internal/checksum"
)

// create starts an upload and returns its query.
func (e *env) create(path string, headers ...string) string {
	e.t.Helper()
	id := elements(e.ok("POST", path+"?uploads", "", headers...), "UploadId")
	if len(id) != 1 || len(id[0]) != 32 {
		e.t.Fatalf("upload id %q", id)
	}
	return "uploadId=" + id[0]
}

func completeDoc(etags ...string) string {
	var b strings.Builder
	b.WriteString(`<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`)
	for i, etag := range etags {
		fmt.Fprintf(&b, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", i+1, etag)
	}
	b.WriteString("</CompleteMultipartUpload>")
	return b.String()
}

func TestMultipart(t *testing.T) {
	e := newEnv(t)
	e.ok("PUT", "/bucket", "")
	up := e.create("/bucket/k", "Content-Type: a/b", "X-Amz-Meta-M: 1", "X-Amz-Tagging: t=1", "X-Amz-Checksum-Algorithm: SHA256")
	big := strings.Repeat("x", 5<<20)
	w := e.ok("PUT", "/bucket/k?partNumber=1&"+up, big, "X-Amz-Checksum-Sha256: "+sumOf(checksum.SHA256, big))
	etag1 := w.Header().Get("Etag")
	wantHeaders(t, w, "X-Amz-Checksum-Sha256: "+sumOf(checksum.SHA256, big))
	etag2 := e.ok("PUT", "/bucket/k?partNumber=2&"+up, "tail").Header().Get("Etag")

	e.want(400, "InvalidRequest", "PUT", "/bucket/k?partNumber=3&"+up, "x", "X-Amz-Checksum-Crc32: "+sumOf(checksum.CRC32, "x"))
	e.want(400, "InvalidArgument", "PUT", "/bucket/k?partNumber=0&"+up, "x")
	e.want(400, "InvalidArgument", "PUT", "/bucket/k?partNumber=10001&"+up, "x")
	e.want(400, "InvalidArgument", "PUT", "/bucket/k?partNumber=1", "x")
	e.want(404, "NoSuchUpload", "PUT", "/bucket/k?partNumber=1&uploadId=x", "x")
	e.want(501, "NotImplemented", "PUT", "/bucket/k?partNumber=3&"+up, "", "X-Amz-Rdma-Token: t")

	list := e.ok("GET", "/bucket/k?"+up, "")
	if sizes := elements(list, "Size"); !slices.Equal(sizes, []string{"5242880", "4"}) || elements(list, "ChecksumAlgorithm")[0] != "SHA256" ||
		elements(list, "ChecksumSHA256")[0] != sumOf(checksum.SHA256, big) {
		t.Errorf("parts: %s", list.Body)
	}
	list = e.ok("GET", "/bucket/k?max-parts=1&"+up, "")
	if elements(list, "IsTruncated")[0] != "true" || elements(list, "NextPartNumberMarker")[0] != "1" {
		t.Errorf("parts page: %s", list.Body)
	}
	e.want(404, "NoSuchKey", "GET", "/bucket/k", "")

	e.want(400, "MalformedXML", "POST", "/bucket/k?"+up, "<CompleteMultipartUpload/>")
	e.want(400, "InvalidPart", "POST", "/bucket/k?"+up, completeDoc(etag2, etag2))
	e.want(400, "InvalidPart", "POST", "/bucket/k?"+up, completeDoc(etag1, etag2, etag2))
	e.want(400, "InvalidPartOrder", "POST", "/bucket/k?"+up, strings.NewReplacer("er>1<", "er>2<", "er>2<", "er>1<").Replace(completeDoc(etag1, etag2)))
	e.want(400, "InvalidRequest", "POST", "/bucket/k?"+up, completeDoc(etag1, etag2), "X-Amz-Mp-Object-Size: 7")
	raw := checksum.SHA256.CompositeOf(mustDecode(sumOf(checksum.SHA256, big)), mustDecode(sumOf(checksum.SHA256, "tail")))
	composite := base64.StdEncoding.EncodeToString(raw) + "-2"
	e.want(400, "BadDigest", "POST", "/bucket/k?"+up, completeDoc(etag1, etag2), "X-Amz-Checksum-Sha256: "+sumOf(checksum.SHA256, "x")+"-2")
	done := e.ok("POST", "/bucket/k?"+up, completeDoc(etag1, strings.Trim(etag2, `"`)), "X-Amz-Mp-Object-Size: 5242884", "X-Amz-Checksum-Sha256: "+composite,
		"X-Amz-Checksum-Type: COMPOSITE")
	if got := elements(done, "ChecksumSHA256"); len(got) != 1 || got[0] != composite || elements(done, "ChecksumType")[0] != "COMPOSITE" {
		t.Errorf("complete: %s", done.Body)
	}
	again := e.ok("POST", "/bucket/k?"+up, completeDoc(etag1, etag2))
	if elements(again, "ETag")[0] != elements(done, "ETag")[0] {
		t.Errorf("completed again: %s", again.Body)
	}
	w = e.ok("GET", "/bucket/k", "", "X-Amz-Checksum-Mode: ENABLED")
	wantHeaders(t, w, "X-Amz-Checksum-Sha256: "+composite, "Content-Type: a/b", "X-Amz-Tagging-Count: 1", "X-Amz-Mp-Parts-Count: ")
	if w.Body.String() != big+"tail" || !strings.HasSuffix(w.Header().Get("Etag"), `-2"`) {
		t.Errorf("object of %d bytes, ETag %s", w.Body.Len(), w.Header().Get("Etag"))
	}
	w = e.want(206, "", "GET", "/bucket/k?partNumber=2", "", "X-Amz-Checksum-Mode: ENABLED")
	wantHeaders(t, w, "X-Amz-Mp-Parts-Count: 2", "Content-Range: bytes 5242880-5242883/5242884", "X-Amz-Checksum-Sha256: "+sumOf(checksum.SHA256, "tail"),
		"X-Amz-Checksum-Type: COMPOSITE")
	if w.Body.String() != "tail" {
		t.Errorf("part: %q", w.Body)
	}
	w = e.ok("GET", "/bucket/k?attributes", "", "X-Amz-Object-Attributes: ObjectParts,Checksum", "X-Amz-Max-Parts: 1")
	if elements(w, "PartsCount")[0] != "2" || elements(w, "IsTruncated")[0] != "true" || elements(w, "NextPartNumberMarker")[0] != "1" {
		t.Errorf("attributes: %s", w.Body)
	}
	if got, want := elements(w, "ChecksumSHA256")[0], strings.TrimSuffix(composite, "-2"); got != want { // here AWS leaves the number of parts out
		t.Errorf("checksum %s, want %s", got, want)
	}
	w = e.ok("GET", "/bucket/k?attributes", "", "X-Amz-Object-Attributes: ObjectParts", "X-Amz-Part-Number-Marker: 1")
	if got := elements(w, "PartNumber"); !slices.Equal(got, []string{"2"}) {
		t.Errorf("attributes after part 1: %s", w.Body)
	}
}

// TestPartNumberGaps: parts are read by the numbers that they were uploaded under, and there are
// no others.
func TestPartNumberGaps(t *testing.T) {
	e := newEnv(t)
	e.ok("PUT", "/bucket", "")
	up := e.create("/bucket/k")
	big := strings.Repeat("x", 5<<20)
	etag2 := e.ok("PUT", "/bucket/k?partNumber=2&"+up, big).Header().Get("Etag")
	etag5 := e.ok("PUT", "/bucket/k?partNumber=5&"+up, "tail").Header().Get("Etag")
	e.ok("POST", "/bucket/k?"+up, strings.NewReplacer("er>1<", "er>2<", "er>2<", "er>5<").Replace(completeDoc(etag2, etag5)))
	if got := elements(e.ok("GET", "/bucket/k?attributes", "", "X-Amz-Object-Attributes: ObjectParts"), "PartNumber"); !slices.Equal(got, []string{"2", "5"}) {
		t.Errorf("part numbers %q", got)
	}
	for _, method := range []string{"GET", "HEAD"} {
		wantHeaders(t, e.want(206, "", method, "/bucket/k?partNumber=2", ""), "Content-Range: bytes 0-5242879/5242884", "X-Amz-Mp-Parts-Count: 2")
		wantHeaders(t, e.want(206, "", method, "/bucket/k?partNumber=5", ""), "Content-Range: bytes 5242880-5242883/5242884", "X-Amz-Mp-Parts-Count: 2")
		for _, none := range []string{"1", "3", "6"} {
			e.want(416, "InvalidPartNumber", method, "/bucket/k?partNumber="+none, "")
		}
	}
}

func mustDecode(s string) []byte {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func TestMultipartOther(t *testing.T) {
	e := newEnv(t)
	e.ok("PUT", "/bucket", "")
	for h, want := range map[string]string{
		"X-Amz-Checksum-Algorithm: CRC9": "InvalidRequest", "X-Amz-Checksum-Type: COMPOSITE": "InvalidRequest",
	} {
		e.want(400, want, "POST", "/bucket/k?uploads", "", h)
	}
	e.want(400, "InvalidRequest", "POST", "/bucket/k?uploads", "", "X-Amz-Checksum-Algorithm: SHA1", "X-Amz-Checksum-Type: FULL_OBJECT")
	e.want(404, "NoSuchBucket", "POST", "/absent/k?uploads", "")
	up := e.create("/bucket/a/1")
	up2 := e.create("/bucket/a/2", "X-Amz-Checksum-Algorithm: CRC32")
	e.create("/bucket/b")
	w := e.ok("GET", "/bucket?uploads&prefix=a/", "")
	if keys := elements(w, "Key"); !slices.Equal(keys, []string{"a/1", "a/2"}) {
		t.Errorf("uploads %q", keys)
	}
	w = e.ok("GET", "/bucket?uploads&delimiter=/", "")
	if p := between(w.Body.String(), "<CommonPrefixes><Prefix>", "</Prefix>"); !slices.Equal(p, []string{"a/"}) || len(elements(w, "Key")) != 1 {
		t.Errorf("delimited: %s", w.Body)
	}
	w = e.ok("GET", "/bucket?uploads&max-uploads=1", "")
	key, id := elements(w, "NextKeyMarker")[0], elements(w, "NextUploadIdMarker")[0]
	w = e.ok("GET", "/bucket?uploads&key-marker="+key+"&upload-id-marker="+id, "")
	if keys := elements(w, "Key"); !slices.Equal(keys, []string{"a/2", "b"}) {
		t.Errorf("second page %q", keys)
	}
	// A checksum that the upload did not announce is verified and nothing more.
	w = e.ok("PUT", "/bucket/a/1?partNumber=1&"+up, "hello", "X-Amz-Checksum-Crc32: "+sumOf(checksum.CRC32, "hello"))
	wantHeaders(t, w, "X-Amz-Checksum-Crc32: "+sumOf(checksum.CRC32, "hello"))
	e.want(400, "BadDigest", "PUT", "/bucket/a/1?partNumber=1&"+up, "hello", "X-Amz-Checksum-Crc32: "+sumOf(checksum.CRC32, "other"))

	e.ok("PUT", "/bucket/src", "0123456789")
	w = e.ok("PUT", "/bucket/a/2?partNumber=7&"+up2, "", "X-Amz-Copy-Source: bucket/src", "X-Amz-Copy-Source-Range: bytes=2-4")
	if got := elements(w, "ChecksumCRC32"); len(got) != 1 || got[0] != sumOf(checksum.CRC32, "234") {
		t.Errorf("part copy: %s", w.Body)
	}
	e.ok("PUT", "/bucket/a/2?partNumber=8&"+up2, "", "X-Amz-Copy-Source: bucket/src")
	e.want(416, "InvalidRange", "PUT", "/bucket/a/2?partNumber=7&"+up2, "", "X-Amz-Copy-Source: bucket/src", "X-Amz-Copy-Source-Range: bytes=2-10")
	for _, r := range []string{"2-4", "bytes=2-", "bytes=-4", "bytes=4-2", "bytes=a-b", "bytes=0-1,2-3"} {
		e.want(400, "InvalidArgument", "PUT", "/bucket/a/2?partNumber=7&"+up2, "", "X-Amz-Copy-Source: bucket/src", "X-Amz-Copy-Source-Range: "+r)
	}
	if sizes := elements(e.ok("GET", "/bucket/a/2?"+up2, ""), "Size"); !slices.Equal(sizes, []string{"3", "10"}) {
		t.Errorf("sizes %q", sizes)
	}
	e.want(204, "", "DELETE", "/bucket/a/2?"+up2, "")
	e.want(404, "NoSuchUpload", "DELETE", "/bucket/a/2?"+up2, "")
	e.want(404, "NoSuchUpload", "GET", "/bucket/a/2?"+up2, "")
	e.want(404, "NoSuchUpload", "PUT", "/bucket/a/2?partNumber=1&"+up2, "x")
	e.want(404, "NoSuchUpload", "POST", "/bucket/a/2?"+up2, completeDoc("x"))
}
