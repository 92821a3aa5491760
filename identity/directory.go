package identity

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/s3api"
	"github.com/weftstore/weft/s3api/policy"
	"github.com/weftstore/weft/s3api/sigv4"
)

// maxCached bounds the look-ups that are remembered.
const maxCached = 8192

// Directory finds out whose an access key is. It remembers what it found.
type Directory struct {
	g *Registry

	mu    sync.RWMutex
	turn  uint64 // of the Registry, when known was begun
	known map[cacheID]cached
}

type cacheID struct{ accessKey, token string }

type cached struct {
	key     sigv4.Key
	read    time.Time
	expires time.Time // zero: never
}

func (c *cached) fresh(now time.Time) bool {
	age := now.Sub(c.read)
	return age >= 0 && age < Age && (c.expires.IsZero() || now.Before(c.expires))
}

// NewDirectory looks up what g keeps.
func NewDirectory(g *Registry) *Directory { return &Directory{g: g} }

// Lookup is a sigv4.Lookup; the owner of the key is an *s3api.Principal.
func (d *Directory) Lookup(ctx context.Context, accessKey, token string) (sigv4.Key, error) {
	now, turn := d.g.now(), d.g.turns.Load()
	id := cacheID{accessKey, token}
	d.mu.RLock()
	c, ok := d.known[id]
	ok = ok && d.turn == turn
	d.mu.RUnlock()
	if ok && c.fresh(now) {
		return c.key, nil
	}
	c, err := d.read(ctx, id, now)
	if err != nil {
		return sigv4.Key{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if turn == d.g.turns.Load() {
		if d.turn != turn || d.known == nil || len(d.known) >= maxCached {
			d.turn, d.known = turn, map[cacheID]cached{}
		}
		d.known[id] = c
	}
	return c.key, nil
}

// read asks the registry.
func (d *Directory) read(ctx context.Context, id cacheID, now time.Time) (c cached, err error) {
	c.read = now
	if id.token != "" {
		return d.readSession(ctx, id, now)
	}
	err = d.g.db.ViewEntities(ctx, func(r metadata.EntityReader) error {
		k, p, err := d.principal(r, id.accessKey, now)
		if err != nil {
			return err
		}
		secret, err := d.g.ring.open(k.Sealed, secretBound+k.ID)
		if err != nil {
			return fmt.Errorf("secret of access key %s: %w", k.ID, err)
		}
		c.key, c.expires = sigv4.Key{Secret: string(secret), Owner: p}, k.Expires
		return nil
	})
	return c, err
}

// principal reads an active key and whose it is.
func (d *Directory) principal(r metadata.EntityReader, accessKey string, now time.Time) (*Key, *s3api.Principal, error) {
	if len(accessKey) > 128 {
		return nil, nil, sigv4.ErrInvalidAccessKeyID
	}
	k, err := load[Key](r, kindKey, "", accessKey)
	if errors.Is(err, ErrNotFound) || err == nil && k.State(now) != "active" {
		return nil, nil, sigv4.ErrInvalidAccessKeyID
	}
	if err != nil {
		return nil, nil, err
	}
	p := &s3api.Principal{Name: k.User, ID: k.Account, Principal: policy.Principal{Account: k.Account, Canonical: s3api.CanonicalID(k.Account)}}
	p.Key, p.KeyLimits = k.ID, k.Limits
	if err := limits(r, p); err != nil {
		return nil, nil, err
	}
	if k.User == "" {
		p.Root, p.ARNs = true, []string{"arn:aws:iam::" + k.Account + ":root"}
	} else if err := readUser(r, k, p); err != nil {
		return nil, nil, err
	}
	if k.Policy != "" {
		if p.Session, err = policy.Parse([]byte(k.Policy), policy.Identity, ""); err != nil {
			return nil, nil, fmt.Errorf("policy of access key %s: %w", k.ID, err)
		}
	}
	return k, p, nil
}

// limits fills in what the account may use.
func limits(r metadata.EntityReader, p *s3api.Principal) error {
	if p.Account == s3api.RootAccount {
		return nil
	}
	a, err := load[Account](r, kindAccount, "", p.Account)
	if err == nil {
		p.Limits, p.Weight = a.Limits, a.Weight
	}
	return err
}

// readUser fills in the name and the policies of the user and its groups.
func readUser(r metadata.EntityReader, k *Key, p *s3api.Principal) error {
	u, err := load[User](r, kindUser, k.Account, k.User)
	if err != nil {
		return err
	}
	p.ID, p.ARNs, p.Tags = u.ID, []string{UserARN(u.Account, u.Name)}, u.Tags
	seen := map[string]bool{}
	if p.Policies, err = u.documents(r, k.Account, seen); err != nil {
		return err
	}
	for _, name := range u.Groups {
		v, err := load[Group](r, kindGroup, k.Account, name)
		if err != nil {
			return err
		}
		docs, err := v.documents(r, k.Account, seen)
		if err != nil {
			return err
		}
		p.Policies = append(p.Policies, docs...)
	}
	return nil
}

// UserARN names a user in policies.
func UserARN(account, name string) string { return "arn:aws:iam::" + account + ":user/" + name }
