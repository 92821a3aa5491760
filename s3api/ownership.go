package s3api

import (
	"errors"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/s3api/policy"
)

// ownership is a bucket's ObjectOwnership.
func (h *Handler) ownership(b *bucketState) string {
	if o := b.Configs[configOwnership]; o != "" {
		return o
	}
	return h.cfg.Ownership
}

// hasACLs reports whether access control lists count in the request's bucket.
func (c *call) hasACLs() bool {
	if c.state == nil { // CreateBucket
		o := c.r.Header.Get("X-Amz-Object-Ownership")
		return o != ownerEnforced && (o != "" || c.h.cfg.Ownership != ownerEnforced)
	}
	return c.h.ownership(c.state) != ownerEnforced
}

// aclActions are the actions that a list may grant, and by which permission (S3 User
// Guide, "Mapping of ACL permissions and access policy permissions").
var aclActions = map[string]struct {
	permission string
	object     bool // the object's list, not the bucket's
}{
	"s3:ListBucket": {permRead, false}, "s3:ListBucketVersions": {permRead, false}, "s3:ListBucketMultipartUploads": {permRead, false},
	"s3:PutObject": {permWrite, false}, "s3:DeleteObject": {permWrite, false},
	"s3:GetBucketAcl": {permReadACP, false}, "s3:PutBucketAcl": {permWriteACP, false},
	"s3:GetObject": {permRead, true}, "s3:GetObjectVersion": {permRead, true},
	"s3:GetObjectAcl": {permReadACP, true}, "s3:GetObjectVersionAcl": {permReadACP, true},
	"s3:PutObjectAcl": {permWriteACP, true}, "s3:PutObjectVersionAcl": {permWriteACP, true},
}

// byList adds to what policies are asked what the list of the bucket or of the object
// says. The bucket's policy can only deny where objects are another account's.
func (c *call) byList(who *Principal, n *need, state *bucketState, p *policy.Policies) error {
	if c.h.ownership(state) == ownerEnforced {
		return nil
	}
	if n.action == "s3:AbortMultipartUpload" || n.action == "s3:ListMultipartUploadParts" {
		return c.byInitiator(who, p)
	}
	act, ok := aclActions[n.action]
	if !ok {
		return nil
	}
	list := state.acl
	if act.object && !(n.action == "s3:PutObjectAcl" && c.route.Operation != "PutObjectAcl") {
		var err error
		list, err = c.objectACL(n)
		if errors.Is(err, metadata.ErrNoSuchKey) && state.acl != nil {
			// Who may list the bucket is told that there is no such object.
			p.Granted = state.acl.grants(who, c.h.canonicalID(who.Account), permRead, state.block.IgnorePublicAcls)
			return nil
		}
		if ignored := errors.Is(err, metadata.ErrNoSuchKey) || errors.Is(err, metadata.ErrNoSuchVersion); err != nil && !ignored {
			return err
		}
		if list != nil && list.Owner != state.owner && !who.Operator {
			p.Owner, p.Foreign = list.Owner, true
		}
	} else if act.object {
		// The list of an object that is about to be written comes with the right to write.
		if state.acl != nil {
			p.Granted = state.acl.grants(who, c.h.canonicalID(who.Account), permWrite, state.block.IgnorePublicAcls)
		}
		return nil
	}
	if list == nil {
		return nil
	}
	p.Granted = list.grants(who, c.h.canonicalID(who.Account), act.permission, state.block.IgnorePublicAcls)
	return nil
}

// byInitiator lets the account that began an upload see its parts and abort it.
func (c *call) byInitiator(who *Principal, p *policy.Policies) error {
	u, err := c.openUploadID()
	if errors.Is(err, metadata.ErrNoSuchUpload) {
		return nil
	}
	if err != nil {
		return err
	}
	list, err := versionACL(&u.Template)
	if list != nil && who.Account != "" && list.Owner == who.Account {
		p.Granted = toAccount(who)
	}
	return err
}

// objectACL reads the list of an object; nil for one that is the bucket owner's alone.
func (c *call) objectACL(n *need) (*acl, error) {
	if checkVersionID(n.version) != nil {
		return nil, nil // the operation will say so
	}
	v, err := c.judge(n)
	if err != nil {
		return nil, err
	}
	return versionACL(v)
}

// judgement is what access to an object was decided by.
type judgement struct {
	id     metadata.VersionID // the version whose list or tags counted, the first if there were several; zero: none
	absent bool               // there was no such object
}

// judge reads the version of which access is to be decided.
func (c *call) judge(n *need) (*metadata.Version, error) {
	j := &c.judged
	if n.source {
		j = &c.source
	}
	obj, err := c.h.cfg.Objects.Open(c.ctx, n.bucket, n.key, n.version)
	if err != nil {
		j.absent = j.absent || errors.Is(err, metadata.ErrNoSuchKey) || errors.Is(err, metadata.ErrNoSuchVersion)
		return nil, err
	}
	defer obj.Close()
	v, _ := obj.Info()
	if j.id == (metadata.VersionID{}) {
		j.id = v.ID
	}
	return v, nil
}

// bind makes a write fail when it is about another version than access was decided by.
func (j *judgement) bind(c *metadata.Condition) { c.Seen, c.Unseen = j.id, j.absent }

// unjudged refuses to show a version that came after access was decided by another, or by
// there being none.
func (j *judgement) unjudged(v *metadata.Version) error {
	if j.absent || j.id != (metadata.VersionID{}) && v.ID != j.id {
		return errServiceUnavailable
	}
	return nil
}

func versionACL(v *metadata.Version) (*acl, error) {
	if text := v.Attrs[attrACL]; text != "" {
		return decodeACL(text)
	}
	return nil, nil
}

// writer is the account that owns what the request writes.
func (c *call) writer() string {
	account := c.who().Account
	own := c.h.ownership(c.state)
	if account == "" || own == ownerEnforced || own == ownerPreferred && c.r.Header.Get("X-Amz-Acl") == "bucket-owner-full-control" {
		return c.state.owner
	}
	return account
}

// withACL adds the owner and the list of an object that is about to be written to its
// attributes, unless they are the bucket owner and nobody.
func (c *call) withACL(attrs map[string]string) (map[string]string, error) {
	if !c.hasACLs() {
		return attrs, nil
	}
	owner := c.writer()
	a, err := c.headerACL(owner, c.state.owner)
	if err != nil {
		return nil, err
	}
	if err := c.blockPublic(a); err != nil {
		return nil, err
	}
	if a == nil {
		if owner == c.state.owner {
			return attrs, nil
		}
		a = c.h.privateACL(owner)
	}
	text, err := a.encode()
	if err != nil {
		return nil, err
	}
	if attrs == nil {
		attrs = map[string]string{}
	}
	attrs[attrACL] = text
	return attrs, nil
}

// blockPublic refuses a public list where Block Public Access says so.
func (c *call) blockPublic(a *acl) error {
	if a != nil && c.state != nil && c.state.block.BlockPublicAcls && a.public() {
		return errAccessDenied.saying("The bucket's Block Public Access settings refuse public access control lists.")
	}
	return nil
}
