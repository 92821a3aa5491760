package s3api

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/weftstore/weft/internal/checksum"
	"github.com/weftstore/weft/metadata"
)

// getObject is GetObject. An x-amz-rdma-token is declined: the bytes come in the
// response, and the client is told so.
func (c *call) getObject() error {
	if len(c.r.Header["X-Amz-Rdma-Token"]) > 0 {
		c.set("X-Amz-Rdma-Reply", "501")
	}
	obj, sel, err := c.prepareRead()
	if err != nil {
		return err
	}
	defer obj.Close()
	if sel.n == 0 {
		c.set("Content-Length", "0")
		c.w.WriteHeader(sel.status)
		return nil
	}
	if err := c.unlock(obj, c.bucket, sel.crypt); err != nil {
		return err
	}
	stream, err := obj.Read(c.ctx, sel.off, sel.n)
	if err != nil {
		return replaced(err)
	}
	defer stream.Close()
	c.set("Content-Length", itoa64(sel.n))
	c.w.WriteHeader(sel.status)
	joinWrites(c.r)
	_, err = stream.WriteTo(&c.w)
	return err // fail aborts the connection
}

// replaced makes an error after which clients try again of one that says that the object was
// replaced or removed since it was opened.
func replaced(err error) error {
	if errors.Is(err, metadata.ErrStale) {
		return errors.Join(errServiceUnavailable, err)
	}
	return err
}

// selection is what of an object a request gets, and the status that says so.
type selection struct {
	byteRange
	status int
	crypt  *encryption // nil when the object is not encrypted
}

// prepareRead opens the version that GetObject and HeadObject ask for, evaluates
// conditions and range, and puts all headers but Content-Length. The caller
// closes the object if there is no error.
func (c *call) prepareRead() (Object, selection, error) {
	versionID := c.query.get("versionId")
	if err := c.checkReadParameters(versionID); err != nil {
		return nil, selection{}, err
	}
	obj, err := c.h.cfg.Objects.Open(c.ctx, c.bucket, c.key, versionID)
	if err != nil {
		return nil, selection{}, err
	}
	sel, err := c.describe(obj)
	if err != nil {
		obj.Close()
		return nil, selection{}, err
	}
	return obj, sel, nil
}

func (c *call) checkReadParameters(versionID string) error {
	if _, ok := c.query.lookup("versionId"); ok && versionID == "" {
		return badArgument("versionId", "", "Version id cannot be the empty string")
	}
	if err := checkVersionID(versionID); err != nil {
		return err
	}
	if mode := c.r.Header["X-Amz-Checksum-Mode"]; len(mode) > 0 && !strings.EqualFold(mode[0], "ENABLED") {
		return badArgument("x-amz-checksum-mode", mode[0], "Value for x-amz-checksum-mode header is invalid.")
	}
	return nil
}

func (c *call) describe(obj Object) (selection, error) {
	v, id := obj.Info()
	if err := c.judged.unjudged(v); err != nil {
		return selection{}, err
	}
	crypt, _, err := c.readEncryption(v, ssePrefix)
	if err != nil {
		return selection{}, err
	}
	c.setObject(v, id)
	c.setEncryption(crypt)
	if err := c.setLock(v); err != nil {
		return selection{}, err
	}
	if _, byID := c.query.lookup("versionId"); !byID {
		c.setExpiration(v.Size, v.Tags, v.Modified)
	}
	p := readConditions(c.r.Header, "")
	if err := p.check(v); err != nil {
		return selection{}, err
	}
	var sel selection
	if number, ok := c.query.lookup("partNumber"); ok {
		sel, err = c.selectPart(obj, v, number)
	} else {
		sel, err = c.selectRange(v)
	}
	if err == nil {
		err = c.override()
	}
	sel.crypt = crypt
	return sel, err
}

func (c *call) selectRange(v *metadata.Version) (selection, error) {
	sel := selection{byteRange: byteRange{0, v.Size}, status: http.StatusOK}
	header := c.r.Header["Range"]
	if len(header) == 1 && c.rangeApplies(v) {
		r, ok, err := parseRange(header[0], v.Size)
		if err != nil {
			c.set("Content-Range", "bytes */"+itoa64(v.Size))
			return sel, errInvalidRange.with("RangeRequested", clip(header[0])).with("ActualObjectSize", itoa64(v.Size))
		}
		if ok {
			c.set("Content-Range", contentRange(r, v.Size))
			sel.byteRange, sel.status = r, http.StatusPartialContent
		}
	}
	if sel.n == v.Size && len(c.r.Header["X-Amz-Checksum-Mode"]) > 0 {
		c.setDigest(&v.Digest, v.PartCount)
	}
	return sel, nil
}

// rangeApplies evaluates If-Range (RFC 9110, section 13.1.5).
func (c *call) rangeApplies(v *metadata.Version) bool {
	cond := c.r.Header["If-Range"]
	if len(cond) == 0 {
		return true
	}
	if t, err := http.ParseTime(cond[0]); err == nil {
		return v.Modified.UTC().Format(http.TimeFormat) == t.UTC().Format(http.TimeFormat)
	}
	return unquote(strings.TrimSpace(cond[0])) == v.ETag()
}

// selectPart serves ?partNumber=. An object put in one piece has one part.
func (c *call) selectPart(obj Object, v *metadata.Version, value string) (selection, error) {
	number, err := strconv.Atoi(value)
	if err != nil || number < 1 || number > metadata.MaxParts {
		return selection{}, badArgument("partNumber", value, "Part number must be an integer between 1 and 10000, inclusive")
	}
	if len(c.r.Header["Range"]) > 0 {
		return selection{}, errInvalidRequest.saying("Cannot specify both Range header and partNumber query parameter")
	}
	checksums := len(c.r.Header["X-Amz-Checksum-Mode"]) > 0
	none := errInvalidPartNumber.with("ActualPartCount", itoa(max(v.PartCount, 1))).with("PartNumberRequested", itoa(number))
	if number > 1 && v.PartCount == 0 {
		return selection{}, none
	}
	sel := selection{byteRange: byteRange{0, v.Size}, status: http.StatusPartialContent}
	if v.PartCount > 0 {
		off, n, part, err := obj.Part(c.ctx, number)
		if errors.Is(err, metadata.ErrInvalidPart) {
			return sel, none
		}
		if err != nil {
			return sel, replaced(err)
		}
		sel.byteRange = byteRange{off, n}
		c.set("X-Amz-Mp-Parts-Count", itoa(v.PartCount))
		if checksums {
			c.setDigest(&part.Digest, 0)
			if len(part.Digest.Sum) > 0 && v.Digest.Type != checksum.Unspecified {
				c.set("X-Amz-Checksum-Type", v.Digest.Type.String()) // the object's, not the part's
			}
		}
	} else if checksums {
		c.setDigest(&v.Digest, 0)
	}
	if sel.n == 0 {
		sel.status = http.StatusOK
		return sel, nil
	}
	c.set("Content-Range", contentRange(sel.byteRange, v.Size))
	return sel, nil
}
