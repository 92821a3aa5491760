package s3api

import (
	"net/http"
	"strings"

	"github.com/weftstore/weft/metadata"
)

// attributes are the elements that GetObjectAttributes can be asked for.
type attributes struct {
	etag, checksum, parts, class, size bool
}

// getObjectAttributes is GetObjectAttributes.
func (c *call) getObjectAttributes() error {
	want, err := readAttributes(c.r.Header)
	if err != nil {
		return err
	}
	versionID := c.query.get("versionId")
	if err := checkVersionID(versionID); err != nil {
		return err
	}
	limit, err := c.headerInt("X-Amz-Max-Parts", 1000)
	if err != nil {
		return err
	}
	after, err := c.headerInt("X-Amz-Part-Number-Marker", 0)
	if err != nil {
		return err
	}
	obj, err := c.h.cfg.Objects.Open(c.ctx, c.bucket, c.key, versionID)
	if err != nil {
		return err
	}
	defer obj.Close()
	v, id := obj.Info()
	if err := c.judged.unjudged(v); err != nil {
		return err
	}
	if _, _, err := c.readEncryption(v, ssePrefix); err != nil {
		return err
	}
	p := readConditions(c.r.Header, "")
	if err := p.check(v); err != nil {
		return err
	}
	d := newDoc("GetObjectAttributesResponse", 1024)
	if want.etag {
		d.str("ETag", v.ETag())
	}
	if want.checksum && v.Digest.Algorithm.Valid() {
		d.open("Checksum")
		d.digest(&v.Digest, 0) // without the "-N" of other answers, as AWS has it
		d.opt("ChecksumType", v.Digest.Type.String())
		d.close("Checksum")
	}
	if want.parts && v.PartCount > 0 {
		if err := c.objectParts(d, obj, v, after, min(limit, 1000)); err != nil {
			return err
		}
	}
	if want.class {
		d.str("StorageClass", "STANDARD")
	}
	if want.size {
		d.int("ObjectSize", v.Size)
	}
	d.close("GetObjectAttributesResponse")
	c.set("Last-Modified", httpTime(v.Modified))
	if id != "" {
		c.set("X-Amz-Version-Id", id)
	}
	return c.sendDoc(d)
}

func (c *call) objectParts(d *doc, obj Object, v *metadata.Version, after, limit int) error {
	var parts []metadata.Part
	var truncated bool
	if limit > 0 {
		var err error
		if parts, truncated, err = obj.Parts(c.ctx, after, limit); err != nil {
			return replaced(err)
		}
	}
	next := 0
	if len(parts) > 0 {
		next = int(parts[len(parts)-1].Number)
	}
	d.open("ObjectParts")
	d.int("PartsCount", int64(v.PartCount))
	d.int("PartNumberMarker", int64(after))
	d.int("NextPartNumberMarker", int64(next))
	d.int("MaxParts", int64(limit))
	d.bool("IsTruncated", truncated)
	for i := range parts {
		d.open("Part")
		d.int("PartNumber", int64(parts[i].Number))
		d.int("Size", parts[i].Size)
		d.digest(&parts[i].Digest, 0)
		d.close("Part")
	}
	d.close("ObjectParts")
	return nil
}

func readAttributes(h http.Header) (attributes, error) {
	var a attributes
	seen := false
	for _, v := range h["X-Amz-Object-Attributes"] {
		for name := range strings.SplitSeq(v, ",") {
			seen = true
			switch strings.TrimSpace(name) {
			case "ETag":
				a.etag = true
			case "Checksum":
				a.checksum = true
			case "ObjectParts":
				a.parts = true
			case "StorageClass":
				a.class = true
			case "ObjectSize":
				a.size = true
			default:
				return a, badArgument("x-amz-object-attributes", v, "Invalid attribute name specified.")
			}
		}
	}
	if !seen {
		return a, errInvalidRequest.saying("Missing required header for this request: x-amz-object-attributes")
	}
	return a, nil
}

// headerInt reads a number that is not negative from a header.
func (c *call) headerInt(name string, def int) (int, error) {
	v := c.r.Header[name]
	if len(v) == 0 {
		return def, nil
	}
	n, ok := digits(v[0])
	if !ok || n > 1<<31-1 {
		return 0, badArgument(strings.ToLower(name), v[0], "Provided "+strings.ToLower(name)+" not an integer or within integer range")
	}
	return int(n), nil
}
