package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strings"
	"sync"
)

// maxKeys bounds a keyCache; an access key costs one entry a day and region.
const maxKeys = 1024

// signingKey is a derived key, ready for use: the pool holds HMACs that are already keyed.
type signingKey struct {
	secret string
	macs   sync.Pool
}

func newSigningKey(secret, date, region, service string) *signingKey {
	sum := mac([]byte("AWS4"+secret), date)
	sum = mac(sum, region)
	sum = mac(sum, service)
	sum = mac(sum, terminal)
	k := &signingKey{secret: secret}
	k.macs.New = func() any { return hmac.New(sha256.New, sum) }
	return k
}

func mac(key []byte, msg string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(msg))
	return h.Sum(nil)
}

// sign appends the signature of msg in hex to dst. sum is room for the binary one; it must not be on the stack if the call is not
// to allocate.
func (k *signingKey) sign(dst []byte, msg []byte, sum *[sha256.Size]byte) []byte {
	h := k.macs.Get().(hash.Hash)
	h.Reset()
	h.Write(msg)
	dst = hex.AppendEncode(dst, h.Sum(sum[:0]))
	k.macs.Put(h)
	return dst
}

// keyCache remembers derived keys. The zero value is ready.
type keyCache struct {
	mu   sync.RWMutex
	keys map[keyID]*signingKey
}

type keyID struct{ accessKey, date, region, service string }

// get returns the key for a secret. A cached key whose secret has changed since is derived anew, so a rotated secret takes
// effect at once. Both secrets are the server's own, so comparing them need not take constant time.
func (c *keyCache) get(cred credential, secret string) *signingKey {
	id := keyID{cred.accessKey, cred.date, cred.region, cred.service}
	c.mu.RLock()
	k := c.keys[id]
	c.mu.RUnlock()
	if k != nil && k.secret == secret {
		return k
	}
	k = newSigningKey(secret, cred.date, cred.region, cred.service)
	id = keyID{strings.Clone(id.accessKey), strings.Clone(id.date), strings.Clone(id.region), strings.Clone(id.service)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys == nil {
		c.keys = make(map[keyID]*signingKey)
	}
	if _, ok := c.keys[id]; !ok && len(c.keys) >= maxKeys {
		for victim := range c.keys { // any one: the cache is far larger than the keys in use
			delete(c.keys, victim)
			break
		}
	}
	c.keys[id] = k
	return k
}
