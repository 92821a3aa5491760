package member

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/store"
)

// maxTerms is how many changes of membership a Group remembers: what was begun before
// that many is not committed.
const maxTerms = 4096

// Group is a gateway's membership in each of the etcd clusters that share the metadata,
// as leases and fences hold in one of them only. It is the Member in the home cluster, which
// elects the leader and has the map; as store.Peers it is all of them. With one cluster it
// is no more than that Member.
type Group struct {
	*Member // in the home cluster
	others  []*Member

	mu    sync.Mutex
	first int64     // number of terms[0]
	terms [][]int64 // of all members, as they were one after the other
}

// NewGroup takes the members over, to close.
func NewGroup(home *Member, others ...*Member) *Group {
	return &Group{Member: home, others: others, first: 1}
}

func (g *Group) all() []*Member { return append([]*Member{g.Member}, g.others...) }

// Answer is Member.Answer in all clusters.
func (g *Group) Answer(report func() ([]metadata.SetID, uint64, int64)) {
	for _, m := range g.all() {
		m.Answer(report)
	}
}

// Close ends all memberships.
func (g *Group) Close() error {
	var errs []error
	for _, m := range g.all() {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}

// Term is store.Peers': it names the terms in all clusters, and is 0 when there is none in
// any. What it names is good for commits in the clusters that had a term.
func (g *Group) Term() int64 {
	if len(g.others) == 0 {
		return g.Member.Term()
	}
	now := make([]int64, 0, 1+len(g.others))
	for _, m := range g.all() {
		now = append(now, m.Term())
	}
	if !slices.ContainsFunc(now, func(t int64) bool { return t != 0 }) {
		return 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if n := len(g.terms); n == 0 || !slices.Equal(g.terms[n-1], now) {
		g.terms = append(g.terms, now)
	}
	if len(g.terms) > maxTerms {
		g.terms = g.terms[1:]
		g.first++
	}
	return g.first + int64(len(g.terms)) - 1
}

// Within is store.Peers'.
func (g *Group) Within(ctx context.Context, term int64) context.Context {
	if len(g.others) == 0 {
		return g.Member.Within(ctx, term)
	}
	terms := make([]int64, 1+len(g.others)) // over, unless they are remembered
	g.mu.Lock()
	if i := term - g.first; i >= 0 && i < int64(len(g.terms)) {
		terms = g.terms[i]
	}
	g.mu.Unlock()
	for i, m := range g.all() {
		ctx = m.Within(ctx, terms[i])
	}
	return ctx
}

// Ask is store.Peers': a gateway counts as long as it is registered in any of the clusters.
func (g *Group) Ask(ctx context.Context) (*store.PeerReport, error) {
	if len(g.others) == 0 {
		return g.Member.Ask(ctx)
	}
	members := g.all()
	reports, errs := make([]*store.PeerReport, len(members)), make([]error, len(members))
	var wg sync.WaitGroup
	for i, m := range members {
		wg.Go(func() { reports[i], errs[i] = m.Ask(ctx) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("not all metadata clusters answer: %w", err)
	}
	sum := &store.PeerReport{Busy: map[metadata.SetID]bool{}}
	changes := make([]string, 0, len(reports))
	for _, r := range reports {
		for set := range r.Busy {
			sum.Busy[set] = true
		}
		if r.Clock != 0 && (sum.Clock == 0 || r.Clock < sum.Clock) {
			sum.Clock = r.Clock
		}
		changes = append(changes, r.Changes)
	}
	sum.Changes = strings.Join(changes, "; ")
	return sum, nil
}

var _ store.Peers = (*Group)(nil)
