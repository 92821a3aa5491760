package metadata_test

import (
	"slices"

	"github.com/weftstore/weft/metadata"
)

// rename moves an object, or is refused.
func (m *model) rename() {
	from, to := m.key(), m.key()
	src := m.current(from)
	r := metadata.Rename{From: from, To: to, ID: m.db.NewVersionID()}
	manifest := m.set()
	r.Manifest = &metadata.Part{Set: manifest, K: 1, Targets: []metadata.TargetID{1}}
	var want, wantDest error
	r.Source, want = m.cond(src)
	r.Dest, wantDest = m.cond(m.current(to))
	if want == nil {
		want = wantDest
	}
	stale := m.rnd.IntN(8) == 0
	switch {
	case m.state != metadata.Unversioned:
		want = metadata.ErrVersioned
	case from == to:
		want = metadata.ErrInvalidKey
	case src == nil:
		want = metadata.ErrNoSuchKey
	case want == nil && stale:
		want = metadata.ErrStale
	}
	if src != nil && !stale {
		r.Seen = src.id
	}
	m.logf("rename %q to %q %+v %+v", from, to, r.Source, r.Dest)
	if _, err := m.db.Rename(m.t.Context(), "b", &r); !m.check("rename", err, want) {
		m.sets--
		return
	}
	m.keys[from] = nil
	moved := *src
	moved.key, moved.id, moved.manifest = to, r.ID, manifest
	moved.sets = slices.DeleteFunc(slices.Clone(src.sets), func(s metadata.SetID) bool { return s == src.manifest })
	moved.sets = append(moved.sets, manifest)
	if src.manifest != (metadata.SetID{}) {
		m.garbage[src.manifest] = true
	}
	m.insert(&moved)
	m.readRenamed(&moved)
}

// append adds a part to an object, or is refused.
func (m *model) append() {
	key := m.key()
	cur := m.current(key)
	if cur == nil {
		return
	}
	seen, _, err := m.db.Get(m.t.Context(), "b", key, "")
	if err != nil {
		m.t.Errorf("get: %v", err)
		return
	}
	parts, err := m.db.AllParts(m.t.Context(), seen)
	if err != nil {
		m.t.Errorf("parts: %v", err)
		return
	}
	part := metadata.Part{Number: 1, Set: m.set(), K: 1, Size: int64(m.rnd.IntN(100)), Targets: []metadata.TargetID{1}}
	part.MD5[0] = byte(m.rnd.IntN(4))
	if n := len(parts); n > 0 {
		part.Number = parts[n-1].Number + 1
	}
	v := *seen
	if v.Inline != nil {
		v.Upload = metadata.UploadOf(v.Inline.Set)
	}
	all := append(parts, part)
	manifest := m.set()
	v.ID, v.Size, v.PartCount, v.MD5 = m.db.NewVersionID(), v.Size+part.Size, len(all), metadata.MultipartMD5(all)
	v.Manifest = &metadata.Part{Set: manifest, K: 1, Targets: []metadata.TargetID{1}}
	c, want := m.cond(cur)
	was := seen.ID
	switch {
	case m.state != metadata.Unversioned:
		want = metadata.ErrVersioned
	case want == nil && m.rnd.IntN(8) == 0:
		was, want = m.db.NewVersionID(), metadata.ErrStale
	}
	m.logf("append to %q %+v", key, c)
	if !m.check("append", m.db.Append(m.t.Context(), "b", was, &v, &part, c), want) {
		m.sets -= 2
		return
	}
	grown := *cur
	grown.id, grown.etag, grown.size, grown.upload, grown.manifest = v.ID, v.ETag(), v.Size, v.Upload, manifest
	grown.sets = slices.DeleteFunc(slices.Clone(cur.sets), func(s metadata.SetID) bool { return s == cur.manifest })
	grown.sets = append(grown.sets, part.Set, manifest)
	if cur.manifest != (metadata.SetID{}) {
		m.garbage[cur.manifest] = true
	}
	m.keys[key] = []*modelVersion{&grown}
	if now, err := m.db.AllParts(m.t.Context(), &v); err != nil || len(now) != len(all) {
		m.t.Errorf("parts after the append: %d, %v, want %d", len(now), err, len(all))
	}
	if len(parts) > 0 && seen.Size > 0 {
		if spans, err := m.db.PartsFor(m.t.Context(), seen, 0, seen.Size); err != nil || len(spans) == 0 {
			m.t.Errorf("parts of what was there before: %+v, %v", spans, err)
		}
	}
}

// readRenamed finds the parts of an object, by what was known before it was renamed too.
func (m *model) readRenamed(v *modelVersion) {
	got, b, err := m.db.Get(m.t.Context(), "b", v.key, "")
	if err != nil {
		m.t.Errorf("get renamed: %v", err)
		return
	}
	parts, err := m.db.AllParts(m.t.Context(), got)
	if err != nil || len(parts) != len(v.sets)-1 {
		m.t.Errorf("parts of renamed: %+v, %v, want %d", parts, err, len(v.sets)-1)
	}
	for _, p := range parts {
		if v.upload != (metadata.UploadID{}) {
			break
		}
		ref := metadata.PartRef{BucketID: b.ID, Key: "as it was called", Version: m.db.NewVersionID(), Number: 1, Set: p.Set}
		err := m.db.UpdatePart(m.t.Context(), ref, func(p *metadata.Part) error {
			p.Targets = []metadata.TargetID{7}
			return nil
		})
		if now, err2 := m.db.PartFor(m.t.Context(), ref); err != nil || err2 != nil || now.Targets[0] != 7 {
			m.t.Errorf("part by its old name: %+v, %v, %v", now, err, err2)
		}
	}
}
