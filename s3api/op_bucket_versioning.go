package s3api

import (
	"errors"
	"net/http"

	"github.com/weftstore/weft/metadata"
)

// getBucketVersioning is GetBucketVersioning; a bucket that was never versioned
// has no Status.
func (c *call) getBucketVersioning() error {
	b, err := c.h.cfg.Buckets.Bucket(c.ctx, c.bucket)
	if err != nil {
		return err
	}
	d := newDoc("VersioningConfiguration", 256)
	switch b.Versioning {
	case metadata.VersioningEnabled:
		d.str("Status", "Enabled")
	case metadata.VersioningSuspended:
		d.str("Status", "Suspended")
	}
	d.close("VersioningConfiguration")
	return c.sendDoc(d)
}

// putBucketVersioning is PutBucketVersioning.
func (c *call) putBucketVersioning() error {
	data, err := c.readDocument(maxDocument, false)
	if err != nil {
		return err
	}
	state, err := decodeVersioning(data)
	if err != nil {
		return err
	}
	if err := c.h.cfg.Buckets.SetVersioning(c.ctx, c.bucket, state); err != nil {
		if errors.Is(err, metadata.ErrLocked) {
			return errInvalidBucketState.saying("An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.")
		}
		return err
	}
	return c.done(http.StatusOK)
}

func decodeVersioning(data []byte) (metadata.VersioningState, error) {
	root, err := parseXML(data, "VersioningConfiguration", 16)
	if err != nil {
		return 0, err
	}
	switch root.value("MfaDelete") {
	case "", "Disabled":
	case "Enabled":
		return 0, errNotImplemented
	default:
		return 0, errMalformedXML
	}
	switch root.value("Status") {
	case "Enabled":
		return metadata.VersioningEnabled, nil
	case "Suspended":
		return metadata.VersioningSuspended, nil
	case "":
		return 0, &Error{Code: "IllegalVersioningConfigurationException", Status: http.StatusBadRequest,
			Message: "The Versioning element must be specified"}
	}
	return 0, errMalformedXML
}
