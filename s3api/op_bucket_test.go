package s3api

import (
	"slices"
	"strings"
	"testing"
)

func TestBuckets(t *testing.T) {
	e := newEnv(t)
	e.want(404, "NoSuchBucket", "GET", "/bucket", "")
	e.want(404, "", "HEAD", "/bucket", "")
	wantHeaders(t, e.want(200, "", "PUT", "/bucket", ""), "Location: /bucket")
	wantHeaders(t, e.want(200, "", "PUT", "/bucket", ""), "Location: /bucket")
	e.want(409, "BucketAlreadyOwnedByYou", "PUT", "/bucket", "", "X-Amz-Bucket-Object-Lock-Enabled: true")
	elsewhere := newEnv(t, func(c *Config) { c.Region = "mars" })
	elsewhere.ok("PUT", "/bucket", "")
	elsewhere.want(409, "BucketAlreadyOwnedByYou", "PUT", "/bucket", "")
	wantHeaders(t, e.want(200, "", "HEAD", "/bucket", ""), "X-Amz-Bucket-Region: us-east-1")
	if got := elements(e.ok("GET", "/bucket?location", ""), "LocationConstraint"); len(got) != 0 {
		t.Errorf("location %q", got)
	}
	config := func(region string) string {
		return `<CreateBucketConfiguration xmlns="x"><LocationConstraint>` + region + "</LocationConstraint></CreateBucketConfiguration>"
	}
	e.ok("PUT", "/bucket-b", config("us-east-1"))
	e.want(400, "IllegalLocationConstraintException", "PUT", "/bucket-c", config("mars"))
	e.want(400, "MalformedXML", "PUT", "/bucket-c", "<CreateBucketConfiguration>")
	for _, name := range []string{"ab", "Upper", "a..b", "a.-b", "a-.b", "-ab", "ab-", ".ab", "192.168.0.1", "xn--x", "a_b", strings.Repeat("a", 64), "x-s3alias"} {
		e.want(400, "InvalidBucketName", "PUT", "/"+name, "")
	}
	w := e.ok("GET", "/", "")
	if names := elements(w, "Name"); !slices.Equal(names, []string{"bucket", "bucket-b"}) {
		t.Errorf("buckets %q", names)
	}
	w = e.ok("GET", "/?max-buckets=1", "")
	token := elements(w, "ContinuationToken")
	if len(token) != 1 || len(elements(w, "Name")) != 1 {
		t.Fatalf("page: %s", w.Body)
	}
	w = e.ok("GET", "/?max-buckets=1&continuation-token="+token[0], "")
	if names := elements(w, "Name"); !slices.Equal(names, []string{"bucket-b"}) || len(elements(w, "ContinuationToken")) != 0 {
		t.Errorf("second page: %s", w.Body)
	}
	if names := elements(e.ok("GET", "/?prefix=bucket-", ""), "Name"); len(names) != 1 {
		t.Errorf("prefix: %q", names)
	}
	e.want(400, "InvalidArgument", "GET", "/?continuation-token=x", "")
	e.want(204, "", "DELETE", "/bucket-b", "")
	e.want(404, "NoSuchBucket", "DELETE", "/bucket-b", "")
}

func TestBucketSettings(t *testing.T) {
	e := newEnv(t)
	e.ok("PUT", "/bucket", "")
	if got := elements(e.ok("GET", "/bucket?versioning", ""), "Status"); len(got) != 0 {
		t.Errorf("status %q", got)
	}
	for _, state := range []string{"Enabled", "Suspended"} {
		e.ok("PUT", "/bucket?versioning", "<VersioningConfiguration><Status>"+state+"</Status></VersioningConfiguration>")
		if got := elements(e.ok("GET", "/bucket?versioning", ""), "Status"); len(got) != 1 || got[0] != state {
			t.Errorf("status %q", got)
		}
	}
	e.want(400, "MalformedXML", "PUT", "/bucket?versioning", "<VersioningConfiguration><Status>On</Status></VersioningConfiguration>")
	e.want(400, "IllegalVersioningConfigurationException", "PUT", "/bucket?versioning", "<VersioningConfiguration/>")
	e.want(400, "MalformedXML", "PUT", "/bucket?versioning", "")

	e.want(404, "NoSuchTagSet", "GET", "/bucket?tagging", "")
	e.want(204, "", "PUT", "/bucket?tagging", "<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>")
	if got := elements(e.ok("GET", "/bucket?tagging", ""), "Value"); len(got) != 1 || got[0] != "v" {
		t.Errorf("tags %q", got)
	}
	e.want(204, "", "DELETE", "/bucket?tagging", "")
	e.want(404, "NoSuchTagSet", "GET", "/bucket?tagging", "")
	e.want(400, "InvalidTag", "PUT", "/bucket?tagging",
		"<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>")
	for _, q := range []string{"analytics", "inventory", "metrics", "abac"} {
		e.want(501, "NotImplemented", "GET", "/bucket?"+q, "")
		e.want(501, "NotImplemented", "PUT", "/bucket?"+q, "<x/>")
	}
	if p := elements(e.ok("GET", "/bucket?requestPayment", ""), "Payer"); len(p) != 1 || p[0] != "BucketOwner" {
		t.Errorf("payer %q", p)
	}
	e.want(501, "NotImplemented", "PUT", "/bucket?requestPayment", "<RequestPaymentConfiguration><Payer>Requester</Payer></RequestPaymentConfiguration>")
	e.want(400, "MalformedXML", "PUT", "/bucket?requestPayment", "<RequestPaymentConfiguration><Payer>Nobody</Payer></RequestPaymentConfiguration>")
	if s := elements(e.ok("GET", "/bucket?accelerate", ""), "Status"); len(s) != 0 {
		t.Errorf("accelerate %q", s)
	}
	e.want(501, "NotImplemented", "PUT", "/bucket?accelerate", "<AccelerateConfiguration><Status>Enabled</Status></AccelerateConfiguration>")
	for q, code := range map[string]string{"website": "NoSuchWebsiteConfiguration", "replication": "ReplicationConfigurationNotFoundError"} {
		e.want(404, code, "GET", "/bucket?"+q, "")
		e.want(501, "NotImplemented", "PUT", "/bucket?"+q, "<x/>")
		e.want(204, "", "DELETE", "/bucket?"+q, "")
	}
	if names := elements(e.ok("GET", "/?x=y", ""), "Name"); len(names) != 1 {
		t.Errorf("unknown parameters are ignored: %q", names)
	}
}

func TestListObjects(t *testing.T) {
	e := newEnv(t)
	e.ok("PUT", "/bucket", "")
	for _, k := range []string{"a", "a/b", "a/c", "b%20c%26%3C", "d/e/f", "z%01"} {
		e.ok("PUT", "/bucket/"+k, "x")
	}
	w := e.ok("GET", "/bucket?list-type=2&encoding-type=url", "")
	if keys := elements(w, "Key"); !slices.Equal(keys, []string{"a", "a/b", "a/c", "b%20c%26%3C", "d/e/f", "z%01"}) {
		t.Errorf("keys %q", keys)
	}
	if elements(w, "KeyCount")[0] != "6" || elements(w, "IsTruncated")[0] != "false" || len(elements(w, "Owner")) != 0 {
		t.Errorf("list: %s", w.Body)
	}
	if elements(w, "ETag")[0] != "&quot;9dd4e461268c8034f5c8564e155c67a6&quot;" || elements(w, "ChecksumAlgorithm")[0] != "CRC64NVME" ||
		elements(w, "LastModified")[0] != "2026-11-03T04:05:06.789Z" || elements(w, "Size")[0] != "1" {
		t.Errorf("entry: %s", w.Body)
	}
	w = e.ok("GET", "/bucket", "")
	if keys := elements(w, "Key"); keys[3] != "b c&amp;&lt;" || keys[5] != "z&#x1;" || len(elements(w, "Owner")) != 6 {
		t.Errorf("v1: %s", w.Body)
	}
	w = e.ok("GET", "/bucket?list-type=2&delimiter=/", "")
	if keys, p := elements(w, "Key"), between(w.Body.String(), "<CommonPrefixes><Prefix>", "</Prefix>"); len(keys) != 3 || !slices.Equal(p, []string{"a/", "d/"}) {
		t.Errorf("delimited: %q, %q", keys, p)
	}
	var got []string
	for next := ""; ; {
		w = e.ok("GET", "/bucket?list-type=2&delimiter=/&max-keys=1&fetch-owner=true"+next, "")
		got = append(got, elements(w, "Key")...)
		got = append(got, between(w.Body.String(), "<CommonPrefixes><Prefix>", "</Prefix>")...)
		token := elements(w, "NextContinuationToken")
		if len(token) == 0 {
			break
		}
		next = "&continuation-token=" + token[0]
	}
	if !slices.Equal(got, []string{"a", "a/", "b c&amp;&lt;", "d/", "z&#x1;"}) {
		t.Errorf("paged: %q", got)
	}
	if keys := elements(e.ok("GET", "/bucket?list-type=2&start-after=a/b&prefix=a", ""), "Key"); !slices.Equal(keys, []string{"a/c"}) {
		t.Errorf("start-after: %q", keys)
	}
	w = e.ok("GET", "/bucket?delimiter=/&max-keys=2", "")
	if next := elements(w, "NextMarker"); len(next) != 1 || next[0] != "a/" {
		t.Errorf("NextMarker %q", next)
	}
	if keys := elements(e.ok("GET", "/bucket?marker=a/b", ""), "Key"); len(keys) != 4 {
		t.Errorf("marker: %q", keys)
	}
	w = e.ok("GET", "/bucket?list-type=2&max-keys=0", "")
	if len(elements(w, "Key")) != 0 || elements(w, "IsTruncated")[0] != "false" {
		t.Errorf("max-keys=0: %s", w.Body)
	}
	for _, q := range []string{"max-keys=-1", "max-keys=x", "encoding-type=base64", "list-type=2&continuation-token=AQ", "prefix=%ff", "list-type=3",
		"prefix=%00", "versions&version-id-marker=null"} {
		e.want(400, "InvalidArgument", "GET", "/bucket?"+q, "")
	}
	e.want(404, "NoSuchBucket", "GET", "/absent?list-type=2", "")
}

func TestDeleteObjects(t *testing.T) {
	e := newEnv(t)
	e.ok("PUT", "/bucket", "")
	e.ok("PUT", "/bucket/a", "x")
	e.ok("PUT", "/bucket/b&", "x")
	doc := "<Delete><Object><Key>a</Key></Object><Object><Key>b&amp;</Key></Object><Object><Key>absent</Key></Object>" +
		"<Object><Key>../up</Key></Object><Object><Key>a</Key><VersionId>nonsense</VersionId></Object></Delete>"
	md5 := "Content-Md5: " + sumOf(10, doc)
	e.want(400, "InvalidRequest", "POST", "/bucket?delete", doc)
	e.want(400, "BadDigest", "POST", "/bucket?delete", doc+" ", md5)
	e.want(404, "NoSuchBucket", "POST", "/absent?delete", doc, md5)
	w := e.ok("POST", "/bucket?delete", doc, md5)
	if keys := elements(w, "Key"); !slices.Equal(keys, []string{"a", "b&amp;", "absent", "../up", "a"}) {
		t.Errorf("keys %q", keys)
	}
	if codes := elements(w, "Code"); !slices.Equal(codes, []string{"InvalidURI", "NoSuchVersion"}) || len(elements(w, "Deleted")) != 3 {
		t.Errorf("answer %s", w.Body)
	}
	if keys := elements(e.ok("GET", "/bucket", ""), "Key"); len(keys) != 0 {
		t.Errorf("left over: %q", keys)
	}
	quiet := "<Delete><Quiet>true</Quiet><Object><Key>a</Key></Object></Delete>"
	if w := e.ok("POST", "/bucket?delete", quiet, "X-Amz-Checksum-Crc32: "+sumOf(1, quiet)); strings.Contains(w.Body.String(), "Deleted>") {
		t.Errorf("quiet: %s", w.Body)
	}
	many := "<Delete>" + strings.Repeat("<Object><Key>k</Key></Object>", 1001) + "</Delete>"
	e.want(400, "MalformedXML", "POST", "/bucket?delete", many, "Content-Md5: "+sumOf(10, many))
	for _, bad := range []string{"<Delete></Delete>", "<Delete><Object/></Delete>", "<Delete", "x", "<Delete><Object><Key>k</Key></Object></Delete><x/>",
		`<!DOCTYPE d [<!ENTITY e "x">]><Delete><Object><Key>&e;</Key></Object></Delete>`, "<a><Delete/></a>"} {
		e.want(400, "MalformedXML", "POST", "/bucket?delete", bad, "Content-Md5: "+sumOf(10, bad))
	}
	huge := strings.Repeat(" ", maxDocument+1)
	e.want(400, "MaxMessageLengthExceeded", "POST", "/bucket?delete", huge, "Content-Md5: "+sumOf(10, huge))
}
