package s3api

import (
	"github.com/weftstore/weft/metadata"
)

// getObjectLegalHold is GetObjectLegalHold.
func (c *call) getObjectLegalHold() error {
	l, err := c.readLock()
	if err != nil {
		return err
	}
	if l.Hold == metadata.HoldUnset {
		return errNoSuchObjectLock
	}
	d := newDoc("LegalHold", 256)
	d.str("Status", holdName(l.Hold))
	d.close("LegalHold")
	return c.sendDoc(d)
}

// putObjectLegalHold is PutObjectLegalHold.
func (c *call) putObjectLegalHold() error {
	if err := c.lockable(); err != nil {
		return err
	}
	data, err := c.readDocument(maxDocument, false)
	if err != nil {
		return err
	}
	hold, err := decodeHold(data)
	if err != nil {
		return err
	}
	return c.changeLock(metadata.LockChange{Hold: hold})
}

func decodeHold(data []byte) (metadata.HoldState, error) {
	root, err := parseXML(data, "LegalHold", 16)
	if err != nil {
		return 0, err
	}
	return parseHold(root.value("Status"))
}
