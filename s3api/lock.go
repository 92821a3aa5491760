package s3api

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/weftstore/weft/metadata"
)

const configLock = metadata.ConfigObjectLock

// What AWS allows a default retention to be.
const (
	maxLockDays  = 36500
	maxLockYears = 100
)

// lockRule is the default retention of a bucket in which versions can be locked. The zero
// value is none.
type lockRule struct {
	mode metadata.LockMode
	n    int
	unit string // "Days" or "Years"
}

// encode is the form in which a bucket keeps it: metadata.LockEnabled, and the rule if
// there is one.
func (r lockRule) encode() string {
	if r.mode == metadata.LockNone {
		return metadata.LockEnabled
	}
	return fmt.Sprint(metadata.LockEnabled, " ", lockModeName(r.mode), " ", r.n, " ", r.unit)
}

func decodeLockRule(text string) (r lockRule, err error) {
	if text == metadata.LockEnabled {
		return r, nil
	}
	var mode string
	if _, err := fmt.Sscanf(text, metadata.LockEnabled+" %s %d %s", &mode, &r.n, &r.unit); err != nil {
		return r, fmt.Errorf("object lock configuration %q: %w", clip(text), err)
	}
	r.mode, err = parseLockMode(mode)
	return r, err
}

// lock is what a version gets that is written at a time.
func (r lockRule) lock(now time.Time) metadata.Lock {
	switch {
	case r.mode == metadata.LockNone:
		return metadata.Lock{}
	case r.unit == "Years":
		now = now.AddDate(r.n, 0, 0)
	default:
		now = now.AddDate(0, 0, r.n)
	}
	return metadata.Lock{Mode: r.mode, Until: now.UTC().Truncate(time.Millisecond)}
}

func lockModeName(m metadata.LockMode) string {
	return [...]string{"", "GOVERNANCE", "COMPLIANCE"}[m]
}

func parseLockMode(s string) (metadata.LockMode, error) {
	switch s {
	case "GOVERNANCE":
		return metadata.LockGovernance, nil
	case "COMPLIANCE":
		return metadata.LockCompliance, nil
	}
	return 0, errMalformedXML
}

func holdName(h metadata.HoldState) string { return [...]string{"", "OFF", "ON"}[h] }

func parseHold(s string) (metadata.HoldState, error) {
	switch s {
	case "ON":
		return metadata.HoldOn, nil
	case "OFF":
		return metadata.HoldOff, nil
	}
	return 0, errMalformedXML
}

// parseUntil reads the end of a retention, which is to come.
func (c *call) parseUntil(name, s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return t, badArgument(name, s, "The retain until date must be provided in ISO 8601 format")
	}
	if !t.After(c.h.cfg.Now()) {
		return t, badArgument(name, s, "The retain until date must be in the future!")
	}
	return t.UTC().Truncate(time.Millisecond), nil
}

const (
	lockModeHeader  = "X-Amz-Object-Lock-Mode"
	lockUntilHeader = "X-Amz-Object-Lock-Retain-Until-Date"
	lockHoldHeader  = "X-Amz-Object-Lock-Legal-Hold"
)

// headerLock is the lock that a request wants for what it writes, without the bucket's
// default.
func (c *call) headerLock() (l metadata.Lock, err error) {
	h := c.r.Header
	mode, until, hold := h.Get(lockModeHeader), h.Get(lockUntilHeader), h.Get(lockHoldHeader)
	if mode == "" && until == "" && hold == "" {
		return l, nil
	}
	if err := c.lockable(); err != nil {
		return l, err
	}
	if (mode == "") != (until == "") {
		return l, errInvalidArgument.saying("x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied")
	}
	if mode != "" {
		if l.Mode, err = parseLockMode(mode); err != nil {
			return l, badArgument(strings.ToLower(lockModeHeader), mode, "Unknown wormMode directive.")
		}
		if l.Until, err = c.parseUntil(strings.ToLower(lockUntilHeader), until); err != nil {
			return l, err
		}
	}
	if hold != "" {
		if l.Hold, err = parseHold(hold); err != nil {
			return l, badArgument(strings.ToLower(lockHoldHeader), hold, "Legal Hold must be either of 'ON' or 'OFF'")
		}
	}
	return l, nil
}

// newLock is the lock of a version that is about to be written.
func (c *call) newLock() (metadata.Lock, error) {
	l, err := c.headerLock()
	if err != nil || l.Mode != metadata.LockNone {
		return l, err
	}
	def := c.state.lock.lock(c.h.cfg.Now())
	def.Hold = l.Hold
	return def, nil
}

// lockable refuses locks in a bucket without a configuration for them.
func (c *call) lockable() error {
	if c.state.Configs[configLock] == "" {
		return errInvalidRequest.saying("Bucket is missing Object Lock Configuration")
	}
	return nil
}

// bypass says that the request may remove what governance protects. That it is permitted
// has been decided by authorize.
func (c *call) bypass() bool {
	v := c.r.Header["X-Amz-Bypass-Governance-Retention"]
	return len(v) > 0 && strings.EqualFold(v[0], "true")
}

// setLock puts the headers that tell of a lock, as far as the principal may know of it.
func (c *call) setLock(v *metadata.Version) error {
	l := &v.Lock
	if l.IsZero() {
		return nil
	}
	if l.Mode != metadata.LockNone {
		ok, err := c.allowedKey("GetObjectRetention", c.key, c.query.get("versionId"))
		if err != nil {
			return err
		}
		if ok {
			c.set(lockModeHeader, lockModeName(l.Mode))
			c.set(lockUntilHeader, l.Until.UTC().Format(isoLayout))
		}
	}
	if l.Hold != metadata.HoldUnset {
		ok, err := c.allowedKey("GetObjectLegalHold", c.key, c.query.get("versionId"))
		if err != nil {
			return err
		}
		if ok {
			c.set(lockHoldHeader, holdName(l.Hold))
		}
	}
	return nil
}

// changeLock is PutObjectRetention and PutObjectLegalHold.
func (c *call) changeLock(change metadata.LockChange) error {
	versionID := c.query.get("versionId")
	if err := checkVersionID(versionID); err != nil {
		return err
	}
	change.Bypass, change.Seen = c.bypass(), c.judged.id
	id, err := c.h.cfg.Objects.SetLock(c.ctx, c.bucket, c.key, versionID, change)
	if err != nil {
		return err
	}
	c.set("X-Amz-Version-Id", id)
	return c.done(http.StatusOK)
}

// readLock opens the version whose lock is asked for.
func (c *call) readLock() (metadata.Lock, error) {
	if err := c.lockable(); err != nil {
		return metadata.Lock{}, err
	}
	v, err := c.lookVersion()
	if err != nil {
		return metadata.Lock{}, err
	}
	return v.Lock, nil
}
