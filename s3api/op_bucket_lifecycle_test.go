package s3api

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

func lifecycleRules(rules ...string) string {
	return "<LifecycleConfiguration><Rule>" + strings.Join(rules, "</Rule><Rule>") + "</Rule></LifecycleConfiguration>"
}

const (
	ruleOn  = "<Status>Enabled</Status>"
	oneDay  = "<Expiration><Days>1</Days></Expiration>"
	forAll  = "<Filter><Prefix></Prefix></Filter>"
	aTag    = "<Tag><Key>a</Key><Value>b</Value></Tag>"
	sameID  = "<ID>same</ID>" + ruleOn + forAll + oneDay
	tagRule = ruleOn + "<Filter>" + aTag + "</Filter>"
)

func TestBucketLifecycleDocument(t *testing.T) {
	e := newEnv(t)
	e.ok("PUT", "/bucket", "")
	e.want(404, "NoSuchLifecycleConfiguration", "GET", "/bucket?lifecycle", "")
	e.want(204, "", "DELETE", "/bucket?lifecycle", "")
	many := strings.Split(strings.Repeat(ruleOn+forAll+oneDay+"|", 1001), "|")[:1001]
	for _, row := range []struct{ doc, code string }{
		{"<LifecycleConfiguration/>", "MalformedXML"},
		{lifecycleRules(many...), "MalformedXML"},
		{lifecycleRules(forAll + oneDay), "MalformedXML"},
		{lifecycleRules("<Status>enabled</Status>" + forAll + oneDay), "MalformedXML"},
		{lifecycleRules(ruleOn + oneDay), "MalformedXML"},
		{lifecycleRules(ruleOn + forAll + "<Prefix>x</Prefix>" + oneDay), "MalformedXML"},
		{lifecycleRules("<ID>" + strings.Repeat("x", 256) + "</ID>" + ruleOn + forAll + oneDay), "InvalidArgument"},
		{lifecycleRules(sameID, sameID), "InvalidArgument"},
		{lifecycleRules(ruleOn + forAll), "InvalidRequest"},
		{lifecycleRules(ruleOn + forAll + "<Expiration><Days>0</Days></Expiration>"), "InvalidArgument"},
		{lifecycleRules(ruleOn + forAll + "<Expiration><Days>x</Days></Expiration>"), "MalformedXML"},
		{lifecycleRules(ruleOn + forAll + "<Expiration><Days>1</Days><Date>2030-01-01T00:00:00Z</Date></Expiration>"), "MalformedXML"},
		{lifecycleRules(ruleOn + forAll + "<Expiration><Date>2030-01-01T01:00:00Z</Date></Expiration>"), "InvalidArgument"},
		{lifecycleRules(ruleOn + forAll + "<Expiration><Date>20300101</Date></Expiration>"), "MalformedXML"},
		{lifecycleRules(tagRule + "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>"), "InvalidRequest"},
		{lifecycleRules(tagRule + "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>"), "InvalidRequest"},
		{lifecycleRules(ruleOn + forAll + "<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays><NewerNoncurrentVersions>101</NewerNoncurrentVersions></NoncurrentVersionExpiration>"), "InvalidArgument"},
		{lifecycleRules(ruleOn + "<Filter><And><ObjectSizeGreaterThan>9</ObjectSizeGreaterThan><ObjectSizeLessThan>9</ObjectSizeLessThan></And></Filter>" + oneDay), "InvalidRequest"},
		// What narrows a rule and is not understood must not be left out: more would be removed.
		{lifecycleRules(ruleOn + "<Filter><prefix>logs/</prefix></Filter>" + oneDay), "MalformedXML"},
		{lifecycleRules(ruleOn + "<Filter>logs/</Filter>" + oneDay), "MalformedXML"},
		{lifecycleRules(ruleOn + "<Filter><And><Prefix>a</Prefix><And>" + aTag + "</And></And></Filter>" + oneDay), "MalformedXML"},
		{lifecycleRules(ruleOn + "<Filter><Prefix>a</Prefix><Prefix>b</Prefix></Filter>" + oneDay), "MalformedXML"},
		{lifecycleRules(ruleOn + forAll + "<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays><NewerVersions>9</NewerVersions></NoncurrentVersionExpiration>"), "MalformedXML"},
		{lifecycleRules(ruleOn + forAll + "<Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition>"), "NotImplemented"},
	} {
		if w := e.do("PUT", "/bucket?lifecycle", row.doc); errorCode(w) != row.code {
			t.Errorf("%.300s: %d %s", row.doc, w.Code, w.Body)
		}
	}
	rules := []string{
		"<AbortIncompleteMultipartUpload><DaysAfterInitiation>3</DaysAfterInitiation></AbortIncompleteMultipartUpload><Expiration><Days>5</Days></Expiration><Prefix>old/</Prefix><ID>one</ID><Status>Disabled</Status>",
		"<Expiration><Date>2030-01-01T00:00:00.000Z</Date></Expiration><Filter><And><Prefix>p</Prefix>" + aTag + "<ObjectSizeGreaterThan>1</ObjectSizeGreaterThan><ObjectSizeLessThan>3</ObjectSizeLessThan></And></Filter><ID>two</ID>" + ruleOn,
		"<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>" + forAll + "<ID>three</ID><NoncurrentVersionExpiration><NoncurrentDays>7</NoncurrentDays><NewerNoncurrentVersions>2</NewerNoncurrentVersions></NoncurrentVersionExpiration>" + ruleOn,
	}
	e.ok("PUT", "/bucket?lifecycle", lifecycleRules(rules...))
	w := e.ok("GET", "/bucket?lifecycle", "")
	for i, got := range between(w.Body.String(), "<Rule>", "</Rule>") {
		if got != rules[i] {
			t.Errorf("rule %d:\n%s\n%s", i, got, rules[i])
		}
	}
	e.ok("PUT", "/bucket?lifecycle", lifecycleRules(ruleOn+forAll+oneDay, ruleOn+forAll+oneDay))
	if ids := elements(e.ok("GET", "/bucket?lifecycle", ""), "ID"); len(ids) != 2 || ids[0] == "" || ids[0] == ids[1] {
		t.Errorf("ids %q", ids)
	}
}

// TestTransitionMinimum: what is put is shown again, though there are no transitions.
func TestTransitionMinimum(t *testing.T) {
	e := newEnv(t)
	e.ok("PUT", "/bucket", "")
	rule := lifecycleRules(ruleOn + forAll + oneDay)
	for given, want := range map[string]string{"": "all_storage_classes_128K", "all_storage_classes_128K": "all_storage_classes_128K", "varies_by_storage_class": "varies_by_storage_class"} {
		wantHeaders(t, e.ok("PUT", "/bucket?lifecycle", rule, transitionHeader+": "+given), transitionHeader+": "+want)
		wantHeaders(t, e.ok("GET", "/bucket?lifecycle", ""), transitionHeader+": "+want)
	}
	e.want(400, "InvalidArgument", "PUT", "/bucket?lifecycle", rule, transitionHeader+": none")
	old := `[{"id":"1","filter":{"form":"filter"},"days":1}]` // as it was kept before the header was known
	if err := e.db.SetBucketConfig(t.Context(), "bucket", configLifecycle, old); err != nil {
		t.Fatal(err)
	}
	wantHeaders(t, e.ok("GET", "/bucket?lifecycle", ""), transitionHeader+": all_storage_classes_128K")
}

func TestExpirationHeaders(t *testing.T) {
	e := newEnv(t)
	e.ok("PUT", "/bucket", "")
	e.ok("PUT", "/bucket?lifecycle", lifecycleRules(
		"<ID>a rule</ID>"+ruleOn+"<Filter><Prefix>a/</Prefix></Filter>"+oneDay+"<AbortIncompleteMultipartUpload><DaysAfterInitiation>2</DaysAfterInitiation></AbortIncompleteMultipartUpload>",
		"<ID>tags</ID>"+tagRule+oneDay))
	check := func(header http1, from time.Time, rule string) {
		t.Helper()
		date, rest, _ := strings.Cut(strings.TrimPrefix(header.Get("X-Amz-Expiration"), `expiry-date="`), `", rule-id="`)
		when, err := time.Parse("Mon, 02 Jan 2006 15:04:05 GMT", date)
		id, err2 := url.QueryUnescape(strings.TrimSuffix(rest, `"`))
		if d := when.Sub(from); err != nil || err2 != nil || id != rule || d < 24*time.Hour || d > 48*time.Hour || !when.Equal(when.Truncate(24*time.Hour)) {
			t.Errorf("%q of rule %q", header.Get("X-Amz-Expiration"), rule)
		}
	}
	now := time.Now()
	check(e.ok("PUT", "/bucket/a/k", "x").Header(), now, "a rule")
	check(e.ok("HEAD", "/bucket/a/k", "").Header(), testTime, "a rule")
	check(e.ok("PUT", "/bucket/k", "x", "X-Amz-Tagging: a=b").Header(), now, "tags")
	check(e.ok("PUT", "/bucket/copy", "", copySourceHeader+": /bucket/k").Header(), now, "tags")
	wantHeaders(t, e.ok("PUT", "/bucket/other", "x"), "X-Amz-Expiration")
	w := e.ok("POST", "/bucket/a/m?uploads", "")
	wantHeaders(t, w, "X-Amz-Abort-Rule-Id: a rule")
	if _, err := time.Parse("Mon, 02 Jan 2006 15:04:05 GMT", w.Header().Get("X-Amz-Abort-Date")); err != nil {
		t.Error(err)
	}
	wantHeaders(t, e.ok("POST", "/bucket/m?uploads", ""), "X-Amz-Abort-Rule-Id", "X-Amz-Abort-Date")
}

type http1 interface{ Get(string) string }

func FuzzLifecycle(f *testing.F) {
	f.Add([]byte(lifecycleDoc))
	f.Add([]byte(lifecycleRules(tagRule + oneDay)))
	f.Add([]byte(lifecycleRules(ruleOn + "<Filter><And><Prefix>p</Prefix>" + aTag + "<ObjectSizeGreaterThan>1</ObjectSizeGreaterThan></And></Filter>" + oneDay)))
	f.Fuzz(func(t *testing.T, data []byte) {
		rules, err := decodeLifecycle(data)
		if err != nil {
			return
		}
		again, err := decodeLifecycle(lifecycleDocument(rules).b)
		if err != nil || len(again) != len(rules) {
			t.Fatalf("%d rules became %d, %v", len(rules), len(again), err)
		}
	})
}
