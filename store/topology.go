package store

import (
	"fmt"
	"slices"

	"github.com/weftstore/weft/erasure"
	"github.com/weftstore/weft/metadata"
)

// topology is the known targets and their failure domains. It is never changed.
type topology struct {
	list   []*target
	byID   map[metadata.TargetID]*target
	domain map[metadata.TargetID]int // which of sizes a target is in
	sizes  []int                     // targets of each failure domain that do not drain
	drains bool                      // one of the targets does
}

func newTopology(list []*target) *topology {
	tp := &topology{
		list: list, byID: make(map[metadata.TargetID]*target, len(list)),
		domain: make(map[metadata.TargetID]int, len(list)),
	}
	index := map[string]int{}
	for _, t := range list {
		i, ok := index[t.domain]
		if !ok || t.domain == "" { // without a name each is its own
			i = len(tp.sizes)
			tp.sizes = append(tp.sizes, 0)
			index[t.domain] = i
		}
		if tp.drains = tp.drains || t.drains; !t.drains {
			tp.sizes[i]++
		}
		tp.byID[t.id], tp.domain[t.id] = t, i
	}
	return tp
}

// name is what `weft admin status` calls a target; that of one that is not known is its number.
func (tp *topology) name(id metadata.TargetID) string {
	if t := tp.byID[id]; t != nil {
		return t.name
	}
	return fmt.Sprint(id)
}

// limit is how many shards of a part one failure domain may hold: M, and one of
// copies, so that the loss of a domain is survived. With too few domains for that
// it is the least with which all shards find a place when every target is there.
func (tp *topology) limit(l erasure.Layout) int {
	most := 1
	if l.K > 1 {
		most = max(int(l.M), 1)
	}
	for most < l.Shards() && room(tp.sizes, most) < l.Shards() {
		most++
	}
	return most
}

// room is how many shards of a part fit on domains of these sizes.
func room(sizes []int, limit int) int {
	n := 0
	for _, s := range sizes {
		n += min(s, limit)
	}
	return n
}

// held counts the shards in each domain.
func (tp *topology) held(by []*target) []int {
	n := make([]int, len(tp.sizes))
	for _, t := range by {
		if t == nil {
			continue
		}
		if d, ok := tp.domain[t.id]; ok {
			n[d]++
		}
	}
	return n
}

// surplus marks the shards of a part that are more than their failure domain may
// hold, while there is a better place for them.
func (tp *topology) surplus(p *metadata.Part) (mask uint64) {
	limit := tp.limit(erasure.Layout{K: p.K, M: p.M})
	n := make([]int, len(tp.sizes))
	for i, id := range p.Targets {
		d, ok := tp.domain[id]
		if !ok {
			continue
		}
		if n[d]++; n[d] > limit || slices.Contains(p.Targets[:i], id) {
			mask |= 1 << i
		}
	}
	return mask
}

// draining are the targets that are drained.
func (tp *topology) draining() (ids []metadata.TargetID) {
	for _, t := range tp.list {
		if t.drains {
			ids = append(ids, t.id)
		}
	}
	slices.Sort(ids)
	return ids
}

// leaving marks the shards of a part that are on targets which are drained.
func (tp *topology) leaving(p *metadata.Part) (mask uint64) {
	if !tp.drains {
		return 0
	}
	for i, id := range p.Targets {
		if t := tp.byID[id]; t != nil && t.drains {
			mask |= 1 << i
		}
	}
	return mask
}

// has says whether t is in list. A target that went away and came back is another
// object with the same id.
func has(list []*target, t *target) bool {
	return slices.ContainsFunc(list, func(o *target) bool { return o != nil && o.id == t.id })
}
