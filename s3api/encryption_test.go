package s3api

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"reflect"
	"strings"
	"testing"

	"github.com/weftstore/weft/kms"
)

// plainRing is a ring whose seal is easy to look at.
type plainRing struct{}

func (plainRing) SealFor(name string, plain, bound []byte) []byte {
	return fmt.Appendf(nil, "%s|%x|%x", name, plain, bound)
}

func (plainRing) OpenFor(name string, sealed, bound []byte) (plain []byte, err error) {
	_, err = fmt.Sscanf(strings.TrimPrefix(string(sealed), name+"|"), "%x", &plain)
	if err != nil || !bytes.Equal(plainRing{}.SealFor(name, plain, bound), sealed) {
		return nil, errors.New("other")
	}
	return plain, nil
}

func cryptEnv(t testing.TB) *env {
	e := newEnv(t, func(c *Config) {
		c.ObjectKeys = &kms.Local{Ring: plainRing{}, Names: []string{""}}
		c.KMS = &kms.Local{Ring: plainRing{}, Names: []string{"main", "second"}}
		c.TrustHTTP = true
	})
	e.ok("PUT", "/bucket", "")
	return e
}

// customer gives the headers of a customer's key.
func customer(prefix string, key byte) []string {
	raw := bytes.Repeat([]byte{key}, 32)
	sum := md5.Sum(raw)
	return []string{prefix + "Algorithm: AES256", prefix + "Key: " + base64.StdEncoding.EncodeToString(raw), prefix + "Key-MD5: " + base64.StdEncoding.EncodeToString(sum[:])}
}

func plainETag(body string) string { return fmt.Sprintf(`"%x"`, md5.Sum([]byte(body))) }

func TestCustomerKey(t *testing.T) {
	e := cryptEnv(t)
	const body = "what nobody else may read"
	mine, other := customer(ssePrefix, 7), customer(ssePrefix, 8)
	w := e.ok("PUT", "/bucket/k", body, mine...)
	wantHeaders(t, w, mine[0], mine[2], sseHeader+": ")
	if w.Header().Get("Etag") == plainETag(body) {
		t.Error("the ETag is the MD5 of the body")
	}
	w = e.ok("GET", "/bucket/k", "", mine...)
	if w.Body.String() != body {
		t.Errorf("got %q", w.Body)
	}
	wantHeaders(t, w, mine[0], mine[2], sseHeader+": ")
	if w = e.ok("GET", "/bucket/k", "", append(mine, "Range: bytes=5-10")...); w.Body.String() != body[5:11] {
		t.Errorf("range is %q", w.Body)
	}
	e.ok("HEAD", "/bucket/k", "", mine...)
	e.want(400, "InvalidRequest", "GET", "/bucket/k", "")
	e.want(400, "", "HEAD", "/bucket/k", "")
	e.want(403, "AccessDenied", "GET", "/bucket/k", "", other...)
	e.want(400, "InvalidRequest", "GET", "/bucket/k?attributes", "", "X-Amz-Object-Attributes: ETag")
	e.ok("GET", "/bucket/k?attributes", "", append(mine, "X-Amz-Object-Attributes: ETag")...)
	e.ok("PUT", "/bucket/plain", body)
	e.want(400, "InvalidRequest", "GET", "/bucket/plain", "", mine...)
	e.ok("DELETE", "/bucket/k", "")

	bad := func(code string, headers ...string) { e.want(400, code, "PUT", "/bucket/bad", body, headers...) }
	bad("InvalidArgument", mine[0])
	bad("InvalidArgument", mine[0], mine[1])
	bad("InvalidArgument", mine[1], mine[2])
	bad("InvalidArgument", mine[0], mine[1], other[2])
	bad("InvalidEncryptionAlgorithmError", ssePrefix+"Algorithm: aes:kms", mine[1], mine[2])
	bad("InvalidArgument", mine[0], ssePrefix+"Key: c2hvcnQ=", mine[2])
	bad("InvalidArgument", append(mine, sseHeader+": AES256")...)
	e.h.cfg.TrustHTTP = false
	bad("InvalidRequest", mine...) // httptest's client has no address of this host
	e.h.cfg.TrustHTTP = true
	e.want(404, "NoSuchKey", "GET", "/bucket/bad", "")
}

func TestServerSideEncryption(t *testing.T) {
	e := cryptEnv(t)
	const body = "hello"
	e.ok("PUT", "/bucket/s3", body, sseHeader+": AES256", "Content-MD5: "+base64.StdEncoding.EncodeToString(md5Of(body)))
	w := e.ok("GET", "/bucket/s3", "")
	wantHeaders(t, w, sseHeader+": AES256", "Etag: "+plainETag(body))
	if w.Body.String() != body {
		t.Errorf("got %q", w.Body)
	}
	context := base64.StdEncoding.EncodeToString([]byte(`{"project":"x"}`))
	w = e.ok("PUT", "/bucket/kms", body, sseHeader+": aws:kms", sseKeyHeader+": arn:aws:kms:us-east-1:1:key/second", sseContextHeader+": "+context, sseBucketKey+": true")
	wantHeaders(t, w, sseHeader+": aws:kms", sseKeyHeader+": second", sseBucketKey+": true")
	if w = e.ok("GET", "/bucket/kms", ""); w.Body.String() != body || w.Header().Get("Etag") == plainETag(body) {
		t.Errorf("got %q, ETag %s", w.Body, w.Header().Get("Etag"))
	}
	wantHeaders(t, e.ok("HEAD", "/bucket/kms", ""), sseHeader+": aws:kms", sseKeyHeader+": second", sseBucketKey+": true")
	wantHeaders(t, e.ok("PUT", "/bucket/kms", body, sseHeader+": aws:kms"), sseKeyHeader+": main", sseBucketKey+": ")

	e.want(400, "InvalidArgument", "PUT", "/bucket/k", body, sseHeader+": rot13")
	e.want(400, "InvalidArgument", "PUT", "/bucket/k", body, sseKeyHeader+": main")
	e.want(400, "InvalidArgument", "PUT", "/bucket/k", body, sseHeader+": AES256", sseKeyHeader+": main")
	e.want(400, "KMS.NotFoundException", "PUT", "/bucket/k", body, sseHeader+": aws:kms", sseKeyHeader+": third")
	e.want(400, "InvalidArgument", "PUT", "/bucket/k", body, sseHeader+": aws:kms", sseContextHeader+": e30")
	e.want(501, "NotImplemented", "PUT", "/bucket/k", body, sseHeader+": aws:kms:dsse")
	e.want(400, "InvalidArgument", "GET", "/bucket/s3", "", sseHeader+": AES256")
	e.want(400, "", "HEAD", "/bucket/kms", "", sseHeader+": aws:kms")
	e.want(404, "NoSuchKey", "GET", "/bucket/k", "")

	// Without keys nothing is stored as if it were encrypted.
	e.h.cfg.KMS, e.h.cfg.ObjectKeys = nil, nil
	e.want(501, "NotImplemented", "PUT", "/bucket/k", body, sseHeader+": aws:kms")
	e.want(501, "NotImplemented", "GET", "/bucket/kms", "")
}

func md5Of(s string) []byte {
	sum := md5.Sum([]byte(s))
	return sum[:]
}

func TestBucketEncryption(t *testing.T) {
	e := cryptEnv(t)
	doc := func(algorithm, more string) string {
		return "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>" + algorithm +
			"</SSEAlgorithm></ApplyServerSideEncryptionByDefault>" + more + "</Rule></ServerSideEncryptionConfiguration>"
	}
	e.want(404, "ServerSideEncryptionConfigurationNotFoundError", "GET", "/bucket?encryption", "")
	e.ok("PUT", "/bucket/plain", "x")
	wantHeaders(t, e.ok("HEAD", "/bucket/plain", ""), sseHeader+": ")
	e.ok("PUT", "/bucket?encryption", doc("AES256", ""))
	if got := elements(e.ok("GET", "/bucket?encryption", ""), "SSEAlgorithm"); len(got) != 1 || got[0] != "AES256" {
		t.Error(got)
	}
	wantHeaders(t, e.ok("PUT", "/bucket/k", "x"), sseHeader+": AES256")
	wantHeaders(t, e.ok("HEAD", "/bucket/k", ""), sseHeader+": AES256")
	wantHeaders(t, e.ok("PUT", "/bucket/copy", "", copySourceHeader+": /bucket/plain"), sseHeader+": AES256")
	e.ok("PUT", "/bucket?encryption", doc("aws:kms", "<BucketKeyEnabled>true</BucketKeyEnabled><BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes>"))
	wantHeaders(t, e.ok("PUT", "/bucket/k", "x"), sseHeader+": aws:kms", sseKeyHeader+": main", sseBucketKey+": true")
	wantHeaders(t, e.ok("PUT", "/bucket/k", "x", sseHeader+": AES256"), sseHeader+": AES256", sseKeyHeader+": ")
	e.want(403, "AccessDenied", "PUT", "/bucket/k", "x", customer(ssePrefix, 1)...)
	for _, bad := range []string{"", "<ServerSideEncryptionConfiguration></ServerSideEncryptionConfiguration>", doc("DES", ""), doc("AES256", "<BucketKeyEnabled>maybe</BucketKeyEnabled>"),
		"<ServerSideEncryptionConfiguration><Rule></Rule></ServerSideEncryptionConfiguration>"} {
		e.want(400, "MalformedXML", "PUT", "/bucket?encryption", bad)
	}
	e.want(400, "KMS.NotFoundException", "PUT", "/bucket?encryption", "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>nobody</KMSMasterKeyID></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>")
	e.want(204, "", "DELETE", "/bucket?encryption", "")
	wantHeaders(t, e.ok("PUT", "/bucket/k", "x"), sseHeader+": ")
}

func TestEncryptedMultipart(t *testing.T) {
	e := cryptEnv(t)
	for _, kind := range []string{"customer", "kms"} {
		mine, other := customer(ssePrefix, 7), customer(ssePrefix, 9)
		create := mine
		if kind == "kms" {
			create, mine = []string{sseHeader + ": aws:kms"}, nil
		}
		id := elements(e.ok("POST", "/bucket/"+kind+"?uploads", "", create...), "UploadId")[0]
		at := "/bucket/" + kind + "?partNumber=%d&uploadId=" + id
		big := strings.Repeat("p", 5<<20)
		tag1 := e.ok("PUT", fmt.Sprintf(at, 1), big, mine...).Header().Get("Etag")
		if tag1 == plainETag(big) {
			t.Error("the ETag of a part is its MD5")
		}
		if kind == "customer" {
			e.want(400, "InvalidRequest", "PUT", fmt.Sprintf(at, 2), "x")
			e.want(400, "InvalidRequest", "PUT", fmt.Sprintf(at, 2), "x", other...)
		} else {
			e.want(400, "InvalidRequest", "PUT", fmt.Sprintf(at, 2), "x", other...)
			e.ok("PUT", fmt.Sprintf(at, 2), "x", sseHeader+": aws:kms") // as minio-go sends it
		}
		// The second part is a copy of an object with another key.
		e.ok("PUT", "/bucket/source", "tail", customer(ssePrefix, 3)...)
		e.want(400, "InvalidRequest", "PUT", fmt.Sprintf(at, 2), "", append([]string{copySourceHeader + ": /bucket/source"}, mine...)...)
		w := e.ok("PUT", fmt.Sprintf(at, 2), "", append(append([]string{copySourceHeader + ": /bucket/source"}, customer(sseCopyPrefix, 3)...), mine...)...)
		tag2 := elements(w, "ETag")[0]
		var list strings.Builder
		for i, tag := range []string{tag1, tag2} {
			fmt.Fprintf(&list, "<Part><PartNumber>%d</PartNumber><ETag>", i+1)
			_ = xml.EscapeText(&list, []byte(html.UnescapeString(tag)))
			list.WriteString("</ETag></Part>")
		}
		w = e.ok("POST", "/bucket/"+kind+"?uploadId="+id, "<CompleteMultipartUpload>"+list.String()+"</CompleteMultipartUpload>")
		if kind == "kms" {
			wantHeaders(t, w, sseHeader+": aws:kms")
		}
		if w := e.ok("GET", "/bucket/"+kind, "", mine...); w.Body.String() != big+"tail" {
			t.Errorf("%s: %d bytes", kind, w.Body.Len())
		}
	}
}

func TestEncryptedCopy(t *testing.T) {
	e := cryptEnv(t)
	e.ok("PUT", "/bucket/a", "body", customer(ssePrefix, 1)...)
	from := []string{copySourceHeader + ": /bucket/a"}
	e.want(400, "InvalidRequest", "PUT", "/bucket/b", "", from...)
	e.want(403, "AccessDenied", "PUT", "/bucket/b", "", append(from, customer(sseCopyPrefix, 2)...)...)
	e.ok("PUT", "/bucket/b", "", append(from, customer(sseCopyPrefix, 1)...)...)
	if w := e.ok("GET", "/bucket/b", ""); w.Body.String() != "body" {
		t.Errorf("%q", w.Body)
	}
	// To itself with another key: allowed, as the encryption changes.
	e.ok("PUT", "/bucket/a", "", append(append(from, customer(sseCopyPrefix, 1)...), customer(ssePrefix, 2)...)...)
	e.want(403, "AccessDenied", "GET", "/bucket/a", "", customer(ssePrefix, 1)...)
	if w := e.ok("GET", "/bucket/a", "", customer(ssePrefix, 2)...); w.Body.String() != "body" {
		t.Errorf("%q", w.Body)
	}
	e.want(400, "InvalidRequest", "PUT", "/bucket/b", "", copySourceHeader+": /bucket/b")
	e.ok("PUT", "/bucket/b", "", copySourceHeader+": /bucket/b", sseHeader+": AES256")
	wantHeaders(t, e.ok("HEAD", "/bucket/b", ""), sseHeader+": AES256")
	// What was there before the bucket had a configuration gets it so.
	e.ok("PUT", "/bucket/c", "body")
	e.ok("PUT", "/bucket?encryption", "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>")
	e.ok("PUT", "/bucket/c", "", copySourceHeader+": /bucket/c")
	if w := e.ok("GET", "/bucket/c", ""); w.Body.String() != "body" || w.Header().Get(sseHeader) != "AES256" {
		t.Errorf("%q, encryption %q", w.Body, w.Header().Get(sseHeader))
	}
}

// TestDataKeyIsBound: a sealed key that is moved to an object of another bucket, or whose
// context is changed, does not open.
func TestDataKeyIsBound(t *testing.T) {
	e := cryptEnv(t)
	e.ok("PUT", "/bucket/k", "x", sseHeader+": aws:kms")
	v, _, err := e.db.Get(context.Background(), "bucket", "k", "")
	if err != nil {
		t.Fatal(err)
	}
	crypt, err := encryptionOf(v)
	if err != nil {
		t.Fatal(err)
	}
	c := &call{h: e.h, ctx: context.Background()}
	if err := c.open(crypt, "bucket", nil); err != nil {
		t.Error(err)
	}
	if err := c.open(crypt, "other", nil); !errors.Is(err, kms.ErrSealed) {
		t.Error(err)
	}
	crypt.context = "e30="
	if err := c.open(crypt, "bucket", nil); !errors.Is(err, kms.ErrSealed) {
		t.Error(err)
	}
}

func FuzzEncryptionRecord(f *testing.F) {
	f.Add((&encryption{kind: sseKMS, bucketKey: true, keyID: "id", context: "c", sealed: []byte{1, 2}}).encode())
	f.Add((&encryption{kind: sseCustomer, salt: [16]byte{1}, check: [16]byte{2}}).encode())
	f.Fuzz(func(t *testing.T, s string) {
		e, err := decodeEncryption(s)
		if err != nil {
			return
		}
		if e.encode() != s {
			t.Errorf("%q became %q", s, e.encode())
		}
	})
}

// TestEncryptionGolden: records keep their bytes.
func TestEncryptionGolden(t *testing.T) {
	e := &encryption{kind: sseKMS, bucketKey: true, salt: [16]byte{1, 15: 2}, check: [16]byte{3, 15: 4}, keyID: "id", context: "c", sealed: []byte{5}}
	want := "\x01\x03\x01" + "\x01" + strings.Repeat("\x00", 14) + "\x02" + "\x03" + strings.Repeat("\x00", 14) + "\x04" + "\x02\x00id" + "\x01\x00c" + "\x01\x00\x05"
	if got := e.encode(); got != want {
		t.Errorf("%q", got)
	}
	again, err := decodeEncryption(want)
	if err != nil || !reflect.DeepEqual(e, again) {
		t.Errorf("%+v, %v", again, err)
	}
	for i := range want {
		if _, err := decodeEncryption(want[:i]); err == nil {
			t.Errorf("cut at %d it decodes", i)
		}
	}
}

// TestKeyConditions: a policy about a key of SSE-KMS holds for it by whatever name.
func TestKeyConditions(t *testing.T) {
	const arn = "arn:aws:kms:eu-west-9:111111111111:"
	deny := func(condition, id string) string {
		return `{"Effect":"Deny","Action":"s3:PutObject","Resource":"*","Condition":{"` + condition + `":{"s3:x-amz-server-side-encryption-aws-kms-key-id":"` + id + `"}}}`
	}
	for _, c := range []struct {
		condition, id, header string
		ok                    bool
	}{
		{"StringEquals", "second", "second", false},
		{"StringEquals", "second", arn + "key/second", false},
		{"StringEquals", "second", "alias/second", false},
		{"StringEquals", arn + "key/second", "second", false},
		{"ArnEquals", arn + "key/second", "second", false},
		{"ArnLike", "arn:aws:kms:*:*:key/sec*", "alias/second", false},
		{"StringEquals", "second", "main", true},
		{"StringNotEquals", arn + "alias/main", "second", false},
		{"StringNotEquals", arn + "alias/main", arn + "key/main", true},
		{"ArnNotEqualsIfExists", arn + "key/main", "main", true},
		{"ArnNotEqualsIfExists", arn + "key/main", "second", false},
		{"ArnNotEqualsIfExists", arn + "key/${aws:username}", "user", true},
		{"Null", "true", "", false},
	} {
		cell := newCell(t, userOf(accountA, document(t, allowAll, deny(c.condition, c.id))), "")
		cell.h.cfg.KMS = cryptEnv(t).h.cfg.KMS
		row := matrixRow{target: "/bucket/new?uploads", header: []string{sseHeader, "aws:kms", sseKeyHeader, c.header}}
		if got, want := cell.send("POST", &row), map[bool]string{true: "allowed", false: "AccessDenied"}[c.ok]; got != want {
			t.Errorf("%s %s, %q: %s, want %s", c.condition, c.id, c.header, got, want)
		}
	}
}
