package s3api

import (
	"io"
	"net/http"

	"github.com/weftstore/weft/internal/checksum"
	"github.com/weftstore/weft/s3api/sigv4"
	"github.com/weftstore/weft/store"
)

// putObject is PutObject.
func (c *call) putObject() error {
	if _, ok := c.query.lookup("partNumber"); ok {
		return badArgument("partNumber", c.query.get("partNumber"), "This operation does not accept a query-string partNumber without an uploadId.")
	}
	if err := c.declineRDMA(); err != nil {
		return err
	}
	p, err := c.openUpload()
	if err != nil {
		return err
	}
	tags, err := headerTags(c.r.Header)
	if err != nil {
		return err
	}
	if v := c.r.Header[writeOffsetHeader]; len(v) > 0 {
		return c.appendObject(v[0], p, tags)
	}
	if _, err := c.storeObject(c.body, c.body.Length(), p, tags); err != nil {
		return err
	}
	return c.done(http.StatusOK)
}

// storeObject puts an object as the headers describe it, and the headers that say what was
// stored.
func (c *call) storeObject(body io.Reader, size int64, p *promise, tags map[string]string) (*store.PutResult, error) {
	cond, err := c.writeCondition()
	if err != nil {
		return nil, err
	}
	headers, meta, err := objectHeaders(c.r.Header)
	if err != nil {
		return nil, err
	}
	lock, err := c.newLock()
	if err != nil {
		return nil, err
	}
	crypt, err := c.newEncryption()
	if err != nil {
		return nil, err
	}
	attrs, err := c.withACL(crypt.attrs())
	if err != nil {
		return nil, err
	}
	if err := describable(headers, meta, attrs); err != nil {
		return nil, err
	}
	// A bucket that is not there is told before the client sends gigabytes.
	if _, err := c.h.cfg.Buckets.Bucket(c.ctx, c.bucket); err != nil {
		return nil, err
	}
	res, err := c.h.cfg.Objects.Put(c.ctx, &store.PutRequest{
		Bucket: c.bucket, Key: c.key, Size: size, Body: body, Algorithm: p.algorithm, Check: c.checker(p),
		Headers: headers, UserMeta: meta, Tags: tags, Lock: lock, Cond: cond, Seal: crypt.seal(p.md5 != nil), Attrs: attrs,
	})
	if err != nil {
		return nil, err
	}
	c.setStored(res)
	c.setEncryption(crypt)
	if res.VersionID != "" {
		c.set("X-Amz-Version-Id", res.VersionID)
	}
	c.setExpiration(res.Size, tags, c.h.cfg.Now())
	c.setChecksumType(res)
	return res, nil
}

func (c *call) setChecksumType(res *store.PutResult) {
	if t := res.Sums.Digest.Type; t != checksum.Unspecified {
		c.set("X-Amz-Checksum-Type", t.String())
	}
}

// openUpload opens the body of an object or a part and reads what is promised of
// it. Nothing is read from the connection yet.
func (c *call) openUpload() (*promise, error) {
	p, err := readPromise(c.r.Header)
	if err != nil {
		return nil, err
	}
	if c.r.ContentLength > sigv4.MaxBodyLength && !c.auth.Mode.Chunked() {
		return nil, errEntityTooLarge.with("ProposedSize", itoa64(c.r.ContentLength)).with("MaxSizeAllowed", itoa64(sigv4.MaxBodyLength))
	}
	if err := c.openBody(); err != nil {
		return nil, err
	}
	if c.body.Length() < 0 {
		return nil, errMissingContentLength
	}
	return &p, nil
}

// setStored puts ETag and checksum of what was stored.
func (c *call) setStored(res *store.PutResult) {
	c.set("Etag", `"`+res.ETag+`"`)
	d := res.Sums.Digest
	if d.Algorithm.Valid() && len(d.Sum) > 0 {
		c.set(d.Algorithm.Header(), digestValue(&d, 0))
	}
}

// declineRDMA refuses a PUT whose bytes would have to be fetched from the
// client's memory. Storing the empty body would be a success that lost data, and
// an ETag in the answer would be taken for one.
func (c *call) declineRDMA() error {
	if len(c.r.Header["X-Amz-Rdma-Token"]) == 0 {
		return nil
	}
	c.set("X-Amz-Rdma-Reply", "501")
	if c.r.ContentLength > 0 || c.auth.Mode.Chunked() && c.r.Header.Get("X-Amz-Decoded-Content-Length") != "0" {
		return nil
	}
	return errNotImplemented.saying("RDMA transfers are not available here; send the object over HTTP.")
}
