package s3api

import "testing"

// TestAppendNamesAnotherKey: an append cannot say that it is encrypted with a key which the object has not.
func TestAppendNamesAnotherKey(t *testing.T) {
	e := cryptEnv(t)
	e.ok("PUT", "/bucket/k", "a", sseHeader+": aws:kms", sseKeyHeader+": main")
	e.ok("PUT", "/bucket/plain", "a")
	kms := []string{writeOffsetHeader + ": 1", sseHeader + ": aws:kms"}
	e.want(400, "", "PUT", "/bucket/k", "b", append(kms, sseKeyHeader+": second")...)
	e.want(400, "", "PUT", "/bucket/plain", "b", writeOffsetHeader+": 1", sseKeyHeader+": main")
	e.ok("PUT", "/bucket/k", "b", append(kms, sseKeyHeader+": alias/main")...)
}

// TestCopySourceConditions: a policy about what is copied holds however the source is written.
func TestCopySourceConditions(t *testing.T) {
	for _, operator := range []string{"StringEquals", "StringNotEquals"} {
		for _, pattern := range []string{"source/k", "/source/k", "source/other"} {
			deny := `{"Effect":"Deny","Action":"s3:PutObject","Resource":"*","Condition":{"` + operator + `":{"s3:x-amz-copy-source":"` + pattern + `"}}}`
			want := "allowed"
			if (pattern != "source/other") == (operator == "StringEquals") {
				want = "AccessDenied"
			}
			for _, source := range []string{"source/k", "/source/k", "%2Fsource/k", "source/%6B", "sourc%65%2Fk"} {
				cell := newCell(t, userOf(accountA, document(t, allowAll, deny)), "")
				if got := cell.send("PUT", &matrixRow{target: "/bucket/new", header: []string{copySourceHeader, source}}); got != want {
					t.Errorf("%s %s, %s: %s, want %s", operator, pattern, source, got, want)
				}
			}
		}
	}
}

// TestIgnoredHeaders: what an operation ignores satisfies no condition, and what an upload was
// begun with is not asked for again.
func TestIgnoredHeaders(t *testing.T) {
	const (
		rename   = "/source/new?renameObject"
		begin    = "/bucket/new?uploads"
		part     = "/bucket/u?partNumber=1&uploadId={upload}"
		complete = "/bucket/u?uploadId={upload}"
	)
	only := func(key, value string) string {
		return `{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"StringEquals":{"` + key + `":"` + value + `"}}}`
	}
	unless := func(key, value string) string {
		return allowAll + `,{"Effect":"Deny","Action":"s3:PutObject","Resource":"*","Condition":{"StringNotEquals":{"` + key + `":"` + value + `"}}}`
	}
	renamed := func(name, value string) []string { return []string{renameSourceHeader, "k", name, value} }
	from := []string{copySourceHeader, "/source/k"}
	const sse, acl, tag = "s3:x-amz-server-side-encryption", "s3:x-amz-acl", "s3:RequestObjectTag/team"
	for _, c := range []struct {
		policy, method string
		row            matrixRow
		ok             bool
	}{
		{unless(sse, "AES256"), "PUT", matrixRow{target: rename, header: renamed(sseHeader, "AES256")}, false},
		{unless(tag, "x"), "PUT", matrixRow{target: rename, header: renamed(taggingHeader, "team=x")}, false},
		{unless(acl, "private"), "PUT", matrixRow{target: rename, header: renamed("X-Amz-Acl", "private")}, false},
		{unless("s3:if-none-match", "*"), "PUT", matrixRow{target: rename, header: renamed("If-None-Match", "*")}, true},
		{unless("s3:if-none-match", "*"), "PUT", matrixRow{target: part, body: "x", header: []string{"If-None-Match", "*"}}, false},
		{unless("s3:if-none-match", "*"), "POST", matrixRow{target: complete, body: partDoc, header: []string{"If-None-Match", "*"}}, true},
		{only(acl, "private"), "DELETE", matrixRow{target: "/bucket/k", header: []string{"X-Amz-Acl", "private"}}, false},
		{only(acl, "private"), "PUT", matrixRow{target: "/bucket/new", body: "x", header: []string{"X-Amz-Acl", "private"}}, true},
		{only("s3:prefix", "home/"), "GET", matrixRow{target: "/bucket/k?prefix=home/"}, false},
		{only("s3:prefix", "home/"), "GET", matrixRow{target: "/bucket?prefix=home/"}, true},

		{unless(sse, "AES256"), "POST", matrixRow{target: begin}, false},
		{unless(sse, "AES256"), "POST", matrixRow{target: begin, header: []string{sseHeader, "AES256"}}, true},
		{unless(sse, "AES256"), "PUT", matrixRow{target: part, body: "x"}, true},
		{unless(sse, "AES256"), "PUT", matrixRow{target: part, header: from}, true},
		{unless(sse, "AES256"), "POST", matrixRow{target: complete, body: partDoc}, true},
		{only(acl, "private"), "POST", matrixRow{target: begin}, false},
		{only(acl, "private"), "PUT", matrixRow{target: part, body: "x"}, true},
		{only(tag, "x"), "POST", matrixRow{target: complete, body: partDoc}, true},
		{only(acl, "private"), "DELETE", matrixRow{target: complete}, false},
	} {
		cell := newCell(t, userOf(accountA, document(t, c.policy)), "")
		if got, want := cell.send(c.method, &c.row), map[bool]string{true: "allowed", false: "AccessDenied"}[c.ok]; got != want {
			t.Errorf("%s %s, %q, under %s: %s, want %s", c.method, c.row.target, c.row.header, c.policy, got, want)
		}
	}
}
