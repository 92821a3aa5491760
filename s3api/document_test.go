package s3api

import (
	"context"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"encoding/base64"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/weftstore/weft/metadata"
)

// counted is a body that tells whether it was read.
type counted struct {
	io.Reader
	n int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}

// sendCounted sends a row and says how it ended and how much of the body was read.
func (c *cell) sendCounted(method string, row *matrixRow) (string, int) {
	c.t.Helper()
	r := c.request(method, row)
	if err := c.signer.SignHeader(r, "UNSIGNED-PAYLOAD", c.h.cfg.Now()); err != nil {
		c.t.Fatal(err)
	}
	body := &counted{Reader: r.Body}
	r.Body = io.NopCloser(body)
	return c.answer(r), body.n
}

func tagsDoc(pairs ...string) string {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		b.WriteString("<Tag><Key>" + pairs[i] + "</Key><Value>" + pairs[i+1] + "</Value></Tag>")
	}
	return "<Tagging><TagSet>" + b.String() + "</TagSet></Tagging>"
}

func createDoc(region string, tags string) string {
	return "<CreateBucketConfiguration><LocationConstraint>" + region + "</LocationConstraint>" +
		strings.NewReplacer("<Tagging><TagSet>", "<Tags>", "</TagSet></Tagging>", "</Tags>").Replace(tags) + "</CreateBucketConfiguration>"
}

// TestDocumentConditions: policies see what a document says, and who is refused whatever
// it says has none read.
func TestDocumentConditions(t *testing.T) {
	const object, tagBucket, create = "/bucket/k?tagging", "/bucket?tagging", "/another"
	allow := func(condition string) string {
		return `{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{` + condition + `}}`
	}
	deny := func(condition string) string { return strings.Replace(allow(condition), "Allow", "Deny", 1) }
	const (
		open    = `"StringEquals":{"s3:RequestObjectTag/class":"open"}`
		keys    = `"ForAllValues:StringEquals":{"s3:RequestObjectTagKeys":["class","owner"]}`
		project = `"StringEquals":{"aws:RequestTag/Project":"x"}`
		noKeys  = `"Null":{"aws:TagKeys":"true"}`
		here    = `"StringEquals":{"s3:LocationConstraint":"us-east-1"}`
		never   = `"StringLike":{"aws:username":"nobody"}`
		asUser  = `"StringEquals":{"s3:RequestObjectTag/owner":"${aws:username}"}`
		byValue = `"StringEquals":{"aws:username":"${s3:RequestObjectTag/owner}"}`
	)
	for name, c := range map[string]struct {
		target, body string
		policies     []string
		ok, read     bool
	}{
		"the tag":                       {object, tagsDoc("class", "open"), []string{allow(open)}, true, true},
		"another value":                 {object, tagsDoc("class", "shut"), []string{allow(open)}, false, true},
		"no tag":                        {object, tagsDoc("Class", "open"), []string{allow(open)}, false, true},
		"denied by a tag":               {object, tagsDoc("class", "open"), []string{allowAll, deny(open)}, false, true},
		"not denied":                    {object, tagsDoc("class", "shut"), []string{allowAll, deny(open)}, true, true},
		"keys":                          {object, tagsDoc("class", "a", "owner", "b"), []string{allow(keys)}, true, true},
		"another key":                   {object, tagsDoc("class", "a", "x", "b"), []string{allow(keys)}, false, true},
		"a variable":                    {object, tagsDoc("owner", "user"), []string{allow(asUser)}, true, true},
		"as a variable":                 {object, tagsDoc("owner", "user"), []string{allow(byValue)}, true, true},
		"as a variable, another":        {object, tagsDoc("owner", "else"), []string{allow(byValue)}, false, true},
		"of another operation":          {object, tagsDoc("Project", "x"), []string{allow(project)}, false, false},
		"refused whatever the document": {object, tagsDoc("class", "open"), []string{allow(open + "," + never)}, false, false},
		"denied whatever the document":  {object, tagsDoc("class", "open"), []string{allow(open), `{"Effect":"Deny","Action":"*","Resource":"*"}`}, false, false},
		"nothing allows":                {object, tagsDoc("class", "open"), []string{deny(open)}, false, false},
		"bucket tags":                   {tagBucket, tagsDoc("Project", "x"), []string{allow(project)}, true, true},
		"other bucket tags":             {tagBucket, tagsDoc("Project", "y"), []string{allow(project)}, false, true},
		"no keys":                       {tagBucket, tagsDoc("Project", "y"), []string{allow(noKeys)}, false, true},
		"here":                          {create, createDoc("us-east-1", ""), []string{allow(here)}, true, true},
		"elsewhere":                     {create, createDoc("mars", ""), []string{allow(here)}, false, true},
		"nowhere":                       {create, "", []string{allow(here)}, false, false},
		"a bucket with tags":            {create, createDoc("us-east-1", tagsDoc("Project", "x")), []string{allow(project)}, true, true},
		"a bucket with other tags":      {create, createDoc("us-east-1", tagsDoc("Project", "y")), []string{allow(project)}, false, true},
		"a bucket without tags":         {create, "", []string{allow(noKeys)}, true, false},
	} {
		cell := newCell(t, userOf(accountA, document(t, c.policies...)), "")
		got, read := cell.sendCounted("PUT", &matrixRow{target: c.target, body: c.body})
		if want := map[bool]string{true: "allowed", false: "AccessDenied"}[c.ok]; got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
		if !c.ok && (read > 0) != c.read {
			t.Errorf("%s: %d bytes were read", name, read)
		}
	}
}

// TestLockConditions: policies see the lock that a request asks for where its operation reads
// it. A header that the operation does not read says nothing.
func TestLockConditions(t *testing.T) {
	const hold, retention, put = "/bucket/k?legal-hold", "/bucket/k?retention", "/bucket/new"
	now := time.Now().UTC()
	until := func(days int) string { return now.AddDate(0, 0, days).Format(time.RFC3339) }
	retain := func(mode string, days int) string {
		return "<Retention><Mode>" + mode + "</Mode><RetainUntilDate>" + until(days) + "</RetainUntilDate></Retention>"
	}
	header := func(days int) []string { return []string{lockModeHeader, "GOVERNANCE", lockUntilHeader, until(days)} }
	allow := func(condition string) []string {
		return []string{`{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{` + condition + `}}`}
	}
	deny := func(condition string) []string {
		return []string{allowAll, strings.Replace(allow(condition)[0], "Allow", "Deny", 1)}
	}
	const (
		on         = `"StringEquals":{"s3:object-lock-legal-hold":"ON"}`
		governance = `"StringEquals":{"s3:object-lock-mode":"GOVERNANCE"}`
		long       = `"NumericGreaterThan":{"s3:object-lock-remaining-retention-days":"10"}`
		short      = `"NumericLessThan":{"s3:object-lock-remaining-retention-days":"10"}`
		late       = `"DateGreaterThan":{"s3:object-lock-retain-until-date":"2100-01-01T00:00:00Z"}`
		some       = `"Null":{"s3:object-lock-mode":"false"}`
	)
	for name, c := range map[string]struct {
		row      matrixRow
		policies []string
		ok       bool
	}{
		"to hold":                         {matrixRow{target: hold, body: holdDoc("ON")}, allow(on), true},
		"not to hold":                     {matrixRow{target: hold, body: holdDoc("OFF")}, allow(on), false},
		"not to hold, with a header":      {matrixRow{target: hold, body: holdDoc("OFF"), header: []string{lockHoldHeader, "ON"}}, allow(on), false},
		"a mode":                          {matrixRow{target: retention, body: retain("GOVERNANCE", 5)}, allow(governance), true},
		"another mode":                    {matrixRow{target: retention, body: retain("COMPLIANCE", 5)}, allow(governance), false},
		"another mode than in the header": {matrixRow{target: retention, body: retain("COMPLIANCE", 5), header: header(5)}, allow(governance), false},
		"no mode":                         {matrixRow{target: retention, body: "<Retention/>"}, allow(some), false},
		"as long as may be":               {matrixRow{target: retention, body: retain("GOVERNANCE", 10)}, deny(long), true},
		"too long":                        {matrixRow{target: retention, body: retain("GOVERNANCE", 11)}, deny(long), false},
		"for ever":                        {matrixRow{target: retention, body: strings.Replace(retentionDoc, "2100", "9999", 1)}, deny(long), false},
		"as short as may be":              {matrixRow{target: retention, body: retain("GOVERNANCE", 10)}, deny(short), true},
		"too short":                       {matrixRow{target: retention, body: retain("GOVERNANCE", 9)}, deny(short), false},
		"too late":                        {matrixRow{target: retention, body: strings.Replace(retentionDoc, "2100", "2101", 1)}, deny(late), false},
		"with an object":                  {matrixRow{target: put, body: "x", header: header(10)}, deny(long), true},
		"with an object, too long":        {matrixRow{target: put, body: "x", header: header(11)}, deny(long), false},
		"with an object, without a lock":  {matrixRow{target: put, body: "x"}, deny(long), true},
	} {
		cell := newCell(t, userOf(accountA, document(t, c.policies...)), "")
		if got, want := cell.send("PUT", &c.row), map[bool]string{true: "allowed", false: "AccessDenied"}[c.ok]; got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// TestConditionsOfDeletes: a policy that demands conditional deletes means those of a
// document's objects, for which a header of the request does not stand.
func TestConditionsOfDeletes(t *testing.T) {
	deny := `{"Effect":"Deny","Action":"s3:DeleteObject","Resource":"*","Condition":{"Null":{"s3:if-match":"true"}}}`
	header := []string{"If-Match", "*"}
	deletes := func(etag string) matrixRow {
		body := strings.Replace(deleteDoc, "</Key>", "</Key>"+etag, 1)
		sum := md5.Sum([]byte(body))
		return matrixRow{target: "/bucket?delete", body: body, header: []string{"Content-Md5", base64.StdEncoding.EncodeToString(sum[:])}}
	}
	spoofed := deletes("")
	spoofed.header = append(spoofed.header, header...)
	for name, c := range map[string]struct {
		method string
		row    matrixRow
		ok     bool
	}{
		"one":                   {"DELETE", matrixRow{target: "/bucket/k"}, false},
		"one on condition":      {"DELETE", matrixRow{target: "/bucket/k", header: header}, true},
		"several":               {"POST", deletes(""), false},
		"several on condition":  {"POST", deletes("<ETag>x</ETag>"), true},
		"several with a header": {"POST", spoofed, false},
	} {
		cell := newCell(t, userOf(accountA, document(t, allowAll, deny)), "")
		if got, want := cell.send(c.method, &c.row), map[bool]string{true: "allowed", false: "AccessDenied"}[c.ok]; got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func holdDoc(status string) string {
	return "<LegalHold><Status>" + status + "</Status></LegalHold>"
}

// TestDocumentConditionsInForm: the tags of a form count as those of a document do.
func TestDocumentConditionsInForm(t *testing.T) {
	allow := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":["s3:PutObject","s3:PutObjectTagging"],"Resource":"arn:aws:s3:::bucket/*",` +
		`"Condition":{"StringEquals":{"s3:RequestObjectTag/a":"b"}}}]}`
	for doc, want := range map[string]string{tagDoc: "allowed", tagsDoc("a", "c"): "AccessDenied"} {
		c := newCell(t, nil, allow)
		row := &matrixRow{target: "/bucket", body: postForm("key", "new", "tagging", doc), header: postHeader}
		if got := c.answer(c.request("POST", row)); got != want {
			t.Errorf("%s: %s, want %s", doc, got, want)
		}
	}
}

// TestDocumentStored: what authorization has read is what the operation works with.
func TestDocumentStored(t *testing.T) {
	c := newCell(t, userOf(accountA, document(t, `{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"StringEquals":{"s3:RequestObjectTag/a":"b"}}}`)), "")
	if got := c.send("PUT", &matrixRow{target: "/bucket/k?tagging", body: tagDoc}); got != "allowed" {
		t.Fatal(got)
	}
	v, _, err := c.db.Get(t.Context(), "bucket", "k", "")
	if err != nil || v.Tags["a"] != "b" || len(v.Tags) != 1 {
		t.Errorf("%v, %v", v.Tags, err)
	}
}

// TestReplacedUnderTags: tags that were allowed because of those an object has are not put on
// another that took its place meanwhile.
func TestReplacedUnderTags(t *testing.T) {
	c := newCell(t, userOf(accountA, document(t, `{"Effect":"Allow","Action":"s3:PutObjectTagging","Resource":"*","Condition":{"StringEquals":{"s3:ExistingObjectTag/owner":"user"}}}`)), "")
	put := func(tags map[string]string) {
		v := &metadata.Version{Key: "k", ID: c.db.NewVersionID(), Null: true, Modified: testTime, Tags: tags}
		if _, err := c.db.Put(t.Context(), "source", v, metadata.Condition{}); err != nil {
			t.Fatal(err)
		}
	}
	for name, first := range map[string]func(){"as it was": nil, "replaced": func() { put(nil) }} {
		put(map[string]string{"owner": "user"})
		r := c.request("PUT", &matrixRow{target: "/source/k?tagging", body: tagsDoc("owner", "user")})
		if err := c.signer.SignHeader(r, "UNSIGNED-PAYLOAD", c.h.cfg.Now()); err != nil {
			t.Fatal(err)
		}
		r.Body = io.NopCloser(&replacing{r.Body, first})
		if w := c.serve(r); (w.Code == 200) != (first == nil) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

// TestRootCanonical: policies name the root account by the canonical id that clients are shown.
func TestRootCanonical(t *testing.T) {
	user := userOf(RootAccount, document(t, allowAll))
	user.Canonical = CanonicalID(RootAccount) // as package identity has it
	for _, who := range []*Principal{Operator(), user} {
		probe := newCell(t, who, "")
		r := probe.request("GET", &matrixRow{target: "/"})
		if err := probe.signer.SignHeader(r, "UNSIGNED-PAYLOAD", probe.h.cfg.Now()); err != nil {
			t.Fatal(err)
		}
		shown := elements(probe.serve(r), "ID")[0]
		policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*"},{"Effect":"Deny","Principal":{"CanonicalUser":"` + shown + `"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*"}]}`
		if got := newCell(t, who, policy).send("GET", &matrixRow{target: "/bucket/k"}); got != "AccessDenied" {
			t.Errorf("%v: %s", who.ARNs, got)
		}
	}
}

// TestTagsOfCopy: the tags that a copy does not get are not asked about.
func TestTagsOfCopy(t *testing.T) {
	c := newCell(t, userOf(accountA, document(t, allowAll, `{"Effect":"Deny","Action":"s3:PutObject","Resource":"*","Condition":{"StringNotEquals":{"s3:RequestObjectTag/class":"open"}}}`)), "")
	for directive, want := range map[string]string{"COPY": "AccessDenied", "REPLACE": "allowed"} {
		row := &matrixRow{target: "/bucket/copy", header: []string{"X-Amz-Copy-Source", "/source/k", "X-Amz-Tagging", "class=open", "X-Amz-Tagging-Directive", directive}}
		if got := c.send("PUT", row); got != want {
			t.Errorf("%s: %s", directive, got)
		}
	}
}

// unreadable are objects of which nothing can be said the first time.
type unreadable struct {
	Objects
	err   error
	opens int
	after int // how many Opens then is called; 0 is 1
	then  func()
}

func (u *unreadable) Open(ctx context.Context, bucket, key, versionID string) (Object, error) {
	u.opens++
	if err := u.err; err != nil {
		u.err = nil
		return nil, err
	}
	obj, err := u.Objects.Open(ctx, bucket, key, versionID)
	if then := u.then; then != nil && u.opens >= u.after {
		u.then = nil
		then()
	}
	return obj, err
}

// TestUnreadableTags: what denies by an object's tags does so, too, when they cannot be read.
func TestUnreadableTags(t *testing.T) {
	c := newCell(t, userOf(accountA, document(t, allowAll, `{"Effect":"Deny","Action":"s3:*","Resource":"*","Condition":{"StringEquals":{"s3:ExistingObjectTag/final":"yes"}}}`)), "")
	for _, method := range []string{"PUT", "GET", "DELETE"} {
		c.h.cfg.Objects = &unreadable{Objects: c.objects, err: metadata.ErrUnavailable}
		r := c.request(method, &matrixRow{target: "/bucket/k"})
		if err := c.signer.SignHeader(r, "UNSIGNED-PAYLOAD", c.h.cfg.Now()); err != nil {
			t.Fatal(err)
		}
		if w := c.serve(r); w.Code != 503 {
			t.Errorf("%s: %d %s", method, w.Code, w.Body)
		}
	}
}

// TestTagsReadOnce: an object is read once for all conditions on its tags.
func TestTagsReadOnce(t *testing.T) {
	var conditions []string
	for i := range 50 {
		conditions = append(conditions, `"s3:ExistingObjectTag/`+itoa(i)+`":"x"`)
	}
	c := newCell(t, userOf(accountA, document(t, allowAll, `{"Effect":"Deny","Action":"s3:*","Resource":"*","Condition":{"StringNotEquals":{`+strings.Join(conditions, ",")+`},"Null":{"aws:username":"true"}}}`)), "")
	objects := &unreadable{Objects: c.objects}
	c.h.cfg.Objects = objects
	if got := c.send("DELETE", &matrixRow{target: "/bucket/k"}); got != "allowed" || objects.opens != 1 {
		t.Errorf("%s, %d reads", got, objects.opens)
	}
}

// TestVersionOfWrite: a write is judged by the tags of the current version, whichever version
// the query names.
func TestVersionOfWrite(t *testing.T) {
	c := newCell(t, userOf(accountA, document(t, allowAll, `{"Effect":"Deny","Action":"s3:PutObject","Resource":"*","Condition":{"StringEquals":{"s3:ExistingObjectTag/final":"yes"}}}`)), "")
	v := &metadata.Version{Key: "k", ID: c.db.NewVersionID(), Modified: testTime, Tags: map[string]string{"final": "yes"}}
	if _, err := c.db.Put(t.Context(), "bucket", v, metadata.Condition{}); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"/bucket/k", "/bucket/k?versionId={version}"} {
		for _, header := range [][]string{nil, {"X-Amz-Copy-Source", "/source/k"}} {
			if got := c.send("PUT", &matrixRow{target: target, header: header}); got != "AccessDenied" {
				t.Errorf("%s %s: %s", target, header, got)
			}
		}
	}
}

// judgedAnew sends a request that the tags of source/k allow: while they do, while a version
// without tags takes its place after so many reads of objects, and after that.
func judgedAnew(t *testing.T, c *cell, reads int, method string, row *matrixRow) {
	t.Helper()
	put := func(tags map[string]string) {
		v := &metadata.Version{Key: "k", ID: c.db.NewVersionID(), Null: true, Modified: testTime, Tags: tags}
		if _, err := c.db.Put(t.Context(), "source", v, metadata.Condition{}); err != nil {
			t.Fatal(err)
		}
	}
	put(map[string]string{"open": "yes"})
	for _, want := range []int{200, 503, 403} {
		objects := &unreadable{Objects: c.objects, after: reads}
		if want == 503 {
			objects.then = func() { put(nil) }
		}
		c.h.cfg.Objects = objects
		r := c.request(method, row)
		if err := c.signer.SignHeader(r, "UNSIGNED-PAYLOAD", c.h.cfg.Now()); err != nil {
			t.Fatal(err)
		}
		if w := c.serve(r); w.Code != want {
			t.Errorf("%s: %d, want %d: %s", row.target, w.Code, want, w.Body)
		}
	}
}

// TestReplacedUnderTaggedRead is TestReplacedUnderRead for what tags allow.
func TestReplacedUnderTaggedRead(t *testing.T) {
	for target, reads := range map[string]int{"/source/k": 1, "/source/k?attributes": 2, "/source/k?tagging": 1} {
		c := newCell(t, userOf(accountA, document(t, `{"Effect":"Allow","Action":"s3:GetObject*","Resource":"*","Condition":{"StringEquals":{"s3:ExistingObjectTag/open":"yes"}}}`)), "")
		judgedAnew(t, c, reads, "GET", &matrixRow{target: target, header: []string{"X-Amz-Object-Attributes", "ETag"}})
	}
}

// TestReplacedUnderCopy is TestReplacedUnderTaggedRead for the source of a copy.
func TestReplacedUnderCopy(t *testing.T) {
	for _, target := range []string{"/bucket/copy", "/bucket/k", "/bucket/u?partNumber=1&uploadId={upload}"} {
		c := newCell(t, userOf(accountA, document(t, allowAll, `{"Effect":"Deny","Action":"s3:GetObject","Resource":"*","Condition":{"StringNotEquals":{"s3:ExistingObjectTag/open":"yes"}}}`,
			`{"Effect":"Deny","Action":"s3:PutObject","Resource":"*","Condition":{"StringEquals":{"s3:ExistingObjectTag/final":"yes"}}}`)), "")
		judgedAnew(t, c, 2, "PUT", &matrixRow{target: target, header: []string{"X-Amz-Copy-Source", "/source/k"}})
	}
}

// TestReplacedUnderWrite: what tags, or that there were none, allowed to be written over, removed
// or locked is not done to what came later.
func TestReplacedUnderWrite(t *testing.T) {
	const hold = "<LegalHold><Status>ON</Status></LegalHold>"
	rename := []string{"X-Amz-Rename-Source", "k"}
	for _, row := range []struct {
		method string
		matrixRow
	}{
		{"PUT", matrixRow{target: "/source/k", body: "x"}},
		{"PUT", matrixRow{target: "/source/k", header: []string{"X-Amz-Copy-Source", "/bucket/k"}}},
		{"POST", matrixRow{target: "/source?delete", body: "<Delete><Object><Key>k</Key></Object></Delete>"}},
		{"DELETE", matrixRow{target: "/source/k"}},
		{"DELETE", matrixRow{target: "/source/k?versionId=null"}},
		{"PUT", matrixRow{target: "/source/other?renameObject", header: rename}},
		{"PUT", matrixRow{target: "/bucket/k?legal-hold", body: hold}},
	} {
		for name, tags := range map[string]map[string]string{"as it was": {"owner": "user"}, "replaced": nil} {
			c := newCell(t, userOf(accountA, document(t, allowAll, `{"Effect":"Deny","Action":["s3:PutObject","s3:DeleteObject*","s3:PutObjectLegalHold"],"Resource":"arn:aws:s3:::*/k","Condition":{"StringNotEquals":{"s3:ExistingObjectTag/owner":"user"}}}`)), "")
			put := func(tags map[string]string) {
				for _, bucket := range []string{"source", "bucket"} {
					v := &metadata.Version{Key: "k", ID: c.db.NewVersionID(), Null: bucket == "source", Modified: testTime, Tags: tags}
					if _, err := c.db.Put(t.Context(), bucket, v, metadata.Condition{}); err != nil {
						t.Fatal(err)
					}
				}
			}
			put(map[string]string{"owner": "user"})
			c.h.cfg.Objects = &unreadable{Objects: c.objects, then: func() {
				if tags == nil {
					put(nil)
				}
			}}
			r := c.request(row.method, &row.matrixRow)
			sum := md5.Sum([]byte(row.body))
			r.Header.Set("Content-Md5", base64.StdEncoding.EncodeToString(sum[:]))
			if err := c.signer.SignHeader(r, "UNSIGNED-PAYLOAD", c.h.cfg.Now()); err != nil {
				t.Fatal(err)
			}
			w := c.serve(r)
			if failed := w.Code >= 300 || strings.Contains(w.Body.String(), "<Error>"); failed != (tags == nil) || failed && !strings.Contains(w.Body.String(), "<Code>ServiceUnavailable<") {
				t.Errorf("%s %s %v, %s: %d %s", row.method, row.target, row.header, name, w.Code, w.Body)
			}
			for _, bucket := range []string{"source", "bucket"} {
				if v, _, err := c.db.Get(t.Context(), bucket, "k", ""); tags == nil && (err != nil || v.Size != 0 || v.Lock.Hold != metadata.HoldUnset) {
					t.Errorf("%s %s: %v, %v", row.method, row.target, v, err)
				}
			}
		}
	}
}

// TestCreatedUnderWrite is TestReplacedUnderWrite for an object that was not there.
func TestCreatedUnderWrite(t *testing.T) {
	for _, method := range []string{"PUT", "DELETE"} {
		c := newCell(t, userOf(accountA, document(t, allowAll, `{"Effect":"Deny","Action":["s3:PutObject","s3:DeleteObject"],"Resource":"*","Condition":{"StringEquals":{"s3:ExistingObjectTag/final":"yes"}}}`)), "")
		for _, want := range []string{"ServiceUnavailable", "AccessDenied"} {
			objects := &unreadable{Objects: c.objects}
			if want != "AccessDenied" {
				objects.then = func() {
					v := &metadata.Version{Key: "new", ID: c.db.NewVersionID(), Null: true, Modified: testTime, Tags: map[string]string{"final": "yes"}}
					if _, err := c.db.Put(t.Context(), "source", v, metadata.Condition{}); err != nil {
						t.Fatal(err)
					}
				}
			}
			c.h.cfg.Objects = objects
			r := c.request(method, &matrixRow{target: "/source/new"})
			if err := c.signer.SignHeader(r, "UNSIGNED-PAYLOAD", c.h.cfg.Now()); err != nil {
				t.Fatal(err)
			}
			if got := errorCode(c.serve(r)); got != want {
				t.Errorf("%s: %s, want %s", method, got, want)
			}
		}
	}
}

// TestDeletedTwice: what is gone by the time that it is deleted is deleted.
func TestDeletedTwice(t *testing.T) {
	for _, item := range []string{"<Key>k</Key>", "<Key>k</Key><VersionId>null</VersionId>"} {
		c := newCell(t, userOf(accountA, document(t, allowAll, `{"Effect":"Deny","Action":"s3:DeleteObject*","Resource":"*","Condition":{"StringEquals":{"s3:ExistingObjectTag/final":"yes"}}}`)), "")
		body := strings.Repeat("<Object>"+item+"</Object>", 2)
		r := c.request("POST", &matrixRow{target: "/source?delete", body: "<Delete>" + body + "</Delete>"})
		sum := md5.Sum([]byte("<Delete>" + body + "</Delete>"))
		r.Header.Set("Content-Md5", base64.StdEncoding.EncodeToString(sum[:]))
		if err := c.signer.SignHeader(r, "UNSIGNED-PAYLOAD", c.h.cfg.Now()); err != nil {
			t.Fatal(err)
		}
		if w := c.serve(r); w.Code != 200 || strings.Contains(w.Body.String(), "<Error>") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
}

// TestDeletesCanceled: policies are not asked about a thousand keys for a client that is gone.
func TestDeletesCanceled(t *testing.T) {
	c := newCell(t, userOf(accountA, document(t, `{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"DateGreaterThan":{"aws:CurrentTime":"2020-01-01T00:00:00Z"}}}`)), "")
	body := "<Delete>" + strings.Repeat("<Object><Key>a</Key></Object>", maxDeletes) + "</Delete>"
	r := c.request("POST", &matrixRow{target: "/source?delete", body: body})
	sum := md5.Sum([]byte(body))
	r.Header.Set("Content-Md5", base64.StdEncoding.EncodeToString(sum[:]))
	if err := c.signer.SignHeader(r, "UNSIGNED-PAYLOAD", c.h.cfg.Now()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r.Body = io.NopCloser(&replacing{r.Body, cancel})
	asked, now := 0, c.h.cfg.Now
	c.h.cfg.Now = func() time.Time { asked++; return now() }
	func() {
		defer func() { _ = recover() }() // the connection is aborted
		c.serve(r.WithContext(ctx))
	}()
	if asked > 100 {
		t.Errorf("asked for the time %d times", asked)
	}
}

// TestRepeatedHeaders: of a header that is there twice policies see what the operation does.
func TestRepeatedHeaders(t *testing.T) {
	const sse, acl = "X-Amz-Server-Side-Encryption", "X-Amz-Acl"
	deny := func(condition string) string {
		return `{"Effect":"Deny","Action":"s3:PutObject","Resource":"*","Condition":{` + condition + `}}`
	}
	for _, c := range []struct{ name, first, second, condition string }{
		{sse, "AES256", "aws:kms", `"StringNotEquals":{"s3:x-amz-server-side-encryption":"aws:kms"}`},
		{acl, "private", "bucket-owner-full-control", `"StringNotEquals":{"s3:x-amz-acl":"bucket-owner-full-control"}`},
		{"X-Amz-Storage-Class", "STANDARD", "GLACIER", `"StringNotLike":{"s3:x-amz-storage-class":"G*"}`},
	} {
		cell := newCell(t, userOf(accountA, document(t, allowAll, deny(c.condition))), "")
		r := cell.request("PUT", &matrixRow{target: "/bucket/k", body: "x"})
		r.Header[c.name] = []string{c.first, c.second}
		if err := cell.signer.SignHeader(r, "UNSIGNED-PAYLOAD", cell.h.cfg.Now()); err != nil {
			t.Fatal(err)
		}
		if got := cell.answer(r); got != "AccessDenied" {
			t.Errorf("%s: %s, then %s: %s", c.name, c.first, c.second, got)
		}
	}
}

// TestFormConditions: policies can tell forms, and the version of their signature.
func TestFormConditions(t *testing.T) {
	form4 := signed(`{"bucket":"bucket"},{"key":"k"}`, "key", "k")
	policy := base64.StdEncoding.EncodeToString([]byte(`{"expiration":"2100-01-01T00:00:00Z","conditions":[{"bucket":"bucket"},{"key":"k"}]}`))
	h := hmac.New(sha1.New, []byte("secret"))
	h.Write([]byte(policy))
	form2 := []string{"key", "k", "AWSAccessKeyId", "AKIA", "policy", policy, "signature", base64.StdEncoding.EncodeToString(h.Sum(nil))}
	for _, c := range []struct {
		form            []string
		condition, want string
	}{
		{form4, `"StringNotEquals":{"s3:authType":"REST-HEADER"}`, "AccessDenied"},
		{form4, `"StringNotEquals":{"s3:authType":"POST"}`, "allowed"},
		{form4, `"StringEquals":{"s3:signatureversion":"AWS"}`, "allowed"},
		{form2, `"StringEquals":{"s3:signatureversion":"AWS"}`, "AccessDenied"},
		{form2, `"StringNotEquals":{"s3:signatureversion":"AWS4-HMAC-SHA256"}`, "AccessDenied"},
	} {
		deny := `{"Effect":"Deny","Action":"s3:PutObject","Resource":"*","Condition":{` + c.condition + `}}`
		cell := newCell(t, userOf(accountA, document(t, allowAll, deny)), "")
		if got := cell.answer(cell.request("POST", &matrixRow{target: "/bucket", body: postForm(c.form...), header: postHeader})); got != c.want {
			t.Errorf("%v, denied if %s: %s", c.form, c.condition, got)
		}
	}
}
