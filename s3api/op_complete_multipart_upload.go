package s3api

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"

	"github.com/weftstore/weft/internal/checksum"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/store"
)

// completeMultipartUpload is CompleteMultipartUpload. Checksum headers here
// describe the object and not the document.
func (c *call) completeMultipartUpload() error {
	id, err := metadata.ParseUploadID(c.query.get("uploadId"))
	if err != nil {
		return err
	}
	cond, err := c.writeCondition()
	if err != nil {
		return err
	}
	check, err := c.completeCheck()
	if err != nil {
		return err
	}
	if err := c.checkUploadType(id); err != nil {
		return err
	}
	data, err := c.readBody(maxPartsDocument)
	if err != nil {
		return err
	}
	parts, err := decodeComplete(data)
	if err != nil {
		return err
	}
	res, err := c.h.cfg.Objects.Complete(c.ctx, &store.CompleteRequest{Bucket: c.bucket, Key: c.key, Upload: id, Parts: parts,
		Lock: c.state.lock.lock(c.h.cfg.Now()), Check: check, Cond: cond})
	if err != nil {
		return err
	}
	if res.VersionID != "" {
		c.set("X-Amz-Version-Id", res.VersionID)
	}
	if crypt, err := decodeEncryption(res.Attrs[attrEncryption]); err == nil && crypt.kind != sseCustomer {
		c.setEncryption(crypt)
	}
	d := newDoc("CompleteMultipartUploadResult", 1024)
	d.str("Location", c.location())
	d.str("Bucket", c.bucket)
	d.str("Key", c.key)
	d.str("ETag", `"`+res.ETag+`"`)
	d.digest(&res.Sums.Digest, len(parts))
	d.opt("ChecksumType", res.Sums.Digest.Type.String())
	d.close("CompleteMultipartUploadResult")
	return c.sendDoc(d)
}

// location is the URL of the object as the client addressed the server.
func (c *call) location() string {
	scheme := "http://"
	if c.r.TLS != nil {
		scheme = "https://"
	}
	return scheme + c.r.Host + c.r.URL.EscapedPath()
}

// completeCheck returns what compares the finished object with the headers; nil
// if they say nothing of it.
func (c *call) completeCheck() (func(store.Sums, int64) error, error) {
	var algorithm checksum.Algorithm
	var sum []byte
	for name, v := range c.r.Header {
		a, ok := checksum.FromHeader(name)
		if !ok || len(v) == 0 {
			continue
		}
		if algorithm != checksum.None {
			return nil, errInvalidRequest.saying("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
		}
		value, _, _ := strings.Cut(v[0], "-") // base64 has none; a COMPOSITE value ends in "-N"
		raw, err := base64.StdEncoding.DecodeString(value)
		if err != nil || len(raw) != a.Size() {
			return nil, errInvalidRequest.saying("Value for " + strings.ToLower(name) + " header is invalid.")
		}
		algorithm, sum = a, raw
	}
	size, err := c.headerSize("X-Amz-Mp-Object-Size")
	if err != nil || algorithm == checksum.None && size < 0 {
		return nil, err
	}
	return func(s store.Sums, n int64) error {
		if size >= 0 && size != n {
			return errInvalidRequest.saying("The provided 'x-amz-mp-object-size' header value " + itoa64(size) + " does not match what was computed: " + itoa64(n))
		}
		if algorithm != checksum.None && (s.Digest.Algorithm != algorithm || subtle.ConstantTimeCompare(sum, s.Digest.Sum) != 1) {
			return badChecksum(algorithm)
		}
		return nil
	}, nil
}

// headerSize reads a number of bytes, -1 if the header is absent.
func (c *call) headerSize(name string) (int64, error) {
	v := c.r.Header[name]
	if len(v) == 0 {
		return -1, nil
	}
	n, ok := digits(v[0])
	if !ok {
		return 0, badArgument(strings.ToLower(name), v[0], "Value for "+strings.ToLower(name)+" header is invalid.")
	}
	return n, nil
}

// checkUploadType compares x-amz-checksum-type with the upload's. An upload that
// is gone may have been completed by the same request before; the store knows.
func (c *call) checkUploadType(id metadata.UploadID) error {
	v := c.r.Header.Get("X-Amz-Checksum-Type")
	if v == "" {
		return nil
	}
	t, ok := checksum.ParseType(v)
	if !ok {
		return errInvalidRequest.saying("Value for x-amz-checksum-type header is invalid.")
	}
	u, err := c.h.cfg.Uploads.Upload(c.ctx, c.bucket, c.key, id)
	switch {
	case errors.Is(err, metadata.ErrNoSuchUpload):
		return nil
	case err != nil:
		return err
	}
	if has := u.Type; has != t && (has != checksum.Unspecified || t != checksum.FullObject) {
		return errInvalidRequest.saying("The upload was created using the " + has.String() + " checksum mode. The complete request must use the same checksum mode.")
	}
	return nil
}

func decodeComplete(data []byte) ([]metadata.CompletedPart, error) {
	root, err := parseXML(data, "CompleteMultipartUpload", 8*metadata.MaxParts+8)
	if err != nil {
		return nil, err
	}
	if len(root.children) == 0 || len(root.children) > metadata.MaxParts {
		return nil, errMalformedXML
	}
	parts := make([]metadata.CompletedPart, len(root.children))
	for i := range root.children {
		e := &root.children[i]
		if e.name != "Part" {
			return nil, errMalformedXML
		}
		if parts[i], err = decodePart(e); err != nil {
			return nil, err
		}
		if i > 0 && parts[i].Number <= parts[i-1].Number {
			return nil, errInvalidPartOrder
		}
	}
	return parts, nil
}

func decodePart(e *element) (metadata.CompletedPart, error) {
	var p metadata.CompletedPart
	n, ok := digits(e.value("PartNumber"))
	if !ok || e.child("ETag") == nil {
		return p, errMalformedXML
	}
	if n < 1 || n > metadata.MaxParts {
		return p, badArgument("PartNumber", itoa64(n), "Part number must be an integer between 1 and 10000, inclusive")
	}
	p.Number, p.ETag = uint16(n), unquote(e.value("ETag"))
	for i := range e.children {
		name, ok := strings.CutPrefix(e.children[i].name, "Checksum")
		if !ok {
			continue
		}
		a, ok := checksum.Parse(name)
		if !ok {
			return p, errMalformedXML
		}
		sum, err := base64.StdEncoding.DecodeString(strings.TrimSpace(e.children[i].text))
		if err != nil || len(sum) != a.Size() {
			return p, &Error{Code: errInvalidPart.Code, Status: http.StatusBadRequest, Message: "The checksum of a part is invalid."}
		}
		p.Digest = metadata.Digest{Algorithm: a, Sum: sum}
	}
	return p, nil
}
