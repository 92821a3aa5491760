package s3api

import (
	"errors"
	"io"
	"net/http"

	"github.com/weftstore/weft/s3api/policy"
)

// getBucketPolicy is GetBucketPolicy: the very text that was put.
func (c *call) getBucketPolicy() error {
	text, err := c.config(configPolicy, errNoSuchBucketPolicy)
	if err != nil {
		return err
	}
	c.w.Header()["Content-Type"] = []string{"application/json"}
	c.set("Content-Length", itoa(len(text)))
	c.w.WriteHeader(http.StatusOK)
	_, err = io.WriteString(&c.w, text)
	return err
}

// putBucketPolicy is PutBucketPolicy.
func (c *call) putBucketPolicy() error {
	data, err := c.readDocument(policy.MaxBucketPolicy, false)
	if err != nil {
		return err
	}
	d, err := policy.Parse(data, policy.Bucket, c.bucket)
	if err != nil {
		if e, ok := errors.AsType[*policy.Error](err); ok {
			return errMalformedPolicy.saying(e.Message)
		}
		return err
	}
	if c.state.block.BlockPublicPolicy && d.Public() {
		return errAccessDenied.saying("The policy is public, and the bucket's Block Public Access settings refuse public policies.")
	}
	return c.storeConfig(configPolicy, string(data), http.StatusNoContent)
}

// deleteBucketPolicy is DeleteBucketPolicy.
func (c *call) deleteBucketPolicy() error {
	return c.storeConfig(configPolicy, "", http.StatusNoContent)
}

// getBucketPolicyStatus is GetBucketPolicyStatus.
func (c *call) getBucketPolicyStatus() error {
	if _, err := c.config(configPolicy, errNoSuchBucketPolicy); err != nil {
		return err
	}
	d := newDoc("PolicyStatus", 256)
	d.bool("IsPublic", c.state.public)
	d.close("PolicyStatus")
	return c.sendDoc(d)
}

// config reads one of the bucket's configurations.
func (c *call) config(name string, absent error) (string, error) {
	b, err := c.h.cfg.Buckets.Bucket(c.ctx, c.bucket)
	if err != nil {
		return "", err
	}
	text := b.Configs[name]
	if text == "" {
		return "", absent
	}
	return text, nil
}

// storeConfig replaces one of the bucket's configurations; "" removes it.
func (c *call) storeConfig(name, text string, status int) error {
	err := c.h.cfg.Buckets.SetBucketConfig(c.ctx, c.bucket, name, text)
	c.h.buckets.forget(c.bucket)
	if err != nil {
		return err
	}
	return c.done(status)
}
