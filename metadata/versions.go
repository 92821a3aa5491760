package metadata

import (
	"bytes"
	"context"
	"fmt"
)

// versionScan merges the spaces o and v of a bucket: key by key, the current
// version before the others.
type versionScan struct {
	cur, old *cursor
}

// scannedVersion is a record that versionScan lends.
type scannedVersion struct {
	key     []byte // of the object, nil at the end
	kvKey   []byte
	value   []byte
	id      VersionID // of a record in space v
	current bool      // the record is in space o
}

func newVersionScan(r Reader, bucket uint64, prefix string, limit int) *versionScan {
	o := keyIn(nil, spaceObject, bucket, prefix)
	v := keyIn(nil, spaceVersion, bucket, prefix)
	return &versionScan{newCursor(r, o, prefixEnd(o), limit), newCursor(r, v, prefixEnd(v), limit)}
}

// peek lends the next record.
func (m *versionScan) peek() (scannedVersion, error) {
	ok, oval, err := m.cur.peek()
	if err != nil {
		return scannedVersion{}, err
	}
	vk, vval, err := m.old.peek()
	if err != nil || ok == nil && vk == nil {
		return scannedVersion{}, err
	}
	var okey, vkey []byte
	var id VersionID
	good := true
	if ok != nil {
		okey, good = objectKey(ok)
	}
	if vk != nil && good {
		vkey, id, good = splitID(vk)
	}
	if !good {
		return scannedVersion{}, fmt.Errorf("key of a version: %w", ErrCorrupt)
	}
	if ok != nil && (vk == nil || bytes.Compare(okey, vkey) <= 0) {
		return scannedVersion{key: okey, kvKey: ok, value: oval, current: true}, nil
	}
	return scannedVersion{key: vkey, kvKey: vk, value: vval, id: id}, nil
}

// skip moves past what peek lent.
func (m *versionScan) skip(v *scannedVersion) {
	if v.current {
		m.cur.skip()
	} else {
		m.old.skip()
	}
}

// skipPrefix moves past all keys that begin with p.
func (m *versionScan) skipPrefix(bucket uint64, p string) {
	m.cur.seek(prefixEnd(keyIn(nil, spaceObject, bucket, p)))
	m.old.seek(prefixEnd(keyIn(nil, spaceVersion, bucket, p)))
}

// skipKey moves past all versions of a key.
func (m *versionScan) skipKey(bucket uint64, key string) {
	m.cur.seek(append(keyIn(nil, spaceObject, bucket, key), 0))
	m.old.seek(keyAfterAll(nil, spaceVersion, bucket, key))
}

// skipVersions moves past the record in o and those in v up to id.
func (m *versionScan) skipVersions(bucket uint64, key string, id VersionID) {
	m.cur.seek(append(keyIn(nil, spaceObject, bucket, key), 0))
	m.old.seek(append(keyWithID(nil, spaceVersion, bucket, key, id), 0))
}

// ListVersions reads a page of versions and delete markers: by key, and newest first
// within a key. ErrNoSuchBucket; ErrInvalidVersionID for a malformed AfterVersion.
func (db *DB) ListVersions(ctx context.Context, bucket string, q ListQuery) (*ListPage, error) {
	var page *ListPage
	err := db.viewIn(ctx, "list versions", bucket, func(r Reader, s *scratch, b *Bucket) error {
		page = new(ListPage)
		return listVersions(r, s, b, q, page)
	})
	if err != nil {
		return nil, err
	}
	return page, nil
}

func listVersions(r Reader, s *scratch, b *Bucket, q ListQuery, page *ListPage) error {
	limit := min(q.Limit, MaxListPage)
	if limit <= 0 {
		return nil
	}
	m := newVersionScan(r, b.ID, q.Prefix, limit)
	if err := m.start(r, s, b, q); err != nil {
		return err
	}
	lastKey := "" // whose newest version was seen
	if q.AfterVersion != "" {
		lastKey = q.After
	}
	for {
		v, err := m.peek()
		if err != nil || v.key == nil {
			return err
		}
		if len(page.Entries) == limit {
			page.truncate()
			if last := &page.Entries[limit-1]; last.CommonPrefix == "" {
				page.NextVersion = last.ID.String()
			}
			return nil
		}
		key := lastKey
		if string(v.key) != lastKey {
			key = string(v.key)
		}
		if cp := commonPrefix(key, q.Prefix, q.Delimiter); cp != "" {
			page.Entries = append(page.Entries, ListEntry{CommonPrefix: cp})
			m.skipPrefix(b.ID, cp)
			continue
		}
		e := ListEntry{Key: key, Latest: key != lastKey}
		if err := e.decode(v.kvKey, v.value); err != nil {
			return fmt.Errorf("version record of %q: %w", key, err)
		}
		page.Entries = append(page.Entries, e)
		lastKey = key
		m.skip(&v)
	}
}

// start moves to where the page begins.
func (m *versionScan) start(r Reader, s *scratch, b *Bucket, q ListQuery) error {
	if q.After == "" || q.After < q.Prefix {
		return nil
	}
	if commonPrefix(q.After, q.Prefix, q.Delimiter) == q.After {
		m.skipPrefix(b.ID, q.After)
		return nil
	}
	if q.AfterVersion == "" {
		m.skipKey(b.ID, q.After)
		return nil
	}
	cur, err := readCurrent(r, s, b.ID, q.After)
	if err != nil {
		return err
	}
	var id VersionID
	if q.AfterVersion == nullID {
		v, err := find(r, s, b, cur, q.After, nullID)
		if err != nil {
			return err
		}
		if v == nil {
			// It is gone, and its place unknown: rather none than one twice.
			m.skipKey(b.ID, q.After)
			return nil
		}
		id = v.ID
	} else if id, err = ParseVersionID(q.AfterVersion); err != nil {
		return err
	}
	if cur != nil && cur.ID == id {
		m.cur.seek(append(keyIn(nil, spaceObject, b.ID, q.After), 0))
		m.old.seek(keyIn(nil, spaceVersion, b.ID, q.After))
		return nil
	}
	m.skipVersions(b.ID, q.After, id)
	return nil
}
