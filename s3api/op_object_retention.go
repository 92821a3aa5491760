package s3api

import (
	"github.com/weftstore/weft/metadata"
)

// getObjectRetention is GetObjectRetention.
func (c *call) getObjectRetention() error {
	l, err := c.readLock()
	if err != nil {
		return err
	}
	if l.Mode == metadata.LockNone {
		return errNoSuchObjectLock
	}
	d := newDoc("Retention", 256)
	d.str("Mode", lockModeName(l.Mode))
	d.time("RetainUntilDate", l.Until)
	d.close("Retention")
	return c.sendDoc(d)
}

// putObjectRetention is PutObjectRetention. A document without content removes the
// retention.
func (c *call) putObjectRetention() error {
	if err := c.lockable(); err != nil {
		return err
	}
	data, err := c.readDocument(maxDocument, false)
	if err != nil {
		return err
	}
	l, err := c.decodeRetention(data)
	if err != nil {
		return err
	}
	return c.changeLock(metadata.LockChange{Retention: &l})
}

func (c *call) decodeRetention(data []byte) (l metadata.Lock, err error) {
	root, err := parseXML(data, "Retention", 16)
	if err != nil || len(root.children) == 0 {
		return l, err
	}
	if l.Mode, err = parseLockMode(root.value("Mode")); err != nil {
		return l, err
	}
	until := root.value("RetainUntilDate")
	if until == "" {
		return l, errMalformedXML
	}
	l.Until, err = c.parseUntil("RetainUntilDate", until)
	return l, err
}
