package s3api

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/weftstore/weft/metadata"
)

// maxBucketPage is S3's limit of max-buckets, and what a ListBuckets without it
// may return.
const maxBucketPage = 10000

// listBuckets is ListBuckets.
func (c *call) listBuckets() error {
	limit, err := c.intParameter("max-buckets", maxBucketPage, 1, maxBucketPage)
	if err != nil {
		return err
	}
	after := ""
	if token := c.query.get("continuation-token"); token != "" {
		if after, err = decodeToken(tokenBuckets, token); err != nil {
			return err
		}
	}
	all, err := c.h.cfg.Buckets.Buckets(c.ctx)
	if err != nil {
		return err
	}
	prefix, region := c.query.get("prefix"), c.query.get("bucket-region")
	d := newDoc("ListAllMyBucketsResult", 512+160*len(all))
	d.owner("Owner", c.ownerID())
	d.open("Buckets")
	n, last, more := 0, "", false
	for i := range all {
		b := &all[i]
		if !c.owns(b) || b.Name <= after || !strings.HasPrefix(b.Name, prefix) || region != "" && c.regionOf(b) != region {
			continue
		}
		if n == limit {
			more = true
			break
		}
		n, last = n+1, b.Name
		d.open("Bucket")
		d.str("Name", b.Name)
		d.time("CreationDate", b.Created)
		d.str("BucketRegion", c.regionOf(b))
		d.close("Bucket")
	}
	d.close("Buckets")
	d.opt("Prefix", prefix)
	if more {
		d.str("ContinuationToken", encodeToken(tokenBuckets, last))
	}
	d.close("ListAllMyBucketsResult")
	return c.sendDoc(d)
}

// owns reports whether a bucket is of the account that asks.
func (c *call) owns(b *metadata.Bucket) bool {
	return b.Owner == c.who().Account || b.Owner == "" && c.who().Account == RootAccount
}

func (c *call) regionOf(b *metadata.Bucket) string {
	if b.Region == "" {
		return c.h.cfg.Region
	}
	return b.Region
}

// intParameter reads a number of the query. One above hi counts as hi; one below
// lo, or no number, is InvalidArgument.
func (c *call) intParameter(name string, def, lo, hi int) (int, error) {
	v, ok := c.query.lookup(name)
	if !ok || v == "" {
		return def, nil
	}
	n, err := strconv.ParseInt(v, 10, 32)
	if err != nil {
		return 0, badArgument(name, v, "Provided "+name+" not an integer or within integer range")
	}
	if int(n) < lo {
		return 0, badArgument(name, v, "Argument "+name+" must be an integer between "+itoa(lo)+" and 2147483647")
	}
	return min(int(n), hi), nil
}

// createBucket is CreateBucket.
func (c *call) createBucket() error {
	if !validBucketName(c.bucket) {
		return errInvalidBucketName
	}
	var region string
	var tags map[string]string
	if c.r.ContentLength != 0 {
		data, err := c.readDocument(maxDocument, false)
		if err != nil {
			return err
		}
		if region, tags, err = decodeCreateBucket(data); err != nil {
			return err
		}
	}
	if region != "" && region != c.h.cfg.Region {
		return errIllegalLocation.saying("The " + clip(region) + " location constraint is incompatible for the region specific endpoint this request was sent to.")
	}
	b := metadata.Bucket{Name: c.bucket, Region: c.h.cfg.Region, Tags: tags}
	if account := c.owner(); account != RootAccount {
		b.Owner = account
	}
	b.Configs = map[string]string{}
	if o := c.r.Header.Get("X-Amz-Object-Ownership"); o != "" {
		b.Configs[configOwnership] = o
	}
	if c.hasACLs() {
		a, err := c.headerACL(c.owner(), c.owner())
		if err != nil {
			return err
		}
		if a != nil {
			if b.Configs[configACL], err = a.encode(); err != nil {
				return err
			}
		}
	}
	if strings.EqualFold(c.r.Header.Get("X-Amz-Bucket-Object-Lock-Enabled"), "true") {
		b.Configs[configLock], b.Versioning = metadata.LockEnabled, metadata.VersioningEnabled
	}
	if _, err := c.h.cfg.Buckets.MakeBucket(c.ctx, b); err != nil {
		if err := c.bucketExists(err, &b); err != nil {
			return err
		}
	}
	c.h.buckets.forget(c.bucket)
	c.set("Location", "/"+c.bucket)
	return c.done(http.StatusOK)
}

// bucketExists makes an error of who has the bucket; none when it is the owner's own and
// the region is S3's first, where AWS lets it be created again and changes nothing.
func (c *call) bucketExists(err error, wanted *metadata.Bucket) error {
	if !errors.Is(err, metadata.ErrBucketExists) {
		return err
	}
	b, err := c.h.cfg.Buckets.Bucket(c.ctx, c.bucket)
	switch {
	case err != nil:
		return errBucketAlreadyOwnedByYou // it was there a moment ago
	case b.Owner != wanted.Owner:
		return errBucketAlreadyExists
	case c.h.cfg.Region != firstRegion || wanted.Configs[configLock] != "" && b.Configs[configLock] == "" || wanted.Configs[configACL] != b.Configs[configACL]:
		return errBucketAlreadyOwnedByYou
	}
	return nil
}

// firstRegion is the one whose buckets have no LocationConstraint.
const firstRegion = "us-east-1"

func decodeCreateBucket(data []byte) (region string, tags map[string]string, err error) {
	if len(data) == 0 {
		return "", nil, nil
	}
	root, err := parseXML(data, "CreateBucketConfiguration", 4*maxBucketTags+8)
	if err != nil {
		return "", nil, err
	}
	if root.child("Location") != nil || root.child("Bucket") != nil {
		return "", nil, errNotImplemented.saying("Directory buckets are not implemented")
	}
	region = root.value("LocationConstraint")
	set := root.child("Tags")
	if set == nil {
		return region, nil, nil
	}
	tags = make(map[string]string, len(set.children))
	for i := range set.children {
		tag := &set.children[i]
		key, value := tag.child("Key"), tag.child("Value")
		if key == nil || value == nil {
			return "", nil, errMalformedXML
		}
		if err := addTag(tags, key.text, value.text, maxBucketTags); err != nil {
			return "", nil, err
		}
	}
	return region, tags, nil
}

// headBucket is HeadBucket.
func (c *call) headBucket() error {
	b, err := c.h.cfg.Buckets.Bucket(c.ctx, c.bucket)
	if err != nil {
		return err
	}
	c.set("X-Amz-Bucket-Region", c.regionOf(b))
	c.set("X-Amz-Access-Point-Alias", "false")
	c.w.Header()["Content-Type"] = xmlContentType
	c.w.WriteHeader(http.StatusOK)
	return nil
}

// deleteBucket is DeleteBucket.
func (c *call) deleteBucket() error {
	err := c.h.cfg.Buckets.DeleteBucket(c.ctx, c.bucket)
	c.h.buckets.forget(c.bucket)
	if err != nil {
		return err
	}
	return c.done(http.StatusNoContent)
}

// getBucketLocation is GetBucketLocation. S3's first region has no name there.
func (c *call) getBucketLocation() error {
	b, err := c.h.cfg.Buckets.Bucket(c.ctx, c.bucket)
	if err != nil {
		return err
	}
	d := newDoc("LocationConstraint", 256)
	if region := c.regionOf(b); region != "us-east-1" {
		d.text(region)
	}
	d.close("LocationConstraint")
	return c.sendDoc(d)
}
