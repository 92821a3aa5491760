package store

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/weftstore/weft/erasure"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/node/extent"
	"github.com/weftstore/weft/rdma"
)

// placer is a store that only places. sizes are the targets of each domain.
func placer(sizes ...int) *Store {
	pool, err := rdma.NewPool(&fakeFabric{}, 64<<10, 64<<10)
	if err != nil {
		panic(err)
	}
	s := &Store{cfg: Config{Now: time.Now}, pool: pool}
	var list []*target
	for d, n := range sizes {
		for range n {
			list = append(list, newTarget(TargetConfig{
				ID: metadata.TargetID(len(list) + 1), Domain: fmt.Sprint("host", d), Target: &fakeTarget{},
			}))
		}
	}
	s.topology.Store(newTopology(list))
	return s
}

// perDomain counts the shards in each domain; a target twice is an error.
func perDomain(t *testing.T, s *Store, placed []*target) []int {
	t.Helper()
	seen := map[*target]bool{}
	for _, p := range placed {
		if p != nil && seen[p] {
			t.Fatalf("target %d has two shards", p.id)
		}
		seen[p] = true
	}
	return s.topology.Load().held(placed)
}

var layout42 = erasure.Layout{K: 4, M: 2}

// No domain holds more than it may, and none two while another has none.
func TestPlaceSpreadsOverDomains(t *testing.T) {
	for _, c := range []struct {
		layout erasure.Layout
		sizes  []int
		most   int // in a domain
		placed int
	}{
		{layout42, []int{4, 4, 4, 4, 4, 4}, 1, 6},
		{layout42, []int{9, 1, 1, 1, 1, 1, 1}, 1, 6},
		{layout42, []int{4, 4, 4, 4, 4}, 2, 6},
		{layout42, []int{2, 2, 2}, 2, 6},
		{layout42, []int{4, 4}, 3, 6},
		{layout42, []int{9}, 6, 6},
		{layout42, []int{9, 1}, 5, 6},
		{layout42.Small(), []int{4, 4, 4}, 1, 3},
		{layout42.Small(), []int{8, 8}, 2, 3},
		{erasure.Layout{K: 4}, []int{2, 2, 2}, 2, 4},
		{erasure.Layout{K: 10, M: 4}, []int{8, 8, 8, 8}, 4, 14},
	} {
		s := placer(c.sizes...)
		if got := s.topology.Load().limit(c.layout); got < c.most {
			t.Errorf("%v on %v: limit %d, want at least %d", c.layout, c.sizes, got, c.most)
		}
		for range 200 {
			placed := s.place(c.layout, c.layout.Shards(), c.layout.WriteQuorum(), nil, nil)
			n, most := 0, 0
			for _, h := range perDomain(t, s, placed) {
				n, most = n+h, max(most, h)
			}
			if n != c.placed || most != c.most {
				t.Fatalf("%v on %v: %d placed, %d in one domain; want %d, %d", c.layout, c.sizes, n, most, c.placed, c.most)
			}
		}
	}
}

// With domains away the rule stays: what finds no place is missing, not misplaced.
func TestPlaceKeepsTheLimitWhenDomainsAreAway(t *testing.T) {
	s := placer(2, 2, 2, 2)
	list := s.topology.Load().list
	for _, away := range list[:4] {
		away.api.Store(nil)
	}
	g, quorum := s.layoutFor(layout42, 0)
	if g.Layout != layout42.Small() || quorum != 2 {
		t.Errorf("two of four domains away: %v with quorum %d, want 2 of 3 copies", g.Layout, quorum)
	}
	placed := s.place(layout42, 6, 5, nil, nil)
	for d, n := range perDomain(t, s, placed) {
		if want := []int{0, 0, 2, 2}[d]; n != want {
			t.Errorf("domain %d holds %d, want %d", d, n, want)
		}
	}
	held := []*target{list[4], list[6]}
	if r := s.replacement(layout42, held, nil, time.Now()); r == nil || has(held, r) {
		t.Errorf("replacement %v", r)
	}
	if r := s.replacement(layout42, list[4:], nil, time.Now()); r != nil {
		t.Errorf("replacement on target %d though all are taken", r.id)
	}
	if r := s.replacement(layout42.Small(), held, nil, time.Now()); r != nil {
		t.Errorf("copy on target %d beside another copy", r.id)
	}
	list[4].failed(time.Now(), extent.ErrOffline)
	list[4].api.Store(nil)
	list[5].api.Store(nil)
	if g, quorum = s.layoutFor(layout42, 1<<20); g.Layout != layout42 || quorum != 5 {
		t.Errorf("three of four domains away: %v with quorum %d, want the layout's own", g.Layout, quorum)
	}
}

func TestSurplus(t *testing.T) {
	s := placer(2, 2, 2, 2, 2, 2)
	for _, c := range []struct {
		targets []metadata.TargetID
		want    uint64
	}{
		{[]metadata.TargetID{1, 3, 5, 7, 9, 11}, 0},
		{[]metadata.TargetID{1, 2, 3, 4, 5, 6}, 0},
		{[]metadata.TargetID{1, 2, 1, 4, 5, 6}, 1 << 2},
		{[]metadata.TargetID{0, 0, 1, 0, 99, 6}, 0},
	} {
		if got := s.topology.Load().surplus(&metadata.Part{K: 4, M: 2, Targets: c.targets}); got != c.want {
			t.Errorf("%v: %b, want %b", c.targets, got, c.want)
		}
	}
	copies := metadata.Part{K: 1, M: 2, Targets: []metadata.TargetID{1, 2, 5}}
	if got := s.topology.Load().surplus(&copies); got != 1<<1 {
		t.Errorf("copies: %b", got)
	}
}

// A thousand targets of uneven size in uneven domains fill up together, and no domain gets
// more than M shards of a part, many domains or few. The fullest is within 5 % of the mean
// where there are domains enough to choose from.
func TestPlaceFillsEvenly(t *testing.T) {
	const targets, chunk = 1000, 1 << 30
	many := make([]int, 0, 100)
	for i := range cap(many) {
		many = append(many, 5+i%11) // 5 to 15 targets
	}
	many[0] += targets - sum(many)
	for name, c := range map[string]struct {
		layout  erasure.Layout
		domains []int
		even    bool
	}{
		"ec:4+2 in 100 domains":  {layout42, many, true},
		"ec:10+2 in 100 domains": {erasure.Layout{K: 10, M: 2}, many, true},
		"ec:4+2 in 4 domains":    {layout42, []int{400, 300, 200, 100}, false},
		"ec:4+2 in 3 domains":    {layout42, []int{500, 400, 100}, false},
	} {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			s := placer(c.domains...)
			tp := s.topology.Load()
			if len(tp.list) != targets {
				t.Fatalf("%d targets", len(tp.list))
			}
			var total, used int64
			for _, tg := range tp.list {
				n := (200 + rng.Int64N(600)) * chunk
				tg.free.Store(n)
				tg.total.Store(n)
				total += n
			}
			shards, fill := c.layout.Shards(), total*3/10
			if !c.even {
				fill = total / 100
			}
			for used < fill {
				held := make([]int, len(c.domains))
				for _, tg := range s.place(c.layout, shards, c.layout.WriteQuorum(), nil, nil) {
					if tg == nil {
						t.Fatal("a shard has no place")
					}
					tg.free.Add(-chunk)
					used += chunk
					if d := tp.domain[tg.id]; held[d] == int(c.layout.M) {
						t.Fatalf("domain %d has more than %d shards of a part", d, c.layout.M)
					} else {
						held[d]++
					}
				}
			}
			mean := float64(used) / float64(total)
			for _, tg := range tp.list {
				if fill := 1 - float64(tg.free.Load())/float64(tg.total.Load()); c.even && fill > mean+0.05 {
					t.Errorf("target of %d is filled to %.3f, the mean is %.3f", tg.total.Load()/chunk, fill, mean)
				}
			}
		})
	}
}

func sum(list []int) (n int) {
	for _, x := range list {
		n += x
	}
	return n
}

func BenchmarkPlace1000(b *testing.B) {
	sizes := make([]int, 100)
	for i := range sizes {
		sizes[i] = 10
	}
	s := placer(sizes...)
	for b.Loop() {
		s.place(layout42, 6, 5, nil, nil)
	}
}

// Parts that hosts hold too much of, as after hosts were added, are reported and
// moved.
func TestRepairMovesMisplacedShards(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2", targets: 8})
	objects := map[string][]byte{"striped": testBody(300<<10, 1), "small": testBody(5000, 2)}
	for key, data := range objects {
		if err := r.put(key, data); err != nil {
			t.Fatal(err)
		}
	}
	var crowd []metadata.TargetID
	if _, err := r.db.WalkParts(t.Context(), nil, 1, func(_ metadata.PartRef, p *metadata.Part) error {
		crowd = append(crowd, p.Targets...)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, id := range crowd {
		r.SetTarget(TargetConfig{ID: id, Domain: "crowd", Target: r.targets[id-1]})
	}
	res := mustCheck(t, r, true)
	if res.Clean() || res.Misplaced < 2 {
		t.Fatalf("check: %+v", res)
	}
	rep, err := r.Repair(t.Context(), RepairOptions{}, nil)
	if err != nil || rep.Shards != res.Misplaced || rep.Failed+rep.Waiting != 0 {
		t.Fatalf("repair: %+v, %v; want %d shards", rep, err, res.Misplaced)
	}
	if res = mustCheck(t, r, true); !res.Clean() {
		t.Fatalf("check after the repair: %+v", res)
	}
	for key, data := range objects {
		r.mustGet(key, data)
	}
	waitFor(t, func() bool { // what moved is deleted
		r.Kick()
		return r.stored() == int(res.Shards)
	})
	r.close()
}

// A part whose target is away waits, though nothing of it is known to be lost.
func TestRepairCountsPartsOfTargetsThatAreAway(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	defer r.close()
	if err := r.put("k", testBody(300<<10, 1)); err != nil {
		t.Fatal(err)
	}
	r.SetTarget(TargetConfig{ID: 1})
	rep, err := r.Repair(t.Context(), RepairOptions{}, nil)
	if err != nil || rep.Waiting != 1 || rep.Failed+rep.Repaired != 0 {
		t.Fatalf("repair: %+v, %v", rep, err)
	}
	r.SetTarget(TargetConfig{ID: 1, Target: r.targets[0]})
	if rep, err = r.Repair(t.Context(), RepairOptions{}, nil); err != nil || rep.Waiting != 0 {
		t.Fatalf("repair when it is back: %+v, %v", rep, err)
	}
}
