package kms

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
)

// The errors of a Service.
var (
	// ErrNoKey: there is no key of that name, or it may not be used.
	ErrNoKey = errors.New("no such key")
	// ErrSealed: what was sealed does not open: it is damaged, or bound to something else.
	ErrSealed = errors.New("sealed data key does not open: the keyring, or Vault, lacks the key that sealed it, or it is damaged")
	// ErrUnavailable: the service did not answer as it should.
	ErrUnavailable = errors.New("key service is unavailable")
)

// Key is a data key.
type Key [32]byte

// Service makes and opens data keys. id names one of its keys.
type Service interface {
	// Resolve gives the id that NewKey is to be called with for what a client named; "" is
	// the default key. ErrNoKey.
	Resolve(id string) (string, error)
	// NewKey makes a data key and seals it.
	NewKey(ctx context.Context, id string, bound []byte) (Key, []byte, error)
	// OpenKey is the reverse. bound must be what NewKey was given.
	OpenKey(ctx context.Context, id string, sealed, bound []byte) (Key, error)
}

// Ring seals short secrets; *identity.Keyring does. name separates what the ring is used for.
type Ring interface {
	SealFor(name string, plain, bound []byte) []byte
	OpenFor(name string, sealed, bound []byte) ([]byte, error)
}

// Local seals with a ring: no server is needed. Names are the keys that clients may name,
// the first is the default. Each has keys of its own, derived from the ring's.
type Local struct {
	Ring  Ring
	Names []string
}

// Resolve implements Service.
func (l *Local) Resolve(id string) (string, error) {
	if id == "" && len(l.Names) > 0 {
		return l.Names[0], nil
	}
	if !slices.Contains(l.Names, id) {
		return "", fmt.Errorf("key %q: %w", id, ErrNoKey)
	}
	return id, nil
}

// NewKey implements Service.
func (l *Local) NewKey(_ context.Context, id string, bound []byte) (Key, []byte, error) {
	var k Key
	_, _ = rand.Read(k[:]) // never fails since Go 1.24
	return k, l.Ring.SealFor("object "+id, k[:], bound), nil
}

// OpenKey implements Service. A name that was taken out of Names still opens.
func (l *Local) OpenKey(_ context.Context, id string, sealed, bound []byte) (Key, error) {
	plain, err := l.Ring.OpenFor("object "+id, sealed, bound)
	if err != nil || len(plain) != len(Key{}) {
		return Key{}, fmt.Errorf("open data key of %q: %w", id, ErrSealed)
	}
	return Key(plain), nil
}
