package s3api

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/s3api/accesslog"
)

const configLogging = "logging"

// maxLogPrefix leaves room for what follows a prefix in a key.
const maxLogPrefix = 800

// getBucketLogging is GetBucketLogging; a bucket without logs has an empty status.
func (c *call) getBucketLogging() error {
	text, err := c.config(configLogging, nil)
	if err != nil {
		return err
	}
	const root = "BucketLoggingStatus"
	d := newDoc(root, 512)
	if text != "" {
		cfg, err := decodeLogging(text)
		if err != nil {
			return err
		}
		d.open("LoggingEnabled")
		d.str("TargetBucket", cfg.Target)
		if cfg.Grants != "" {
			grants, err := decodeGrants(cfg.Grants)
			if err != nil {
				return err
			}
			d.open("TargetGrants")
			d.grants(grants)
			d.close("TargetGrants")
		}
		d.str("TargetPrefix", cfg.Prefix)
		if cfg.Partitioned {
			d.open("TargetObjectKeyFormat")
			d.open("PartitionedPrefix")
			source := "DeliveryTime"
			if cfg.EventTime {
				source = "EventTime"
			}
			d.str("PartitionDateSource", source)
			d.close("PartitionedPrefix")
			d.close("TargetObjectKeyFormat")
		}
		d.close("LoggingEnabled")
	}
	d.close(root)
	return c.sendDoc(d)
}

// putBucketLogging is PutBucketLogging; an empty status ends logging.
func (c *call) putBucketLogging() error {
	data, err := c.readDocument(maxDocument, false)
	if err != nil {
		return err
	}
	root, err := parseXML(data, "BucketLoggingStatus", 256)
	if err != nil {
		return err
	}
	text := ""
	if e := root.child("LoggingEnabled"); e != nil {
		cfg, err := parseLogging(e)
		if err != nil {
			return err
		}
		if err := c.checkLogTarget(cfg); err != nil {
			return err
		}
		encoded, err := json.Marshal(cfg)
		if err != nil {
			return err
		}
		text = string(encoded)
	}
	return c.storeConfig(configLogging, text, http.StatusOK)
}

func parseLogging(e *element) (*accesslog.Config, error) {
	if e.child("TargetBucket") == nil || e.child("TargetPrefix") == nil {
		return nil, errMalformedXML
	}
	cfg := &accesslog.Config{Target: e.value("TargetBucket"), Prefix: e.value("TargetPrefix")}
	if len(cfg.Prefix) > maxLogPrefix {
		return nil, errInvalidArgument.saying("The target prefix is too long")
	}
	if err := checkKey(cfg.Prefix + "x"); err != nil {
		return nil, err
	}
	if list := e.child("TargetGrants"); list != nil && len(list.children) > 0 {
		var err error
		if cfg.Grants, err = logGrants(list); err != nil {
			return nil, err
		}
	}
	format := e.child("TargetObjectKeyFormat")
	if format == nil {
		return cfg, nil
	}
	parts, simple := format.child("PartitionedPrefix"), format.child("SimplePrefix")
	if (parts == nil) == (simple == nil) {
		return nil, errMalformedXML
	}
	if parts == nil {
		return cfg, nil
	}
	cfg.Partitioned = true
	switch parts.value("PartitionDateSource") {
	case "EventTime":
		cfg.EventTime = true
	case "DeliveryTime", "":
	default:
		return nil, errMalformedXML
	}
	return cfg, nil
}

// logGrants reads and encodes what a list gives others of the logs.
func logGrants(list *element) (string, error) {
	grants, err := readGrants(list)
	if err != nil {
		return "", err
	}
	if len(grants) >= maxGrants { // the owner has one
		return "", errMalformedACL
	}
	for i := range grants {
		if p := grants[i].Permission; p != permFull && p != permRead && p != permWrite {
			return "", errMalformedXML
		}
	}
	text, err := json.Marshal(grants)
	return string(text), err
}

func decodeGrants(text string) (grants []grant, err error) {
	err = json.Unmarshal([]byte(text), &grants)
	return grants, err
}

// checkLogTarget refuses a bucket that is not there or is another account's, and grants
// where there are no access control lists. Whether its policy or its list lets the logging
// service in counts when logs are delivered.
func (c *call) checkLogTarget(cfg *accesslog.Config) error {
	name := cfg.Target
	if !plausibleBucketName(name) {
		return errInvalidTargetBucket.saying("The target bucket for logging does not exist").with("TargetBucket", clip(name))
	}
	to, err := c.h.buckets.get(c.ctx, c.h.cfg.Buckets, name, c.h.cfg.Now())
	switch {
	case errors.Is(err, metadata.ErrNoSuchBucket):
		return errInvalidTargetBucket.saying("The target bucket for logging does not exist").with("TargetBucket", name)
	case err != nil:
		return err
	case to.owner != c.state.owner:
		return errInvalidTargetBucket.with("TargetBucket", name)
	case cfg.Grants != "" && c.h.ownership(to) == ownerEnforced:
		return errACLNotSupported.saying("Target grants not allowed for bucket owner enforced buckets")
	}
	return nil
}

func decodeLogging(text string) (*accesslog.Config, error) {
	cfg := new(accesslog.Config)
	if err := json.Unmarshal([]byte(text), cfg); err != nil {
		return nil, err
	}
	return cfg, nil
}
