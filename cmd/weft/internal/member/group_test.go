package member

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/metadata/etcdkv"
)

// groups are gateways that are each registered in two etcd clusters.
type groups struct {
	t        *testing.T
	clusters [2]*rig
}

func newGroups(t *testing.T) *groups {
	return &groups{t: t, clusters: [2]*rig{newRig(t), newRig(t)}}
}

func (g *groups) join(name string) *Group {
	return NewGroup(g.clusters[0].join(name), g.clusters[1].join(name))
}

// commit writes in one of the clusters what was begun in a term.
func (g *groups) commit(m *Group, term int64, cluster int) error {
	return g.clusters[cluster].kv.Update(m.Within(g.t.Context(), term), func(t metadata.Txn) error { return t.Put([]byte("k"), []byte("v")) })
}

// A lease that ends in one cluster fails commits there of what was begun before, and none
// in the other.
func TestGroupTerms(t *testing.T) {
	g := newGroups(t)
	m := g.join("gw")
	before := m.Term()
	if before == 0 || m.Term() != before {
		t.Fatalf("terms %d and %d", before, m.Term())
	}
	for i := range g.clusters {
		if err := g.commit(m, before, i); err != nil {
			t.Errorf("cluster %d: %v", i, err)
		}
	}
	was := m.others[0].term()
	g.clusters[1].revoke(m.others[0])
	if err := g.commit(m, before, 1); !errors.Is(err, metadata.ErrFenced) {
		t.Errorf("without a lease in the second cluster: %v", err)
	}
	if err := g.commit(m, before, 0); err != nil {
		t.Errorf("in the first: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for m.others[0].term() == nil || m.others[0].term() == was {
		if ctx.Err() != nil {
			t.Fatal("no new term")
		}
		time.Sleep(10 * time.Millisecond)
	}
	after := m.Term()
	if after == before {
		t.Error("another term has the same name")
	}
	for i, want := range []error{nil, metadata.ErrFenced} {
		if err := g.commit(m, before, i); !errors.Is(err, want) {
			t.Errorf("what was begun before, cluster %d: %v", i, err)
		}
		if err := g.commit(m, after, i); err != nil {
			t.Errorf("what was begun after, cluster %d: %v", i, err)
		}
		if err := g.commit(m, after+1, i); !errors.Is(err, metadata.ErrFenced) {
			t.Errorf("a term that never was, cluster %d: %v", i, err)
		}
	}
}

// A gateway that is registered in one of the clusters only is asked as well.
func TestGroupAsks(t *testing.T) {
	g := newGroups(t)
	m, other := g.join("gw0"), g.join("gw1")
	set := metadata.SetID{5}
	other.Answer(func() ([]metadata.SetID, uint64, int64) { return []metadata.SetID{set}, 1, 40 })
	for _, gone := range []*Member{nil, other.Member} {
		if gone != nil {
			if err := gone.Close(); err != nil {
				t.Fatal(err)
			}
		}
		r, err := m.Ask(t.Context())
		if err != nil || !r.Busy[set] || r.Clock != 40 {
			t.Errorf("closed at home: %v: %+v, %v", gone != nil, r, err)
		}
	}
	g.clusters[1].etcd.Kill()
	if r, err := m.Ask(t.Context()); err == nil {
		t.Errorf("a cluster is away, and what is in use is said to be %+v", r)
	}
}

// A context with fences fences every engine.
func TestGroupFencesAll(t *testing.T) {
	g := newGroups(t)
	m := g.join("gw")
	kv, err := etcdkv.Open(t.Context(), etcdkv.Config{Endpoints: []string{g.clusters[1].etcd.Addr}, Prefix: "/third/"})
	if err != nil {
		t.Fatal(err)
	}
	defer kv.Close()
	err = kv.Update(m.Within(t.Context(), m.Term()), func(t metadata.Txn) error { return t.Put([]byte("k"), nil) })
	if !errors.Is(err, metadata.ErrFenced) {
		t.Errorf("an engine without a fence: %v", err)
	}
}
