package metadata

import (
	"context"
	"fmt"
	"strings"
)

// List reads a page of current versions in the byte order of their keys. What it
// costs depends on the page, not on how many keys there are beside it or below its
// common prefixes. ErrNoSuchBucket.
func (db *DB) List(ctx context.Context, bucket string, q ListQuery) (*ListPage, error) {
	var page *ListPage
	err := db.viewIn(ctx, "list objects", bucket, func(r Reader, s *scratch, b *Bucket) error {
		page = new(ListPage)
		return list(r, s, b, q, page)
	})
	if err != nil {
		return nil, err
	}
	return page, nil
}

func list(r Reader, s *scratch, b *Bucket, q ListQuery, page *ListPage) error {
	limit := min(q.Limit, MaxListPage)
	if limit <= 0 {
		return nil
	}
	s.key = keyIn(s.key, spaceObject, b.ID, q.Prefix)
	end := prefixEnd(s.key)
	if q.After >= q.Prefix && q.After != "" {
		s.key = append(keyIn(s.key, spaceObject, b.ID, q.After), 0)
		if commonPrefix(q.After, q.Prefix, q.Delimiter) == q.After {
			s.key = prefixEnd(keyIn(s.key, spaceObject, b.ID, q.After))
		}
	}
	c := newCursor(r, s.key, end, limit)
	for {
		k, raw, err := c.peek()
		if err != nil || k == nil {
			return err
		}
		if len(page.Entries) == limit {
			page.truncate()
			return nil
		}
		raw2, ok := objectKey(k)
		if !ok {
			return fmt.Errorf("key of an object: %w", ErrCorrupt)
		}
		if page.Entries == nil {
			page.Entries = make([]ListEntry, 0, min(limit, len(c.ahead)))
		}
		key := string(raw2)
		if cp := commonPrefix(key, q.Prefix, q.Delimiter); cp != "" {
			page.Entries = append(page.Entries, ListEntry{CommonPrefix: cp})
			c.seek(prefixEnd(keyIn(s.key, spaceObject, b.ID, cp)))
			continue
		}
		page.Entries = append(page.Entries, ListEntry{Key: key, Latest: true})
		if err := page.Entries[len(page.Entries)-1].decode(k, raw); err != nil {
			return fmt.Errorf("record of %q: %w", key, err)
		}
		c.skip()
	}
}

// decode reads the fields that the record has.
func (e *ListEntry) decode(k, raw []byte) error {
	d, _, err := unsealUpTo(lockFormat, k, raw)
	if err != nil {
		return err
	}
	return d.entry(e)
}

// truncate says that the next page begins after the last entry.
func (p *ListPage) truncate() {
	last := &p.Entries[len(p.Entries)-1]
	p.Truncated = true
	if last.CommonPrefix != "" {
		p.Next = last.CommonPrefix
		return
	}
	p.Next = last.Key
}

// commonPrefix is what key is rolled up into, "" when it stands for itself. It is
// never the whole of a key that has no delimiter after the prefix.
func commonPrefix(key, prefix, delimiter string) string {
	if delimiter == "" || !strings.HasPrefix(key, prefix) {
		return ""
	}
	i := strings.Index(key[len(prefix):], delimiter)
	if i < 0 {
		return ""
	}
	return key[:len(prefix)+i+len(delimiter)]
}
