package metadata_test

import (
	"testing"

	"github.com/weftstore/weft/metadata"
)

// checkAll compares everything there is.
func (m *model) checkAll() {
	m.t.Helper()
	for _, key := range m.sortedKeys() {
		m.compareGet(key, "", nil)
		for _, v := range m.keys[key] {
			m.compareGet(key, v.show(), v)
		}
	}
	m.pages(metadata.ListQuery{Limit: 1000}, m.db.ListVersions, true)
	m.accounts()
}

// accounts finds every set once.
func (m *model) accounts() {
	live := map[metadata.SetID]bool{}
	var at []byte
	for {
		next, err := m.db.WalkParts(m.t.Context(), at, 1+m.rnd.IntN(7), func(ref metadata.PartRef, p *metadata.Part) error {
			if live[p.Set] {
				m.t.Errorf("set %s is walked twice", p.Set[:])
			}
			live[p.Set] = true
			got, err := m.db.PartFor(m.t.Context(), ref)
			if err != nil || got.Set != p.Set {
				m.t.Errorf("part for %+v: %+v, %v", ref, got, err)
			}
			return nil
		})
		if err != nil {
			m.t.Fatal(err)
		}
		if at = next; at == nil {
			break
		}
	}
	wantLive := map[metadata.SetID]bool{}
	for _, vs := range m.keys {
		for _, v := range vs {
			for _, s := range v.sets {
				wantLive[s] = true
			}
		}
	}
	for _, u := range m.uploads {
		for _, p := range u.parts {
			wantLive[p.Set] = true
		}
	}
	compareSets(m.t, "walk", live, wantLive)
	queue := map[metadata.SetID]bool{}
	for after := uint64(0); ; {
		list, err := m.db.GarbageAfter(m.t.Context(), after, 5)
		if err != nil {
			m.t.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		for _, g := range list {
			if g.Seq <= after || queue[g.Set] && g.Set != (metadata.SetID{}) {
				m.t.Errorf("garbage %d after %d: set %s twice or out of order", g.Seq, after, g.Set[:])
			}
			if after = g.Seq; g.Set != (metadata.SetID{}) {
				queue[g.Set] = true
			}
		}
	}
	compareSets(m.t, "garbage", queue, m.garbage)
}

func compareSets(t *testing.T, what string, got, want map[metadata.SetID]bool) {
	t.Helper()
	for s := range got {
		if !want[s] {
			t.Errorf("%s has set %s, unexpectedly", what, s[:])
		}
	}
	for s := range want {
		if !got[s] {
			t.Errorf("%s lacks set %s", what, s[:])
		}
	}
}

// collect takes some garbage out of the queue.
func (m *model) collect() {
	m.logf("collect")
	list, err := m.db.Garbage(m.t.Context(), 1+m.rnd.IntN(10))
	if err != nil {
		m.t.Fatal(err)
	}
	var seqs []uint64
	for _, g := range list {
		if m.rnd.IntN(3) > 0 {
			seqs = append(seqs, g.Seq)
			delete(m.garbage, g.Set)
		}
	}
	m.check("garbage done", m.db.GarbageDone(m.t.Context(), seqs), nil)
}
