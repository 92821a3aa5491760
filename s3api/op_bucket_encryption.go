package s3api

import (
	"net/http"
	"strings"

	"github.com/weftstore/weft/s3api/policy"
)

// configEncryption is the name of a bucket's encryption configuration.
const configEncryption = "encryption"

// bucketEncryption is a bucket's ServerSideEncryptionConfiguration.
type bucketEncryption struct {
	kind       sseKind // 0: objects are encrypted only when the request says so
	keyID      string
	bucketKey  bool
	noCustomer bool // SSE-C is blocked
}

// start is what a new object gets; nil for nothing.
func (b *bucketEncryption) start() *encryption {
	if b.kind == 0 {
		return nil
	}
	return &encryption{kind: b.kind, keyID: b.keyID, bucketKey: b.bucketKey && b.kind == sseKMS}
}

// getBucketEncryption is GetBucketEncryption.
func (c *call) getBucketEncryption() error {
	text, err := c.config(configEncryption, errNoSuchEncryption)
	if err != nil {
		return err
	}
	b, err := decodeBucketEncryption([]byte(text))
	if err != nil {
		return err
	}
	return c.sendDoc(b.document())
}

// putBucketEncryption is PutBucketEncryption.
func (c *call) putBucketEncryption() error {
	data, err := c.readDocument(maxDocument, false)
	if err != nil {
		return err
	}
	b, err := decodeBucketEncryption(data)
	if err != nil {
		return err
	}
	if b.kind != 0 {
		s, err := c.service(b.kind)
		if err != nil {
			return err
		}
		if _, err := s.Resolve(b.keyID); err != nil {
			return err
		}
	}
	return c.storeConfig(configEncryption, string(b.document().b), http.StatusOK)
}

// deleteBucketEncryption is DeleteBucketEncryption.
func (c *call) deleteBucketEncryption() error {
	return c.storeConfig(configEncryption, "", http.StatusNoContent)
}

func decodeBucketEncryption(data []byte) (b bucketEncryption, err error) {
	root, err := parseXML(data, "ServerSideEncryptionConfiguration", 16)
	if err != nil {
		return b, err
	}
	if len(root.children) != 1 || root.children[0].name != "Rule" {
		return b, errMalformedXML
	}
	rule := &root.children[0]
	if e := rule.child("ApplyServerSideEncryptionByDefault"); e != nil {
		key := e.value("KMSMasterKeyID")
		switch e.value("SSEAlgorithm") {
		case "AES256":
			if b.kind = sseServer; key != "" {
				return b, errInvalidArgument.saying("a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse")
			}
		case "aws:kms":
			b.kind, b.keyID = sseKMS, policy.KeyName(key)
		case "aws:kms:dsse":
			return b, errNotImplemented.saying("Dual-layer encryption is not implemented; aws:kms is.")
		default:
			return b, errMalformedXML
		}
	}
	switch strings.ToLower(rule.value("BucketKeyEnabled")) {
	case "true":
		b.bucketKey = true
	case "false", "":
	default:
		return b, errMalformedXML
	}
	if blocked := rule.child("BlockedEncryptionTypes"); blocked != nil {
		for i := range blocked.children {
			switch strings.TrimSpace(blocked.children[i].text) {
			case "SSE-C":
				b.noCustomer = true
			case "NONE":
			default:
				return b, errMalformedXML
			}
		}
	}
	if b == (bucketEncryption{}) && rule.child("BlockedEncryptionTypes") == nil && rule.child("BucketKeyEnabled") == nil {
		return b, errMalformedXML
	}
	return b, nil
}

func (b *bucketEncryption) document() *doc {
	d := newDoc("ServerSideEncryptionConfiguration", 512)
	d.open("Rule")
	if b.kind != 0 {
		d.open("ApplyServerSideEncryptionByDefault")
		if b.kind == sseServer {
			d.str("SSEAlgorithm", "AES256")
		} else {
			d.str("SSEAlgorithm", "aws:kms")
			d.opt("KMSMasterKeyID", b.keyID)
		}
		d.close("ApplyServerSideEncryptionByDefault")
	}
	d.bool("BucketKeyEnabled", b.bucketKey)
	if b.noCustomer {
		d.open("BlockedEncryptionTypes")
		d.str("EncryptionType", "SSE-C")
		d.close("BlockedEncryptionTypes")
	}
	d.close("Rule")
	d.close("ServerSideEncryptionConfiguration")
	return d
}
