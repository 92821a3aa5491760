package s3api

import (
	"strings"
	"testing"
)

func corsRules(rules ...string) string {
	return "<CORSConfiguration><CORSRule>" + strings.Join(rules, "</CORSRule><CORSRule>") + "</CORSRule></CORSConfiguration>"
}

func corsText(methods, origins, more string) string {
	s := more
	for _, m := range strings.Fields(methods) {
		s += "<AllowedMethod>" + m + "</AllowedMethod>"
	}
	for _, o := range strings.Fields(origins) {
		s += "<AllowedOrigin>" + o + "</AllowedOrigin>"
	}
	return s
}

func TestBucketCorsDocument(t *testing.T) {
	e := newEnv(t)
	e.ok("PUT", "/bucket", "")
	e.want(404, "NoSuchCORSConfiguration", "GET", "/bucket?cors", "")
	for _, row := range []struct{ doc, code string }{
		{"<CORSConfiguration/>", "MalformedXML"},
		{corsRules(""), "MalformedXML"},
		{corsRules(corsText("GET", "", "")), "MalformedXML"},
		{corsRules(corsText("", "*", "")), "MalformedXML"},
		{corsRules(corsText("get", "*", "")), "InvalidRequest"},
		{corsRules(corsText("OPTIONS", "*", "")), "InvalidRequest"},
		{corsRules(corsText("GET", "*x*", "")), "InvalidRequest"},
		{corsRules(corsText("GET", "*", "<AllowedHeader>**</AllowedHeader>")), "InvalidRequest"},
		{corsRules(corsText("GET", "*", "<ExposeHeader>x-*</ExposeHeader>")), "InvalidRequest"},
		{corsRules(corsText("GET", "*", "<MaxAgeSeconds>-1</MaxAgeSeconds>")), "MalformedXML"},
		{corsRules(strings.Split(strings.Repeat(corsText("GET", "*", "")+"|", 101), "|")[:101]...), "MalformedXML"},
	} {
		if w := e.do("PUT", "/bucket?cors", row.doc); errorCode(w) != row.code {
			t.Errorf("%.200s: %d %s", row.doc, w.Code, w.Body)
		}
	}
	rule := corsText("GET PUT", "http://a http://b", "<ID>one</ID><AllowedHeader>*</AllowedHeader><ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>30</MaxAgeSeconds>")
	e.ok("PUT", "/bucket?cors", corsRules(rule))
	w := e.ok("GET", "/bucket?cors", "")
	for name, want := range map[string]string{"ID": "one", "AllowedMethod": "GET PUT", "AllowedOrigin": "http://a http://b", "AllowedHeader": "*", "ExposeHeader": "ETag", "MaxAgeSeconds": "30"} {
		if got := strings.Join(elements(w, name), " "); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	e.want(204, "", "DELETE", "/bucket?cors", "")
	e.want(404, "NoSuchCORSConfiguration", "GET", "/bucket?cors", "")
}

func TestCors(t *testing.T) {
	e := newEnv(t)
	e.ok("PUT", "/bucket", "")
	const method, headers = "Access-Control-Request-Method: ", "Access-Control-Request-Headers: "
	e.want(403, "AccessForbidden", "OPTIONS", "/bucket/k", "", "Origin: http://a", method+"GET")
	e.ok("PUT", "/bucket?cors", corsRules(
		corsText("PUT POST", "https://*.example", "<AllowedHeader>x-amz-*</AllowedHeader><AllowedHeader>Content-Type</AllowedHeader><ExposeHeader>ETag</ExposeHeader><ExposeHeader>x-amz-version-id</ExposeHeader><MaxAgeSeconds>60</MaxAgeSeconds>"),
		corsText("GET", "*", "")))
	e.want(400, "BadRequest", "OPTIONS", "/bucket/k", "", method+"GET")
	e.want(400, "BadRequest", "OPTIONS", "/bucket/k", "", "Origin: http://a")
	e.want(404, "NoSuchBucket", "OPTIONS", "/absent/k", "", "Origin: http://a", method+"GET")
	e.want(403, "AccessForbidden", "OPTIONS", "/bucket", "", "Origin: http://a", method+"PUT")
	e.want(403, "AccessForbidden", "OPTIONS", "/bucket", "", "Origin: https://example", method+"PUT")
	e.want(403, "AccessForbidden", "OPTIONS", "/bucket", "", "Origin: https://a.example", method+"PUT", headers+"x-amz-date, authorization")
	// The query is one that is signed for the request to come.
	w := e.want(200, "", "OPTIONS", "/bucket/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00", "", "Origin: https://a.example", method+"PUT", headers+"X-Amz-Date,content-type")
	wantHeaders(t, w, "Access-Control-Allow-Origin: https://a.example", "Access-Control-Allow-Credentials: true", "Access-Control-Allow-Methods: PUT, POST",
		"Access-Control-Allow-Headers: x-amz-date, content-type", "Access-Control-Expose-Headers: ETag, x-amz-version-id", "Access-Control-Max-Age: 60",
		"Vary: Origin, Access-Control-Request-Headers, Access-Control-Request-Method")
	// So are the parameters of parts and of sub-resources.
	for _, target := range []string{"/bucket/k?partNumber=1&uploadId=x", "/bucket/k?uploads", "/bucket/k?tagging&versionId=x", "/bucket?delete"} {
		e.want(200, "", "OPTIONS", target, "", "Origin: https://a.example", method+"POST")
	}
	w = e.want(200, "", "OPTIONS", "/bucket", "", "Origin: http://a", method+"GET")
	wantHeaders(t, w, "Access-Control-Allow-Origin: *", "Access-Control-Allow-Credentials", "Access-Control-Allow-Methods: GET", "Access-Control-Max-Age")

	w = e.ok("PUT", "/bucket/k", "x", "Origin: https://a.example")
	wantHeaders(t, w, "Access-Control-Allow-Origin: https://a.example", "Access-Control-Expose-Headers: ETag, x-amz-version-id", "Access-Control-Max-Age")
	wantHeaders(t, e.ok("PUT", "/bucket/k", "x", "Origin: http://a"), "Access-Control-Allow-Origin", "Vary")
	wantHeaders(t, e.ok("GET", "/bucket/k", ""), "Access-Control-Allow-Origin")
	wantHeaders(t, e.want(404, "NoSuchKey", "GET", "/bucket/absent", "", "Origin: http://a"), "Access-Control-Allow-Origin: *")
}

func FuzzCORS(f *testing.F) {
	f.Add([]byte(corsDoc))
	f.Add([]byte(corsRules(corsText("GET", "*", "<MaxAgeSeconds>1</MaxAgeSeconds>"))))
	f.Fuzz(func(t *testing.T, data []byte) {
		rules, err := decodeCORS(data)
		if err != nil {
			return
		}
		again, err := decodeCORS(corsDocument(rules).b)
		if err != nil || len(again) != len(rules) {
			t.Fatalf("%d rules became %d, %v", len(rules), len(again), err)
		}
	})
}
