package s3api

import (
	"errors"
	"net/http"
	"strings"

	"github.com/weftstore/weft/internal/checksum"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/s3api/policy"
	"github.com/weftstore/weft/store"
)

const writeOffsetHeader = "X-Amz-Write-Offset-Bytes"

// appendObject is PutObject with an offset, which must be the object's size: the body becomes
// its end. At 0 it makes an object that is not there. S3 Express One Zone has it for directory
// buckets, here all do that were never versioned.
func (c *call) appendObject(offset string, p *promise, tags map[string]string) error {
	at, ok := digits(offset)
	if !ok {
		return badArgument("x-amz-write-offset-bytes", offset, "The write offset must be a number of bytes.")
	}
	b, err := c.h.cfg.Buckets.Bucket(c.ctx, c.bucket)
	if err != nil {
		return err
	}
	if b.Versioning != metadata.Unversioned {
		return metadata.ErrVersioned
	}
	obj, err := c.h.cfg.Objects.Open(c.ctx, c.bucket, c.key, "")
	if errors.Is(err, metadata.ErrNoSuchKey) {
		return c.appendNew(at, p, tags)
	}
	if err != nil {
		return err
	}
	defer obj.Close()
	v, _ := obj.Info()
	if v.Size != at {
		return errInvalidWriteOffset
	}
	if err := c.appendTo(v, p); !errors.Is(err, metadata.ErrStale) {
		return err
	}
	if now, err := c.h.cfg.Objects.Open(c.ctx, c.bucket, c.key, ""); err == nil {
		defer now.Close()
		if v, _ := now.Info(); v.Size == at {
			return errConditionalRequestConflict // it was replaced by another as long
		}
	}
	return errInvalidWriteOffset
}

// appendNew makes an object that was not there.
func (c *call) appendNew(at int64, p *promise, tags map[string]string) error {
	if at != 0 {
		return errInvalidWriteOffset
	}
	own := len(c.r.Header["If-Match"]) == 0 && len(c.r.Header["If-None-Match"]) == 0
	if own {
		c.r.Header["If-None-Match"] = []string{"*"}
	}
	res, err := c.storeObject(c.body, c.body.Length(), p, tags)
	if own && errors.Is(err, metadata.ErrPrecondition) {
		return errInvalidWriteOffset
	}
	if err != nil {
		return err
	}
	c.set("X-Amz-Object-Size", itoa64(res.Size))
	return c.done(http.StatusOK)
}

// appendTo appends the body to an object that was read. metadata.ErrStale when it is not
// current any more.
func (c *call) appendTo(v *metadata.Version, p *promise) error {
	if err := c.appendHeaders(); err != nil {
		return err
	}
	cond, err := c.writeCondition()
	if err != nil {
		return err
	}
	crypt, err := c.appendEncryption(v)
	if err != nil {
		return err
	}
	req := &store.PutRequest{Bucket: c.bucket, Key: c.key, Size: c.body.Length(), Body: c.body, Algorithm: v.Digest.Algorithm,
		Check: c.checker(p), Cond: cond, Seal: crypt.seal(p.md5 != nil), AppendTo: v}
	if p.algorithm != checksum.None && p.algorithm != v.Digest.Algorithm {
		req.Body, req.Check = p.beside(req.Body, req.Check)
	}
	res, err := c.h.cfg.Objects.Put(c.ctx, req)
	if err != nil {
		return err
	}
	c.setStored(res)
	c.setEncryption(crypt)
	c.setChecksumType(res)
	c.set("X-Amz-Object-Size", itoa64(res.Size))
	return c.done(http.StatusOK)
}

// appendHeaders refuses what would be lost: an object has what it was made with.
func (c *call) appendHeaders() error {
	for name := range c.r.Header {
		if strings.HasPrefix(name, metaPrefix) || strings.HasPrefix(name, "X-Amz-Object-Lock-") || strings.HasPrefix(name, "X-Amz-Grant-") ||
			name == "X-Amz-Tagging" || name == "X-Amz-Acl" {
			return errInvalidRequest.saying("The metadata, tags, lock and access control list of an object cannot be changed by appending to it.").with("Header", name)
		}
	}
	return nil
}

// appendEncryption is that of the object, of which the request may speak.
func (c *call) appendEncryption(v *metadata.Version) (*encryption, error) {
	e, err := encryptionOf(v)
	if err != nil {
		return nil, err
	}
	customer, err := c.customerKey(ssePrefix)
	if err != nil {
		return nil, err
	}
	var is string
	switch {
	case (e != nil && e.kind == sseCustomer) != (customer != nil):
		return nil, errEncryptionMismatch
	case e != nil && e.kind == sseServer:
		is = "AES256"
	case e != nil && e.kind == sseKMS:
		is = "aws:kms"
	}
	if want := c.r.Header.Get(sseHeader); want != "" && want != is {
		return nil, errEncryptionMismatch
	}
	if key := policy.KeyName(c.r.Header.Get(sseKeyHeader)); key != "" && (is != "aws:kms" || key != e.keyID) {
		return nil, errEncryptionMismatch
	}
	if e == nil {
		return nil, nil
	}
	return e, c.open(e, c.bucket, customer)
}
