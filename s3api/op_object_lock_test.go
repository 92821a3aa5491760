package s3api

import (
	"crypto/md5"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/weftstore/weft/metadata"
)

func newLockBucket(t *testing.T) *env {
	e := newEnv(t)
	e.ok("PUT", "/bucket", "", "X-Amz-Bucket-Object-Lock-Enabled: true")
	return e
}

func lockConfig(rule string) string {
	return "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>" + rule + "</ObjectLockConfiguration>"
}

func defaultRetention(s string) string {
	return "<Rule><DefaultRetention>" + s + "</DefaultRetention></Rule>"
}

func TestObjectLockConfiguration(t *testing.T) {
	e := newLockBucket(t)
	if s := elements(e.ok("GET", "/bucket?versioning", ""), "Status"); len(s) != 1 || s[0] != "Enabled" {
		t.Errorf("versioning %q", s)
	}
	if w := e.ok("GET", "/bucket?object-lock", ""); strings.Contains(w.Body.String(), "Rule") {
		t.Errorf("a rule from nowhere: %s", w.Body)
	}
	for _, row := range []struct{ doc, code string }{
		{lockConfig(""), ""},
		{lockConfig(defaultRetention("<Mode>COMPLIANCE</Mode><Years>1</Years>")), ""},
		{lockConfig(defaultRetention("<Mode>GOVERNANCE</Mode><Days>0</Days>")), "InvalidRetentionPeriod"},
		{lockConfig(defaultRetention("<Mode>GOVERNANCE</Mode><Years>-1</Years>")), "InvalidRetentionPeriod"},
		{lockConfig(defaultRetention("<Mode>GOVERNANCE</Mode><Days>36501</Days>")), "InvalidRetentionPeriod"},
		{lockConfig(defaultRetention("<Mode>GOVERNANCE</Mode><Days>1</Days><Years>1</Years>")), "MalformedXML"},
		{lockConfig(defaultRetention("<Mode>GOVERNANCE</Mode>")), "MalformedXML"},
		{lockConfig(defaultRetention("<Mode>governance</Mode><Days>1</Days>")), "MalformedXML"},
		{lockConfig("<Rule></Rule>"), "MalformedXML"},
		{"<ObjectLockConfiguration><ObjectLockEnabled>Disabled</ObjectLockEnabled></ObjectLockConfiguration>", "MalformedXML"},
	} {
		if w := e.do("PUT", "/bucket?object-lock", row.doc); errorCode(w) != row.code {
			t.Errorf("%s: %d %s", row.doc, w.Code, w.Body)
		}
	}
	e.ok("PUT", "/bucket?object-lock", lockConfig(defaultRetention("<Mode>GOVERNANCE</Mode><Days>7</Days>")))
	w := e.ok("GET", "/bucket?object-lock", "")
	if !strings.Contains(w.Body.String(), "<DefaultRetention><Mode>GOVERNANCE</Mode><Days>7</Days></DefaultRetention>") {
		t.Errorf("%s", w.Body)
	}
	e.want(409, "InvalidBucketState", "PUT", "/bucket?versioning", "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>")

	e.ok("PUT", "/plain", "")
	e.want(404, "ObjectLockConfigurationNotFoundError", "GET", "/plain?object-lock", "")
	e.want(409, "InvalidBucketState", "PUT", "/plain?object-lock", lockConfig(""))
	e.ok("PUT", "/plain/k", "x")
	for _, target := range []string{"/plain/k?retention", "/plain/k?legal-hold"} {
		e.want(400, "InvalidRequest", "GET", target, "")
		e.want(400, "InvalidRequest", "PUT", target, "<LegalHold><Status>ON</Status></LegalHold>")
	}
	e.want(400, "InvalidRequest", "PUT", "/plain/k", "x", lockHoldHeader+": ON")
}

func TestObjectLockOfVersions(t *testing.T) {
	e := newLockBucket(t)
	future := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	put := func(key string, headers ...string) string {
		t.Helper()
		return e.ok("PUT", "/bucket/"+key, "x", headers...).Header().Get("X-Amz-Version-Id")
	}
	for _, headers := range [][]string{
		{lockModeHeader + ": GOVERNANCE"},
		{lockUntilHeader + ": " + future},
		{lockModeHeader + ": GOVERNANCE", lockUntilHeader + ": 2000-01-01T00:00:00Z"},
		{lockModeHeader + ": none", lockUntilHeader + ": " + future},
		{lockModeHeader + ": GOVERNANCE", lockUntilHeader + ": tomorrow"},
		{lockHoldHeader + ": on"},
	} {
		e.want(400, "InvalidArgument", "PUT", "/bucket/k", "x", headers...)
		e.want(400, "InvalidArgument", "POST", "/bucket/k?uploads", "", headers...)
	}
	free := put("free")
	e.want(404, "NoSuchObjectLockConfiguration", "GET", "/bucket/free?retention", "")
	e.want(404, "NoSuchObjectLockConfiguration", "GET", "/bucket/free?legal-hold", "")
	wantHeaders(t, e.ok("HEAD", "/bucket/free", ""), lockModeHeader, lockUntilHeader, lockHoldHeader)

	id := put("k", lockModeHeader+": GOVERNANCE", lockUntilHeader+": "+future, lockHoldHeader+": ON")
	until := strings.Replace(future, "Z", ".000Z", 1)
	wantHeaders(t, e.ok("GET", "/bucket/k", ""), lockModeHeader+": GOVERNANCE", lockUntilHeader+": "+until, lockHoldHeader+": ON")
	version := "/bucket/k?versionId=" + id
	e.want(403, "AccessDenied", "DELETE", version, "")
	e.want(403, "AccessDenied", "DELETE", version, "", "X-Amz-Bypass-Governance-Retention: true")
	e.ok("PUT", version+"&legal-hold", "<LegalHold><Status>OFF</Status></LegalHold>")
	if s := elements(e.ok("GET", version+"&legal-hold", ""), "Status"); len(s) != 1 || s[0] != "OFF" {
		t.Errorf("hold %q", s)
	}
	e.want(400, "MalformedXML", "PUT", version+"&legal-hold", "<LegalHold><Status>maybe</Status></LegalHold>")
	e.want(403, "AccessDenied", "DELETE", version, "")
	retain := func(mode, until string) string {
		return "<Retention><Mode>" + mode + "</Mode><RetainUntilDate>" + until + "</RetainUntilDate></Retention>"
	}
	soon := time.Now().Add(time.Minute).UTC().Format(time.RFC3339)
	e.want(400, "MalformedXML", "PUT", version+"&retention", retain("never", future))
	e.want(400, "MalformedXML", "PUT", version+"&retention", "<Retention><Mode>GOVERNANCE</Mode></Retention>")
	e.want(400, "InvalidArgument", "PUT", version+"&retention", retain("GOVERNANCE", "2000-01-01T00:00:00Z"))
	e.want(403, "AccessDenied", "PUT", version+"&retention", retain("GOVERNANCE", soon))
	e.want(403, "AccessDenied", "PUT", version+"&retention", "<Retention/>")
	e.ok("PUT", version+"&retention", retain("GOVERNANCE", soon), "X-Amz-Bypass-Governance-Retention: true")
	w := e.ok("GET", version+"&retention", "")
	if !strings.Contains(w.Body.String(), "<Mode>GOVERNANCE</Mode><RetainUntilDate>"+strings.Replace(soon, "Z", ".000Z", 1)) {
		t.Errorf("%s", w.Body)
	}
	doc := "<Delete><Object><Key>k</Key><VersionId>" + id + "</VersionId></Object><Object><Key>free</Key><VersionId>" + free + "</VersionId></Object></Delete>"
	sum := md5.Sum([]byte(doc))
	digest := "Content-Md5: " + base64.StdEncoding.EncodeToString(sum[:])
	w = e.ok("POST", "/bucket?delete", doc, digest)
	if got := elements(w, "Deleted"); len(got) != 1 || !strings.Contains(got[0], "free") || len(elements(w, "Error")) != 1 {
		t.Errorf("%s", w.Body)
	}
	w = e.ok("POST", "/bucket?delete", doc, digest, "X-Amz-Bypass-Governance-Retention: true")
	if len(elements(w, "Deleted")) != 2 {
		t.Errorf("%s", w.Body)
	}

	marker := e.ok("DELETE", "/bucket/k2", "").Header().Get("X-Amz-Version-Id")
	e.want(405, "MethodNotAllowed", "PUT", "/bucket/k2?retention&versionId="+marker, retain("GOVERNANCE", future))
	e.want(404, "NoSuchKey", "PUT", "/bucket/absent?legal-hold", "<LegalHold><Status>ON</Status></LegalHold>")
}

// What is written without a lock of its own gets the bucket's default.
func TestDefaultRetention(t *testing.T) {
	e := newLockBucket(t)
	e.ok("PUT", "/bucket?object-lock", lockConfig(defaultRetention("<Mode>COMPLIANCE</Mode><Days>2</Days>")))
	want := func(key, mode string, until time.Time, hold string) {
		t.Helper()
		h := e.ok("HEAD", "/bucket/"+key, "").Header()
		at, err := time.Parse(time.RFC3339, h.Get(lockUntilHeader))
		if h.Get(lockModeHeader) != mode || err != nil || at.Sub(until).Abs() > time.Minute || h.Get(lockHoldHeader) != hold {
			t.Errorf("%s: %v", key, h)
		}
	}
	day := func(n int) time.Time { return time.Now().AddDate(0, 0, n) }
	own := []string{lockModeHeader + ": GOVERNANCE", lockUntilHeader + ": " + day(9).UTC().Format(time.RFC3339)}
	e.ok("PUT", "/bucket/a", "x")
	want("a", "COMPLIANCE", day(2), "")
	e.ok("PUT", "/bucket/b", "x", own...)
	want("b", "GOVERNANCE", day(9), "")
	e.ok("PUT", "/bucket/c", "", copySourceHeader+": /bucket/b", lockHoldHeader+": ON")
	want("c", "COMPLIANCE", day(2), "ON")
	e.ok("PUT", "/bucket/d", "", append(own, copySourceHeader+": /bucket/a")...)
	want("d", "GOVERNANCE", day(9), "")
	for key, headers := range map[string][]string{"e": nil, "f": own, "g": {lockHoldHeader + ": ON"}} {
		id := elements(e.ok("POST", "/bucket/"+key+"?uploads", "", headers...), "UploadId")[0]
		etag := e.ok("PUT", "/bucket/"+key+"?partNumber=1&uploadId="+id, "x").Header().Get("Etag")
		e.ok("POST", "/bucket/"+key+"?uploadId="+id, "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"+etag+"</ETag></Part></CompleteMultipartUpload>")
	}
	want("e", "COMPLIANCE", day(2), "")
	want("f", "GOVERNANCE", day(9), "")
	want("g", "COMPLIANCE", day(2), "ON")
	v, _, err := e.db.Get(t.Context(), "bucket", "a", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.db.Delete(t.Context(), "bucket", "a", v.ID.String(), metadata.Condition{BypassGovernance: true}); err == nil {
		t.Error("compliance was bypassed")
	}
}
