package extent

import "sync"

// found is what a reader needs of a chunk. Immutable.
type found struct {
	loc
	// crcs is the whole checksum table as stored, or nil when it is too long to
	// be kept.
	crcs []uint64
}

func (f *found) cost() int64 { return 160 + 8*int64(len(f.crcs)) }

// cache keeps lately used places within a bound of memory: two generations,
// the younger becomes the older when it has half of the bound.
type cache struct {
	half int64

	mu    sync.RWMutex
	young map[ID]*found
	old   map[ID]*found
	used  int64 // by young
}

func newCache(bytes int64) *cache {
	return &cache{half: bytes / 2, young: make(map[ID]*found)}
}

func (c *cache) get(id ID) *found {
	c.mu.RLock()
	f := c.young[id]
	if f != nil {
		c.mu.RUnlock()
		return f
	}
	f = c.old[id]
	c.mu.RUnlock()
	if f != nil {
		c.mu.Lock()
		// Unless it was removed in between.
		if c.old[id] == f {
			c.put(id, f)
		}
		c.mu.Unlock()
	}
	return f
}

func (c *cache) add(id ID, f *found) {
	c.mu.Lock()
	c.put(id, f)
	c.mu.Unlock()
}

// put adds to the young generation. mu is held.
func (c *cache) put(id ID, f *found) {
	if c.young[id] == nil {
		c.used += f.cost()
	}
	c.young[id] = f
	if c.used > c.half {
		c.old, c.young, c.used = c.young, make(map[ID]*found), 0
	}
}

func (c *cache) remove(id ID) {
	c.mu.Lock()
	if f := c.young[id]; f != nil {
		c.used -= f.cost()
		delete(c.young, id)
	}
	delete(c.old, id)
	c.mu.Unlock()
}
