package s3api

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/weftstore/weft/s3api/sigv4"
)

// aclAuth lets in whoever the Authorization header names: A and B are the roots of two
// accounts, U is a user of B and V one of A, both without a policy, nothing is nobody.
type aclAuth struct{}

func (aclAuth) Verify(r *http.Request) (*sigv4.Result, error) {
	who := r.Header.Get("Authorization")
	res := &sigv4.Result{Mode: sigv4.PayloadUnsigned, Identity: sigv4.Identity{AccessKey: who}}
	switch who {
	case "A":
		res.Identity.Owner = rootOf(accountA)
	case "B":
		res.Identity.Owner = rootOf(accountB)
	case "U":
		res.Identity.Owner = userOf(accountB)
	case "V":
		res.Identity.Owner = userOf(accountA)
	default:
		res.Identity.AccessKey = ""
		return res, sigv4.ErrAnonymous
	}
	return res, nil
}

func (aclAuth) VerifyPost(context.Context, *sigv4.Post) (*sigv4.Result, error) {
	return nil, sigv4.ErrAnonymous
}

type aclEnv struct{ *env }

func newACLEnv(t *testing.T, ownership string) aclEnv {
	return aclEnv{newEnv(t, func(c *Config) { c.Auth, c.Ownership = aclAuth{}, ownership })}
}

func (e aclEnv) as(who, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://localhost"+target, strings.NewReader(body))
	if body == "" {
		r.Body, r.ContentLength = http.NoBody, 0
	}
	if who != "" {
		r.Header.Set("Authorization", who)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	return e.serve(r)
}

func (e aclEnv) must(who, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	e.t.Helper()
	w := e.as(who, method, target, body, headers...)
	if w.Code >= 300 {
		e.t.Fatalf("%s %s %s: %d %s", who, method, target, w.Code, w.Body)
	}
	return w
}

// who is let do what: the letters of those that are.
func (e aclEnv) who(method, target, body string) string {
	out := ""
	for _, who := range []string{"A", "B", "U", ""} {
		if w := e.as(who, method, target, body); w.Code < 300 {
			out += who
			if who == "" {
				out += "*"
			}
		} else if w.Code != 403 {
			e.t.Errorf("%q %s %s: %d %s", who, method, target, w.Code, w.Body)
		}
	}
	return out
}

func TestCannedACLs(t *testing.T) {
	for canned, want := range map[string]struct{ list, put, get, acl string }{
		"private":            {"A", "A", "A", "A"},
		"public-read":        {"AB*", "A", "AB*", "A"},
		"public-read-write":  {"AB*", "AB*", "AB*", "A"},
		"authenticated-read": {"AB", "A", "AB", "A"},
	} {
		e := newACLEnv(t, ownerWriter)
		e.must("A", "PUT", "/bucket", "", "X-Amz-Acl: "+canned)
		e.must("A", "PUT", "/bucket/k", "x", "X-Amz-Acl: "+canned)
		for target, who := range map[string]string{"GET /bucket": want.list, "GET /bucket/k": want.get, "GET /bucket?acl": want.acl, "GET /bucket/k?acl": want.acl} {
			method, path, _ := strings.Cut(target, " ")
			if got := e.who(method, path, ""); got != who {
				t.Errorf("%s: %s by %q, want %q", canned, target, got, who)
			}
		}
		if w := e.as("", "GET", "/bucket/absent", ""); (w.Code == 404) != strings.HasSuffix(want.list, "*") {
			t.Errorf("%s: a missing object is %d to nobody", canned, w.Code)
		}
		if got := e.who("PUT", "/bucket/new", "x"); got != want.put {
			t.Errorf("%s: put by %q, want %q", canned, got, want.put)
		}
		e.must("A", "PUT", "/bucket?publicAccessBlock", "<PublicAccessBlockConfiguration><IgnorePublicAcls>true</IgnorePublicAcls></PublicAccessBlockConfiguration>")
		if got := e.who("GET", "/bucket/k", ""); got != "A" {
			t.Errorf("%s, ignored: %q", canned, got)
		}
	}
}

// Whose an object is, and that the bucket's owner may not read what is another's.
func TestObjectOwnership(t *testing.T) {
	for own, want := range map[string]struct{ plain, full string }{
		ownerEnforced: {accountA, accountA}, ownerPreferred: {accountB, accountA}, ownerWriter: {accountB, accountB},
	} {
		e := newACLEnv(t, ownerEnforced)
		e.must("A", "PUT", "/bucket", "", "X-Amz-Object-Ownership: "+own)
		e.must("A", "PUT", "/bucket?policy", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::bucket","arn:aws:s3:::bucket/*"]}]}`)
		e.must("B", "PUT", "/bucket/plain", "x")
		e.must("B", "PUT", "/bucket/full", "x", "X-Amz-Acl: bucket-owner-full-control")
		for key, account := range map[string]string{"plain": want.plain, "full": want.full} {
			who := "B"
			if account == accountA {
				who = "A"
			}
			if ids := elements(e.must(who, "GET", "/bucket/"+key+"?acl", ""), "ID"); ids[0] != CanonicalID(account) {
				t.Errorf("%s: %s belongs to %s", own, key, ids[0])
			}
		}
		if got := e.as("A", "GET", "/bucket/plain", "").Code; (got == 403) != (want.plain == accountB) {
			t.Errorf("%s: the bucket's owner gets %d", own, got)
		}
		e.must("A", "GET", "/bucket/full", "")
	}
	e := newACLEnv(t, ownerWriter)
	e.must("A", "PUT", "/bucket", "", "X-Amz-Acl: public-read")
	enforced := strings.ReplaceAll(ownershipDoc, "X", "")
	if w := e.as("A", "PUT", "/bucket?ownershipControls", enforced); errorCode(w) != "InvalidBucketAclWithObjectOwnership" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	e.must("A", "PUT", "/bucket?acl", "", "X-Amz-Acl: private")
	e.must("A", "PUT", "/bucket?ownershipControls", enforced)
	if w := e.as("A", "PUT", "/bucket?acl", "", "X-Amz-Acl: public-read"); errorCode(w) != "AccessControlListNotSupported" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// replacing is a body that has something done before it is read.
type replacing struct {
	io.Reader
	first func()
}

func (r *replacing) Read(p []byte) (int, error) {
	if r.first != nil {
		r.first()
		r.first = nil
	}
	return r.Reader.Read(p)
}

// TestReplacedUnderACL: a list that was allowed for one object is not put on another that
// took its place while the list was on its way.
func TestReplacedUnderACL(t *testing.T) {
	e := newACLEnv(t, ownerWriter)
	e.must("A", "PUT", "/bucket", "", "X-Amz-Acl: public-read-write")
	e.must("B", "PUT", "/bucket/k", "x")
	list := aclDoc(accountB, "<ID>"+CanonicalID(accountB)+"</ID>", permFull)
	r := httptest.NewRequest("PUT", "http://localhost/bucket/k?acl", &replacing{strings.NewReader(list), func() { e.must("A", "PUT", "/bucket/k", "secret") }})
	r.ContentLength = int64(len(list))
	r.Header.Set("Authorization", "B")
	if w := e.serve(r); w.Code != 503 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if got := e.who("GET", "/bucket/k", ""); got != "A" {
		t.Errorf("read by %q", got)
	}
	e.must("A", "PUT", "/bucket/k?acl", aclDoc(accountA))
}

// TestReplacedUnderRead: what was allowed because of the object that was there, or since there
// was none, does not show the one that is there a moment later.
func TestReplacedUnderRead(t *testing.T) {
	e := newACLEnv(t, ownerWriter)
	e.must("A", "PUT", "/bucket", "", "X-Amz-Acl: public-read")
	for _, target := range []string{"/bucket/k", "/bucket/new"} {
		e.must("A", "PUT", "/bucket/k", "x", "X-Amz-Acl: public-read")
		e.h.cfg.Objects = &unreadable{Objects: e.objects, then: func() { e.must("A", "PUT", target, "secret") }}
		if w := e.as("B", "GET", target, ""); w.Code < 400 {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
		if w := e.as("B", "GET", target, ""); w.Code != 403 {
			t.Errorf("%s, again: %d %s", target, w.Code, w.Body)
		}
	}
}

// TestLongACL: a list that does not fit beside what an object has is refused, as it is when the
// object is put, lest the object can be neither renamed nor appended to.
func TestLongACL(t *testing.T) {
	e := newACLEnv(t, ownerWriter)
	e.must("A", "PUT", "/bucket", "")
	e.must("A", "PUT", "/bucket/k", "x", "X-Amz-Meta-A: "+strings.Repeat("x", 2000))
	e.must("A", "PUT", "/bucket/plain", "x")
	var grants strings.Builder
	for range maxGrants {
		grants.WriteString(`<Grant><Grantee><ID>` + CanonicalID(accountB) + `</ID></Grantee><Permission>READ</Permission></Grant>`)
	}
	list := "<AccessControlPolicy><AccessControlList>" + grants.String() + "</AccessControlList></AccessControlPolicy>"
	if w := e.as("A", "PUT", "/bucket/k?acl", list); errorCode(w) != "MetadataTooLarge" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	e.must("A", "PUT", "/bucket/plain?acl", list)
}

// TestReplacedUnderCopiedACL is TestReplacedUnderRead for the source of a copy.
func TestReplacedUnderCopiedACL(t *testing.T) {
	e := newACLEnv(t, ownerWriter)
	e.must("A", "PUT", "/bucket", "", "X-Amz-Acl: public-read")
	e.must("B", "PUT", "/mine", "")
	for _, target := range []string{"/bucket/k", "/bucket/new"} {
		e.must("A", "PUT", "/bucket/k", "x", "X-Amz-Acl: public-read")
		e.h.cfg.Objects = &unreadable{Objects: e.objects, then: func() { e.must("A", "PUT", target, "secret") }}
		if w := e.as("B", "PUT", "/mine/copy", "", "X-Amz-Copy-Source: "+target); w.Code != 503 {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
		if w := e.as("B", "PUT", "/mine/copy", "", "X-Amz-Copy-Source: "+target); w.Code != 403 {
			t.Errorf("%s, again: %d %s", target, w.Code, w.Body)
		}
	}
}

// TestReplacedBucket: what was allowed in a bucket does nothing to one of another account
// that has its name when the body is there.
func TestReplacedBucket(t *testing.T) {
	e := newACLEnv(t, ownerEnforced)
	e.must("B", "PUT", "/bucket", "")
	open := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + accountB + `"},"Action":"s3:*","Resource":["arn:aws:s3:::bucket","arn:aws:s3:::bucket/*"]}]}`
	for target, body := range map[string]string{"/bucket?policy": open, "/bucket/k": "x", "/bucket?versioning": "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>", "/bucket?tagging": tagDoc} {
		r := httptest.NewRequest("PUT", "http://localhost"+target, &replacing{strings.NewReader(body), func() {
			e.must("B", "DELETE", "/bucket", "")
			e.must("A", "PUT", "/bucket", "")
		}})
		r.ContentLength = int64(len(body))
		r.Header.Set("Authorization", "B")
		if w := e.serve(r); w.Code != 503 {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
		if w := e.as("B", "PUT", target, body); w.Code != 403 {
			t.Errorf("%s, again: %d %s", target, w.Code, w.Body)
		}
		if w := e.as("A", "DELETE", "/bucket", ""); w.Code != 204 {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
			e.must("A", "DELETE", "/bucket/k", "")
			e.must("A", "DELETE", "/bucket", "")
		}
		e.must("B", "PUT", "/bucket", "")
	}
}

// TestForeignDenied: the bucket's owner may refuse access to what others own in it.
func TestForeignDenied(t *testing.T) {
	e := newACLEnv(t, ownerWriter)
	e.must("A", "PUT", "/bucket", "", "X-Amz-Acl: public-read-write")
	e.must("B", "PUT", "/bucket/k", "x", "X-Amz-Acl: public-read")
	if got := e.who("GET", "/bucket/k", ""); got != "ABU*" {
		t.Errorf("read by %q", got)
	}
	e.must("A", "PUT", "/bucket?policy", `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":["s3:GetObject","s3:PutObjectAcl"],"Resource":"arn:aws:s3:::bucket/*"}]}`)
	if got := e.who("GET", "/bucket/k", ""); got != "" {
		t.Errorf("denied, and read by %q", got)
	}
	if got := e.who("PUT", "/bucket/k?acl", aclDoc(accountB)); got != "" {
		t.Errorf("denied, and its list put by %q", got)
	}
}

// TestBrokenSource: a bucket with a configuration that cannot be read is for its own owner
// only, also as the source of a copy.
func TestBrokenSource(t *testing.T) {
	e := newACLEnv(t, ownerWriter)
	e.must("A", "PUT", "/bucket", "")
	e.must("A", "PUT", "/bucket/k", "x", "X-Amz-Acl: public-read")
	e.must("B", "PUT", "/mine", "")
	e.must("B", "PUT", "/mine/k", "", "X-Amz-Copy-Source: /bucket/k")
	if err := e.db.SetBucketConfig(t.Context(), "bucket", configPublicBlock, "nonsense"); err != nil {
		t.Fatal(err)
	}
	e.h.buckets.forget("bucket")
	if w := e.as("B", "PUT", "/mine/k", "", "X-Amz-Copy-Source: /bucket/k"); w.Code != 403 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	e.must("A", "GET", "/bucket/k", "")
}

func aclDoc(owner string, grants ...string) string {
	s := "<AccessControlPolicy><Owner><ID>" + CanonicalID(owner) + "</ID></Owner><AccessControlList>"
	for i := 0; i < len(grants); i += 2 {
		s += "<Grant><Grantee>" + grants[i] + "</Grantee><Permission>" + grants[i+1] + "</Permission></Grant>"
	}
	return s + "</AccessControlList></AccessControlPolicy>"
}

func TestGrants(t *testing.T) {
	e := newACLEnv(t, ownerWriter)
	e.must("A", "PUT", "/bucket", "")
	e.must("A", "PUT", "/bucket/k", "x")
	b := "<ID>" + CanonicalID(accountB) + "</ID>"
	for perm, want := range map[string]string{permRead: "GET /bucket/k", permReadACP: "GET /bucket/k?acl", permWriteACP: "PUT /bucket/k?acl"} {
		e.must("A", "PUT", "/bucket/k?acl", aclDoc(accountA, b, perm))
		for _, target := range []string{"GET /bucket/k", "GET /bucket/k?acl", "PUT /bucket/k?acl"} {
			method, path, _ := strings.Cut(target, " ")
			body := ""
			if method == "PUT" {
				body = aclDoc(accountA, b, perm)
			}
			if w := e.as("B", method, path, body); (w.Code < 300) != (target == want) {
				t.Errorf("%s: %s: %d %s", perm, target, w.Code, w.Body)
			}
			if w := e.as("U", method, path, body); w.Code != 403 {
				t.Errorf("%s: %s by a user whom nothing allows it: %d", perm, target, w.Code)
			}
		}
	}
	e.must("A", "PUT", "/bucket/h", "x", "X-Amz-Grant-Read: id="+CanonicalID(accountB)+`, uri="`+groupPrefix+allUsers+`"`)
	e.must("", "GET", "/bucket/h", "")
	for _, row := range []struct{ doc, code string }{
		{aclDoc(accountB, b, permRead), "AccessDenied"},
		{aclDoc(accountA, "<ID>nobody</ID>", permRead), "InvalidArgument"},
		{aclDoc(accountA, "<URI>http://x</URI>", permRead), "InvalidArgument"},
		{aclDoc(accountA, "<EmailAddress>a@b</EmailAddress>", permRead), "UnresolvableGrantByEmailAddress"},
		{aclDoc(accountA, b, "EVERYTHING"), "MalformedXML"},
		{"<AccessControlPolicy/>", "MalformedACLError"},
	} {
		for _, target := range []string{"/bucket?acl", "/bucket/k?acl"} {
			if w := e.as("A", "PUT", target, row.doc); errorCode(w) != row.code {
				t.Errorf("%s %s: %d %s", target, row.doc, w.Code, w.Body)
			}
		}
	}
	e.must("A", "PUT", "/bucket?publicAccessBlock", "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls></PublicAccessBlockConfiguration>")
	for _, target := range []string{"/bucket?acl", "/bucket/k?acl", "/bucket/k"} {
		if w := e.as("A", "PUT", target, "", "X-Amz-Acl: public-read"); errorCode(w) != "AccessDenied" {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
}

// TestGrantsToAccount: what a list gives an account its root may do, and of its users those
// whose policies let them, also where the bucket is the account's own.
func TestGrantsToAccount(t *testing.T) {
	for _, canned := range []string{"private", "public-read"} {
		e := newACLEnv(t, ownerWriter)
		e.must("A", "PUT", "/bucket", "", "X-Amz-Acl: "+canned)
		e.must("A", "PUT", "/bucket/k", "x", "X-Amz-Acl: "+canned)
		e.must("A", "PUT", "/bucket?policy", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"`+accountB+`"},"Action":["s3:PutObject","s3:PutObjectAcl"],"Resource":"arn:aws:s3:::bucket/b"}]}`)
		e.must("B", "PUT", "/bucket/b", "x", "X-Amz-Acl: "+canned)
		upload := elements(e.must("A", "POST", "/bucket/k?uploads", "", "X-Amz-Acl: "+canned), "UploadId")[0]
		for _, row := range []struct{ who, method, target, body string }{
			{"V", "GET", "/bucket?acl", ""}, {"V", "PUT", "/bucket?acl", aclDoc(accountA)}, {"V", "PUT", "/bucket/new", "x"}, {"V", "DELETE", "/bucket/k", ""},
			{"V", "GET", "/bucket/k?acl", ""}, {"V", "PUT", "/bucket/k?acl", aclDoc(accountA)}, {"U", "PUT", "/bucket/b?acl", aclDoc(accountB)},
			{"V", "GET", "/bucket/k?uploadId=" + upload, ""}, {"V", "DELETE", "/bucket/k?uploadId=" + upload, ""},
		} {
			if w := e.as(row.who, row.method, row.target, row.body); w.Code != 403 {
				t.Errorf("%s: %s %s by a user without a policy: %d %s", canned, row.method, row.target, w.Code, w.Body)
			}
		}
		for _, row := range []struct{ who, target string }{{"V", "/bucket"}, {"V", "/bucket/k"}, {"U", "/bucket/b"}} {
			if w := e.as(row.who, "GET", row.target, ""); (w.Code == 200) != (canned == "public-read") {
				t.Errorf("%s: GET %s by a user without a policy: %d", canned, row.target, w.Code)
			}
		}
	}
}

func FuzzACL(f *testing.F) {
	f.Add([]byte(aclDoc(accountA, "<URI>"+groupPrefix+allUsers+"</URI>", permRead)), "public-read")
	h := &Handler{}
	f.Fuzz(func(t *testing.T, data []byte, text string) {
		if a, err := decodeACL(text); err == nil {
			a.grants(rootOf(accountA), "y", permRead, false)
		}
		a, err := h.documentACL(data, accountA)
		if err != nil {
			return
		}
		again, err := h.documentACL(h.aclDocument(a).b, accountA)
		if err != nil || len(again.Grants) != len(a.Grants) {
			t.Fatalf("%+v became %+v, %v", a, again, err)
		}
	})
}

// TestInitiator: who began an upload in another's bucket may see its parts and abort it.
func TestInitiator(t *testing.T) {
	e := newACLEnv(t, ownerWriter)
	e.must("A", "PUT", "/bucket", "", "X-Amz-Acl: public-read-write")
	for _, c := range []struct{ who, may string }{{"A", "A"}, {"B", "AB"}, {"", "A"}} {
		id := elements(e.must(c.who, "POST", "/bucket/k?uploads", ""), "UploadId")[0]
		if got := e.who("GET", "/bucket/k?uploadId="+id, ""); got != c.may {
			t.Errorf("an upload of %q is shown to %q, want %q", c.who, got, c.may)
		}
		for _, who := range []string{"U", "", "B", "A"} {
			want := 403
			if who != "" && strings.Contains(c.may, who) {
				want = 204
			}
			if w := e.as(who, "DELETE", "/bucket/k?uploadId="+id, ""); w.Code != want {
				t.Errorf("an upload of %q aborted by %q: %d, want %d", c.who, who, w.Code, want)
			}
			if want == 204 {
				break
			}
		}
	}
	if w := e.as("B", "GET", "/bucket/k?uploadId=none", ""); w.Code != 403 {
		t.Errorf("an upload that is not there: %d", w.Code)
	}
}
