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
