package s3api

import (
	"crypto/tls"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/weftstore/weft/s3api/policy"
)

// TestConditionKeys: what conditions are told of a request and of who sent it.
func TestConditionKeys(t *testing.T) {
	r := httptest.NewRequest("GET", "https://localhost/bucket/k", nil)
	r.TLS = &tls.ConnectionState{Version: tls.VersionTLS13}
	r.RemoteAddr = "[2001:db8::1]:99"
	r.Header.Set("Referer", "https://example.org")
	user := userOf(accountA)
	user.Tags = map[string]string{"Team": "climate"}
	session := &Principal{ID: "AROA:job", Issued: time.Unix(1e9, 0), Principal: policy.Principal{Account: accountA, ARNs: []string{"arn:aws:sts::1:assumed-role/r/job", "arn:aws:iam::1:role/r"}}}
	for _, c := range []struct {
		who  *Principal
		key  string
		want []string
	}{
		{user, "s3:tlsversion", []string{"1.3"}},
		{user, "aws:sourceip", []string{"2001:db8::1"}},
		{user, "aws:securetransport", []string{"true"}},
		{user, "aws:referer", []string{"https://example.org"}},
		{user, "aws:useragent", nil},
		{user, "aws:principaltag/Team", []string{"climate"}},
		{user, "aws:principaltag/team", nil},
		{user, "aws:username", []string{"user"}},
		{user, "aws:tokenissuetime", nil},
		{user, "aws:principaltype", []string{"User"}},
		{session, "aws:tokenissuetime", []string{"2001-09-09T01:46:40Z"}},
		{session, "aws:principalarn", []string{"arn:aws:iam::1:role/r"}},
		{session, "aws:userid", []string{"AROA:job"}},
		{session, "aws:principaltype", []string{"AssumedRole"}},
		{session, "aws:username", nil},
		{anonymous, "aws:principaltype", []string{"Anonymous"}},
		{anonymous, "aws:principalaccount", nil},
		{rootOf(accountB), "aws:principaltype", []string{"Account"}},
	} {
		x := &conditions{c: &call{r: r, h: newEnv(t).h}, who: c.who, owner: accountA}
		if got := x.Values(c.key); !slices.Equal(got, c.want) {
			t.Errorf("%s of %s: %q, want %q", c.key, c.who.ID, got, c.want)
		}
	}
}

// TestDenyByAlwaysPresent: policies that deny by a key which S3 has with every such request, as
// AWS's own examples do, deny here as well.
func TestDenyByAlwaysPresent(t *testing.T) {
	const (
		elsewhere   = `{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"NotIpAddress":{"aws:SourceIp":"203.0.113.0/24"},"Bool":{"aws:ViaAWSService":"false"}}}`
		overwrite   = `{"Effect":"Deny","Action":"s3:PutObject","Resource":"*","Condition":{"Null":{"s3:if-none-match":"true"},"Bool":{"s3:ObjectCreationOperation":"true"}}}`
		blind       = `{"Effect":"Deny","Action":"s3:PutObject","Resource":"*","Condition":{"Null":{"s3:if-match":"true"}}}`
		inParts     = `{"Effect":"Deny","Action":"s3:PutObject","Resource":"*","Condition":{"Bool":{"s3:ObjectCreationOperation":"false"}}}`
		whole, part = "/bucket/new", "/bucket/u?partNumber=1&uploadId={upload}"
	)
	from := []string{copySourceHeader, "/source/k"}
	for name, c := range map[string]struct {
		deny, method string
		row          matrixRow
		ok           bool
	}{
		"from elsewhere":      {elsewhere, "GET", matrixRow{target: "/bucket/k"}, false},
		"over an object":      {overwrite, "PUT", matrixRow{target: whole, body: "x"}, false},
		"not over an object":  {overwrite, "PUT", matrixRow{target: whole, body: "x", header: []string{"If-None-Match", "*"}}, true},
		"over another tag":    {overwrite, "PUT", matrixRow{target: whole, body: "x", header: []string{"If-None-Match", `"x"`}}, false},
		"over all but a tag":  {overwrite, "PUT", matrixRow{target: whole, body: "x", header: []string{"If-None-Match", `"x", "y"`}}, false},
		"over what it was":    {blind, "PUT", matrixRow{target: whole, body: "x", header: []string{"If-Match", `"x"`}}, true},
		"over whatever":       {blind, "PUT", matrixRow{target: whole, body: "x", header: []string{"If-Match", "*"}}, false},
		"over one or another": {blind, "PUT", matrixRow{target: whole, body: "x", header: []string{"If-Match", `"x", *`}}, false},
		"a copy over one":     {overwrite, "PUT", matrixRow{target: whole, header: from}, false},
		"a rename over one":   {overwrite, "PUT", matrixRow{target: "/source/new?renameObject", header: []string{renameSourceHeader, "k"}}, false},
		"parts over one":      {overwrite, "POST", matrixRow{target: "/bucket/u?uploadId={upload}", body: partDoc}, false},
		"an upload":           {overwrite, "POST", matrixRow{target: "/bucket/new?uploads"}, true},
		"a part":              {overwrite, "PUT", matrixRow{target: part, body: "x"}, true},
		"a part that is read": {overwrite, "PUT", matrixRow{target: part, header: from}, true},
		"no parts":            {inParts, "PUT", matrixRow{target: part, body: "x"}, false},
		"no parts, a whole":   {inParts, "PUT", matrixRow{target: whole, body: "x"}, true},
	} {
		cell := newCell(t, userOf(accountA, document(t, allowAll, c.deny)), "")
		if got, want := cell.send(c.method, &c.row), map[bool]string{true: "allowed", false: "AccessDenied"}[c.ok]; got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
