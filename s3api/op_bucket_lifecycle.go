package s3api

import (
	"net/http"

	"github.com/weftstore/weft/lifecycle"
)

// getBucketLifecycle is GetBucketLifecycleConfiguration.
func (c *call) getBucketLifecycle() error {
	text, err := c.config(configLifecycle, errNoSuchLifecycle)
	if err != nil {
		return err
	}
	rules, err := lifecycle.Parse(text)
	if err != nil {
		return err
	}
	return c.sendDoc(lifecycleDocument(rules))
}

// putBucketLifecycle is PutBucketLifecycleConfiguration.
func (c *call) putBucketLifecycle() error {
	data, err := c.readDocument(maxDocument, false)
	if err != nil {
		return err
	}
	rules, err := decodeLifecycle(data)
	if err != nil {
		return err
	}
	text, err := rules.Encode()
	if err != nil {
		return err
	}
	return c.storeConfig(configLifecycle, text, http.StatusOK)
}

// deleteBucketLifecycle is DeleteBucketLifecycle.
func (c *call) deleteBucketLifecycle() error {
	return c.storeConfig(configLifecycle, "", http.StatusNoContent)
}
