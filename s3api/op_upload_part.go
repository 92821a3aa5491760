package s3api

import (
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/weftstore/weft/internal/checksum"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/s3api/sigv4"
	"github.com/weftstore/weft/store"
)

// uploadPart is UploadPart.
func (c *call) uploadPart() error {
	number, upload, err := c.openPart()
	if err != nil {
		return err
	}
	if err := c.declineRDMA(); err != nil {
		return err
	}
	crypt, err := c.partEncryption(upload)
	if err != nil {
		return err
	}
	p, err := c.openUpload()
	if err != nil {
		return err
	}
	req := &store.PartRequest{Bucket: c.bucket, Key: c.key, Upload: upload.ID, Number: number, Size: c.body.Length(),
		Body: c.body, Algorithm: p.algorithm, Check: c.checker(p), Seal: crypt.seal(p.md5 != nil)}
	switch {
	case p.algorithm == checksum.None || p.algorithm == upload.Algorithm:
	case upload.Algorithm != checksum.None:
		return errInvalidRequest.saying("Checksum Type mismatch occurred, expected checksum Type: " +
			strings.ToLower(upload.Algorithm.String()) + ", actual checksum Type: " + strings.ToLower(p.algorithm.String()))
	default:
		// The object will have the default checksum, which follows from those of its
		// parts; what this part promises is computed beside it.
		req.Algorithm = checksum.None
		req.Body, req.Check = p.beside(req.Body, req.Check)
	}
	res, err := c.h.cfg.Objects.PutPart(c.ctx, req)
	if err != nil {
		return err
	}
	if req.Algorithm != p.algorithm {
		res.Sums.Digest = metadata.Digest{Algorithm: p.algorithm, Sum: p.sum}
	}
	c.setStored(res)
	c.setEncryption(crypt)
	return c.done(http.StatusOK)
}

// beside hashes a body as was promised, for a check that is given another checksum.
func (p *promise) beside(body io.Reader, check func(store.Sums) error) (io.Reader, func(store.Sums) error) {
	side := &sideHash{r: body, h: p.algorithm.New()}
	return side, func(s store.Sums) error {
		s.Digest = metadata.Digest{Algorithm: p.algorithm, Sum: side.h.Sum(nil)}
		return check(s)
	}
}

// sideHash hashes what is read through it.
type sideHash struct {
	r io.Reader
	h hash.Hash
}

func (s *sideHash) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.h.Write(p[:n])
	return n, err
}

// openPart reads partNumber and uploadId and finds the upload.
func (c *call) openPart() (int, *metadata.Upload, error) {
	value, ok := c.query.lookup("partNumber")
	number, err := strconv.Atoi(value)
	if !ok || err != nil || number < 1 || number > metadata.MaxParts {
		return 0, nil, badArgument("partNumber", value, "Part number must be an integer between 1 and 10000, inclusive")
	}
	upload, err := c.openUploadID()
	return number, upload, err
}

// openUploadID finds the upload that the query names.
func (c *call) openUploadID() (*metadata.Upload, error) {
	id, err := metadata.ParseUploadID(c.query.get("uploadId"))
	if err != nil {
		return nil, err
	}
	return c.h.cfg.Uploads.Upload(c.ctx, c.bucket, c.key, id)
}

// uploadPartCopy is UploadPartCopy.
func (c *call) uploadPartCopy() error {
	number, upload, err := c.openPart()
	if err != nil {
		return err
	}
	src, err := parseCopySource(c.r.Header.Get(copySourceHeader))
	if err != nil {
		return err
	}
	crypt, err := c.partEncryption(upload)
	if err != nil {
		return err
	}
	obj, err := c.openSource(&src)
	if err != nil {
		return err
	}
	defer obj.Close()
	v, _ := obj.Info()
	r, err := c.copyRange(v.Size)
	if err != nil {
		return err
	}
	body, err := c.sourceBody(obj, r)
	if err != nil {
		return err
	}
	defer body.Close()
	res, err := c.h.cfg.Objects.PutPart(c.ctx, &store.PartRequest{Bucket: c.bucket, Key: c.key, Upload: upload.ID, Number: number,
		Size: r.n, Body: body, Seal: crypt.seal(false)})
	if err != nil {
		return err
	}
	c.setEncryption(crypt)
	return c.sendCopied("CopyPartResult", res, false)
}

// copyRange reads x-amz-copy-source-range, which must be "bytes=first-last" and
// lie within the source.
func (c *call) copyRange(size int64) (byteRange, error) {
	r := byteRange{0, size}
	if h := c.r.Header["X-Amz-Copy-Source-Range"]; len(h) > 0 {
		bad := badArgument("x-amz-copy-source-range", h[0], "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy")
		spec, ok := strings.CutPrefix(h[0], "bytes=")
		from, to, found := strings.Cut(spec, "-")
		first, ok1 := digits(from)
		last, ok2 := digits(to)
		if !ok || !found || !ok1 || !ok2 || last < first {
			return r, bad
		}
		if last >= size {
			return r, errInvalidRange.saying("Range specified is not valid for source object of size: " + itoa64(size))
		}
		r = byteRange{first, last - first + 1}
	}
	if r.n > sigv4.MaxBodyLength {
		return r, errInvalidRequest.saying("The specified copy source is larger than the maximum allowable size for a copy source: 5368709120")
	}
	return r, nil
}
