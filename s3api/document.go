package s3api

import (
	"strconv"
	"strings"
	"time"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/s3api/policy"
)

// asked is what policies may ask of a request's document: the body of the few
// operations that have condition keys for it, or a field of a form.
type asked struct {
	known  bool // what follows is
	data   []byte
	tags   map[string]string
	region string
	lock   metadata.Lock
	match  []string // entity tags that the object which is to be deleted must have
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
	case "PutObjectRetention", "PutObjectLegalHold":
		return strings.HasPrefix(key, "s3:object-lock-")
	case "DeleteObjects":
		return key == "s3:if-match"
	}
	return false
}

// hasDocument tells of which operations the body is what documentKey is about.
func hasDocument(operation string) bool {
	switch operation {
	case "PutObjectTagging", "PutBucketTagging", "CreateBucket", "PutObjectRetention", "PutObjectLegalHold":
		return true
	}
	return false
}

// decide asks the policies. When they ask for what the document says it is read, which
// costs at most maxDocument; but not for somebody whom they refuse whatever it says.
func (c *call) decide() (bool, error) {
	q := &c.ask
	if q.conditions.need.continues(c.route) {
		q.request.Pending = q.conditions.begun
	}
	if c.document.known || !hasDocument(c.route.Operation) {
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
		case "PutObjectRetention":
			d.lock, err = c.decodeRetention(d.data)
		case "PutObjectLegalHold":
			d.lock.Hold, err = decodeHold(d.data)
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
	case "s3:if-match":
		return d.match
	case "s3:object-lock-mode":
		return optional(lockModeName(d.lock.Mode), d.lock.Mode != metadata.LockNone)
	case "s3:object-lock-retain-until-date":
		return optional(d.lock.Until.Format(isoLayout), d.lock.Mode != metadata.LockNone)
	case "s3:object-lock-remaining-retention-days":
		return x.daysUntil(d.lock.Until)
	case "s3:object-lock-legal-hold":
		return optional(holdName(d.lock.Hold), d.lock.Hold != metadata.HoldUnset)
	}
	_, name, _ := strings.Cut(key, "/")
	v, given := d.tags[name]
	return optional(v, given)
}

// daysUntil is how many days of a retention are to come, each that has begun.
func (x *conditions) daysUntil(end time.Time) []string {
	if end.IsZero() {
		return nil
	}
	const day = 24 * 60 * 60 * 1000
	return []string{strconv.FormatInt((end.UnixMilli()-x.c.h.cfg.Now().UnixMilli()+day-1)/day, 10)}
}
