package s3api

import (
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/weftstore/weft/internal/checksum"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/s3api/sigv4"
	"github.com/weftstore/weft/store"
)

// copyObject is CopyObject: the source is read and put like any other body.
func (c *call) copyObject() error {
	src, err := parseCopySource(c.r.Header.Get(copySourceHeader))
	if err != nil {
		return err
	}
	req := &store.PutRequest{Bucket: c.bucket, Key: c.key}
	if req.Cond, err = c.writeCondition(); err != nil {
		return err
	}
	replaceMeta, err := c.directive("X-Amz-Metadata-Directive")
	if err != nil {
		return err
	}
	replaceTags, err := c.directive("X-Amz-Tagging-Directive")
	if err != nil {
		return err
	}
	if src.bucket == c.bucket && src.key == c.key && src.versionID == "" && !replaceMeta && !c.copiesAnew() {
		return errInvalidRequest.saying("This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")
	}
	obj, err := c.openSource(&src)
	if err != nil {
		return err
	}
	defer obj.Close()
	v, _ := obj.Info()
	if v.Size > sigv4.MaxBodyLength {
		return errInvalidRequest.saying("The specified copy source is larger than the maximum allowable size for a copy source: 5368709120")
	}
	req.Headers, req.UserMeta, req.Tags = v.Headers, v.UserMeta, v.Tags
	if replaceMeta {
		if req.Headers, req.UserMeta, err = objectHeaders(c.r.Header); err != nil {
			return err
		}
	}
	if replaceTags {
		if req.Tags, err = headerTags(c.r.Header); err != nil {
			return err
		}
	}
	if req.Algorithm, err = c.copyAlgorithm(v); err != nil {
		return err
	}
	if req.Lock, err = c.newLock(); err != nil {
		return err
	}
	crypt, err := c.newEncryption()
	if err != nil {
		return err
	}
	req.Seal = crypt.seal(false)
	if req.Attrs, err = c.withACL(crypt.attrs()); err != nil {
		return err
	}
	if err := describable(req.Headers, req.UserMeta, req.Attrs); err != nil {
		return err
	}
	body, err := c.sourceBody(obj, byteRange{0, v.Size})
	if err != nil {
		return err
	}
	defer body.Close()
	req.Body, req.Size = body, v.Size
	res, err := c.h.cfg.Objects.Put(c.ctx, req)
	if err != nil {
		return err
	}
	if res.VersionID != "" {
		c.set("X-Amz-Version-Id", res.VersionID)
	}
	c.setEncryption(crypt)
	c.setExpiration(res.Size, req.Tags, c.h.cfg.Now())
	return c.sendCopied("CopyObjectResult", res, true)
}

// copiesAnew says that an object may be copied to itself as it is: a storage class or an
// encryption is named, by the request or the bucket. AWS does not ask whether it is another.
func (c *call) copiesAnew() bool {
	h := c.r.Header
	return len(h["X-Amz-Storage-Class"]) > 0 || len(h[sseHeader]) > 0 || len(h[ssePrefix+"Algorithm"]) > 0 || c.state.encryption.kind != 0
}

// directive reads a directive: whether to replace what the source has.
func (c *call) directive(name string) (replace bool, err error) {
	switch v := c.r.Header.Get(name); v {
	case "", "COPY":
		return false, nil
	case "REPLACE":
		return true, nil
	default:
		return false, badArgument(strings.ToLower(name), v, "Unknown directive.")
	}
}

// copyAlgorithm is the checksum of a copy: what the request names, else the
// source's.
func (c *call) copyAlgorithm(v *metadata.Version) (checksum.Algorithm, error) {
	if name := c.r.Header.Get("X-Amz-Checksum-Algorithm"); name != "" {
		a, ok := checksum.Parse(name)
		if !ok {
			return a, errInvalidRequest.saying("Checksum algorithm provided is unsupported. Please try again with any of the valid types.")
		}
		return a, nil
	}
	return v.Digest.Algorithm, nil
}

// openSource opens the object of x-amz-copy-source and evaluates the conditions
// on it. The caller closes it.
func (c *call) openSource(src *copySource) (Object, error) {
	obj, err := c.h.cfg.Objects.Open(c.ctx, src.bucket, src.key, src.versionID)
	switch {
	case errors.Is(err, metadata.ErrNoSuchBucket):
		return nil, errNoSuchBucket.with("BucketName", src.bucket)
	case err != nil:
		if _, marker := errors.AsType[*metadata.DeleteMarkerError](err); marker && src.versionID != "" {
			return nil, errInvalidRequest.saying("The source of a copy request may not specifically refer to a delete marker by version id.")
		}
		if errors.Is(err, metadata.ErrNoSuchKey) {
			return nil, errNoSuchKey.with("Key", src.key)
		}
		return nil, err
	}
	v, id := obj.Info()
	if err := c.source.unjudged(v); err != nil {
		obj.Close()
		return nil, err
	}
	p := readConditions(c.r.Header, "X-Amz-Copy-Source-")
	if err := p.check(v); err != nil {
		obj.Close()
		e := errorOf(c.ctx, err)
		return nil, &Error{Code: errPreconditionFailed.Code, Status: errPreconditionFailed.Status, Message: errPreconditionFailed.Message, Extra: e.Extra}
	}
	crypt, _, err := c.readEncryption(v, sseCopyPrefix)
	if err == nil {
		err = c.unlock(obj, src.bucket, crypt)
	}
	if err != nil {
		obj.Close()
		return nil, err
	}
	if id != "" {
		c.set("X-Amz-Copy-Source-Version-Id", id)
	}
	return obj, nil
}

// sourceBody reads a range of a copy's source.
func (c *call) sourceBody(obj Object, r byteRange) (io.ReadCloser, error) {
	if r.n == 0 {
		return http.NoBody, nil
	}
	body, err := obj.Read(c.ctx, r.off, r.n)
	return body, replaced(err)
}

// sendCopied answers CopyObject and UploadPartCopy.
func (c *call) sendCopied(root string, res *store.PutResult, withType bool) error {
	d := newDoc(root, 512)
	d.time("LastModified", res.Modified)
	d.str("ETag", `"`+res.ETag+`"`)
	d.digest(&res.Sums.Digest, 0)
	if withType {
		d.opt("ChecksumType", res.Sums.Digest.Type.String())
	}
	d.close(root)
	c.send(http.StatusOK, d.b)
	return nil
}
