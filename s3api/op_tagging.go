package s3api

import "net/http"

// getBucketTagging is GetBucketTagging.
func (c *call) getBucketTagging() error {
	b, err := c.h.cfg.Buckets.Bucket(c.ctx, c.bucket)
	if err != nil {
		return err
	}
	if len(b.Tags) == 0 {
		return errNoSuchTagSet
	}
	return c.sendDoc(tagDocument(b.Tags))
}

// putBucketTagging is PutBucketTagging.
func (c *call) putBucketTagging() error {
	data, err := c.readDocument(maxDocument, false)
	if err != nil {
		return err
	}
	tags, err := documentTags(data, maxBucketTags)
	if err != nil {
		return err
	}
	return c.storeBucketTags(tags)
}

// deleteBucketTagging is DeleteBucketTagging.
func (c *call) deleteBucketTagging() error { return c.storeBucketTags(nil) }

func (c *call) storeBucketTags(tags map[string]string) error {
	if err := c.h.cfg.Buckets.SetBucketTags(c.ctx, c.bucket, tags); err != nil {
		return err
	}
	return c.done(http.StatusNoContent)
}

// getObjectTagging is GetObjectTagging; no tags are an empty set.
func (c *call) getObjectTagging() error {
	v, err := c.lookVersion()
	if err != nil {
		return err
	}
	return c.sendDoc(tagDocument(v.Tags))
}

// putObjectTagging is PutObjectTagging.
func (c *call) putObjectTagging() error {
	data, err := c.readDocument(maxDocument, false)
	if err != nil {
		return err
	}
	tags, err := documentTags(data, maxObjectTags)
	if err != nil {
		return err
	}
	return c.storeObjectTags(tags, http.StatusOK)
}

// deleteObjectTagging is DeleteObjectTagging.
func (c *call) deleteObjectTagging() error { return c.storeObjectTags(nil, http.StatusNoContent) }

func (c *call) storeObjectTags(tags map[string]string, status int) error {
	versionID := c.query.get("versionId")
	if err := checkVersionID(versionID); err != nil {
		return err
	}
	id, err := c.h.cfg.Versions.SetTags(c.ctx, c.bucket, c.key, versionID, c.judged.id, tags)
	if err != nil {
		return err
	}
	if id != "" {
		c.set("X-Amz-Version-Id", id)
	}
	return c.done(status)
}
