package s3api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/weftstore/weft/metadata"
)

// maxDeletes is S3's limit of keys in a DeleteObjects.
const maxDeletes = 1000

// deleteObjects is DeleteObjects.
func (c *call) deleteObjects() error {
	data, err := c.readDocument(maxDocument, true)
	if err != nil {
		return err
	}
	req, err := decodeDelete(data)
	if err != nil {
		return err
	}
	if err := c.refuseDeletes(req); err != nil {
		return err
	}
	items := make([]metadata.DeleteItem, 0, len(req.items))
	for i := range req.items {
		if req.items[i].refused == nil {
			items = append(items, req.items[i].DeleteItem)
		}
	}
	// Also with nothing left to delete: the bucket may be absent.
	results, err := c.h.cfg.Versions.DeleteMany(c.ctx, c.bucket, items)
	if err != nil {
		return err
	}
	d := newDoc("DeleteResult", 256+128*len(req.items))
	for i := range req.items {
		item := &req.items[i]
		if item.refused != nil {
			c.logDeleted(&item.DeleteItem, item.refused)
			d.deleteError(&item.DeleteItem, item.refused)
			continue
		}
		res := results[0]
		results = results[1:]
		switch {
		case res.Err != nil:
			e := errorOf(c.ctx, res.Err)
			if e == nil {
				return res.Err
			}
			c.logDeleted(&item.DeleteItem, e)
			d.deleteError(&item.DeleteItem, e)
			continue
		case !req.quiet:
			d.deleted(&item.DeleteItem, &res)
		}
		c.logDeleted(&item.DeleteItem, nil)
	}
	d.close("DeleteResult")
	return c.sendDoc(d)
}

// refuseDeletes marks what the principal may not delete.
func (c *call) refuseDeletes(req *deleteRequest) error {
	for i := range req.items {
		item := &req.items[i]
		if err := c.ctx.Err(); err != nil {
			return err
		}
		c.judged = judgement{}
		c.document.known, c.document.match = true, item.Cond.IfMatch
		action := "DeleteObject"
		if item.VersionID != "" {
			action = "DeleteObjectVersion"
		}
		ok, err := c.allowedKey(action, item.Key, item.VersionID)
		if err != nil {
			return err
		}
		if !ok {
			item.refused = errAccessDenied
			continue
		}
		if c.bypass() && item.VersionID != "" {
			if item.Cond.BypassGovernance, err = c.allowedKey("BypassGovernanceRetention", item.Key, item.VersionID); err != nil {
				return err
			}
			if !item.Cond.BypassGovernance {
				item.refused = errAccessDenied
			}
		}
		c.judged.bind(&item.Cond)
	}
	return nil
}

func (d *doc) deleted(item *metadata.DeleteItem, res *metadata.DeleteResult) {
	d.open("Deleted")
	d.str("Key", item.Key)
	d.opt("VersionId", item.VersionID)
	if res.DeleteMarker {
		d.bool("DeleteMarker", true)
		d.opt("DeleteMarkerVersionId", res.VersionID)
	}
	d.close("Deleted")
}

func (d *doc) deleteError(item *metadata.DeleteItem, e *Error) {
	d.open("Error")
	d.str("Key", item.Key)
	d.opt("VersionId", item.VersionID)
	d.str("Code", e.Code)
	d.str("Message", e.Message)
	d.close("Error")
}

// deleteRequest is a decoded Delete document.
type deleteRequest struct {
	quiet bool
	items []deleteItem
}

type deleteItem struct {
	metadata.DeleteItem
	refused *Error // why it cannot be deleted; nil if it can be tried
}

func decodeDelete(data []byte) (*deleteRequest, error) {
	root, err := parseXML(data, "Delete", 8*maxDeletes+8)
	if err != nil {
		return nil, err
	}
	req := &deleteRequest{}
	for i := range root.children {
		switch e := &root.children[i]; e.name {
		case "Quiet":
			if req.quiet, err = strconv.ParseBool(root.value("Quiet")); err != nil {
				return nil, errMalformedXML
			}
		case "Object":
			if len(req.items) == maxDeletes {
				return nil, errMalformedXML
			}
			item, err := decodeDeleteItem(e)
			if err != nil {
				return nil, err
			}
			req.items = append(req.items, item)
		default:
			return nil, errMalformedXML
		}
	}
	if len(req.items) == 0 {
		return nil, errMalformedXML
	}
	return req, nil
}

// documentTime reads a time as SDKs write it into documents or headers.
func documentTime(s string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, nil
	}
	return http.ParseTime(s)
}

func decodeDeleteItem(e *element) (deleteItem, error) {
	var item deleteItem
	key := e.child("Key")
	if key == nil || key.text == "" {
		return item, errMalformedXML.saying("User key must have a length greater than 0.")
	}
	item.Key, item.VersionID = key.text, e.value("VersionId")
	if err := checkKey(item.Key); err != nil {
		item.refused = errorOf(context.Background(), err)
		return item, nil
	}
	if checkVersionID(item.VersionID) != nil {
		item.refused = errNoSuchVersion
		return item, nil
	}
	if etag := e.value("ETag"); etag != "" {
		item.Cond.IfMatch = []string{unquote(etag)}
	}
	if v := e.value("LastModifiedTime"); v != "" {
		var err error
		if item.Cond.Modified, err = documentTime(v); err != nil {
			return item, errMalformedXML
		}
	}
	if v := e.value("Size"); v != "" {
		n, ok := digits(v)
		if !ok {
			return item, errMalformedXML
		}
		item.Cond.Size = &n
	}
	return item, nil
}
