package s3api

import (
	"strings"

	"github.com/weftstore/weft/s3api/policy"
)

// asked is what policies may ask of a request's document: the body of the few
// operations that have condition keys for it, or a field of a form.
type asked struct {
	known  bool // what follows is
	data   []byte
	tags   map[string]string
	region string
}

// documentKey reports whether a condition key is about the document of a request
// (Service Authorization Reference, "Actions defined by Amazon S3").
func documentKey(r *Route, key string) bool {
	if r == nil {
		return false
	}
	switch r.Operation {
	case "PutObjectTagging", "PostObject":
		return key == "s3:requestobjecttagkeys" || strings.HasPrefix(key, "s3:requestobjecttag/")
	case "CreateBucket":
		return key == "s3:locationconstraint" || key == "aws:tagkeys" || strings.HasPrefix(key, "aws:requesttag/")
	case "PutBucketTagging":
		return key == "aws:tagkeys" || strings.HasPrefix(key, "aws:requesttag/")
	}
	return false
}

// decide asks the policies. When they ask for what the document says it is read, which
// costs at most maxDocument; but not for somebody whom they refuse whatever it says.
func (c *call) decide() (bool, error) {
	q := &c.ask
	if op := c.route.Operation; c.document.known || op != "PutObjectTagging" && op != "PutBucketTagging" && op != "CreateBucket" {
		return policy.Decide(&q.request, &q.policies), nil
	}
	q.request.Pending = q.conditions.pending
	maybe := policy.Decide(&q.request, &q.policies)
	q.request.Pending = nil
	// A key in a variable has no value yet, and so may hide what would allow it.
	if !q.conditions.asked || !maybe && !q.conditions.inVariable {
		return maybe, nil
	}
	if err := c.readConditions(); err != nil {
		return false, err
	}
	return policy.Decide(&q.request, &q.policies), nil
}

// readConditions reads the document.
func (c *call) readConditions() (err error) {
	d := &c.document
	if c.r.ContentLength != 0 || c.route.Operation != "CreateBucket" {
		if d.data, err = c.readDocument(maxDocument, false); err != nil {
			return err
		}
		switch c.route.Operation {
		case "CreateBucket":
			d.region, d.tags, err = decodeCreateBucket(d.data)
		case "PutBucketTagging":
			d.tags, err = documentTags(d.data, maxBucketTags)
		default:
			d.tags, err = documentTags(d.data, maxObjectTags)
		}
	}
	d.known = err == nil
	return err
}

// pending is for policy.Request: keys about a document that was not read yet.
func (x *conditions) pending(key string) bool {
	if !documentKey(x.c.route, key) {
		return false
	}
	x.asked = true
	return true
}

// ofDocument gives the values of keys about the document.
func (x *conditions) ofDocument(key string) []string {
	d := &x.c.document
	if !d.known {
		x.asked, x.inVariable = true, true
		return nil
	}
	switch key {
	case "s3:locationconstraint":
		return optional(d.region, d.region != "")
	case "s3:requestobjecttagkeys", "aws:tagkeys":
		return tagKeys(d.tags)
	}
	_, name, _ := strings.Cut(key, "/")
	v, given := d.tags[name]
	return optional(v, given)
}
