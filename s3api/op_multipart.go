package s3api

import (
	"net/http"

	"github.com/weftstore/weft/internal/checksum"
	"github.com/weftstore/weft/metadata"
)

// createMultipartUpload is CreateMultipartUpload.
func (c *call) createMultipartUpload() error {
	u := &metadata.Upload{Key: c.key}
	var err error
	if u.Template.Headers, u.Template.UserMeta, err = objectHeaders(c.r.Header); err != nil {
		return err
	}
	if u.Template.Tags, err = headerTags(c.r.Header); err != nil {
		return err
	}
	if u.Template.Lock, err = c.headerLock(); err != nil {
		return err
	}
	if u.Algorithm, u.Type, err = uploadChecksum(c.r.Header); err != nil {
		return err
	}
	crypt, err := c.newEncryption()
	if err != nil {
		return err
	}
	if u.Template.Attrs, err = c.withACL(crypt.attrs()); err != nil {
		return err
	}
	if err := describable(u.Template.Headers, u.Template.UserMeta, u.Template.Attrs); err != nil {
		return err
	}
	c.setEncryption(crypt)
	if err := c.h.cfg.Uploads.CreateUpload(c.ctx, c.bucket, u); err != nil {
		return err
	}
	c.setAbort(u)
	if u.Algorithm != checksum.None {
		c.set("X-Amz-Checksum-Algorithm", u.Algorithm.String())
		c.set("X-Amz-Checksum-Type", u.Type.String())
	}
	d := newDoc("InitiateMultipartUploadResult", 512)
	d.str("Bucket", c.bucket)
	d.str("Key", c.key)
	d.str("UploadId", u.ID.String())
	d.close("InitiateMultipartUploadResult")
	return c.sendDoc(d)
}

// uploadChecksum reads x-amz-checksum-algorithm and x-amz-checksum-type.
func uploadChecksum(h http.Header) (checksum.Algorithm, checksum.Type, error) {
	name, typ := h.Get("X-Amz-Checksum-Algorithm"), h.Get("X-Amz-Checksum-Type")
	if name == "" {
		if typ != "" {
			return 0, 0, errInvalidRequest.saying("The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
		}
		return checksum.None, checksum.Unspecified, nil
	}
	a, ok := checksum.Parse(name)
	if !ok {
		return 0, 0, errInvalidRequest.saying("Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256, SHA512, MD5, XXHASH64, XXHASH3, XXHASH128]")
	}
	if typ == "" {
		return a, a.DefaultType(), nil
	}
	t, ok := checksum.ParseType(typ)
	if !ok {
		return 0, 0, errInvalidRequest.saying("Value for x-amz-checksum-type header is invalid.")
	}
	if !a.Supports(t) {
		return 0, 0, errInvalidRequest.saying("The " + t.String() + " checksum type cannot be used with the " + a.String() + " checksum algorithm.")
	}
	return a, t, nil
}

// abortMultipartUpload is AbortMultipartUpload.
func (c *call) abortMultipartUpload() error {
	id, err := metadata.ParseUploadID(c.query.get("uploadId"))
	if err != nil {
		return err
	}
	if err := c.h.cfg.Uploads.Abort(c.ctx, c.bucket, c.key, id); err != nil {
		return err
	}
	return c.done(http.StatusNoContent)
}

// listParts is ListParts.
func (c *call) listParts() error {
	limit, err := c.intParameter("max-parts", 1000, 0, 1000)
	if err != nil {
		return err
	}
	after, err := c.intParameter("part-number-marker", 0, 0, 1<<31-1)
	if err != nil {
		return err
	}
	u, err := c.openUploadID()
	if err != nil {
		return err
	}
	var parts []metadata.Part
	var truncated bool
	if limit > 0 {
		if parts, truncated, err = c.h.cfg.Uploads.ListParts(c.ctx, c.bucket, c.key, u.ID, after, limit); err != nil {
			return err
		}
	}
	next := 0
	if len(parts) > 0 {
		next = int(parts[len(parts)-1].Number)
	}
	c.setAbort(u)
	d := newDoc("ListPartsResult", 1024+256*len(parts))
	d.str("Bucket", c.bucket)
	d.str("Key", c.key)
	d.str("UploadId", u.ID.String())
	owner := c.uploadOwner(u)
	d.owner("Initiator", owner)
	d.owner("Owner", owner)
	d.str("StorageClass", "STANDARD")
	d.int("PartNumberMarker", int64(after))
	d.int("NextPartNumberMarker", int64(next))
	d.int("MaxParts", int64(limit))
	d.bool("IsTruncated", truncated)
	d.opt("ChecksumAlgorithm", u.Algorithm.String())
	d.opt("ChecksumType", u.Type.String())
	for i := range parts {
		p := &parts[i]
		d.open("Part")
		d.int("PartNumber", int64(p.Number))
		d.time("LastModified", p.Modified)
		d.etag(&p.MD5, 0)
		d.int("Size", p.Size)
		d.digest(&p.Digest, 0)
		d.close("Part")
	}
	d.close("ListPartsResult")
	return c.sendDoc(d)
}

// listMultipartUploads is ListMultipartUploads.
func (c *call) listMultipartUploads() error {
	l, err := c.readListing("max-uploads")
	if err != nil {
		return err
	}
	key, upload := c.query.get("key-marker"), c.query.get("upload-id-marker")
	if err := checkMarker("key-marker", key); err != nil {
		return err
	}
	if key == "" {
		upload = "" // S3 ignores it then
	}
	if upload != "" {
		if _, err := metadata.ParseUploadID(upload); err != nil {
			return badArgument("upload-id-marker", upload, "Invalid uploadId marker")
		}
	}
	page, err := c.h.cfg.Uploads.ListUploads(c.ctx, c.bucket, l.Prefix, l.Delimiter, key, upload, l.Limit)
	if err != nil {
		return err
	}
	d := newDoc("ListMultipartUploadsResult", 1024+512*len(page.Entries))
	d.str("Bucket", c.bucket)
	d.key("KeyMarker", key, l.url)
	d.str("UploadIdMarker", upload)
	if page.Truncated {
		d.key("NextKeyMarker", page.NextKey, l.url)
		d.str("NextUploadIdMarker", page.NextUpload)
	}
	d.key("Prefix", l.Prefix, l.url)
	if l.Delimiter != "" {
		d.key("Delimiter", l.Delimiter, l.url)
	}
	if l.url {
		d.str("EncodingType", "url")
	}
	d.int("MaxUploads", int64(l.Limit))
	d.bool("IsTruncated", page.Truncated)
	for i := range page.Entries {
		c.uploadEntry(d, page.Entries[i].Upload, l.url)
	}
	for i := range page.Entries {
		if p := page.Entries[i].CommonPrefix; p != "" {
			d.open("CommonPrefixes")
			d.key("Prefix", p, l.url)
			d.close("CommonPrefixes")
		}
	}
	d.close("ListMultipartUploadsResult")
	return c.sendDoc(d)
}

func (c *call) uploadEntry(d *doc, u *metadata.Upload, url bool) {
	if u == nil {
		return
	}
	d.open("Upload")
	d.key("Key", u.Key, url)
	d.str("UploadId", u.ID.String())
	owner := c.uploadOwner(u)
	d.owner("Initiator", owner)
	d.owner("Owner", owner)
	d.str("StorageClass", "STANDARD")
	d.time("Initiated", u.Initiated)
	d.opt("ChecksumAlgorithm", u.Algorithm.String())
	d.opt("ChecksumType", u.Type.String())
	d.close("Upload")
}
