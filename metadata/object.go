package metadata

import (
	"fmt"
	"slices"
	"time"
)

// timeUnit is the precision of stored times.
const timeUnit = time.Millisecond

// object is what one transaction knows of one key. The current version, unless it
// is a delete marker, is in space o; every other version and every marker is in
// space v. Without a record in o the newest in v, if any, is a marker and current.
type object struct {
	db     *DB
	t      Txn
	s      *scratch
	bucket *Bucket
	key    string
	cur    *Version // the record in o, nil if there is none
}

// openObject reads the record in o.
func (db *DB) openObject(t Txn, s *scratch, b *Bucket, key string) (o object, err error) {
	o = object{db: db, t: t, s: s, bucket: b, key: key}
	if err := checkKey(key); err != nil {
		return o, err
	}
	o.cur, err = readCurrent(t, s, b.ID, key)
	return o, err
}

// readCurrent gives nil without an error when there is no record.
func readCurrent(r Reader, s *scratch, bucket uint64, key string) (*Version, error) {
	s.key = keyIn(s.key, spaceObject, bucket, key)
	raw, err := r.Get(s.key)
	if err != nil || raw == nil {
		return nil, err
	}
	v, err := decodeVersion(s.key, raw, key)
	if err != nil {
		return nil, fmt.Errorf("record of %q: %w", key, err)
	}
	return v, nil
}

// readVersion reads from space v, nil when absent.
func readVersion(r Reader, s *scratch, bucket uint64, key string, id VersionID) (*Version, error) {
	s.key = keyWithID(s.key, spaceVersion, bucket, key, id)
	raw, err := r.Get(s.key)
	if err != nil || raw == nil {
		return nil, err
	}
	v, err := decodeVersion(s.key, raw, key)
	if err != nil {
		return nil, fmt.Errorf("record of %q version %s: %w", key, id, err)
	}
	return v, nil
}

// readNewestOld reads the first version of key in space v, nil when there is none.
func readNewestOld(r Reader, s *scratch, bucket uint64, key string) (v *Version, err error) {
	s.key = append(keyIn(s.key, spaceVersion, bucket, key), 0)
	s.key2 = keyAfterAll(s.key2, spaceVersion, bucket, key)
	var bad error
	err = r.Scan(s.key, s.key2, func(k, raw []byte) bool {
		v, bad = decodeVersion(k, raw, key)
		return false
	})
	if err == nil && bad != nil {
		err = fmt.Errorf("version record of %q: %w", key, bad)
	}
	return v, err
}

// readNullOld reads the null version from space v, nil when it is not there.
func readNullOld(r Reader, s *scratch, bucket uint64, key string) (*Version, error) {
	s.key = keyIn(s.key, spaceNull, bucket, key)
	raw, err := r.Get(s.key)
	if err != nil || raw == nil {
		return nil, err
	}
	id, err := decodeID(s.key, raw)
	if err != nil {
		return nil, fmt.Errorf("null version of %q: %w", key, err)
	}
	v, err := readVersion(r, s, bucket, key, id)
	if err == nil && v == nil {
		err = fmt.Errorf("null version of %q is missing: %w", key, ErrCorrupt)
	}
	return v, err
}

// find reads the version that S3 calls id: a record in o or in v, nil when there is
// none. current tells that it is what a read without id would see.
func find(r Reader, s *scratch, b *Bucket, cur *Version, key, id string) (v *Version, err error) {
	if id == nullID {
		if cur != nil && cur.Null {
			return cur, nil
		}
		if b.Versioning == Unversioned {
			return nil, nil
		}
		return readNullOld(r, s, b.ID, key)
	}
	vid, err := ParseVersionID(id)
	if err != nil {
		return nil, err
	}
	if cur != nil && cur.ID == vid {
		v = cur
	} else if v, err = readVersion(r, s, b.ID, key, vid); err != nil {
		return nil, err
	}
	if v != nil && v.Null {
		return nil, nil // goes by the name null only
	}
	return v, nil
}

// check evaluates a condition against cur, nil or a marker if there is no object.
func (c *Condition) check(cur *Version) error {
	if err := c.holds(cur); err != nil {
		return err
	}
	return c.Stale(cur)
}

// Stale compares a version, nil or a marker if there is no object, with Seen and Unseen.
func (c *Condition) Stale(cur *Version) error {
	if c.Unseen && cur != nil && !cur.DeleteMarker || c.Seen != (VersionID{}) && (cur == nil || cur.ID != c.Seen) {
		return ErrOvertaken
	}
	return nil
}

// holds is check without what was seen.
func (c *Condition) holds(cur *Version) error {
	if c.ID != (VersionID{}) && (cur == nil || cur.ID != c.ID) {
		return ErrPrecondition
	}
	if cur != nil && !c.describes(cur) {
		return ErrPrecondition
	}
	if !c.inTime(cur) {
		return ErrPrecondition
	}
	if len(c.IfMatch) == 0 && len(c.IfNoneMatch) == 0 {
		return nil
	}
	if cur == nil || cur.DeleteMarker {
		if len(c.IfMatch) > 0 {
			return ErrNoSuchKey
		}
		return nil
	}
	tag := cur.ETag()
	if len(c.IfMatch) > 0 && !matches(c.IfMatch, tag) || matches(c.IfNoneMatch, tag) {
		return ErrPrecondition
	}
	return nil
}

// inTime evaluates the dates, in the order of RFC 9110, section 13.2.2.
func (c *Condition) inTime(cur *Version) bool {
	if cur != nil && cur.DeleteMarker {
		cur = nil
	}
	if !c.UnmodifiedSince.IsZero() && len(c.IfMatch) == 0 && cur != nil && cur.Modified.Truncate(time.Second).After(c.UnmodifiedSince) {
		return false
	}
	return c.ModifiedSince.IsZero() || len(c.IfNoneMatch) > 0 || cur != nil && cur.Modified.Truncate(time.Second).After(c.ModifiedSince)
}

// ofDelete says that the condition is about what a delete finds.
func (c *Condition) ofDelete() bool { return c.Size != nil || !c.Modified.IsZero() }

// describes compares size and time with a version's.
func (c *Condition) describes(v *Version) bool {
	if v.DeleteMarker {
		return !c.ofDelete()
	}
	return (c.Size == nil || *c.Size == v.Size) &&
		(c.Modified.IsZero() || v.Modified.Truncate(time.Second).Equal(c.Modified.Truncate(time.Second)))
}

func matches(tags []string, tag string) bool {
	return slices.Contains(tags, tag) || slices.Contains(tags, "*")
}

// setCurrent writes v to space o.
func (o *object) setCurrent(v *Version) error {
	o.s.key = keyIn(o.s.key, spaceObject, o.bucket.ID, o.key)
	start := len(o.s.value[:0])
	o.s.value = seal(appendVersion(o.s.value[:0], v, ""), start, o.s.key)
	o.cur = v
	return o.t.Put(o.s.key, o.s.value)
}

func (o *object) removeCurrent() error {
	o.cur = nil
	o.s.key = keyIn(o.s.key, spaceObject, o.bucket.ID, o.key)
	return o.t.Delete(o.s.key)
}

// addOld writes v to space v, with a pointer to it when it is the null version.
func (o *object) addOld(v *Version) error {
	o.s.key = keyWithID(o.s.key, spaceVersion, o.bucket.ID, o.key, v.ID)
	o.s.value = seal(appendVersion(o.s.value[:0], v, ""), 0, o.s.key)
	if err := o.t.Put(o.s.key, o.s.value); err != nil || !v.Null {
		return err
	}
	o.s.key = keyIn(o.s.key, spaceNull, o.bucket.ID, o.key)
	o.s.value = encodeID(o.s.value[:0], o.s.key, v.ID)
	return o.t.Put(o.s.key, o.s.value)
}

func (o *object) removeOld(v *Version) error {
	o.s.key = keyWithID(o.s.key, spaceVersion, o.bucket.ID, o.key, v.ID)
	if err := o.t.Delete(o.s.key); err != nil || !v.Null {
		return err
	}
	o.s.key = keyIn(o.s.key, spaceNull, o.bucket.ID, o.key)
	return o.t.Delete(o.s.key)
}

// discard queues the chunk sets of a version whose record goes away.
func (o *object) discard(v *Version) error {
	if !v.DeleteMarker {
		if err := charge(o.t, o.bucket, Quota{-v.Size, -1}); err != nil {
			return err
		}
	}
	return o.db.discard(o.t, o.s, v)
}

func (db *DB) discard(t Txn, s *scratch, v *Version) error {
	for _, p := range []*Part{v.Inline, v.Manifest, v.LockPart} {
		if p == nil {
			continue
		}
		if err := db.queueSet(t, s, p.Set, p.Targets); err != nil {
			return err
		}
	}
	if v.Upload != (UploadID{}) {
		return db.queueUpload(t, s, v.Upload)
	}
	return nil
}

// replaceNull removes the null version, wherever it is, for another to take its place.
// ErrLocked, before anything was changed, when that may not be.
func (o *object) replaceNull() error {
	if o.cur != nil && o.cur.Null {
		old := o.cur
		if old.Lock.Blocks(o.db.now(), false) {
			return ErrLocked
		}
		if err := o.removeCurrent(); err != nil {
			return err
		}
		return o.discard(old)
	}
	if o.bucket.Versioning == Unversioned {
		return nil // nothing was ever put in space v
	}
	old, err := readNullOld(o.t, o.s, o.bucket.ID, o.key)
	if err != nil || old == nil {
		return err
	}
	if old.Lock.Blocks(o.db.now(), false) {
		return ErrLocked
	}
	if err := o.removeOld(old); err != nil {
		return err
	}
	return o.discard(old)
}

// retire moves the current version out of space o.
func (o *object) retire() error {
	old := o.cur
	if old == nil {
		return nil
	}
	if err := o.removeCurrent(); err != nil {
		return err
	}
	return o.addOld(old)
}

// promote puts the newest version in space o if nothing is there and it is no marker.
func (o *object) promote() error {
	if o.cur != nil {
		return nil
	}
	v, err := readNewestOld(o.t, o.s, o.bucket.ID, o.key)
	if err != nil || v == nil || v.DeleteMarker {
		return err
	}
	if err := o.removeOld(v); err != nil {
		return err
	}
	return o.setCurrent(v)
}
