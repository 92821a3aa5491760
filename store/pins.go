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
	waiting sync.Mutex // one barrier at a time
	mu      sync.Mutex
	opening *sync.WaitGroup // what was entered since the last barrier
	counts  map[metadata.SetID]int32
}

func (p *pins) init() {
	p.counts, p.opening = make(map[metadata.SetID]int32), new(sync.WaitGroup)
}

// enter begins the time from reading a version's record to pinning its set; Done ends it.
func (p *pins) enter() *sync.WaitGroup {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opening.Add(1)
	return p.opening
}

// barrier waits until every Open that may have read a record as it was before
// the call has pinned its set. What is opened meanwhile does not wait.
func (p *pins) barrier() {
	p.waiting.Lock()
	defer p.waiting.Unlock()
	p.mu.Lock()
	before := p.opening
	p.opening = new(sync.WaitGroup)
	p.mu.Unlock()
	before.Wait()
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
