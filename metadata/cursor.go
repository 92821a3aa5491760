package metadata

import "bytes"

// Bounds of what a cursor reads at a time.
const (
	minFetch = 16
	maxFetch = 1024
)

// cursor turns Scan, which pushes, into something that can be pulled and moved, so
// that two scans can be merged and common prefixes skipped. It reads ahead, more
// each time until a seek. What it lends is valid as long as the Reader.
type cursor struct {
	r     Reader
	from  []byte // of the next fetch
	to    []byte
	ahead []pair
	fetch int
	done  bool // nothing after ahead
}

type pair struct{ key, value []byte }

// newCursor reads [from, to); limit is a guess of how many will be wanted. It keeps to,
// not from.
func newCursor(r Reader, from, to []byte, limit int) *cursor {
	return &cursor{
		r: r, from: bytes.Clone(from), to: to,
		fetch: min(max(limit+1, minFetch), maxFetch),
	}
}

// peek lends the next pair, a nil key at the end.
func (c *cursor) peek() (key, value []byte, err error) {
	if len(c.ahead) == 0 && !c.done {
		if err := c.read(); err != nil {
			return nil, nil, err
		}
	}
	if len(c.ahead) == 0 {
		return nil, nil, nil
	}
	return c.ahead[0].key, c.ahead[0].value, nil
}

func (c *cursor) next() (key, value []byte, err error) {
	key, value, err = c.peek()
	if key != nil {
		c.skip()
	}
	return key, value, err
}

// skip moves past what peek lent.
func (c *cursor) skip() {
	if len(c.ahead) == 1 && !c.done {
		c.from = append(append(c.from[:0], c.ahead[0].key...), 0)
	}
	c.ahead = c.ahead[1:]
}

// seek moves forward to the first key at or past to.
func (c *cursor) seek(to []byte) {
	if to == nil {
		c.ahead, c.done = nil, true
		return
	}
	for i, p := range c.ahead {
		if bytes.Compare(p.key, to) >= 0 {
			c.ahead = c.ahead[i:]
			return
		}
	}
	c.ahead = c.ahead[:0]
	if c.done {
		return
	}
	c.from = append(c.from[:0], to...)
	c.fetch = minFetch
}

func (c *cursor) read() error {
	ahead := c.ahead[:0]
	if cap(ahead) == 0 {
		ahead = make([]pair, 0, c.fetch)
	}
	err := c.r.Scan(c.from, c.to, func(k, v []byte) bool {
		ahead = append(ahead, pair{k, v})
		return len(ahead) < c.fetch
	})
	if err != nil {
		return err
	}
	c.done = len(ahead) < c.fetch
	c.ahead = ahead
	c.fetch = min(2*c.fetch, maxFetch)
	return nil
}
