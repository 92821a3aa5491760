package s3load

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"time"
)

const (
	unsignedPayload = "UNSIGNED-PAYLOAD"
	// emptySHA256 is the SHA-256 of no bytes.
	emptySHA256    = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	amzTime        = "20060102T150405Z"
	customerHeader = "x-amz-server-side-encryption-customer-"
)

// signer writes the headers of Signature Version 4 for S3. It keeps the signing key of the day, keyed
// into one HMAC whose inner and outer state are reused, and allocates nothing a request. For one
// goroutine.
type signer struct {
	accessKey, secretKey, region string
	customer                     string // lines of the headers of a customer's key; "" without one

	day   string // the day mac is keyed for, YYYYMMDD
	scope []byte // day/region/s3/aws4_request
	mac   hash.Hash
	sha   hash.Hash
	text  []byte // canonical request, then string to sign
	stamp []byte // x-amz-date
	sum   []byte
}

func newSigner(ep *Endpoint, region string) *signer {
	s := &signer{accessKey: ep.AccessKey, secretKey: ep.SecretKey, region: region, sha: sha256.New()}
	if ep.CustomerKey != nil {
		sum := md5.Sum(ep.CustomerKey)
		s.customer = customerHeader + "algorithm:AES256\n" + customerHeader + "key:" + base64.StdEncoding.EncodeToString(ep.CustomerKey) + "\n" +
			customerHeader + "key-md5:" + base64.StdEncoding.EncodeToString(sum[:]) + "\n"
	}
	return s
}

func (s *signer) rekey(day string) {
	key := []byte("AWS4" + s.secretKey)
	for _, part := range []string{day, s.region, "s3", "aws4_request"} {
		m := hmac.New(sha256.New, key)
		m.Write([]byte(part))
		key = m.Sum(nil)
	}
	s.day = day
	s.mac = hmac.New(sha256.New, key)
	s.scope = append(s.scope[:0], day+"/"+s.region+"/s3/aws4_request"...)
}

// appendHeaders appends the signed headers of r, each with its CRLF, to dst: host, content-md5 and
// range where set, x-amz-content-sha256, x-amz-date, those of a customer's key, authorization. r.path and r.query must be
// in canonical form, because they are sent as they are.
func (s *signer) appendHeaders(dst []byte, r *request, host string, now time.Time) []byte {
	s.stamp = now.UTC().AppendFormat(s.stamp[:0], amzTime)
	if string(s.stamp[:8]) != s.day {
		s.rekey(string(s.stamp[:8]))
	}
	c := s.text[:0]
	c = append(append(c, r.method...), '\n')
	c = append(append(c, r.path...), '\n')
	c = append(append(c, r.query...), '\n')
	headers := len(c)
	if r.contentMD5 != "" {
		c = append(append(append(c, "content-md5:"...), r.contentMD5...), '\n')
	}
	c = append(append(append(c, "host:"...), host...), '\n')
	if r.ranged {
		c = append(r.appendRange(append(c, "range:"...)), '\n')
	}
	c = append(append(append(c, "x-amz-content-sha256:"...), r.payloadHash...), '\n')
	c = append(append(append(c, "x-amz-date:"...), s.stamp...), '\n')
	sealed := s.customer != "" && r.ofObject()
	if sealed {
		c = append(c, s.customer...)
	}
	for _, b := range c[headers:] { // the same lines, as HTTP wants them
		if b == '\n' {
			dst = append(dst, '\r')
		}
		dst = append(dst, b)
	}
	c = append(c, '\n')
	names, more := r.signedHeaders(), ""
	if sealed {
		more = customerNames
	}
	c = append(append(append(append(c, names...), more...), '\n'), r.payloadHash...)
	s.sha.Reset()
	s.sha.Write(c)
	s.sum = s.sha.Sum(s.sum[:0])

	t := append(c[:0], "AWS4-HMAC-SHA256\n"...)
	t = append(append(t, s.stamp...), '\n')
	t = append(append(t, s.scope...), '\n')
	t = hex.AppendEncode(t, s.sum)
	s.mac.Reset()
	s.mac.Write(t)
	s.sum = s.mac.Sum(s.sum[:0])
	s.text = t

	dst = append(append(append(dst, "authorization: AWS4-HMAC-SHA256 Credential="...), s.accessKey...), '/')
	dst = append(append(dst, s.scope...), ", SignedHeaders="...)
	dst = append(append(append(dst, names...), more...), ", Signature="...)
	return append(hex.AppendEncode(dst, s.sum), "\r\n"...)
}

// customerNames is what a customer's key adds to signedHeaders.
const customerNames = ";" + customerHeader + "algorithm;" + customerHeader + "key;" + customerHeader + "key-md5"

// signedHeaders names the headers that appendHeaders signs without a customer's key.
func (r *request) signedHeaders() string {
	switch {
	case r.contentMD5 != "" && r.ranged:
		return "content-md5;host;range;x-amz-content-sha256;x-amz-date"
	case r.contentMD5 != "":
		return "content-md5;host;x-amz-content-sha256;x-amz-date"
	case r.ranged:
		return "host;range;x-amz-content-sha256;x-amz-date"
	}
	return "host;x-amz-content-sha256;x-amz-date"
}
