package kms

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"
)

// Limits of a Cached.
const (
	maxCached = 1024            // opened keys, and keys in use for sealing
	cacheFor  = 5 * time.Minute // how long a key that was taken away goes on working
)

// Cached remembers what a service opened, and shares a data key among the objects that
// are bound to the same for a while: what S3 calls a bucket key. It is for services that
// are asked over a network.
type Cached struct {
	Service
	now func() time.Time

	mu     sync.Mutex
	opened map[[32]byte]cachedKey
	made   map[[32]byte]madeKey
}

type cachedKey struct {
	key   Key
	until time.Time
}

type madeKey struct {
	cachedKey
	sealed []byte
}

// NewCached puts a cache in front of a service. now may be nil.
func NewCached(s Service, now func() time.Time) *Cached {
	if now == nil {
		now = time.Now
	}
	return &Cached{Service: s, now: now, opened: map[[32]byte]cachedKey{}, made: map[[32]byte]madeKey{}}
}

// NewKey implements Service: the key that it gave lately for the same, or a new one.
// Who uses it derives a key for each object from it.
func (c *Cached) NewKey(ctx context.Context, id string, bound []byte) (Key, []byte, error) {
	at, now := digest(id, bound, nil), c.now()
	c.mu.Lock()
	m, ok := c.made[at]
	c.mu.Unlock()
	if ok && now.Before(m.until) {
		return m.key, m.sealed, nil
	}
	k, sealed, err := c.Service.NewKey(ctx, id, bound)
	if err != nil {
		return k, nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.made) >= maxCached {
		clear(c.made)
	}
	c.made[at] = madeKey{cachedKey{k, now.Add(cacheFor)}, sealed}
	return k, sealed, nil
}

// OpenKey implements Service.
func (c *Cached) OpenKey(ctx context.Context, id string, sealed, bound []byte) (Key, error) {
	at, now := digest(id, bound, sealed), c.now()
	c.mu.Lock()
	k, ok := c.opened[at]
	c.mu.Unlock()
	if ok && now.Before(k.until) {
		return k.key, nil
	}
	key, err := c.Service.OpenKey(ctx, id, sealed, bound)
	if err != nil {
		return key, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.opened) >= maxCached {
		clear(c.opened)
	}
	c.opened[at] = cachedKey{key, now.Add(cacheFor)}
	return key, nil
}

// digest is one for each combination: the pieces are hashed before they are joined.
func digest(id string, bound, sealed []byte) [32]byte {
	a, b, c := sha256.Sum256([]byte(id)), sha256.Sum256(bound), sha256.Sum256(sealed)
	return sha256.Sum256(append(append(a[:], b[:]...), c[:]...))
}
