package sigv4

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

func codeOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}

// get returns a GET signed in its header, with changes made after signing.
func get(t *testing.T, change func(*http.Request)) *http.Request {
	t.Helper()
	r := request("GET", "http://127.0.0.1:9000/bucket/key?versionId=7", "", "X-Amz-Request-Payer", "requester")
	if err := newSigner().SignHeader(r, EmptySHA256, docTime); err != nil {
		t.Fatal(err)
	}
	change(r)
	return r
}

// inAuthorization replaces a part of the Authorization header.
func inAuthorization(old, new string) func(*http.Request) {
	return func(r *http.Request) {
		a := r.Header.Get("Authorization")
		if !strings.Contains(a, old) {
			panic("test: " + old + " is not in " + a)
		}
		r.Header.Set("Authorization", strings.Replace(a, old, new, 1))
	}
}

func setHeader(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// Every way in which a header-signed request can be wrong has its code and status.
func TestHeaderErrors(t *testing.T) {
	long := strings.Repeat("x-amz-a;", 101) + "x"
	for _, c := range []struct {
		name   string
		change func(*http.Request)
		code   string
		status int
		words  string
	}{
		{"unchanged", func(*http.Request) {}, "", 0, ""},
		{"version 2", setHeader("Authorization", "AWS AKIA:c2ln"), "InvalidRequest", 400, "Please use AWS4-HMAC-SHA256"},
		{"version 4a", setHeader("Authorization", "AWS4-ECDSA-P256-SHA256 Credential=x"), "InvalidRequest", 400, "not supported"},
		{"basic", setHeader("Authorization", "Basic eDp5"), "InvalidArgument", 400, "Unsupported Authorization Type"},
		{"empty", setHeader("Authorization", ""), "InvalidArgument", 400, ""},
		{"two headers", func(r *http.Request) { r.Header.Add("Authorization", "x") }, "InvalidArgument", 400, "Only one auth mechanism"},
		{"header and query", func(r *http.Request) { r.URL.RawQuery += "&X-Amz-Signature=00" }, "InvalidArgument", 400, "Only one auth mechanism"},
		{"header and version 2 query", func(r *http.Request) { r.URL.RawQuery += "&AWSAccessKeyId=00" }, "InvalidArgument", 400, "Only one"},
		{"no components", setHeader("Authorization", algorithm), "AuthorizationHeaderMalformed", 400, "three components"},
		{"no credential", inAuthorization("Credential=", "Credentials="), "AuthorizationHeaderMalformed", 400, "component"},
		{"no signature", inAuthorization(",Signature=", ",SignedHeaders="), "AuthorizationHeaderMalformed", 400, "component"},
		{"signature missing", func(r *http.Request) {
			r.Header.Set("Authorization", strings.Split(r.Header.Get("Authorization"), ",Signature")[0])
		}, "AuthorizationHeaderMalformed", 400, "missing Signature"},
		{"short credential", inAuthorization("/20130524", ""), "AuthorizationHeaderMalformed", 400, "Credential is mal-formed"},
		{"empty access key", inAuthorization("AKIAIOSFODNN7EXAMPLE/", "/"), "AuthorizationHeaderMalformed", 400, "Credential is mal-formed"},
		{"bad date", inAuthorization("/20130524", "/2013052x"), "AuthorizationHeaderMalformed", 400, "Credential is mal-formed"},
		{"other date", inAuthorization("/20130524", "/20130525"), "AuthorizationHeaderMalformed", 400, "Invalid credential date"},
		{"region", inAuthorization("/us-east-1", "/us-west-2"), "AuthorizationHeaderMalformed", 400, "the region 'us-west-2' is wrong; expecting 'us-east-1'"},
		{"service", inAuthorization("/s3/", "/ec2/"), "AuthorizationHeaderMalformed", 400, "incorrect service"},
		{"terminal", inAuthorization("/aws4_request", "/aws5_request"), "AuthorizationHeaderMalformed", 400, "incorrect terminal"},
		{"unsorted list", inAuthorization("host;x-amz-content-sha256", "x-amz-content-sha256;host"), "AuthorizationHeaderMalformed", 400, "sorted"},
		{"name twice", inAuthorization("host;", "host;host;"), "AuthorizationHeaderMalformed", 400, "sorted"},
		{"upper case", inAuthorization("host;", "Host;"), "AuthorizationHeaderMalformed", 400, "lower case"},
		{"too many", inAuthorization("host;", long), "AuthorizationHeaderMalformed", 400, "100"},
		{"no date", func(r *http.Request) { r.Header.Del("X-Amz-Date") }, "AccessDenied", 403, "valid Date or x-amz-date"},
		{"odd date", setHeader("X-Amz-Date", "yesterday"), "AccessDenied", 403, "valid Date or x-amz-date"},
		{"two dates", func(r *http.Request) { r.Header.Add("X-Amz-Date", "20130524T000000Z") }, "AccessDenied", 403, "valid Date"},
		{"old", setHeader("X-Amz-Date", "20130523T234459Z"), "RequestTimeTooSkewed", 403, "too large"},
		{"early", setHeader("X-Amz-Date", "20130524T001501Z"), "RequestTimeTooSkewed", 403, "too large"},
		{"no payload hash", func(r *http.Request) { r.Header.Del("X-Amz-Content-Sha256") }, "InvalidRequest", 400, "x-amz-content-sha256"},
		{"bad payload hash", setHeader("X-Amz-Content-Sha256", "abc"), "InvalidArgument", 400, "valid sha256"},
		{"payload hash not hex", setHeader("X-Amz-Content-Sha256", strings.Repeat("z", 64)), "InvalidArgument", 400, "valid sha256"},
		{"ecdsa chunks", setHeader("X-Amz-Content-Sha256", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"), "NotImplemented", 501, ""},
		{"session token", setHeader("X-Amz-Security-Token", "t"), "InvalidToken", 400, "token"},
		{"unknown key", inAuthorization("AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLF"), "InvalidAccessKeyId", 403, "does not exist"},
		{"unsigned header", setHeader("X-Amz-Acl", "public-read"), "AccessDenied", 403, "not signed"},
		{"unsigned rdma token", setHeader("X-Amz-Rdma-Token", "0"), "AccessDenied", 403, "not signed"},
		{"header under an odd key", func(r *http.Request) { r.Header["x-amz-acl"] = []string{"private"} }, "AccessDenied", 403, "not signed"},
		{"prefix only", setHeader("X-Amz-", "v"), "AccessDenied", 403, "not signed"},
		{"host not signed", inAuthorization("host;", ""), "AccessDenied", 403, "not signed"},
		{"date not signed", inAuthorization(";x-amz-date", ""), "AccessDenied", 403, "not signed"},
		{"signature", inAuthorization("Signature=", "Signature=0"), "SignatureDoesNotMatch", 403, "does not match"},
		{"payer", setHeader("X-Amz-Request-Payer", "other"), "SignatureDoesNotMatch", 403, ""},
		{"second value", func(r *http.Request) { r.Header.Add("X-Amz-Request-Payer", "x") }, "SignatureDoesNotMatch", 403, ""},
		{"payload mode", setHeader("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"), "SignatureDoesNotMatch", 403, ""},
		{"method", func(r *http.Request) { r.Method = "DELETE" }, "SignatureDoesNotMatch", 403, ""},
		{"host", func(r *http.Request) { r.Host = "127.0.0.1:9001" }, "SignatureDoesNotMatch", 403, ""},
		{"path", func(r *http.Request) { r.URL.Path = "/bucket/key/" }, "SignatureDoesNotMatch", 403, ""},
		{"query", func(r *http.Request) { r.URL.RawQuery += "&acl" }, "SignatureDoesNotMatch", 403, ""},
		{"broken escape", func(r *http.Request) { r.URL.RawQuery = "a=%4" }, "InvalidURI", 400, ""},
		{"many parameters", func(r *http.Request) { r.URL.RawQuery = strings.Repeat("a&", 257) }, "InvalidURI", 400, ""},
	} {
		res, err := newVerifier().Verify(get(t, c.change))
		checkError(t, c.name, err, c.code, c.status, c.words)
		if err != nil && res != nil {
			t.Errorf("%s: a result beside the error", c.name)
		}
	}
}

func checkError(t *testing.T, name string, err error, code string, status int, words string) {
	t.Helper()
	if code == "" {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		return
	}
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Code != code || e.Status != status || !strings.Contains(e.Message, words) {
		t.Errorf("%s: %v (%+v), want %s, %d, %q", name, err, e, code, status, words)
		return
	}
	for _, f := range append(e.Fields, Field{"", e.Message}) {
		if strings.Contains(f.Value, docCredentials.SecretKey) {
			t.Errorf("%s: the secret is in %s", name, f.Name)
		}
	}
}

func TestMismatchTellsWhatWasSigned(t *testing.T) {
	_, err := newVerifier().Verify(get(t, setHeader("X-Amz-Request-Payer", "other")))
	e, _ := errors.AsType[*Error](err)
	fields := map[string]string{}
	for _, f := range e.Fields {
		fields[f.Name] = f.Value
	}
	if !strings.HasPrefix(fields["CanonicalRequest"], "GET\n/bucket/key\nversionId=7\nhost:127.0.0.1:9000\n") ||
		!strings.HasPrefix(fields["StringToSign"], "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n") ||
		!strings.HasPrefix(fields["StringToSignBytes"], "41 57 53 34 2d ") || fields["AWSAccessKeyId"] != docCredentials.AccessKey {
		t.Errorf("fields %v", fields)
	}
}

// Every way in which a presigned URL can be wrong. Changes are made to the finished URL, as somebody who found it would.
func TestPresignedErrors(t *testing.T) {
	replace := func(old, new string) func(*http.Request) {
		return func(r *http.Request) {
			if !strings.Contains(r.URL.RawQuery, old) {
				panic("test: " + old + " is not in " + r.URL.RawQuery)
			}
			r.URL.RawQuery = strings.Replace(r.URL.RawQuery, old, new, 1)
		}
	}
	add := func(s string) func(*http.Request) { return func(r *http.Request) { r.URL.RawQuery += s } }
	const parameters = "AuthorizationQueryParametersError"
	for _, c := range []struct {
		name   string
		after  time.Duration
		change func(*http.Request)
		code   string
		status int
		words  string
	}{
		{"unchanged", 0, func(*http.Request) {}, "", 0, ""},
		{"last second", time.Hour, func(*http.Request) {}, "", 0, ""},
		{"unsigned ordinary header", 0, setHeader("Content-Type", "text/plain"), "", 0, ""},
		{"expired", time.Hour + time.Second, func(*http.Request) {}, "AccessDenied", 403, "expired"},
		{"not yet valid", -16 * time.Minute, func(*http.Request) {}, "AccessDenied", 403, "not yet valid"},
		{"no algorithm", 0, replace("X-Amz-Algorithm=", "A="), parameters, 400, "requires the X-Amz-Algorithm"},
		{"no credential", 0, replace("X-Amz-Credential=", "A="), parameters, 400, "requires"},
		{"no date", 0, replace("X-Amz-Date=", "A="), parameters, 400, "requires"},
		{"no expires", 0, replace("X-Amz-Expires=", "A="), parameters, 400, "requires"},
		{"no list", 0, replace("X-Amz-SignedHeaders=", "A="), parameters, 400, "requires"},
		{"no signature", 0, replace("X-Amz-Signature=", "A="), parameters, 400, "requires"},
		{"algorithm", 0, replace("HMAC", "ECDSA"), parameters, 400, "only supports"},
		{"credential", 0, replace("%2F20130524", ""), parameters, 400, "X-Amz-Credential"},
		{"credential date", 0, replace("%2F20130524", "%2F20130525"), parameters, 400, "Invalid credential date"},
		{"region", 0, replace("us-east-1", "us-west-2"), parameters, 400, "expecting 'us-east-1'"},
		{"date", 0, replace("T000000Z", "T000000"), parameters, 400, "X-Amz-Date"},
		{"expires no number", 0, replace("Expires=3600", "Expires=1h"), parameters, 400, "number"},
		{"expires plus", 0, replace("Expires=3600", "Expires=%2B3600"), parameters, 400, "number"},
		{"expires negative", 0, replace("Expires=3600", "Expires=-1"), parameters, 400, "non-negative"},
		{"expires zero", 0, replace("Expires=3600", "Expires=0"), parameters, 400, ""},
		{"expires too long", 0, replace("Expires=3600", "Expires=604801"), parameters, 400, "week"},
		{"expires longer", 0, replace("Expires=3600", "Expires=7200"), "SignatureDoesNotMatch", 403, ""},
		{"expires twice", 2 * time.Hour, add("&X-Amz-Expires=604800"), parameters, 400, "more than once"},
		{"expires twice, escaped", 2 * time.Hour, add("&X%2dAmz-Expires=604800"), parameters, 400, "more than once"},
		{"expires twice, first", 2 * time.Hour, func(r *http.Request) { r.URL.RawQuery = "X-Amz-Expires=604800&" + r.URL.RawQuery }, parameters, 400, "more than once"},
		{"signature twice", 0, add("&X-Amz-Signature=00"), parameters, 400, "more than once"},
		{"other case", 0, add("&x-amz-expires=604800"), "SignatureDoesNotMatch", 403, ""},
		{"list without host", 0, replace("SignedHeaders=host", "SignedHeaders=range"), "AccessDenied", 403, "not signed"},
		{"bad list", 0, replace("SignedHeaders=host", "SignedHeaders=Host"), parameters, 400, "SignedHeaders"},
		{"added parameter", 0, add("&response-content-type=text%2Fhtml"), "SignatureDoesNotMatch", 403, ""},
		{"added after a semicolon", 0, add(";uploads"), "SignatureDoesNotMatch", 403, ""},
		{"added header", 0, setHeader("X-Amz-Acl", "public-read"), "AccessDenied", 403, "not signed"},
		{"added payload mode", 0, setHeader("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"), "AccessDenied", 403, "not signed"},
		{"token", 0, add("&X-Amz-Security-Token=t"), "InvalidToken", 400, ""},
		{"method", 0, func(r *http.Request) { r.Method = "PUT" }, "SignatureDoesNotMatch", 403, ""},
		{"path", 0, func(r *http.Request) { r.URL.Path = "/bucket/other" }, "SignatureDoesNotMatch", 403, ""},
		{"header beside it", 0, setHeader("Authorization", "AWS4-HMAC-SHA256 x"), "InvalidArgument", 400, "Only one"},
	} {
		r := request("GET", "http://127.0.0.1:9000/bucket/key?versionId=7", "")
		if err := newSigner().Presign(r, docTime, time.Hour); err != nil {
			t.Fatal(err)
		}
		c.change(r)
		v := newVerifier()
		v.Now = func() time.Time { return docTime.Add(c.after) }
		_, err := v.Verify(r)
		checkError(t, c.name, err, c.code, c.status, c.words)
	}
	_, err := newVerifier().Verify(request("GET", "http://h/b?AWSAccessKeyId=a&Signature=s&Expires=1", ""))
	checkError(t, "version 2", err, "InvalidRequest", 400, "Please use AWS4-HMAC-SHA256")
	for _, d := range []time.Duration{0, maxExpires + time.Second} {
		if newSigner().Presign(request("GET", "/", ""), docTime, d) == nil {
			t.Errorf("presigned for %v", d)
		}
	}
}

// However the client escapes a key on the wire, the signature of that key holds, and that of another key does not.
func TestPathForms(t *testing.T) {
	sign := func(target string) string {
		r := request("GET", "http://h"+target, "")
		if err := newSigner().SignHeader(r, EmptySHA256, docTime); err != nil {
			t.Fatal(err)
		}
		return r.Header.Get("Authorization")
	}
	verify := func(target, authorization string) error {
		r := request("GET", "http://h"+target, "", "X-Amz-Date", "20130524T000000Z", "X-Amz-Content-Sha256", EmptySHA256, "Authorization", authorization)
		_, err := newVerifier().Verify(r)
		return err
	}
	for _, c := range []struct{ signed, same, other string }{
		{"/b/a%28b%29%21", "/b/a(b)!", "/b/a%2528b%2529%2521"},
		{"/b/a%20b", "/b/a%20b", "/b/a+b"},
		{"/b/a%2Bb", "/b/a+b", "/b/a%20b"},
		{"/b/%C3%A9", "/b/%c3%a9", "/b/e%CC%81"},
		{"/b/%7Euser", "/b/~user", "/b/user"},
		{"/b/a//b", "/b/a//b", "/b/a/b"},
		{"/b/a/../c", "/b/a/../c", "/b/c"},
		{"/b/./a", "/b/%2E/a", "/b/a"},
		{"/b/a%25", "/b/%61%25", "/b/a%2525"},
	} {
		a := sign(c.signed)
		if err := verify(c.same, a); err != nil {
			t.Errorf("%s signed, %s sent: %v", c.signed, c.same, err)
		}
		if err := verify(c.other, a); codeOf(err) != "SignatureDoesNotMatch" {
			t.Errorf("%s signed, %s sent: %v", c.signed, c.other, err)
		}
	}
}

func TestQueryAndHeaderForms(t *testing.T) {
	r := request("GET", "http://h/b?prefix=a%20b&delimiter=%2F&acl&z=1&z=0&Z=2", "", "X-Amz-Meta-A", "  x   y\tz ", "X-Amz-Meta-A", "second", "X-Amz-Meta-B", "")
	if err := newSigner().SignHeader(r, EmptySHA256, docTime); err != nil {
		t.Fatal(err)
	}
	r.URL.RawQuery = "Z=2&z=0&&acl=&prefix=a+b&delimiter=/&z=1"
	r.Header["X-Amz-Meta-A"] = []string{"x y z", " second"}
	if _, err := newVerifier().Verify(r); err != nil {
		t.Error(err)
	}
	s := getScratch()
	defer s.release()
	if err := s.query.parse(r.URL.RawQuery); err != nil {
		t.Fatal(err)
	}
	s.buildCanonical(r, "x-amz-meta-a;x-amz-meta-b", "P")
	const want = "GET\n/b\nZ=2&acl=&delimiter=%2F&prefix=a%20b&z=0&z=1\nx-amz-meta-a:x y z,second\nx-amz-meta-b:\n\nx-amz-meta-a;x-amz-meta-b\nP"
	if string(s.canonical) != want {
		t.Errorf("canonical request\n%s, want\n%s", s.canonical, want)
	}
}

func TestAnonymous(t *testing.T) {
	res, err := newVerifier().Verify(request("PUT", "http://h/b/k", "data"))
	if !errors.Is(err, ErrAnonymous) || res == nil || res.Identity != (Identity{}) {
		t.Fatalf("%+v, %v", res, err)
	}
	if got, _, err := readBody(res, request("PUT", "http://h/b/k", "data")); got != "data" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	r := request("PUT", "http://h/b/k", "4\r\ndata\r\n0\r\nx-amz-checksum-crc32:rfPzYw==\r\n\r\n", "X-Amz-Trailer", "x-amz-checksum-crc32",
		"X-Amz-Decoded-Content-Length", "4", "X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
	res, err = newVerifier().Verify(r)
	if !errors.Is(err, ErrAnonymous) {
		t.Fatal(err)
	}
	if got, trailer, err := readBody(res, r); got != "data" || trailer.Get("X-Amz-Checksum-Crc32") != "rfPzYw==" || err != nil {
		t.Errorf("%q, %v, %v", got, trailer, err)
	}
	r = request("PUT", "http://h/b/k", "", "X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
	if _, err = newVerifier().Verify(r); codeOf(err) != "InvalidRequest" {
		t.Errorf("signed chunks without a signature: %v", err)
	}
}

// TestTokens: a session token counts when it is signed, once, in one place.
func TestTokens(t *testing.T) {
	for token, code := range map[string]string{"": "", "good": "", "old": "ExpiredToken", "bad": "InvalidToken"} {
		header, query := request("GET", "http://h/b/k", ""), request("GET", "http://h/b/k", "")
		if token != "" {
			header.Header.Set("X-Amz-Security-Token", token)
			query.URL.RawQuery = "X-Amz-Security-Token=" + token
		}
		if err := errors.Join(newSigner().SignHeader(header, EmptySHA256, docTime), newSigner().Presign(query, docTime, time.Hour)); err != nil {
			t.Fatal(err)
		}
		for _, r := range []*http.Request{header, query} {
			res, err := newVerifier().Verify(r)
			if code != "" {
				if codeOf(err) != code {
					t.Errorf("%q: %v", token, err)
				}
			} else if err != nil || token != "" && res.Identity.Owner != token {
				t.Errorf("%q: %v, %v", token, res, err)
			}
		}
		if token == "good" {
			query.Header.Set("X-Amz-Security-Token", token)
			header.Header.Del("X-Amz-Security-Token")
			for _, r := range []*http.Request{header, query} {
				if _, err := newVerifier().Verify(r); err == nil {
					t.Error("a token was taken away or given twice, and the request is accepted")
				}
			}
		}
	}
}

func TestRegionsAndKeys(t *testing.T) {
	r := get(t, func(*http.Request) {})
	v := newVerifier()
	v.Region, v.AlsoRegions = "eu-central-1", []string{"us-east-1"}
	if _, err := v.Verify(r); err != nil {
		t.Errorf("another accepted region: %v", err)
	}
	v.AlsoRegions = nil
	if _, err := v.Verify(r); codeOf(err) != "AuthorizationHeaderMalformed" {
		t.Errorf("another region: %v", err)
	}
	v.Region = ""
	if _, err := v.Verify(r); err != nil {
		t.Errorf("any region: %v", err)
	}
	v.Lookup = nil
	if _, err := v.Verify(r); codeOf(err) != "InvalidAccessKeyId" {
		t.Errorf("no keys: %v", err)
	}
	var c keyCache
	cred := credential{accessKey: "a", date: "20130524", region: "r", service: "s3"}
	if first := c.get(cred, "one"); c.get(cred, "one") != first || c.get(cred, "two") == first {
		t.Error("a cached key is not reused, or survives a new secret")
	}
	for i := range 3 * maxKeys {
		cred.region = strings.Repeat("r", i%1500)
		c.get(cred, "one")
		if len(c.keys) > maxKeys {
			t.Fatalf("%d keys cached", len(c.keys))
		}
	}
}

func TestDateHeaderStandsIn(t *testing.T) {
	r := request("GET", "http://h/b", "", "Date", "Fri, 24 May 2013 00:00:00 GMT", "X-Amz-Content-Sha256", EmptySHA256)
	s := newSigner()
	signature, _, err := s.sign(r, s.credential(docTime), "20130524T000000Z", "date;host;x-amz-content-sha256", EmptySHA256)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", algorithm+" Credential="+docScope+", SignedHeaders=date;host;x-amz-content-sha256, Signature="+signature)
	if _, err := newVerifier().Verify(r); err != nil {
		t.Error(err)
	}
}

// A mismatch is shown without what the request has of secrets, in headers and in a presigned URL.
func TestMismatchKeepsSecrets(t *testing.T) {
	const secret = "SECRETSECRETSECRET"
	names := []string{"X-Amz-Security-Token", "X-Amz-Server-Side-Encryption-Customer-Key", "X-Amz-Copy-Source-Server-Side-Encryption-Customer-Key"}
	for _, presigned := range []bool{false, true} {
		r := request("GET", "http://127.0.0.1:9000/bucket/key?versionId=7", "")
		query := r.URL.Query()
		for _, name := range names {
			if presigned {
				query.Set(name, secret)
			} else {
				r.Header.Set(name, secret)
			}
		}
		r.URL.RawQuery = query.Encode()
		signer := Signer{Credentials: Credentials{AccessKey: docCredentials.AccessKey, SecretKey: "wrong"}, Region: "us-east-1"}
		sign := func() error { return signer.SignHeader(r, EmptySHA256, docTime) }
		if presigned {
			sign = func() error { return signer.Presign(r, docTime, time.Minute) }
		}
		if err := sign(); err != nil {
			t.Fatal(err)
		}
		v := newVerifier()
		v.Lookup = func(context.Context, string, string) (Key, error) { return Key{Secret: docCredentials.SecretKey}, nil }
		_, err := v.Verify(r)
		e, _ := errors.AsType[*Error](err)
		if codeOf(err) != "SignatureDoesNotMatch" {
			t.Fatal(err)
		}
		text := ""
		for _, f := range e.Fields {
			text += f.Value + "\n"
		}
		if strings.Contains(text, secret) || strings.Contains(text, spaced([]byte(secret))) {
			t.Errorf("presigned %v: a secret is in %s", presigned, text)
		}
		for _, name := range names {
			if !strings.Contains(strings.ToLower(text), strings.ToLower(name)) {
				t.Errorf("presigned %v: %s is not in %s", presigned, name, text)
			}
		}
	}
}
