package s3api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/weftstore/weft/metadata"
)

var xmlContentType = []string{"application/xml"}

// fail turns an error into the response and returns what was said; nil when
// there was nobody to say it to.
func (c *call) fail(err error) *Error {
	e := errorOf(c.ctx, err)
	if c.w.status != 0 || e == nil {
		// The status line is out, or the client is gone: only a broken connection
		// tells the truth.
		level := levelOf(e)
		if c.w.gone {
			level = slog.LevelDebug
		}
		c.h.cfg.Logger.LogAttrs(context.Background(), level, "request aborted", attrs(c, err)...)
		panic(http.ErrAbortHandler)
	}
	if e.Status == http.StatusInternalServerError {
		c.h.cfg.Logger.LogAttrs(context.Background(), levelOf(e), "request failed", attrs(c, err)...)
	}
	e = c.enrich(e, err)
	c.wire.abandon()
	c.writeError(e)
	return e
}

// enrich adds the elements and headers that belong to some errors.
func (c *call) enrich(e *Error, err error) *Error {
	header := c.w.Header()
	for _, name := range [...]string{"Content-Length", "Content-Range", "Etag"} {
		if e.Code != errInvalidRange.Code && e.Code != errNotModified.Code {
			delete(header, name)
		}
	}
	if e.Code != errNotModified.Code {
		// They describe the object and not the document; SDKs verify a checksum that is there.
		for name := range header {
			if slices.Contains(storedHeaders[:], name) || strings.HasPrefix(name, "X-Amz-Checksum-") {
				delete(header, name)
			}
		}
	}
	if m, ok := errors.AsType[*metadata.DeleteMarkerError](err); ok {
		byID := c.query.get("versionId") != ""
		c.set("X-Amz-Delete-Marker", "true")
		if m.Marker != nil {
			c.setVersionID(m.Marker)
			if byID {
				c.set("Last-Modified", httpTime(m.Marker.Modified))
			}
		}
		if byID {
			c.set("Allow", "DELETE")
			return errMethodNotAllowed.with("Method", c.r.Method).with("ResourceType", "DeleteMarker")
		}
	}
	if len(e.Extra) > 0 {
		return e // it says what it is about
	}
	switch e.Code {
	case errNoSuchBucket.Code, errInvalidBucketName.Code, errBucketAlreadyOwnedByYou.Code, errBucketNotEmpty.Code, errNoSuchTagSet.Code:
		e = e.with("BucketName", c.bucket)
	case errNoSuchKey.Code:
		e = e.with("Key", c.key)
	case errNoSuchVersion.Code:
		e = e.with("Key", c.key).with("VersionId", clip(c.query.get("versionId")))
	case errNoSuchUpload.Code:
		e = e.with("UploadId", clip(c.query.get("uploadId")))
	case errMethodNotAllowed.Code:
		e = e.with("Method", c.r.Method)
	case errSlowDown.Code, errServiceUnavailable.Code:
		c.set("Retry-After", "1")
	}
	return e
}

// writeError sends the document, or the bare status to a HEAD and for 304.
func (c *call) writeError(e *Error) {
	if c.r.Method == http.MethodHead || e.Status == http.StatusNotModified {
		c.w.WriteHeader(e.Status)
		return
	}
	var d doc
	d.b = make([]byte, 0, 512)
	d.raw(xmlHeader)
	d.open("Error")
	d.str("Code", e.Code)
	d.str("Message", e.Message)
	for _, f := range e.Extra {
		d.str(f.Name, f.Value)
	}
	d.str("Resource", c.r.URL.Path[:min(len(c.r.URL.Path), 2048)])
	d.str("RequestId", c.id)
	d.str("HostId", c.h.cfg.HostID)
	d.close("Error")
	c.send(e.Status, d.b)
}

// send writes a whole document.
func (c *call) send(status int, body []byte) {
	c.w.Header()["Content-Type"] = xmlContentType
	c.set("Content-Length", itoa(len(body)))
	c.w.WriteHeader(status)
	_, _ = c.w.Write(body) // a client that left needs no answer
}

// sendDoc is send for documents built here.
func (c *call) sendDoc(d *doc) error {
	c.send(http.StatusOK, d.b)
	return nil
}

// done answers without a body.
func (c *call) done(status int) error {
	if status != http.StatusNoContent {
		c.set("Content-Length", "0")
	}
	c.w.WriteHeader(status)
	return nil
}
