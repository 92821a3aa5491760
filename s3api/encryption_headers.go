package s3api

import (
	"crypto/md5"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"strings"

	"github.com/weftstore/weft/kms"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/s3api/policy"
)

const (
	sseHeader        = "X-Amz-Server-Side-Encryption"
	sseKeyHeader     = sseHeader + "-Aws-Kms-Key-Id"
	sseContextHeader = sseHeader + "-Context"
	sseBucketKey     = sseHeader + "-Bucket-Key-Enabled"
	ssePrefix        = sseHeader + "-Customer-"
	sseCopyPrefix    = "X-Amz-Copy-Source-Server-Side-Encryption-Customer-"

	maxSSEContext = 8 << 10
)

// What a customer's key comes in, joined once.
var (
	sseHeaders     = [...]string{ssePrefix + "Algorithm", ssePrefix + "Key", ssePrefix + "Key-Md5"}
	sseCopyHeaders = [...]string{sseCopyPrefix + "Algorithm", sseCopyPrefix + "Key", sseCopyPrefix + "Key-Md5"}
)

// customerKey is a key that a client sends with each request.
type customerKey struct {
	key kms.Key
	md5 string // base64, to be sent back
}

// customerKey reads the three headers of a customer's key, nil when there is none.
func (c *call) customerKey(prefix string) (*customerKey, error) {
	h, names := c.r.Header, &sseHeaders
	if prefix == sseCopyPrefix {
		names = &sseCopyHeaders
	}
	algorithm, key, sum := h.Get(names[0]), h.Get(names[1]), h.Get(names[2])
	if algorithm == "" && key == "" && sum == "" {
		return nil, nil
	}
	bad := func(name, message string) error {
		return badArgument(strings.ToLower(prefix+name), "null", "Requests specifying Server Side Encryption with Customer provided keys must provide "+message)
	}
	switch {
	case algorithm == "":
		return nil, bad("Algorithm", "a valid encryption algorithm.")
	case algorithm != "AES256":
		return nil, errInvalidEncryptionAlgorithm.with("ArgumentName", strings.ToLower(prefix)+"algorithm").with("ArgumentValue", clip(algorithm))
	case key == "":
		return nil, bad("Key", "an appropriate secret key.")
	case sum == "":
		return nil, bad("Key-Md5", "the client calculated MD5 of the secret key.")
	}
	if !c.secure() {
		return nil, errInvalidRequest.saying("Requests specifying Server Side Encryption with Customer provided keys must be made over a secure connection.")
	}
	raw, err := base64.StdEncoding.DecodeString(key)
	if err != nil || len(raw) != len(kms.Key{}) {
		return nil, errInvalidArgument.saying("The secret key was invalid for the specified algorithm.").with("ArgumentName", strings.ToLower(prefix)+"key")
	}
	want := md5.Sum(raw)
	if got, err := base64.StdEncoding.DecodeString(sum); err != nil || subtle.ConstantTimeCompare(got, want[:]) != 1 {
		return nil, errInvalidArgument.saying("The calculated MD5 hash of the key did not match the hash that was provided.").with("ArgumentName", strings.ToLower(prefix)+"key-md5")
	}
	return &customerKey{key: kms.Key(raw), md5: sum}, nil
}

// secure reports whether a secret may come over the connection: it is encrypted, or does
// not leave the host, or the operator says that who is in front of here sees to it.
func (c *call) secure() bool {
	if c.r.TLS != nil || c.h.cfg.TrustHTTP {
		return true
	}
	host, _, err := net.SplitHostPort(c.r.RemoteAddr)
	return err == nil && net.ParseIP(host).IsLoopback()
}

// newEncryption is how a new object is to be encrypted: as the request says, else as the
// bucket does; nil for not at all.
func (c *call) newEncryption() (*encryption, error) {
	customer, err := c.customerKey(ssePrefix)
	if err != nil {
		return nil, err
	}
	e, err := c.wantedEncryption(customer)
	if err != nil || e == nil {
		return nil, err
	}
	return e, c.start(e, customer)
}

func (c *call) wantedEncryption(customer *customerKey) (*encryption, error) {
	h := c.r.Header
	method, asked := h.Get(sseHeader), len(h[sseHeader]) > 0
	var rules bucketEncryption
	if c.state != nil {
		rules = c.state.encryption
	}
	if customer != nil {
		if asked {
			return nil, errInvalidArgument.saying("Server Side Encryption with Customer provided key is incompatible with the encryption method specified").
				with("ArgumentName", strings.ToLower(sseHeader)).with("ArgumentValue", clip(method))
		}
		if rules.noCustomer {
			return nil, errAccessDenied.saying("The bucket's encryption configuration blocks keys that are provided by clients.")
		}
		return &encryption{kind: sseCustomer}, nil
	}
	if !asked {
		if len(h[sseKeyHeader]) > 0 || len(h[sseContextHeader]) > 0 {
			return nil, badArgument(strings.ToLower(sseHeader), "null", "Server Side Encryption with KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms")
		}
		return rules.start(), nil
	}
	switch method {
	case "AES256":
		if len(h[sseKeyHeader]) > 0 || len(h[sseContextHeader]) > 0 {
			return nil, badArgument(strings.ToLower(sseHeader), method, "Server Side Encryption with KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms")
		}
		return &encryption{kind: sseServer}, nil
	case "aws:kms":
		return c.wantedKMS(&rules)
	case "aws:kms:dsse":
		return nil, errNotImplemented.saying("Dual-layer encryption is not implemented; aws:kms is.").with("Header", strings.ToLower(sseHeader))
	}
	return nil, badArgument(strings.ToLower(sseHeader), method, "The encryption method specified is not supported")
}

func (c *call) wantedKMS(rules *bucketEncryption) (*encryption, error) {
	h := c.r.Header
	e := &encryption{kind: sseKMS, keyID: policy.KeyName(h.Get(sseKeyHeader)), context: h.Get(sseContextHeader), bucketKey: rules.bucketKey}
	if e.keyID == "" && rules.kind == sseKMS {
		e.keyID = rules.keyID
	}
	if len(h[sseBucketKey]) > 0 {
		switch v := h.Get(sseBucketKey); strings.ToLower(v) {
		case "true":
			e.bucketKey = true
		case "false":
			e.bucketKey = false
		default:
			return nil, badArgument(strings.ToLower(sseBucketKey), v, "The value of the bucket key header is invalid.")
		}
	}
	if e.context == "" {
		return e, nil
	}
	raw, err := base64.StdEncoding.DecodeString(e.context)
	var pairs map[string]string
	if err != nil || len(e.context) > maxSSEContext || json.Unmarshal(raw, &pairs) != nil {
		return nil, badArgument(strings.ToLower(sseContextHeader), e.context, "The header 'x-amz-server-side-encryption-context' shall be Base64-encoded UTF-8 string holding JSON which represents a string-string map")
	}
	return e, nil
}

// setEncryption puts the headers that tell how an object is encrypted.
func (c *call) setEncryption(e *encryption) {
	switch {
	case e == nil:
	case e.kind == sseCustomer:
		c.set(ssePrefix+"Algorithm", "AES256")
		c.set(ssePrefix+"Key-Md5", e.customerMD5)
	case e.kind == sseServer:
		c.set(sseHeader, "AES256")
	default:
		c.set(sseHeader, "aws:kms")
		c.set(sseKeyHeader, e.keyID)
		if e.bucketKey {
			c.set(sseBucketKey, "true")
		}
	}
}

// readEncryption is how the object that a request reads is encrypted, with the key that
// the client sent if that is needed. It asks no key service.
func (c *call) readEncryption(v *metadata.Version, prefix string) (*encryption, *customerKey, error) {
	customer, err := c.customerKey(prefix)
	if err != nil {
		return nil, nil, err
	}
	e, err := encryptionOf(v)
	if err != nil {
		return nil, nil, err
	}
	switch theirs := e != nil && e.kind == sseCustomer; {
	case theirs && customer == nil:
		return nil, nil, errInvalidRequest.saying("The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.")
	case !theirs && customer != nil:
		return nil, nil, errInvalidRequest.saying("The encryption parameters are not applicable to this object.")
	case theirs:
		return e, customer, c.open(e, c.bucket, customer)
	}
	return e, customer, nil
}

// unlock makes an object readable. e is from readEncryption.
func (c *call) unlock(obj Object, bucket string, e *encryption) error {
	if e == nil {
		return nil
	}
	if e.kind != sseCustomer {
		if err := c.open(e, bucket, nil); err != nil {
			return err
		}
	}
	obj.Unlock((*[32]byte)(&e.key))
	return nil
}

// partEncryption is that of an upload, for another part of it.
func (c *call) partEncryption(u *metadata.Upload) (*encryption, error) {
	customer, err := c.customerKey(ssePrefix)
	if err != nil {
		return nil, err
	}
	e, err := encryptionOf(&u.Template)
	if err != nil {
		return nil, err
	}
	switch theirs := e != nil && e.kind == sseCustomer; {
	case theirs && customer == nil:
		return nil, errInvalidRequest.saying("The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate encryption parameters.")
	case !theirs && customer != nil:
		return nil, errInvalidRequest.saying("The multipart upload initiate did not request encryption. Please resend the request without sending encryption parameters.")
	case e == nil:
		return nil, nil
	}
	if err := c.open(e, c.bucket, customer); err != nil {
		if customer != nil {
			return nil, errInvalidRequest.saying("The provided encryption parameters did not match the ones used originally.")
		}
		return nil, err
	}
	return e, nil
}

// checkEncryptionHeader refuses headers of encryption where objects are read, as AWS
// does. With other operations they are ignored: SDKs send them with parts, too.
func (c *call) checkEncryptionHeader(name string) error {
	if c.route.Level != ObjectLevel || strings.HasPrefix(name, ssePrefix) || strings.HasPrefix(name, sseCopyPrefix) {
		return nil
	}
	if c.r.Method != http.MethodGet && c.r.Method != http.MethodHead {
		return nil
	}
	return badArgument(strings.ToLower(name), c.r.Header.Get(name), strings.ToLower(name)+" header is not supported for this operation.")
}
