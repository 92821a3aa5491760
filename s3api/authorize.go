package s3api

import (
	"errors"
	"net/http"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/s3api/policy"
)

// authorize is the one place where access is decided, before the operation runs. An
// operation that is about objects which only its body names asks allowed for each.
func (c *call) authorize() error {
	who := c.who()
	if c.route == nil || c.route.run == nil {
		if who == anonymous {
			return errAccessDenied
		}
		return errNotImplemented
	}
	if err := c.openBucket(); err != nil {
		return err
	}
	if err := c.checkOwners(); err != nil {
		return err
	}
	r, ok := rules[c.route.Operation]
	switch {
	case !ok:
		return errAccessDenied
	case r.open:
		return nil
	case r.recovers && c.state.isOwnersRoot(who):
		return nil
	case who.Operator && (c.state == nil || c.state.policy == nil && !c.state.broken) && c.route.Header == "":
		return nil
	}
	list, err := c.needs(&r)
	if err != nil {
		return err
	}
	for i := range list {
		ok, err := c.allowed(who, &list[i])
		if err != nil {
			return err
		}
		if !ok {
			return errAccessDenied
		}
	}
	return nil
}

// openBucket reads what authorization needs of the bucket.
func (c *call) openBucket() (err error) {
	if c.bucket == "" || c.route.Operation == "CreateBucket" {
		return nil
	}
	if !plausibleBucketName(c.bucket) {
		return errInvalidBucketName
	}
	c.state, err = c.h.buckets.get(c.ctx, c.h.cfg.Buckets, c.bucket, c.h.cfg.Now())
	if err == nil && c.r.Method != http.MethodGet && c.r.Method != http.MethodHead {
		// A body may take its time, and somebody else have a bucket of the name then.
		c.ctx = metadata.WithBucket(c.ctx, c.state.Bucket)
	}
	return err
}

func (b *bucketState) isOwnersRoot(who *Principal) bool {
	return who.Operator || who.Root && b != nil && who.Account == b.owner && who.Session == nil
}

// checkOwners compares the owners that the client expects, by account or canonical id.
func (c *call) checkOwners() error {
	check := func(header string, owner func() (string, error)) error {
		v := c.r.Header[header]
		if len(v) == 0 {
			return nil
		}
		account, err := owner()
		if err != nil || len(v) == 1 && (v[0] == account || v[0] == c.h.canonicalID(account)) {
			return err
		}
		return errAccessDenied
	}
	err := check("X-Amz-Expected-Bucket-Owner", func() (string, error) { return c.owner(), nil })
	if err != nil || c.route.Header != copySourceHeader {
		return err
	}
	return check("X-Amz-Source-Expected-Bucket-Owner", func() (string, error) {
		src, err := parseCopySource(c.r.Header[copySourceHeader][0])
		if err != nil {
			return "", err
		}
		b, err := c.h.buckets.get(c.ctx, c.h.cfg.Buckets, src.bucket, c.h.cfg.Now())
		if err != nil {
			return "", err
		}
		return b.owner, nil
	})
}

// owner is the account that the request's bucket belongs to, and of a request without
// one that of who asks.
func (c *call) owner() string {
	if c.state != nil {
		return c.state.owner
	}
	return c.who().Account
}

// ownerID is its canonical id.
func (c *call) ownerID() string { return c.h.canonicalID(c.owner()) }

// allowed reports whether all policies together allow one thing.
func (c *call) allowed(who *Principal, n *need) (bool, error) {
	state := c.state
	if n.bucket != c.bucket {
		var err error
		if state, err = c.h.buckets.get(c.ctx, c.h.cfg.Buckets, n.bucket, c.h.cfg.Now()); err != nil {
			return false, err
		}
	}
	q := &c.ask
	p := &q.policies
	*p = policy.Policies{Identity: who.Policies, Session: who.Session, Owner: who.Account}
	owner := who.Account
	if state != nil {
		owner = state.owner
		if state.broken && !state.isOwnersRoot(who) {
			return false, nil
		}
		if state.public && state.block.RestrictPublicBuckets && who.Account != owner && !who.Operator && who.Service == "" {
			return false, nil
		}
		p.Resource = state.policy
	}
	if !who.Operator {
		p.Owner = owner
	}
	q.conditions = conditions{c: c, who: who, owner: owner, need: *n}
	if state != nil {
		if err := c.byList(who, n, state, p); err != nil {
			return false, err
		}
	}
	q.request = policy.Request{Principal: &who.Principal, Action: n.action, Resource: n.arn(), Context: &q.conditions}
	ok, err := c.decide()
	if err == nil {
		err = q.conditions.failed
	}
	return ok && err == nil, err
}

// question is what policies are asked; it is part of a call, so that a question costs
// no allocation.
type question struct {
	needs      [1]need // most requests have one
	conditions conditions
	request    policy.Request
	policies   policy.Policies
}

func (n *need) arn() string {
	switch {
	case n.bucket == "":
		return "arn:aws:s3:::*"
	case n.key == "":
		return "arn:aws:s3:::" + n.bucket
	}
	return "arn:aws:s3:::" + n.bucket + "/" + n.key
}

// allowedKey is for operations whose rule is open.
func (c *call) allowedKey(action, key, version string) (bool, error) {
	who := c.who()
	if who.Operator && c.state.policy == nil && !c.state.broken {
		return true, nil
	}
	return c.allowed(who, &need{action: "s3:" + action, bucket: c.bucket, key: key, version: version})
}

// hide keeps from those who may not list a bucket which keys it has, as S3 does.
func (c *call) hide(err error) error {
	if err == nil || c.state == nil || c.route.Level != ObjectLevel || !errors.Is(err, metadata.ErrNoSuchKey) && !errors.Is(err, errNoSuchKey) {
		return err
	}
	if ok, aerr := c.allowedKey("ListBucket", "", ""); aerr != nil || !ok {
		return errors.Join(errAccessDenied, aerr)
	}
	return err
}
