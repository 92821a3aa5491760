package s3api

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/weftstore/weft/kms"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/store"
)

// attrEncryption is the name of a version's attribute that says how it is encrypted.
const attrEncryption = "encryption"

// sseKind is who keeps the key of an object. The numbers are stored.
type sseKind uint8

const (
	sseCustomer sseKind = 1 // SSE-C: the client
	sseServer   sseKind = 2 // SSE-S3: this server
	sseKMS      sseKind = 3 // SSE-KMS: a key service, under a key that is named
)

// encryption is how an object is encrypted. It is kept as an attribute of the version:
//
//	format 1 (= 1), kind 1, flags 1 (1: bucket key), salt 16, check 16,
//	and three strings of a length 2 and bytes: key id, context, sealed data key
//
// The key of the object is derived from the data key, or the client's, and the salt.
// check tells whether it is the right one; it is a MAC of nothing under the object's key.
type encryption struct {
	kind      sseKind
	bucketKey bool
	salt      [16]byte
	check     [16]byte
	keyID     string
	context   string // base64 of a JSON object, as the client sent it
	sealed    []byte

	key         kms.Key // of the object; not stored
	customerMD5 string  // as the client sent it; not stored
}

const (
	encryptionFormat = 1
	encryptionHead   = 3 + 16 + 16
)

func (e *encryption) encode() string {
	var flags byte
	if e.bucketKey {
		flags = 1
	}
	b := append([]byte{encryptionFormat, byte(e.kind), flags}, e.salt[:]...)
	b = append(b, e.check[:]...)
	for _, s := range []string{e.keyID, e.context, string(e.sealed)} {
		b = append(binary.LittleEndian.AppendUint16(b, uint16(len(s))), s...)
	}
	return string(b)
}

var errEncryptionRecord = errors.New("record of an object's encryption does not decode")

// decodeEncryption reads what encode wrote, all of it.
func decodeEncryption(s string) (*encryption, error) {
	if len(s) < encryptionHead || s[0] != encryptionFormat || s[1] < byte(sseCustomer) || s[1] > byte(sseKMS) || s[2] > 1 {
		return nil, errEncryptionRecord
	}
	e := &encryption{kind: sseKind(s[1]), bucketKey: s[2] == 1}
	copy(e.salt[:], s[3:])
	copy(e.check[:], s[19:])
	s = s[encryptionHead:]
	var texts [3]string
	for i := range texts {
		if len(s) < 2 {
			return nil, errEncryptionRecord
		}
		n := int(s[0]) | int(s[1])<<8
		if len(s)-2 < n {
			return nil, errEncryptionRecord
		}
		texts[i], s = s[2:2+n], s[2+n:]
	}
	if s != "" {
		return nil, errEncryptionRecord
	}
	e.keyID, e.context, e.sealed = texts[0], texts[1], []byte(texts[2])
	return e, nil
}

// encryptionOf reads that of a version, nil when it is not encrypted.
func encryptionOf(v *metadata.Version) (*encryption, error) {
	text, ok := v.Attrs[attrEncryption]
	if !ok {
		return nil, nil
	}
	return decodeEncryption(text)
}

// service is who has the data key.
func (c *call) service(k sseKind) (kms.Service, error) {
	s := c.h.cfg.ObjectKeys
	if k == sseKMS {
		s = c.h.cfg.KMS
	}
	if s == nil {
		return nil, errNotImplemented.saying("This server has no keys for server-side encryption.")
	}
	return s, nil
}

// bound is what a data key is for: it opens for nothing else.
func (e *encryption) bound(bucket string) []byte {
	return fmt.Appendf(nil, "weft sse 1\x00%d\x00%s\x00%s", e.kind, bucket, e.context)
}

// use makes the object's key from a data key.
func (e *encryption) use(data kms.Key) { e.key = data.Derive(e.salt[:]) }

func (e *encryption) checksum() [16]byte {
	sum := e.key.Derive([]byte("check"))
	return [16]byte(sum[:16])
}

// fits reports whether the key is the one that the object was stored with.
func (e *encryption) fits() bool {
	sum := e.checksum()
	return subtle.ConstantTimeCompare(sum[:], e.check[:]) == 1
}

// start makes a key for a new object of the bucket.
func (c *call) start(e *encryption, customer *customerKey) error {
	_, _ = rand.Read(e.salt[:]) // never fails since Go 1.24
	if e.kind == sseCustomer {
		e.customerMD5 = customer.md5
		e.use(customer.key)
		e.check = e.checksum()
		return nil
	}
	s, err := c.service(e.kind)
	if err != nil {
		return err
	}
	if e.keyID, err = s.Resolve(e.keyID); err != nil {
		return err
	}
	data, sealed, err := s.NewKey(c.ctx, e.keyID, e.bound(c.bucket))
	if err != nil {
		return err
	}
	e.sealed = sealed
	e.use(data)
	e.check = e.checksum()
	return nil
}

// open finds the key of an object in bucket that is there.
func (c *call) open(e *encryption, bucket string, customer *customerKey) error {
	if e.kind == sseCustomer {
		e.customerMD5 = customer.md5
		if e.use(customer.key); !e.fits() {
			return errAccessDenied
		}
		return nil
	}
	s, err := c.service(e.kind)
	if err != nil {
		return err
	}
	data, err := s.OpenKey(c.ctx, e.keyID, e.sealed, e.bound(bucket))
	if err != nil {
		return err
	}
	if e.use(data); !e.fits() {
		return fmt.Errorf("data key of %q: %w", e.keyID, kms.ErrSealed)
	}
	return nil
}

// seal is how the store encrypts with it; nil for nil.
func (e *encryption) seal(needMD5 bool) *store.Seal {
	if e == nil {
		return nil
	}
	return &store.Seal{Key: store.Key(e.key), Opaque: e.kind != sseServer, MD5: needMD5}
}

// attrs are what a version that is encrypted so has; nil for nil.
func (e *encryption) attrs() map[string]string {
	if e == nil {
		return nil
	}
	return map[string]string{attrEncryption: e.encode()}
}
