package metadata

import (
	"context"
	"fmt"
	"time"
)

// LockMode says who may remove a version before its retention ends.
type LockMode uint8

// The modes. The numbers are in records.
const (
	LockNone       LockMode = iota
	LockGovernance          // who is permitted to bypass it
	LockCompliance          // nobody
)

// HoldState is a legal hold, which knows no date.
type HoldState uint8

// The states of a legal hold. The numbers are in records.
const (
	HoldUnset HoldState = iota // there never was one
	HoldOff
	HoldOn
)

// Lock protects a version from being removed.
type Lock struct {
	Mode  LockMode
	Until time.Time // millisecond precision; zero without a mode
	Hold  HoldState
}

// ConfigObjectLock is the name of the configuration of a bucket in which versions can be
// locked. It cannot be taken back, and versioning stays enabled.
const ConfigObjectLock = "object-lock"

// LockEnabled is the configuration that says no more than that.
const LockEnabled = "Enabled"

// LockPartNumber is Number in the PartRef of Version.LockPart.
const LockPartNumber = MaxParts + 1

// IsZero says that nothing was ever locked.
func (l *Lock) IsZero() bool { return l.Mode == LockNone && l.Hold == HoldUnset }

// Blocks reports whether a version may not be removed.
func (l *Lock) Blocks(now time.Time, bypass bool) bool {
	return l.Hold == HoldOn || l.retained(now) && (l.Mode == LockCompliance || !bypass)
}

func (l *Lock) equal(o *Lock) bool {
	return l.Mode == o.Mode && l.Hold == o.Hold && l.Until.Equal(o.Until)
}

func (l *Lock) retained(now time.Time) bool { return l.Mode != LockNone && now.Before(l.Until) }

// LockChange is what shall become of a lock; what is not set stays.
type LockChange struct {
	Retention *Lock     // Mode and Until count; LockNone removes the retention
	Hold      HoldState // HoldUnset: stays
	Bypass    bool      // the caller may weaken governance
	Seen      VersionID // which version it is for, else ErrOvertaken; zero: any
}

// Apply works out the lock after a change. ErrLocked when the change would weaken a
// retention that does not allow it.
func (c *LockChange) Apply(l Lock, now time.Time) (Lock, error) {
	if c.Hold != HoldUnset {
		l.Hold = c.Hold
	}
	r := c.Retention
	if r == nil {
		return l, nil
	}
	weaker := r.Mode != l.Mode || r.Until.Before(l.Until)
	if l.retained(now) && weaker && (l.Mode == LockCompliance || !c.Bypass) {
		return l, ErrLocked
	}
	l.Mode, l.Until = r.Mode, time.Time{}
	if r.Mode != LockNone {
		l.Until = r.Until.UTC().Truncate(timeUnit)
	}
	return l, nil
}

// SetLock changes the lock of a version (id as in Get). want is what the caller worked
// out, and part the chunk set that says so on the targets; the part before it becomes
// garbage. It returns the version's id as S3 shows it.
//
// ErrLocked; ErrStale when the lock came out as something else than want, or part is not newer
// than the one before, by which a rebuild goes; ErrOvertaken; errors as Get.
func (db *DB) SetLock(ctx context.Context, bucket, key, id string, c LockChange, want Lock, part *Part) (string, error) {
	var shown string
	err := db.updateIn(ctx, "set lock", bucket, func(t Txn, s *scratch, b *Bucket) error {
		v, current, err := get(t, s, b, key, id)
		if err != nil {
			return err
		}
		if c.Seen != (VersionID{}) && v.ID != c.Seen {
			return ErrOvertaken
		}
		lock, err := c.Apply(v.Lock, db.now())
		if err != nil {
			return err
		}
		if old := v.LockPart; !lock.equal(&want) || old != nil && part != nil && !part.Modified.After(old.Modified) {
			return ErrStale
		}
		o := object{db: db, t: t, s: s, bucket: b, key: key}
		shown = showID(v.ID, v.Null)
		return o.lock(v, current, lock, part)
	})
	if err != nil {
		return "", err
	}
	return shown, nil
}

// lock writes a version with another lock.
func (o *object) lock(v *Version, current bool, lock Lock, part *Part) error {
	if old := v.LockPart; old != nil && (part == nil || old.Set != part.Set) {
		if err := o.db.queueSet(o.t, o.s, old.Set, old.Targets); err != nil {
			return err
		}
	}
	v.Lock, v.LockPart = lock, part
	if current {
		return o.setCurrent(v)
	}
	return o.addOld(v)
}

// ImportLock enters a lock as it was found on the targets: v.Lock in v.LockPart, for the
// version that v.Key and v.ID name. One that is newer, by LockPart.Modified, stays.
// ErrNoSuchVersion when there is no such version.
func (db *DB) ImportLock(ctx context.Context, bucket string, v *Version) error {
	return db.importIn(ctx, "import lock", bucket, v, func(t Txn, s *scratch, b *Bucket) error {
		o, err := db.openObject(t, s, b, v.Key)
		if err != nil {
			return err
		}
		is, current := o.cur, true
		if is == nil || is.ID != v.ID {
			current = false
			if is, err = readVersion(t, s, b.ID, v.Key, v.ID); err != nil {
				return err
			}
		}
		if is == nil || is.DeleteMarker {
			return ErrNoSuchVersion
		}
		if old := is.LockPart; old != nil && old.Set != v.LockPart.Set && !old.Modified.Before(v.LockPart.Modified) {
			return nil
		}
		return o.lock(is, current, v.Lock, v.LockPart)
	})
}

// enableLock leaves what else has the map as it is.
func (b *Bucket) enableLock(document string) {
	configs := map[string]string{ConfigObjectLock: document}
	for name, text := range b.Configs {
		if name != ConfigObjectLock {
			configs[name] = text
		}
	}
	b.Configs = configs
}

// checkVersioning refuses a state that would let locked versions be overwritten.
func (b *Bucket) checkVersioning(state VersioningState) error {
	if state != VersioningEnabled && b.Configs[ConfigObjectLock] != "" {
		return fmt.Errorf("suspend versioning: %w", ErrLocked)
	}
	return nil
}

// appendLock is how records of lockFormat hold a lock.
func appendLock(dst []byte, l *Lock, part *Part) []byte {
	flags := byte(l.Mode) | byte(l.Hold)<<2
	if part != nil {
		flags |= flagLockPart
	}
	dst = append(dst, flags)
	if l.Mode == LockNone {
		return appendU64(dst, 0)
	}
	return appendTime(dst, l.Until)
}

// flagLockPart says that a part follows.
const flagLockPart = 1 << 4

func (d *decoder) lock(l *Lock) (hasPart bool) {
	flags := d.u8()
	l.Mode, l.Hold = LockMode(flags&3), HoldState(flags>>2&3)
	if until := d.time(); l.Mode != LockNone {
		l.Until = until
	}
	if l.Mode > LockCompliance || l.Hold > HoldOn || flags >= 2*flagLockPart {
		d.bad = true
	}
	return flags&flagLockPart != 0
}
