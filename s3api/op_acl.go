package s3api

import (
	"maps"
	"net/http"

	"github.com/weftstore/weft/metadata"
)

// A bucket is BucketOwnerEnforced unless it, or the configuration, says otherwise: its
// owner owns all that is in it, and access is a matter of policies. Then ACLs can be read,
// and put when they say just that.

// getBucketOwnershipControls is GetBucketOwnershipControls.
func (c *call) getBucketOwnershipControls() error {
	text, err := c.config(configOwnership, errNoSuchOwnership)
	if err != nil {
		return err
	}
	d := newDoc("OwnershipControls", 256)
	d.open("Rule")
	d.str("ObjectOwnership", text)
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
	own := rule.value("ObjectOwnership")
	if !validOwnership(own) {
		return errMalformedXML
	}
	if own == ownerEnforced && c.state.acl != nil && !c.ownersAlone(c.state.acl) {
		return errInvalidBucketACL
	}
	return c.storeConfig(configOwnership, own, http.StatusOK)
}

// ownersAlone says that a list gives nothing to anybody but the bucket's owner.
func (c *call) ownersAlone(a *acl) bool {
	for i := range a.Grants {
		if a.Grants[i].ID != c.ownerID() {
			return false
		}
	}
	return true
}

// deleteBucketOwnershipControls is DeleteBucketOwnershipControls.
func (c *call) deleteBucketOwnershipControls() error {
	return c.storeConfig(configOwnership, "", http.StatusNoContent)
}

// getBucketACL is GetBucketAcl.
func (c *call) getBucketACL() error {
	a := c.h.privateACL(c.owner())
	if c.hasACLs() && c.state.acl != nil {
		a = c.state.acl
	}
	return c.sendDoc(c.h.aclDocument(a))
}

// getObjectACL is GetObjectAcl.
func (c *call) getObjectACL() error {
	v, err := c.lookVersion()
	if err != nil {
		return err
	}
	a := c.h.privateACL(c.owner())
	if c.hasACLs() {
		own, err := versionACL(v)
		if err != nil {
			return err
		}
		if own != nil {
			a = own
		}
	}
	return c.sendDoc(c.h.aclDocument(a))
}

// putBucketACL is PutBucketAcl.
func (c *call) putBucketACL() error {
	if !c.hasACLs() {
		return c.putNoACL()
	}
	a, err := c.readACL(c.owner())
	if err != nil {
		return err
	}
	text, err := a.encode()
	if err != nil {
		return err
	}
	return c.storeConfig(configACL, text, http.StatusOK)
}

// putObjectACL is PutObjectAcl.
func (c *call) putObjectACL() error {
	versionID := c.query.get("versionId")
	if err := checkVersionID(versionID); err != nil {
		return err
	}
	if !c.hasACLs() {
		return c.putNoACL()
	}
	obj, err := c.h.cfg.Objects.Open(c.ctx, c.bucket, c.key, versionID)
	if err != nil {
		return err
	}
	v, _ := obj.Info()
	old, err := versionACL(v)
	obj.Close()
	if err != nil {
		return err
	}
	if v.ID != c.judged.id && !c.who().Operator {
		return metadata.ErrOvertaken
	}
	owner := c.owner()
	if old != nil {
		owner = old.Owner
	}
	a, err := c.readACL(owner)
	if err != nil {
		return err
	}
	text, err := a.encode()
	if err != nil {
		return err
	}
	attrs := maps.Clone(v.Attrs)
	if attrs == nil {
		attrs = map[string]string{}
	}
	attrs[attrACL] = text
	if err := describable(v.Headers, v.UserMeta, attrs); err != nil {
		return err
	}
	id, err := c.h.cfg.Versions.SetAttr(c.ctx, c.bucket, c.key, versionID, v.ID, attrACL, text)
	if err != nil {
		return err
	}
	if id != "" {
		c.set("X-Amz-Version-Id", id)
	}
	return c.done(http.StatusOK)
}

// readACL is the list of a request, by its headers or its document.
func (c *call) readACL(owner string) (*acl, error) {
	a, err := c.headerACL(owner, c.state.owner)
	if err != nil {
		return nil, err
	}
	if a == nil {
		data, err := c.readDocument(maxDocument, false)
		if err != nil {
			return nil, err
		}
		if a, err = c.h.documentACL(data, owner); err != nil {
			return nil, err
		}
	}
	return a, c.blockPublic(a)
}

// uploadOwner is the canonical id of whose an upload's object will be.
func (c *call) uploadOwner(u *metadata.Upload) string {
	if a, err := versionACL(&u.Template); err == nil && a != nil {
		return c.h.canonicalID(a.Owner)
	}
	return c.ownerID()
}

// putNoACL accepts, where there are no lists, the canned ones that change nothing.
func (c *call) putNoACL() error {
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
