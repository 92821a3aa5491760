package s3api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/weftstore/weft/lifecycle"
)

const transitionHeader = "X-Amz-Transition-Default-Minimum-Object-Size"

// transitionMinimums are the values of the header, the default first. Terraform waits until
// it reads the one that it put.
var transitionMinimums = [...]string{"all_storage_classes_128K", "varies_by_storage_class"}

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
	minimum := transitionMinimums[0]
	if len(rules) > 0 && rules[0].TransitionMinimum != "" {
		minimum = rules[0].TransitionMinimum
	}
	c.set(transitionHeader, minimum)
	return c.sendDoc(lifecycleDocument(rules))
}

// putBucketLifecycle is PutBucketLifecycleConfiguration.
func (c *call) putBucketLifecycle() error {
	minimum := c.r.Header.Get(transitionHeader)
	if minimum == "" {
		minimum = transitionMinimums[0]
	}
	if !slices.Contains(transitionMinimums[:], minimum) {
		return badArgument(strings.ToLower(transitionHeader), minimum, "Invalid default minimum object size of transitions")
	}
	data, err := c.readDocument(maxDocument, false)
	if err != nil {
		return err
	}
	rules, err := decodeLifecycle(data)
	if err != nil {
		return err
	}
	rules[0].TransitionMinimum = minimum
	c.set(transitionHeader, minimum)
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
