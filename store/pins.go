package store

import (
	"maps"
	"slices"
	"sync"

	"github.com/weftstore/weft/metadata"
)

// pins counts the readers and writers of chunk sets in this process, so that garbage
// collection leaves a set alone while it is read, and the search for orphans one whose
// record is still to come. Those of other gateways are asked for, see Peers.
type pins struct {
	opening sync.RWMutex // read-held from reading a version's record to pinning its set
	mu      sync.Mutex
	counts  map[metadata.SetID]int32
}

func (p *pins) init() { p.counts = make(map[metadata.SetID]int32) }

func (p *pins) enter() { p.opening.RLock() }
func (p *pins) leave() { p.opening.RUnlock() }

// barrier waits until every Open that may have read a record as it was before
// the call has pinned its set.
func (p *pins) barrier() {
	p.opening.Lock()
	p.opening.Unlock() //nolint:staticcheck // to have had the lock is the point
}

func (p *pins) pin(set metadata.SetID) {
	p.mu.Lock()
	p.counts[set]++
	p.mu.Unlock()
}

func (p *pins) unpin(set metadata.SetID) {
	p.mu.Lock()
	if p.counts[set]--; p.counts[set] <= 0 {
		delete(p.counts, set)
	}
	p.mu.Unlock()
}

// list is a copy of what is pinned.
func (p *pins) list() []metadata.SetID {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(p.counts))
}

func (p *pins) pinned(set metadata.SetID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts[set] > 0
}
