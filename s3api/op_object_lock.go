package s3api

import (
	"net/http"
	"strconv"

	"github.com/weftstore/weft/metadata"
)

// getObjectLockConfiguration is GetObjectLockConfiguration.
func (c *call) getObjectLockConfiguration() error {
	text, err := c.config(configLock, errNoSuchLockConfiguration)
	if err != nil {
		return err
	}
	rule, err := decodeLockRule(text)
	if err != nil {
		return err
	}
	d := newDoc("ObjectLockConfiguration", 512)
	d.str("ObjectLockEnabled", "Enabled")
	if rule.mode != metadata.LockNone {
		d.open("Rule")
		d.open("DefaultRetention")
		d.str("Mode", lockModeName(rule.mode))
		d.int(rule.unit, int64(rule.n))
		d.close("DefaultRetention")
		d.close("Rule")
	}
	d.close("ObjectLockConfiguration")
	return c.sendDoc(d)
}

// putObjectLockConfiguration is PutObjectLockConfiguration. It needs versioning, and makes
// a bucket one in which versions can be locked for good.
func (c *call) putObjectLockConfiguration() error {
	data, err := c.readDocument(maxDocument, false)
	if err != nil {
		return err
	}
	rule, err := decodeLockDocument(data)
	if err != nil {
		return err
	}
	return c.storeConfig(configLock, rule.encode(), http.StatusOK)
}

func decodeLockDocument(data []byte) (r lockRule, err error) {
	root, err := parseXML(data, "ObjectLockConfiguration", 16)
	if err != nil {
		return r, err
	}
	if root.value("ObjectLockEnabled") != "Enabled" {
		return r, errMalformedXML
	}
	e := root.child("Rule")
	if e == nil {
		return r, nil
	}
	if e = e.child("DefaultRetention"); e == nil {
		return r, errMalformedXML
	}
	if r.mode, err = parseLockMode(e.value("Mode")); err != nil {
		return r, err
	}
	days, years := e.child("Days"), e.child("Years")
	if (days == nil) == (years == nil) {
		return r, errMalformedXML
	}
	limit := maxLockDays
	r.unit = "Days"
	if years != nil {
		limit, r.unit = maxLockYears, "Years"
	}
	n, err := strconv.ParseInt(e.value(r.unit), 10, 32)
	switch {
	case err != nil:
		return r, errMalformedXML
	case n < 1:
		return r, errInvalidRetention.saying("Default retention period must be a positive integer value.")
	case n > int64(limit):
		return r, errInvalidRetention.saying("Default retention period too large; the most is " + itoa(limit) + " " + r.unit)
	}
	r.n = int(n)
	return r, nil
}
