package store

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/weftstore/weft/erasure"
)

// layoutFor cuts a new part of size bytes and says how many of its shards must be
// durable. That is the layout's write quorum whenever the targets that are well can
// meet it.
//
// With fewer, and no more than M failure domains unwell, the part is kept as M+1
// copies and every domain that is well must take one. So writes go on while any M
// domains are away, on as many targets as there are; what is missing is queued for
// repair.
func (s *Store) layoutFor(l erasure.Layout, size int64) (g erasure.Geometry, quorum int) {
	g = s.cut(l, size)
	tp, now := s.topology.Load(), s.now()
	well := tp.well(now)
	quorum = g.Layout.WriteQuorum()
	if room(well, tp.limit(g.Layout)) >= quorum {
		return g, quorum
	}
	unwell := max(0, s.cfg.expect()-len(tp.list)) // never seen
	for d, n := range well {
		if n < tp.sizes[d] {
			unwell++
		}
	}
	copies := min(room(well, tp.limit(l.Small())), l.Small().Shards())
	if copies == 0 || unwell > int(l.M) {
		return g, quorum // place says what is missing
	}
	return s.cut(l.Small(), size), copies
}

// well counts the targets of each domain that can take a write.
func (tp *topology) well(now time.Time) []int {
	n := make([]int, len(tp.sizes))
	for _, t := range tp.list {
		if t.get() != nil && t.usable(now) && !t.full(now) && !t.drains {
			n[tp.domain[t.id]]++
		}
	}
	return n
}

// Ready is nil while writes can be acknowledged.
func (s *Store) Ready() error {
	g, quorum := s.layoutFor(s.cfg.Layout, int64(s.cfg.SmallMax)+1)
	tp := s.topology.Load()
	well := tp.well(s.now())
	if n := room(well, tp.limit(g.Layout)); n < quorum {
		return fmt.Errorf("room for %d shards of %v, %d are needed to write: %w", n, g.Layout, quorum, ErrUnavailable)
	}
	return nil
}

// candidate is a target that may take a shard. The least key is the first choice.
type candidate struct {
	t      *target
	domain int
	key    float64
}

// place chooses targets for n shards of a part with this layout, different ones, in
// random order so that data and parity spread evenly. held are the targets that
// have shards of it already, avoid those not to choose. Places that nobody takes
// are nil.
//
// The shards are spread over failure domains as evenly as can be, and no domain
// gets more than topology.limit. Within that the choice is random with weights
// (Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006):
// twice the free space draws twice as much, so that targets of any size fill up
// together; work under way draws less; and who is emptier than the mean draws up to
// twice as much, so that chance does not add up. Targets that fail or are full only take
// what is needed to make it least.
func (s *Store) place(l erasure.Layout, n, least int, held, avoid []*target) []*target {
	tp, now := s.topology.Load(), s.now()
	mean := tp.fill()
	good, bad := make([]candidate, 0, len(tp.list)), []candidate(nil)
	for _, t := range tp.list {
		if t.get() == nil || t.drains || has(held, t) || has(avoid, t) {
			continue
		}
		c := candidate{t, tp.domain[t.id], t.draw(mean)}
		if t.usable(now) && !t.full(now) {
			good = append(good, c)
		} else {
			bad = append(bad, c)
		}
	}
	limit, have := tp.limit(l), tp.held(held)
	chosen := spread(make([]*target, 0, n), good, n, limit, have)
	chosen = spread(chosen, bad, least, limit, have)[:n]
	// The weights decide who takes part, chance alone which shard it gets.
	rand.Shuffle(n, func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
	return chosen
}

// spread appends candidates to chosen until there are n: always the one in the
// domain that has the least, by key among equals.
func spread(chosen []*target, list []candidate, n, limit int, have []int) []*target {
	for len(chosen) < n {
		best := -1
		for i := range list {
			c := &list[i]
			if held := have[c.domain]; held < limit && (best < 0 || held < have[list[best].domain] ||
				(held == have[list[best].domain] && c.key < list[best].key)) {
				best = i
			}
		}
		if best < 0 {
			break
		}
		chosen = append(chosen, list[best].t)
		have[list[best].domain]++
		list[best] = list[len(list)-1]
		list = list[:len(list)-1]
	}
	return chosen
}

// fill is the part of all space that is in use.
func (tp *topology) fill() float64 {
	var free, total float64
	for _, t := range tp.list {
		if n := t.total.Load(); n > 0 {
			free, total = free+float64(t.free.Load()), total+float64(n)
		}
	}
	return 1 - free/max(total, 1)
}

// pull is how strongly a target that is emptier than the mean is preferred: at a
// twentieth of its size below it draws twice as much.
const pull = 20

// draw is a sample of an exponential distribution whose rate is the weight.
func (t *target) draw(mean float64) float64 {
	free := float64(max(t.free.Load(), 1<<20))
	weight := free / float64(1+max(t.inflight.Load(), 0))
	if total := float64(t.total.Load()); total > 0 {
		weight *= min(max(1+pull*(mean-(1-free/total)), 0.5), 2)
	}
	return rand.ExpFloat64() / weight
}

// replacement is a target for one shard in place of one that failed, or nil.
func (s *Store) replacement(l erasure.Layout, held, avoid []*target, now time.Time) *target {
	t := s.place(l, 1, 1, held, avoid)[0]
	if t == nil || !t.usable(now) || t.full(now) {
		return nil
	}
	return t
}
