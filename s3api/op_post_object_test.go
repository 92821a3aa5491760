package s3api

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/weftstore/weft/s3api/sigv4"
)

const testBoundary = "--frontier"

var postHeader = []string{"Content-Type", "multipart/form-data; boundary=" + testBoundary}

// postForm makes a form of names and values, the file "content" last.
func postForm(fields ...string) string { return postFile("content", fields...) }

func postFile(content string, fields ...string) string {
	var b strings.Builder
	for i := 0; i < len(fields); i += 2 {
		b.WriteString("--" + testBoundary + "\r\nContent-Disposition: form-data; name=\"" + fields[i] + "\"\r\n\r\n" + fields[i+1] + "\r\n")
	}
	b.WriteString("--" + testBoundary + "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"C:\\\\dir\\\\f.txt\"\r\nContent-Type: text/x\r\n\r\n" + content)
	return b.String() + "\r\n--" + testBoundary + "--\r\n"
}

// postEnv is a bucket behind the real verifier, whose operator's key is AKIA.
func postEnv(t *testing.T) *env {
	lookup := func(_ context.Context, key, token string) (sigv4.Key, error) {
		if key != "AKIA" || token != "" && token != "token" {
			return sigv4.Key{}, sigv4.ErrInvalidAccessKeyID
		}
		return sigv4.Key{Secret: "secret"}, nil
	}
	e := newEnv(t, func(c *Config) { c.Auth = &sigv4.Verifier{Region: "us-east-1", Lookup: lookup} })
	if _, err := e.db.CreateBucket(t.Context(), "bucket", ""); err != nil {
		t.Fatal(err)
	}
	return e
}

func (e *env) post(body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "http://localhost/bucket", strings.NewReader(body))
	r.Header.Set(postHeader[0], postHeader[1])
	return e.serve(r)
}

// signed adds a policy of conditions and its signature to fields.
func signed(conditions string, fields ...string) []string {
	expires := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	return signedPolicy(`{"expiration":"`+expires+`","conditions":[`+conditions+`]}`, fields...)
}

func signedPolicy(policy string, fields ...string) []string {
	encoded := base64.StdEncoding.EncodeToString([]byte(policy))
	key := []byte("AWS4secret")
	day := time.Now().UTC().Format("20060102")
	for _, part := range []string{day, "us-east-1", "s3", "aws4_request", encoded} {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(part))
		key = h.Sum(nil)
	}
	return append(fields, "policy", encoded, "X-Amz-Algorithm", "AWS4-HMAC-SHA256", "X-Amz-Credential", "AKIA/"+day+"/us-east-1/s3/aws4_request",
		"X-Amz-Date", day+"T000000Z", "X-Amz-Signature", hex.EncodeToString(key))
}

func (e *env) stored(t *testing.T, key string) (string, map[string]string) {
	t.Helper()
	obj, err := e.objects.Open(t.Context(), "bucket", key, "")
	if err != nil {
		t.Fatal(err)
	}
	v, _ := obj.Info()
	if v.Size == 0 {
		return "", v.Headers
	}
	s, err := obj.Read(t.Context(), 0, v.Size)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	_, _ = s.WriteTo(&b)
	return b.String(), v.Headers
}

const conditionsAll = `{"bucket":"bucket"},["starts-with","$key","a/"],["starts-with","$Content-Type","text/"],["content-length-range",0,1000000],{"acl":"private"},["eq","$x-amz-meta-m","v"],["starts-with","$tagging",""]`

// TestPostFilename: each field may have the file's name, and the policy is about what comes of it.
func TestPostFilename(t *testing.T) {
	e := postEnv(t)
	const to = "http://example.org/done?f="
	conditions := `{"bucket":"bucket"},{"key":"a/f.txt"},["starts-with","$x-amz-meta-name",""],["starts-with","$success_action_redirect","` + to + `"]`
	fields := []string{"key", "a/${filename}", "x-amz-meta-name", "${filename}", "success_action_redirect", to + "${filename}"}
	w := e.post(postForm(signed(conditions, fields...)...))
	if w.Code != 303 || !strings.HasPrefix(w.Header().Get("Location"), to+"f.txt&bucket=bucket&") {
		t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if v, _, err := e.db.Get(t.Context(), "bucket", "a/f.txt", ""); err != nil || v.UserMeta["name"] != "f.txt" {
		t.Errorf("%+v %v", v, err)
	}
}

// TestPostFilenameBound: little is sent, and would come to 90 MiB before anybody has signed.
func TestPostFilenameBound(t *testing.T) {
	e := postEnv(t)
	body := postForm("key", strings.Repeat("${filename}", 2900))
	body = strings.Replace(body, `f.txt"`, strings.Repeat("f", 31<<10)+`"`, 1)
	if w := e.post(body); w.Code != 400 || errorCode(w) != "MaxPostPreDataLengthExceeded" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestPostObject(t *testing.T) {
	e := postEnv(t)
	fields := []string{"Key", "a/${filename}", "Content-Type", "text/plain", "acl", "private", "x-amz-meta-m", "v", "x-ignore-this", "x",
		"tagging", "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"}
	w := e.post(postForm(signed(conditionsAll, fields...)...))
	if w.Code != 204 || w.Header().Get("Etag") == "" || w.Header().Get("Location") != "http://localhost/bucket/a/f.txt" {
		t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	body, headers := e.stored(t, "a/f.txt")
	v, _, err := e.db.Get(t.Context(), "bucket", "a/f.txt", "")
	if err != nil || body != "content" || headers["Content-Type"] != "text/plain" || v.Tags["a"] != "b" || v.UserMeta["m"] != "v" || len(v.UserMeta) != 1 {
		t.Errorf("%q %v %+v %v", body, headers, v, err)
	}
	for sum, status := range map[string]int{"7XACtDnprIRfIjV9giusFERzD722AW0+yUMil7nsn3M=": 204, "aTL9MeXa9HObn6eP93eygxsJlcwdCwCTysgGAZAgE7w=": 400} {
		if w := e.post(postForm(signed(`{"bucket":"bucket"},{"key":"sum"}`, "key", "sum", "x-amz-checksum-sha256", sum)...)); w.Code != status {
			t.Errorf("checksum %s: %d %s", sum, w.Code, w.Body)
		}
	}
	for sum, status := range map[string]int{"mgNkuembtIDdJeHwKEyFVQ==": 204, "1B2M2Y8AsgTpgAmY7PhCfg==": 400} {
		if w := e.post(postForm(signed(`{"bucket":"bucket"},{"key":"md5"},["starts-with","$Content-MD5",""]`, "key", "md5", "Content-MD5", sum)...)); w.Code != status {
			t.Errorf("MD5 %s: %d %s", sum, w.Code, w.Body)
		}
	}
	// Version 2.
	policy := base64.StdEncoding.EncodeToString([]byte(`{"expiration":"2100-01-01T00:00:00Z","conditions":[{"bucket":"bucket"},["starts-with","$key",""]]}`))
	h := hmac.New(sha1.New, []byte("secret"))
	h.Write([]byte(policy))
	old := []string{"key", "v2", "AWSAccessKeyId", "AKIA", "policy", policy, "signature", base64.StdEncoding.EncodeToString(h.Sum(nil))}
	if w := e.post(postForm(old...)); w.Code != 204 {
		t.Errorf("version 2: %d %s", w.Code, w.Body)
	}
	old[7] = base64.StdEncoding.EncodeToString(h.Sum([]byte{1})[:20])
	if w := e.post(postForm(old...)); w.Code != 403 || errorCode(w) != "SignatureDoesNotMatch" {
		t.Errorf("version 2, another signature: %d %s", w.Code, w.Body)
	}
}

func TestPostObjectAnswers(t *testing.T) {
	e := postEnv(t)
	open := `{"bucket":"bucket"},["starts-with","$key",""],["starts-with","$success_action_status",""],["starts-with","$success_action_redirect",""]`
	for _, row := range []struct {
		name, value string
		status      int
		location    string
	}{
		{"success_action_status", "200", 200, "http://localhost/bucket/k%20k"},
		{"success_action_status", "201", 201, "http://localhost/bucket/k%20k"},
		{"success_action_status", "404", 204, "http://localhost/bucket/k%20k"},
		{"success_action_redirect", "http://there/?a=b", 303, "http://there/?a=b&bucket=bucket&key=k+k&etag=%229a0364b9e99bb480dd25e1f0284c8555%22"},
		{"success_action_redirect", "javascript:alert(1)", 204, "http://localhost/bucket/k%20k"},
	} {
		w := e.post(postForm(signed(open, "key", "k k", row.name, row.value)...))
		if w.Code != row.status || w.Header().Get("Location") != row.location {
			t.Errorf("%s %s: %d %q %s", row.name, row.value, w.Code, w.Header().Get("Location"), w.Body)
		}
		if row.status == 201 {
			var doc struct{ Location, Bucket, Key, ETag string }
			if err := xml.Unmarshal(w.Body.Bytes(), &doc); err != nil || doc.Key != "k k" || doc.Bucket != "bucket" || doc.ETag != `"9a0364b9e99bb480dd25e1f0284c8555"` {
				t.Errorf("%+v %v", doc, err)
			}
		}
	}
}

func TestPostObjectRefused(t *testing.T) {
	e := postEnv(t)
	base := `{"bucket":"bucket"},["starts-with","$key","a"]`
	policy := func(p string) []string { return signedPolicy(p, "key", "a") }
	without := func(name string) []string {
		f := signed(base, "key", "a")
		for i := 0; i < len(f); i += 2 {
			if f[i] == name {
				return append(f[:i:i], f[i+2:]...)
			}
		}
		panic(name)
	}
	change := func(name, value string) []string {
		f := signed(base, "key", "a")
		for i := 0; i < len(f); i += 2 {
			if f[i] == name {
				f[i+1] = value
			}
		}
		return f
	}
	for i, row := range []struct {
		form   string
		status int
		code   string
	}{
		{postForm("key", "a"), 403, "AccessDenied"},
		{postForm(signed(base)...), 400, "InvalidArgument"},
		{postForm(signed(base, "key", "b")...), 403, "AccessDenied"},
		{postForm(signed(base, "key", "a", "acl", "private")...), 403, "AccessDenied"},
		{postForm(signed(`["starts-with","$key","a"]`, "key", "a")...), 403, "AccessDenied"},
		{postForm(signed(`{"bucket":"other"},["starts-with","$key","a"]`, "key", "a", "bucket", "other")...), 403, "AccessDenied"},
		{postForm(signed(base+`,["eq","$x-amz-meta-x","y"]`, "key", "a")...), 403, "AccessDenied"},
		{postForm(signed(base+`,["content-length-range",8,9]`, "key", "a")...), 400, "EntityTooSmall"},
		{postForm(signed(base+`,["content-length-range",0,6]`, "key", "a")...), 400, "EntityTooLarge"},
		{postForm(signed(base+`,["content-length-range",0,6],["content-length-range",0,9]`, "key", "a")...), 400, "EntityTooLarge"},
		{postForm(signed(base+`,["content-length-range",8,9],["content-length-range",0,9]`, "key", "a")...), 400, "EntityTooSmall"},
		{postForm(signed(base+`,["content-length-range",0]`, "key", "a")...), 400, "InvalidPolicyDocument"},
		{postForm(signed(base+`,["content-length-range",-1,6]`, "key", "a")...), 400, "InvalidPolicyDocument"},
		{postForm(signed(base+`,{}`, "key", "a")...), 400, "InvalidPolicyDocument"},
		{postForm(signed(base+`,["like","$key","a"]`, "key", "a")...), 400, "InvalidPolicyDocument"},
		{postForm(policy(`{"expiration":"2020-01-01T00:00:00Z","conditions":[` + base + `]}`)...), 403, "AccessDenied"},
		{postForm(policy(`{"expiration":"tomorrow","conditions":[` + base + `]}`)...), 400, "InvalidPolicyDocument"},
		{postForm(policy(`{"Expiration":"2100-01-01T00:00:00Z","conditions":[` + base + `]}`)...), 400, "InvalidPolicyDocument"},
		{postForm(policy(`{"expiration":"2100-01-01T00:00:00Z"}`)...), 400, "InvalidPolicyDocument"},
		{postForm(policy(`{`)...), 400, "InvalidPolicyDocument"},
		{postForm(without("policy")...), 400, "InvalidArgument"},
		{postForm(without("X-Amz-Signature")...), 400, "InvalidArgument"},
		{postForm(without("X-Amz-Credential")...), 400, "InvalidArgument"},
		{postForm(change("X-Amz-Signature", strings.Repeat("0", 64))...), 403, "SignatureDoesNotMatch"},
		{postForm(change("X-Amz-Credential", "AKIB/20260101/us-east-1/s3/aws4_request")...), 400, "AuthorizationQueryParametersError"},
		{"--" + testBoundary + "\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\na\r\n--" + testBoundary + "--\r\n", 400, "InvalidArgument"},
		{postForm("key", "a")[:60], 400, "MalformedPOSTRequest"},
		{"nothing", 400, "MalformedPOSTRequest"},
		{postForm("key", strings.Repeat("x", maxFormFields)), 400, "MaxPostPreDataLengthExceeded"},
	} {
		before := e.objects.puts.Load()
		if w := e.post(row.form); w.Code != row.status || errorCode(w) != row.code || e.objects.puts.Load() != before {
			t.Errorf("row %d: %d %s", i, w.Code, w.Body)
		}
	}
	r := httptest.NewRequest("POST", "http://localhost/bucket", strings.NewReader("key=a"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if w := e.serve(r); w.Code != 412 {
		t.Errorf("another type: %d %s", w.Code, w.Body)
	}
	r = httptest.NewRequest("POST", "http://localhost/bucket", io.MultiReader(strings.NewReader(postForm("key", "a"))))
	r.Header.Set(postHeader[0], postHeader[1])
	r.ContentLength = -1
	if w := e.serve(r); w.Code != 411 {
		t.Errorf("no length: %d %s", w.Code, w.Body)
	}
}

// Files of all lengths round what is held in memory, with what looks like a delimiter in
// them, whatever pieces they come in. Behind a long one there is nothing.
func TestPostObjectFiles(t *testing.T) {
	e := postEnv(t)
	any := `{"bucket":"bucket"},["starts-with","$key",""]`
	trap := "\r\n--" + testBoundary[:len(testBoundary)-1] + "\r\n-"
	for _, n := range []int{0, 1, formBuffer - 1, formBuffer, formBuffer + 1, formMemory - 1, formMemory, formMemory + 1, 3 * formMemory} {
		content := strings.Repeat(trap, n/len(trap)+1)[:n]
		form := postFile(content, signed(any, "key", "k")...)
		for name, body := range map[string]io.Reader{"at once": strings.NewReader(form), "in halves": iotest.HalfReader(strings.NewReader(form))} {
			r := httptest.NewRequest("POST", "http://localhost/bucket", body)
			r.ContentLength = int64(len(form))
			r.Header.Set(postHeader[0], postHeader[1])
			if w := e.serve(r); w.Code != 204 {
				t.Fatalf("%d bytes %s: %d %s", n, name, w.Code, w.Body)
			}
			if got, _ := e.stored(t, "k"); got != content {
				t.Errorf("%d bytes %s: %d came back", n, name, len(got))
			}
		}
		more := strings.TrimSuffix(form, "--\r\n") + "\r\nContent-Disposition: form-data; name=\"submit\"\r\n\r\nUpload\r\n--" + testBoundary + "--\r\n"
		w := e.post(more)
		if short := n < formMemory; short != (w.Code == 204) || !short && errorCode(w) != "MalformedPOSTRequest" {
			t.Errorf("%d bytes and a field: %d %s", n, w.Code, w.Body)
		}
		if w := e.post(form[:len(form)-len(testBoundary)-8]); w.Code != 400 {
			t.Errorf("%d bytes, cut: %d %s", n, w.Code, w.Body)
		}
	}
}

func FuzzForm(f *testing.F) {
	f.Add([]byte(postForm("key", "a", "acl", "private")))
	f.Add([]byte("--" + testBoundary + "\r\n\r\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		form, err := readForm(postHeader[1], bytes.NewReader(body))
		if err != nil {
			return
		}
		r, size, err := form.file.open(int64(len(body)))
		if err != nil {
			return
		}
		if n, err := io.Copy(io.Discard, r); err == nil && n != size {
			t.Fatalf("%d bytes of %d", n, size)
		}
	})
}

func FuzzPostPolicy(f *testing.F) {
	f.Add(`{"expiration":"2100-01-01T00:00:00Z","conditions":[` + conditionsAll + `]}`)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := decodePostPolicy(base64.StdEncoding.EncodeToString([]byte(text)))
		if err != nil {
			return
		}
		_ = p.check(map[string]string{"key": "a"}, time.Now())
		if p.max >= 0 && p.min > p.max || p.min < 0 {
			t.Fatalf("%+v", p)
		}
	})
}

// TestPostSignedByHeader: of a form that a header signs the whole body must be the one
// that was signed.
func TestPostSignedByHeader(t *testing.T) {
	e := postEnv(t)
	signer := &sigv4.Signer{Credentials: sigv4.Credentials{AccessKey: "AKIA", SecretKey: "secret"}, Region: "us-east-1"}
	for i, content := range []string{"content", strings.Repeat("x", formMemory+100)} {
		mine := postFile(content, "key", "k")
		other := strings.Replace(mine, content, strings.ToUpper(content), 1)
		for _, body := range []string{other, mine} {
			sum := sha256.Sum256([]byte(mine))
			r := httptest.NewRequest("POST", "http://localhost/bucket", strings.NewReader(body))
			r.Header.Set(postHeader[0], postHeader[1])
			if err := signer.SignHeader(r, hex.EncodeToString(sum[:]), time.Now()); err != nil {
				t.Fatal(err)
			}
			want := 204
			if body == other {
				want = 400
			}
			if w := e.serve(r); w.Code != want {
				t.Errorf("%d: status %d, want %d: %s", i, w.Code, want, w.Body)
			}
		}
	}
}

// TestPostLookalike: what only begins like the delimiter belongs to the file.
func TestPostLookalike(t *testing.T) {
	e := postEnv(t)
	for _, tail := range []string{"x", "-", "-x", "\r", ""} {
		content := "a\r\n--" + testBoundary + tail + "b"
		if tail == "" {
			content = strings.Repeat(content, formMemory/len(content)+1)
		}
		if w := e.post(postFile(content, signed(`{"bucket":"bucket"},{"key":"k"}`, "key", "k")...)); w.Code != 204 {
			t.Fatalf("%q: %d %s", tail, w.Code, w.Body)
		}
		if got, _ := e.stored(t, "k"); got != content {
			t.Errorf("%q: %d bytes of %d are stored", tail, len(got), len(content))
		}
	}
}
