package s3api

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/weftstore/weft/kms"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/s3api/accesslog"
)

func loggingDoc(target, more string) string {
	return "<BucketLoggingStatus><LoggingEnabled><TargetBucket>" + target + "</TargetBucket><TargetPrefix>p/</TargetPrefix>" + more + "</LoggingEnabled></BucketLoggingStatus>"
}

// letLogs is a policy that lets the logging service write what is from a bucket.
func letLogs(target, source string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"logging.s3.amazonaws.com"},"Action":"s3:PutObject",
	"Resource":"arn:aws:s3:::` + target + `/p/*","Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:s3:::` + source + `"},"StringEquals":{"aws:SourceAccount":"000000000000"}}},
	{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::` + target + `/*","Condition":{"Bool":{"aws:SecureTransport":"false"},"StringEquals":{"aws:PrincipalServiceName":"logging.s3.amazonaws.com"}}}]}`
}

func TestBucketLoggingDocument(t *testing.T) {
	e := newEnv(t)
	e.ok("PUT", "/bucket", "")
	e.ok("PUT", "/logs", "")
	if _, err := e.db.MakeBucket(t.Context(), metadata.Bucket{Name: "foreign", Owner: accountB}); err != nil {
		t.Fatal(err)
	}
	if got := e.ok("GET", "/bucket?logging", "").Body.String(); strings.Contains(got, "LoggingEnabled") {
		t.Errorf("without a configuration: %s", got)
	}
	const simple = "<TargetObjectKeyFormat><SimplePrefix/></TargetObjectKeyFormat>"
	parts := func(source string) string {
		return "<TargetObjectKeyFormat><PartitionedPrefix><PartitionDateSource>" + source + "</PartitionDateSource></PartitionedPrefix></TargetObjectKeyFormat>"
	}
	for more, source := range map[string]string{"": "", simple: "", parts("EventTime"): "EventTime", parts("DeliveryTime"): "DeliveryTime",
		"<TargetObjectKeyFormat><PartitionedPrefix/></TargetObjectKeyFormat>": "DeliveryTime"} {
		e.ok("PUT", "/bucket?logging", loggingDoc("logs", more))
		w := e.ok("GET", "/bucket?logging", "")
		got := strings.Join(elements(w, "PartitionDateSource"), ",")
		if got != source || elements(w, "TargetBucket")[0] != "logs" || elements(w, "TargetPrefix")[0] != "p/" {
			t.Errorf("%s: %s", more, w.Body)
		}
	}
	bad := func(code, doc string) { t.Helper(); e.want(400, code, "PUT", "/bucket?logging", doc) }
	bad("InvalidTargetBucketForLogging", loggingDoc("absent", ""))
	bad("InvalidTargetBucketForLogging", loggingDoc("no/bucket", ""))
	bad("InvalidTargetBucketForLogging", loggingDoc("foreign", ""))
	bad("MalformedXML", loggingDoc("logs", parts("Tomorrow")))
	bad("MalformedXML", loggingDoc("logs", "<TargetObjectKeyFormat/>"))
	bad("MalformedXML", "<BucketLoggingStatus><LoggingEnabled/></BucketLoggingStatus>")
	bad("MalformedXML", "<BucketLoggingStatus>")
	// Nobody could read or delete what is written under a prefix that no key may have.
	bad("InvalidURI", strings.Replace(loggingDoc("logs", ""), "p/", "p/../../", 1))
	e.ok("PUT", "/bucket?logging", "<BucketLoggingStatus/>")
	if got := e.ok("GET", "/bucket?logging", "").Body.String(); strings.Contains(got, "LoggingEnabled") {
		t.Errorf("after its end: %s", got)
	}
}

// logs are the objects of a bucket, and all their lines.
func (e *env) logs(bucket string) (keys, lines []string) {
	e.t.Helper()
	e.h.AccessLogs().Flush(e.t.Context())
	for _, key := range elements(e.ok("GET", "/"+bucket, ""), "Key") {
		keys = append(keys, key)
		body := e.ok("GET", "/"+bucket+"/"+key, "").Body.String()
		lines = append(lines, strings.Split(strings.TrimSuffix(body, "\n"), "\n")...)
	}
	return keys, lines
}

func TestBucketLogging(t *testing.T) {
	e := newEnv(t, func(c *Config) { c.ObjectKeys = &kms.Local{Ring: plainRing{}, Names: []string{""}} })
	for _, b := range []string{"bucket", "logs", "other"} {
		e.ok("PUT", "/"+b, "")
	}
	e.ok("PUT", "/bucket/before", "x")
	e.ok("PUT", "/bucket?logging", loggingDoc("logs", ""))
	e.ok("PUT", "/logs?policy", letLogs("logs", "bucket"))
	e.ok("PUT", "/logs?encryption", encryptionDoc)
	if keys, _ := e.logs("logs"); len(keys) != 0 && len(keys) != 1 {
		t.Fatal(keys)
	}

	e.ok("PUT", "/bucket/dir/a%20b", "hello", "User-Agent: agent \"7\"")
	e.ok("GET", "/bucket/dir/a%20b?X-Amz-Signature=SECRET", "", "Range: bytes=1-2", "Referer: http://r")
	e.want(404, "NoSuchKey", "GET", "/bucket/absent", "")
	e.ok("GET", "/bucket?list-type=2", "")
	e.ok("PUT", "/other/copy", "", copySourceHeader+": /bucket/before")
	e.ok("POST", "/bucket?delete", deleteDoc, "Content-Md5: 5DKh5iefM5MSKvRILIuFwQ==")
	e.ok("DELETE", "/bucket/before", "")
	keys, lines := e.logs("logs")
	if len(keys) == 0 || !regexp.MustCompile(`^p/\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d-[0-9a-f]{16}$`).MatchString(keys[0]) {
		t.Errorf("keys %q", keys)
	}
	all := strings.Join(lines, "\n")
	for _, want := range []string{
		` REST.PUT.OBJECT dir/a%20b "PUT /bucket/dir/a%20b HTTP/1.1" 200 - 0 5 `, `"-" "agent %227%22" `,
		` REST.GET.OBJECT dir/a%20b "GET /bucket/dir/a%20b?X-Amz-Signature=- HTTP/1.1" 206 - 2 5 `, `"http://r" `,
		` REST.GET.OBJECT absent "GET /bucket/absent HTTP/1.1" 404 NoSuchKey `,
		` REST.GET.BUCKET - "GET /bucket?list-type=2 HTTP/1.1" 200 - `,
		` REST.COPY.OBJECT_GET before "PUT /other/copy HTTP/1.1" 200 - `,
		` REST.POST.MULTI_OBJECT_DELETE - `, ` BATCH.DELETE.OBJECT k "-" 204 - - - - `,
		` REST.DELETE.OBJECT before "DELETE /bucket/before HTTP/1.1" 204 - `,
		` host SigV4 - AuthHeader localhost - `,
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in\n%s", want, all)
		}
	}
	for _, unwanted := range []string{"SECRET", "/bucket/before HTTP/1.1\" 200", "REST.PUT.OBJECT p/"} {
		if strings.Contains(all, unwanted) {
			t.Errorf("%q in\n%s", unwanted, all)
		}
	}
	if w := e.ok("HEAD", "/logs/"+keys[0], ""); w.Header().Get("X-Amz-Server-Side-Encryption") != "AES256" {
		t.Error("a log is not encrypted as its bucket says")
	}
	for _, line := range lines {
		if !strings.Contains(line, " bucket [") {
			t.Errorf("a line of another bucket: %s", line)
		}
	}
}

// TestBucketLoggingToItself: deliveries are in no log, so that it comes to rest.
func TestBucketLoggingToItself(t *testing.T) {
	e := newEnv(t)
	e.ok("PUT", "/bucket", "")
	e.ok("PUT", "/bucket?policy", letLogs("bucket", "bucket"))
	e.ok("PUT", "/bucket?logging", loggingDoc("bucket", ""))
	e.ok("PUT", "/bucket/k", "x")
	for range 3 {
		e.h.AccessLogs().Flush(t.Context())
	}
	if n := len(elements(e.ok("GET", "/bucket?prefix=p/", ""), "Key")); n != 1 {
		t.Errorf("%d logs", n)
	}
}

// TestBucketLoggingOfGateways: each delivers what it saw, beside the others.
func TestBucketLoggingOfGateways(t *testing.T) {
	e := newEnv(t)
	for _, b := range []string{"bucket", "logs"} {
		e.ok("PUT", "/"+b, "")
	}
	e.ok("PUT", "/logs?policy", letLogs("logs", "bucket"))
	e.ok("PUT", "/bucket?logging", loggingDoc("logs", ""))
	h, err := New(e.h.cfg)
	if err != nil {
		t.Fatal(err)
	}
	other := &env{t: t, h: h, db: e.db, objects: e.objects}
	e.ok("PUT", "/bucket/here", "x")
	other.ok("PUT", "/bucket/there", "x")
	other.h.AccessLogs().Flush(t.Context())
	_, lines := e.logs("logs")
	all := strings.Join(lines, "\n")
	if strings.Count(all, " REST.PUT.OBJECT here ") != 1 || strings.Count(all, " REST.PUT.OBJECT there ") != 1 {
		t.Errorf("%s", all)
	}
}

// TestBucketLoggingRefused: who may have logs written where.
func TestBucketLoggingRefused(t *testing.T) {
	e := newEnv(t)
	for _, b := range []string{"bucket", "logs"} {
		e.ok("PUT", "/"+b, "")
	}
	if _, err := e.db.MakeBucket(t.Context(), metadata.Bucket{Name: "foreign", Owner: accountB, Configs: map[string]string{configPolicy: letLogs("foreign", "bucket")}}); err != nil {
		t.Fatal(err)
	}
	deliver := func(target, key string) error {
		return e.h.deliverLog(t.Context(), &accesslog.Object{Source: accesslog.Source{Account: RootAccount, Bucket: "bucket", Config: accesslog.Config{Target: target}}, Key: key, Body: []byte("x\n")})
	}
	for name, policy := range map[string]string{
		"no policy":                   "",
		"a policy for another bucket": letLogs("logs", "another"),
		"denied":                      strings.Replace(letLogs("logs", "bucket"), `"Bool":{"aws:SecureTransport":"false"},`, "", 1),
		"for another service":         strings.Replace(letLogs("logs", "bucket"), "logging.s3", "cloudtrail", 1),
	} {
		if policy != "" {
			e.ok("PUT", "/logs?policy", policy)
		}
		if err := deliver("logs", "p/x"); !errors.Is(err, accesslog.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	e.ok("PUT", "/logs?policy", letLogs("logs", "bucket"))
	for name, c := range map[string]struct {
		target, key string
		ok          bool
	}{
		"allowed": {"logs", "p/x", true}, "another prefix": {"logs", "q/x", false}, "no bucket": {"absent", "p/x", false},
		"another account's, whose policy allows it": {"foreign", "p/x", false},
	} {
		if err := deliver(c.target, c.key); (err == nil) != c.ok || !c.ok && !errors.Is(err, accesslog.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The service is nobody that can sign.
	c := newCell(t, userOf(accountA), letLogs("bucket", "bucket"))
	if got := c.send("PUT", &matrixRow{target: "/bucket/p/x", body: "x"}); got != "AccessDenied" {
		t.Errorf("a user may do what the service may: %s", got)
	}
}
