package s3api

import (
	"crypto/md5"
	"encoding/base64"
	"testing"
	"time"

	"github.com/weftstore/weft/metadata"
)

// TestLockHolds: the owner's root tries everything that replaces, moves, changes or removes
// an object, or what its bucket says. A version under compliance, and one on hold, are
// afterwards what they were. Lifecycle rules are in lifecycle's tests, the ways into
// metadata in metadata's.
func TestLockHolds(t *testing.T) {
	until := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	sooner := time.Now().Add(time.Minute).UTC().Format(time.RFC3339)
	sum := func(doc string) string {
		s := md5.Sum([]byte(doc))
		return "Content-Md5: " + base64.StdEncoding.EncodeToString(s[:])
	}
	const bypass = "X-Amz-Bypass-Governance-Retention: true"
	held := []string{lockHoldHeader + ": ON"}
	compliant := []string{lockModeHeader + ": COMPLIANCE", lockUntilHeader + ": " + until}
	for name, lock := range map[string][]string{"hold": held, "compliance": compliant} {
		e := newLockBucket(t)
		w := e.ok("PUT", "/bucket/k", "precious", append(lock, "X-Amz-Tagging: a=b")...)
		id, etag := w.Header().Get("X-Amz-Version-Id"), w.Header().Get("Etag")
		before, _, err := e.db.Get(t.Context(), "bucket", "k", id)
		if err != nil {
			t.Fatal(err)
		}
		e.ok("PUT", "/bucket/other", "x")
		version := "?versionId=" + id
		single := "<Delete><Object><Key>k</Key><VersionId>" + id + "</VersionId></Object></Delete>"
		upload := elements(e.ok("POST", "/bucket/k?uploads", ""), "UploadId")[0]
		part := e.ok("PUT", "/bucket/k?partNumber=1&uploadId="+upload, "x").Header().Get("Etag")
		complete := "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + part + "</ETag></Part></CompleteMultipartUpload>"
		ways := []struct {
			method, target, body string
			headers              []string
		}{
			{"DELETE", "/bucket/k" + version, "", []string{bypass}},
			{"POST", "/bucket?delete", single, []string{sum(single), bypass}},
			{"PUT", "/bucket/gone?renameObject", "", []string{"X-Amz-Rename-Source: k", bypass}},
			{"PUT", "/bucket/k?renameObject", "", []string{"X-Amz-Rename-Source: other", bypass}},
			{"PUT", "/bucket/k", "more", []string{writeOffsetHeader + ": 8", bypass}},
			{"PUT", "/bucket/k", "other", []string{"If-Match: " + etag}},
			{"PUT", "/bucket/k", "", []string{copySourceHeader + ": /bucket/other"}},
			{"PUT", "/bucket/k", "", []string{copySourceHeader + ": /bucket/k" + version, "X-Amz-Metadata-Directive: REPLACE"}},
			{"POST", "/bucket/k?uploadId=" + upload, complete, nil},
			{"DELETE", "/bucket/k", "", []string{bypass}},
			{"PUT", "/bucket/k" + version + "&retention", "<Retention/>", []string{bypass}},
			{"PUT", "/bucket/k" + version + "&retention", "<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>" + sooner + "</RetainUntilDate></Retention>", []string{bypass}},
			{"PUT", "/bucket/k" + version + "&retention", "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>" + until + "</RetainUntilDate></Retention>", []string{bypass}},
			{"PUT", "/bucket?versioning", "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>", nil},
			{"PUT", "/bucket?object-lock", "<ObjectLockConfiguration/>", nil},
			{"PUT", "/bucket?object-lock", lockConfig(""), nil},
			{"DELETE", "/bucket", "", []string{bypass}},
			{"PUT", "/bucket", "", nil},
			{"DELETE", "/bucket/k" + version, "", []string{bypass}},
		}
		for _, way := range ways {
			if name == "hold" && way.target == "/bucket/k"+version+"&retention" {
				continue // retention is another matter than the hold
			}
			w := e.do(way.method, way.target, way.body, way.headers...)
			after, _, err := e.db.Get(t.Context(), "bucket", "k", id)
			if err != nil {
				t.Fatalf("%s: %s %s %q (%d): the version is gone: %v", name, way.method, way.target, way.headers, w.Code, err)
			}
			if after.ETag() != before.ETag() || after.Size != before.Size || after.Lock != before.Lock || after.Tags["a"] != "b" || !after.Modified.Equal(before.Modified) {
				t.Errorf("%s: %s %s %q (%d): the version is another: %+v", name, way.method, way.target, way.headers, w.Code, after)
			}
			if got := e.ok("GET", "/bucket/k"+version, "").Body.String(); got != "precious" {
				t.Errorf("%s: %s %s: it reads %q", name, way.method, way.target, got)
			}
			b, err := e.db.Bucket(t.Context(), "bucket")
			if err != nil || b.Versioning != metadata.VersioningEnabled || b.Configs[metadata.ConfigObjectLock] == "" {
				t.Errorf("%s: %s %s: the bucket is %+v, %v", name, way.method, way.target, b, err)
			}
		}
	}
}
