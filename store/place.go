package store

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/weftstore/weft/erasure"
)

// place chooses n targets for the shards of a part, different ones, in random
// order so that data and parity spread evenly. Targets that fail or are full are
// left out as long as least others are there: to write to them would only cost
// time. Places that nobody takes are nil.
//
// Among the well ones the choice is random with weights (Efraimidis and
// Spirakis, "Weighted random sampling with a reservoir", 2006): more free space
// draws more, work under way draws less.
func (s *Store) place(n, least int, avoid []*target) []*target {
	type candidate struct {
		t     *target
		key   float64
		worse bool
	}
	now := s.now()
	all := *s.targets.Load()
	list := make([]candidate, 0, len(all))
	for _, t := range all {
		if t.get() == nil || slices.Contains(avoid, t) {
			continue
		}
		list = append(list, candidate{t, t.draw(), !t.usable(now) || t.full(now)})
	}
	slices.SortFunc(list, func(a, b candidate) int {
		switch {
		case a.worse != b.worse && a.worse:
			return 1
		case a.worse != b.worse:
			return -1
		case a.key < b.key:
			return -1
		default:
			return 1
		}
	})
	chosen := make([]*target, n)
	m := min(n, len(list))
	for m > 0 && list[m-1].worse && m > least {
		m--
	}
	for i := range m {
		chosen[i] = list[i].t
	}
	// The weights decide who takes part, chance alone which shard it gets.
	rand.Shuffle(n, func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
	return chosen
}

// layoutNow is the layout for a new part and the shards of it that must be
// durable; 0 stands for the layout's own write quorum, which holds whenever the
// targets that are well can meet it.
//
// With fewer, and no more than M targets unwell, the part is kept as M+1 copies and
// every target that is well must take one. So writes go on while any M targets are
// away, on as many targets as there are; what is missing is queued for repair.
func (s *Store) layoutNow(l erasure.Layout) (erasure.Layout, int) {
	now, well, all := s.now(), 0, *s.targets.Load()
	for _, t := range all {
		if t.get() != nil && t.usable(now) && !t.full(now) {
			well++
		}
	}
	if well == 0 || well >= l.WriteQuorum() || len(all)-well > int(l.M) {
		return l, 0
	}
	return l.Small(), min(well, l.Small().Shards())
}

// draw is a sample of an exponential distribution whose rate is the weight.
func (t *target) draw() float64 {
	free := float64(max(t.free.Load(), 1<<20))
	weight := math.Sqrt(free) / float64(1+max(t.inflight.Load(), 0))
	return rand.ExpFloat64() / weight
}

// replacement is a target for one shard in place of those that failed, or nil.
func (s *Store) replacement(used []*target, now time.Time) *target {
	for _, t := range s.place(1, 1, used) {
		if t != nil && t.usable(now) && !t.full(now) {
			return t
		}
	}
	return nil
}
