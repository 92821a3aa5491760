package s3api

import "net/http"

// Settings of a bucket that are always the same here. They can be read, so that tools
// which read every setting work, and put when that changes nothing.

// getBucketRequestPayment is GetBucketRequestPayment.
func (c *call) getBucketRequestPayment() error {
	d := newDoc("RequestPaymentConfiguration", 256)
	d.str("Payer", "BucketOwner")
	d.close("RequestPaymentConfiguration")
	return c.sendDoc(d)
}

// putBucketRequestPayment is PutBucketRequestPayment.
func (c *call) putBucketRequestPayment() error {
	return c.onlySetting("RequestPaymentConfiguration", "Payer", "BucketOwner", "Requester")
}

// getBucketAccelerate is GetBucketAccelerateConfiguration. A bucket that was never
// accelerated has no Status.
func (c *call) getBucketAccelerate() error {
	d := newDoc("AccelerateConfiguration", 256)
	d.close("AccelerateConfiguration")
	return c.sendDoc(d)
}

// putBucketAccelerate is PutBucketAccelerateConfiguration.
func (c *call) putBucketAccelerate() error {
	return c.onlySetting("AccelerateConfiguration", "Status", "Suspended", "Enabled")
}

// onlySetting accepts a document that says what is the case, and declines what S3 has
// besides.
func (c *call) onlySetting(root, name, is, other string) error {
	data, err := c.readDocument(maxDocument, false)
	if err != nil {
		return err
	}
	e, err := parseXML(data, root, 16)
	if err != nil {
		return err
	}
	switch e.value(name) {
	case is:
		return c.done(http.StatusOK)
	case other:
		return errNotImplemented.saying(name + " " + other + " is not implemented")
	}
	return errMalformedXML
}

// getBucketWebsite is GetBucketWebsite.
func (c *call) getBucketWebsite() error { return errNoSuchWebsite }

// getBucketReplication is GetBucketReplication.
func (c *call) getBucketReplication() error { return errNoSuchReplication }

// deleteNothing is DeleteBucketWebsite and DeleteBucketReplication: S3 answers alike
// whether there is something to delete or not.
func (c *call) deleteNothing() error { return c.done(http.StatusNoContent) }
