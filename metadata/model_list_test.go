package metadata_test

import (
	"context"
	"slices"
	"strings"

	"github.com/weftstore/weft/metadata"
)

func (m *model) query() metadata.ListQuery {
	q := metadata.ListQuery{Limit: 1 + m.rnd.IntN(6)}
	pick := func(list ...string) string { return list[m.rnd.IntN(len(list))] }
	q.Prefix = pick("", "", "a", "a/", "/", "é", "a/b", "\xc3")
	q.Delimiter = pick("", "/", "/", "//", "b", "\xa9")
	q.After = pick("", "", "a", "a/", "a/b", "b", "~", "é", m.key(), m.key())
	return q
}

// rollUp is the common prefix of key in a listing, "" if there is none.
func rollUp(key string, q metadata.ListQuery) string {
	rest := key[len(q.Prefix):]
	if q.Delimiter == "" || !strings.Contains(rest, q.Delimiter) {
		return ""
	}
	before, _, _ := strings.Cut(rest, q.Delimiter)
	return q.Prefix + before + q.Delimiter
}

// row is a line of a listing, as the model makes it.
type row struct {
	prefix string
	v      *modelVersion
	latest bool
}

// rows is the whole listing after the markers.
func (m *model) rows(q metadata.ListQuery, versions bool) (list []row) {
	for _, key := range m.sortedKeys() {
		if !strings.HasPrefix(key, q.Prefix) || key < q.After {
			continue
		}
		vs := m.keys[key]
		if !versions {
			if m.current(key) == nil {
				continue
			}
			vs = vs[:1]
		}
		if key == q.After {
			i := slices.IndexFunc(vs, func(v *modelVersion) bool {
				return q.AfterVersion == v.show() || q.AfterVersion == v.id.String()
			})
			if !versions || q.AfterVersion == "" || i < 0 {
				continue
			}
			vs = vs[i+1:]
		}
		if cp := rollUp(key, q); cp != "" {
			if cp != q.After && (len(list) == 0 || list[len(list)-1].prefix != cp) && len(vs) > 0 {
				list = append(list, row{prefix: cp})
			}
			continue
		}
		for _, v := range vs {
			list = append(list, row{v: v, latest: v == m.keys[key][0]})
		}
	}
	return list
}

func (m *model) list() {
	q := m.query()
	m.logf("list %+v", q)
	m.pages(q, m.db.List, false)
}

func (m *model) listVersions() {
	q := m.query()
	if vs := m.keys[q.After]; len(vs) > 0 && rollUp2(q) != q.After && m.rnd.IntN(2) == 0 {
		q.AfterVersion = vs[m.rnd.IntN(len(vs))].show()
	}
	m.logf("list versions %+v", q)
	m.pages(q, m.db.ListVersions, true)
}

// rollUp2 is rollUp of the marker.
func rollUp2(q metadata.ListQuery) string {
	if !strings.HasPrefix(q.After, q.Prefix) {
		return ""
	}
	return rollUp(q.After, q)
}

// pages reads a listing to its end and compares each page.
func (m *model) pages(q metadata.ListQuery, list func(context.Context, string, metadata.ListQuery) (*metadata.ListPage, error), versions bool) {
	m.t.Helper()
	rows := m.rows(q, versions)
	for {
		page, err := list(m.t.Context(), "b", q)
		if err != nil {
			m.t.Errorf("list %+v: %v", q, err)
			return
		}
		want := rows[:min(q.Limit, len(rows))]
		rows = rows[len(want):]
		if len(page.Entries) != len(want) || page.Truncated != (len(rows) > 0) {
			m.t.Errorf("list %+v: %d entries, truncated %v; want %d, %v: %+v", q, len(page.Entries), page.Truncated, len(want), len(rows) > 0, page.Entries)
			return
		}
		for i, w := range want {
			e := page.Entries[i]
			if w.v == nil {
				if e != (metadata.ListEntry{CommonPrefix: w.prefix}) {
					m.t.Errorf("list %+v: entry %d is %+v, want prefix %q", q, i, e, w.prefix)
				}
				continue
			}
			if e.Key != w.v.key || !e.Null && e.ID != w.v.id || e.VersionID() != w.v.show() || e.DeleteMarker != w.v.marker || e.Latest != w.latest ||
				!e.DeleteMarker && e.ETag() != w.v.etag || e.Size != w.v.size {
				m.t.Errorf("list %+v: entry %d is %+v, want %+v", q, i, e, w.v)
			}
		}
		if !page.Truncated {
			return
		}
		q.After, q.AfterVersion = page.Next, page.NextVersion
	}
}

func (m *model) listUploads() {
	q := m.query()
	m.logf("list uploads %+v", q)
	sortUploads(m.uploads)
	var rows []row
	var ups []*modelUpload
	for _, u := range m.uploads {
		if !strings.HasPrefix(u.key, q.Prefix) || u.key <= q.After {
			continue
		}
		if cp := rollUp(u.key, q); cp != "" {
			if cp != q.After && (len(rows) == 0 || rows[len(rows)-1].prefix != cp) {
				rows, ups = append(rows, row{prefix: cp}), append(ups, nil)
			}
			continue
		}
		rows, ups = append(rows, row{}), append(ups, u)
	}
	after, afterID := q.After, ""
	for {
		page, err := m.db.ListUploads(m.t.Context(), "b", q.Prefix, q.Delimiter, after, afterID, q.Limit)
		if err != nil {
			m.t.Errorf("list uploads: %v", err)
			return
		}
		n := min(q.Limit, len(rows))
		if len(page.Entries) != n || page.Truncated != (len(rows) > n) {
			m.t.Errorf("list uploads %+v: %d entries, truncated %v; want %d of %d", q, len(page.Entries), page.Truncated, n, len(rows))
			return
		}
		for i, e := range page.Entries {
			if e.CommonPrefix != rows[i].prefix || (e.Upload == nil) != (ups[i] == nil) ||
				e.Upload != nil && (e.Upload.ID != ups[i].id || e.Upload.Key != ups[i].key) {
				m.t.Errorf("list uploads %+v: entry %d is %+v", q, i, e)
			}
		}
		if rows, ups = rows[n:], ups[n:]; !page.Truncated {
			return
		}
		after, afterID = page.NextKey, page.NextUpload
	}
}
