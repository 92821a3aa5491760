package store

import (
	"sync"

	"github.com/weftstore/weft/metadata"
)

// pins counts the readers of chunk sets in this process, so that the garbage
// collector leaves a set alone while it is read. Another gateway's readers are
// not known here: they find their chunks gone and end with an error.
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

func (p *pins) pinned(set metadata.SetID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts[set] > 0
}
