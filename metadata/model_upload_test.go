package metadata_test

import (
	"encoding/hex"
	"errors"
	"slices"

	"github.com/weftstore/weft/metadata"
)

func (m *model) createUpload() {
	u := &metadata.Upload{Key: m.key(), Template: metadata.Version{UserMeta: map[string]string{"a": "b"}}}
	m.logf("create upload %q", u.Key)
	m.check("create upload", m.db.CreateUpload(m.t.Context(), "b", u), nil)
	m.uploads = append(m.uploads, &modelUpload{key: u.Key, id: u.ID, parts: map[uint16]*metadata.Part{}})
}

// upload picks one under way; sometimes one that was completed, which is gone.
func (m *model) upload() (u *modelUpload, gone bool) {
	if len(m.uploads) == 0 || len(m.done) > 0 && m.rnd.IntN(8) == 0 {
		if len(m.done) == 0 {
			return nil, false
		}
		return m.done[m.rnd.IntN(len(m.done))], true
	}
	return m.uploads[m.rnd.IntN(len(m.uploads))], false
}

func (m *model) putPart() {
	u, gone := m.upload()
	if u == nil {
		return
	}
	p := &metadata.Part{Number: 1 + uint16(m.rnd.IntN(5)), Set: m.set(), K: 1, Size: metadata.MinPartSize + int64(m.rnd.IntN(3)), Targets: []metadata.TargetID{2, 3}}
	p.MD5[0] = byte(m.rnd.IntN(3))
	m.logf("put part %q %d", u.key, p.Number)
	var want error
	if gone {
		want = metadata.ErrNoSuchUpload
	}
	if !m.check("put part", m.db.PutPart(m.t.Context(), "b", u.key, u.id, p), want) {
		m.sets--
		return
	}
	if old := u.parts[p.Number]; old != nil {
		m.garbage[old.Set] = true
	}
	u.parts[p.Number] = p
	var numbers []uint16
	for n := range u.parts {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	parts, truncated, err := m.db.ListParts(m.t.Context(), "b", u.key, u.id, int(numbers[0]), 2)
	numbers = numbers[1:]
	if err != nil || len(parts) != min(2, len(numbers)) || truncated != (len(numbers) > 2) {
		m.t.Errorf("list parts: %d, %v, %v of %v", len(parts), truncated, err, numbers)
		return
	}
	for i := range parts {
		if parts[i].Set != u.parts[numbers[i]].Set {
			m.t.Errorf("list parts: %+v, want %+v", parts[i], u.parts[numbers[i]])
		}
	}
}

// complete makes an object of some of the parts, in order.
func (m *model) complete() {
	u, gone := m.upload()
	if u == nil {
		return
	}
	if gone {
		m.completeAgain(u)
		return
	}
	var list []metadata.CompletedPart
	var parts []*metadata.Part
	var sets, rest []metadata.SetID
	var size int64
	for n := uint16(1); n <= 5; n++ {
		p := u.parts[n]
		if p == nil {
			continue
		}
		if m.rnd.IntN(6) == 0 {
			rest = append(rest, p.Set)
			continue
		}
		list = append(list, metadata.CompletedPart{Number: n, ETag: hex.EncodeToString(p.MD5[:])})
		parts, sets, size = append(parts, p), append(sets, p.Set), size+p.Size
	}
	m.logf("complete %q %d", u.key, len(list))
	found, _, err := m.db.PrepareComplete(m.t.Context(), "b", u.key, u.id, list)
	if len(list) == 0 {
		m.check("prepare to complete nothing", err, metadata.ErrInvalidPart)
		return
	}
	if !m.check("prepare to complete", err, nil) || len(found) != len(list) {
		return
	}
	manifest := m.set()
	v := &metadata.Version{ID: m.db.NewVersionID(), Manifest: &metadata.Part{Number: 0, Set: manifest, K: 1, Targets: []metadata.TargetID{1}}}
	c, want := m.cond(m.current(u.key))
	res, err := m.db.Complete(m.t.Context(), "b", u.key, u.id, list, v, c)
	if !m.check("complete", err, want) {
		m.sets--
		return
	}
	for _, s := range rest {
		m.garbage[s] = true
	}
	m.uploads = slices.DeleteFunc(m.uploads, func(o *modelUpload) bool { return o == u })
	m.done = append(m.done, u)
	for n := range u.parts {
		if !slices.ContainsFunc(list, func(c metadata.CompletedPart) bool { return c.Number == n }) {
			delete(u.parts, n)
		}
	}
	made := &modelVersion{key: u.key, id: v.ID, etag: etagOf(parts), size: size, upload: u.id, sets: append(sets, manifest), manifest: manifest}
	if show := m.insert(made); res.VersionID != show {
		m.t.Errorf("complete made %q, want %q", res.VersionID, show)
	}
	m.readParts(v, parts)
}

// completeAgain repeats a completion: the same answer while its version is current.
func (m *model) completeAgain(u *modelUpload) {
	var list []metadata.CompletedPart
	for n := uint16(1); n <= 5; n++ {
		if p := u.parts[n]; p != nil {
			list = append(list, metadata.CompletedPart{Number: n, ETag: hex.EncodeToString(p.MD5[:])})
		}
	}
	m.logf("complete %q again", u.key)
	cur := m.current(u.key)
	again := cur != nil && cur.upload == u.id && len(cur.sets) == len(list)+1 // nothing was appended
	_, _, err := m.db.PrepareComplete(m.t.Context(), "b", u.key, u.id, list)
	var done *metadata.CompletedError
	if m.check("prepare again", err, metadata.ErrNoSuchUpload); errors.As(err, &done) != again {
		m.t.Errorf("prepare again: %v, want completed %v", err, again)
	}
	var want error
	if !again {
		want = metadata.ErrNoSuchUpload
	}
	res, err := m.db.Complete(m.t.Context(), "b", u.key, u.id, list, &metadata.Version{ID: m.db.NewVersionID()}, metadata.Condition{})
	if m.check("complete again", err, want) && m.state != metadata.Unversioned && res.VersionID != cur.show() {
		m.t.Errorf("complete again gave %q, want %q", res.VersionID, cur.show())
	}
	if res.Repeated != again {
		m.t.Errorf("complete again: repeated %v, want %v", res.Repeated, again)
	}
}

// readParts asks for a random range and for each part.
func (m *model) readParts(v *metadata.Version, parts []*metadata.Part) {
	off := m.rnd.Int64N(v.Size)
	if m.rnd.IntN(2) == 0 {
		off = parts[0].Size % v.Size // where one begins
	}
	n := 1 + m.rnd.Int64N(v.Size-off)
	spans, err := m.db.PartsFor(m.t.Context(), v, off, n)
	if err != nil {
		m.t.Errorf("parts for a range: %v", err)
		return
	}
	var start int64
	for _, p := range parts {
		span, err := m.db.PartByNumber(m.t.Context(), v, int(p.Number))
		if err != nil || span.Part.Set != p.Set || span.Start != start {
			m.t.Errorf("part %d: %+v, %v; want %+v at %d", p.Number, span, err, p, start)
		}
		if start < off+n && start+p.Size > off {
			if len(spans) == 0 || spans[0].Part.Set != p.Set || spans[0].Start != start {
				m.t.Errorf("bytes [%d, %d): %+v, want part at %d", off, off+n, spans, start)
				return
			}
			spans = spans[1:]
		}
		start += p.Size
	}
	if len(spans) > 0 {
		m.t.Errorf("bytes [%d, %d): too many parts: %+v", off, off+n, spans)
	}
	if _, err := m.db.PartByNumber(m.t.Context(), v, 9); !errors.Is(err, metadata.ErrInvalidPart) {
		m.t.Errorf("part 9: %v", err)
	}
}

func (m *model) abort() {
	u, gone := m.upload()
	if u == nil {
		return
	}
	m.logf("abort %q", u.key)
	var want error
	if gone {
		want = metadata.ErrNoSuchUpload
	}
	if !m.check("abort", m.db.Abort(m.t.Context(), "b", u.key, u.id), want) {
		return
	}
	m.uploads = slices.DeleteFunc(m.uploads, func(o *modelUpload) bool { return o == u })
	for _, p := range u.parts {
		m.garbage[p.Set] = true
	}
}
