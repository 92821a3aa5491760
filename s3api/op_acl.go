package s3api

import "net/http"

// Every bucket is BucketOwnerEnforced: its owner owns all that is in it, and access is
// a matter of policies. ACLs can be read, and put when they say just that.

// getBucketOwnershipControls is GetBucketOwnershipControls.
func (c *call) getBucketOwnershipControls() error {
	if _, err := c.config(configOwnership, errNoSuchOwnership); err != nil {
		return err
	}
	d := newDoc("OwnershipControls", 256)
	d.open("Rule")
	d.str("ObjectOwnership", "BucketOwnerEnforced")
	d.close("Rule")
	d.close("OwnershipControls")
	return c.sendDoc(d)
}

// putBucketOwnershipControls is PutBucketOwnershipControls.
func (c *call) putBucketOwnershipControls() error {
	data, err := c.readDocument(maxDocument, false)
	if err != nil {
		return err
	}
	root, err := parseXML(data, "OwnershipControls", 8)
	if err != nil {
		return err
	}
	rule := root.child("Rule")
	if rule == nil || len(root.children) != 1 {
		return errMalformedXML
	}
	switch rule.value("ObjectOwnership") {
	case "BucketOwnerEnforced":
		return c.storeConfig(configOwnership, "BucketOwnerEnforced", http.StatusOK)
	case "BucketOwnerPreferred", "ObjectWriter":
		return errNotImplemented.saying("Access control lists are not implemented: use bucket policies; the only ObjectOwnership is BucketOwnerEnforced.")
	}
	return errMalformedXML
}

// deleteBucketOwnershipControls is DeleteBucketOwnershipControls.
func (c *call) deleteBucketOwnershipControls() error {
	return c.storeConfig(configOwnership, "", http.StatusNoContent)
}

// getBucketACL is GetBucketAcl.
func (c *call) getBucketACL() error { return c.sendDoc(c.aclDocument()) }

// getObjectACL is GetObjectAcl.
func (c *call) getObjectACL() error {
	versionID := c.query.get("versionId")
	if err := checkVersionID(versionID); err != nil {
		return err
	}
	obj, err := c.h.cfg.Objects.Open(c.ctx, c.bucket, c.key, versionID)
	if err != nil {
		return err
	}
	defer obj.Close()
	if _, id := obj.Info(); id != "" {
		c.set("X-Amz-Version-Id", id)
	}
	return c.sendDoc(c.aclDocument())
}

// aclDocument says that the owner has full control, and nobody else anything.
func (c *call) aclDocument() *doc {
	id := c.ownerID()
	d := newDoc("AccessControlPolicy", 1024)
	d.owner("Owner", id)
	d.open("AccessControlList")
	d.open("Grant")
	d.raw(`<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">`)
	d.str("ID", id)
	d.close("Grantee")
	d.str("Permission", "FULL_CONTROL")
	d.close("Grant")
	d.close("AccessControlList")
	d.close("AccessControlPolicy")
	return d
}

// putACL is PutBucketAcl and PutObjectAcl. AWS, too, accepts the canned ACLs that
// change nothing.
func (c *call) putACL() error {
	if v := c.r.Header["X-Amz-Acl"]; len(v) == 1 && (v[0] == "private" || v[0] == "bucket-owner-full-control") && c.r.ContentLength == 0 {
		return c.done(http.StatusOK)
	}
	if c.r.ContentLength != 0 {
		data, err := c.readDocument(maxDocument, false)
		if err != nil {
			return err
		}
		root, err := parseXML(data, "AccessControlPolicy", 1024)
		if err != nil {
			return err
		}
		if onlyOwner(root, c.ownerID()) {
			return c.done(http.StatusOK)
		}
	}
	return errACLNotSupported
}

// onlyOwner reports whether a document grants the owner full control and nothing else.
func onlyOwner(root *element, id string) bool {
	list := root.child("AccessControlList")
	if list == nil || len(list.children) != 1 {
		return false
	}
	grant := &list.children[0]
	grantee := grant.child("Grantee")
	return grant.value("Permission") == "FULL_CONTROL" && grantee != nil && grantee.value("ID") == id
}
