package identity

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/s3api"
)

// KeyOptions are what a new key may have.
type KeyOptions struct {
	Description string
	Policy      string    // document that limits what the key may do; "" does not
	Expires     time.Time // zero: never
}

const secretBound, sessionBound = "weft secret 1 ", "weft session 1 " //nolint:gosec // what they are for, no secrets

// CreateKey makes an access key of a user, or of the account's root when user is "". The
// secret is returned this once.
func (g *Registry) CreateKey(ctx context.Context, account, user string, o KeyOptions) (k *Key, secret string, err error) {
	if o.Policy != "" {
		if err := checkPolicy(o.Policy); err != nil {
			return nil, "", err
		}
	}
	if account == s3api.RootAccount && user == "" {
		return nil, "", fmt.Errorf("the root keys of the root account are those of the state directory: name a user or another account: %w", ErrInvalid)
	}
	if len(o.Description) > 256 {
		return nil, "", fmt.Errorf("description of %d bytes, the limit is 256: %w", len(o.Description), ErrInvalid)
	}
	if !o.Expires.IsZero() && !o.Expires.After(g.now()) {
		return nil, "", fmt.Errorf("the key would be expired already: %w", ErrInvalid)
	}
	k, secret = g.newKey(account, user, o)
	return k, secret, g.update(ctx, func(w metadata.EntityTxn) error { return g.putKey(w, k) })
}

func (g *Registry) newKey(account, user string, o KeyOptions) (*Key, string) {
	k := &Key{Version: recordVersion, ID: newID("AKIA"), Account: account, User: user, Description: o.Description, Policy: o.Policy,
		Created: g.stamp(), Expires: o.Expires.UTC()}
	secret := newSecret()
	k.Sealed = g.ring.seal([]byte(secret), secretBound+k.ID)
	return k, secret
}

// putKey enters a new key with its user.
func (g *Registry) putKey(w metadata.EntityTxn, k *Key) error {
	if err := g.editOwner(w, k, func(keys []string) ([]string, error) { return with(keys, k.ID, true, MaxKeys) }); err != nil {
		return err
	}
	return store(w, kindKey, "", k.ID, k)
}

func (g *Registry) editOwner(w metadata.EntityTxn, k *Key, edit func([]string) ([]string, error)) error {
	if k.User == "" {
		a, err := load[Account](w.EntityReader, kindAccount, "", k.Account)
		if err != nil {
			return err
		}
		if a.Keys, err = edit(a.Keys); err != nil {
			return err
		}
		return store(w, kindAccount, "", a.ID, a)
	}
	u, err := load[User](w.EntityReader, kindUser, k.Account, k.User)
	if err != nil {
		return err
	}
	if u.Keys, err = edit(u.Keys); err != nil {
		return err
	}
	return store(w, kindUser, u.Account, u.Name, u)
}

// RotateKey makes another key like this one, which then ends after grace. ErrInvalid for one
// that was rotated already: the new key would end with it.
func (g *Registry) RotateKey(ctx context.Context, id string, grace time.Duration) (k *Key, secret string, err error) {
	err = g.update(ctx, func(w metadata.EntityTxn) error {
		old, err := load[Key](w.EntityReader, kindKey, "", id)
		if err != nil {
			return err
		}
		if s := old.State(g.now()); s != "active" {
			return fmt.Errorf("access key %s is %s: %w", id, s, ErrInvalid)
		}
		if old.Rotated {
			return fmt.Errorf("access key %s was rotated already: rotate the one that took its place, or change when this one expires: %w", id, ErrInvalid)
		}
		k, secret = g.newKey(old.Account, old.User, KeyOptions{Description: old.Description, Policy: old.Policy, Expires: old.Expires})
		k.Limits = old.Limits
		if end := g.now().UTC().Add(grace); old.Expires.IsZero() || end.Before(old.Expires) {
			old.Expires, old.Rotated = end, true
		}
		if err := store(w, kindKey, "", old.ID, old); err != nil {
			return err
		}
		return g.putKey(w, k)
	})
	return k, secret, err
}

// EditKey changes whether a key is disabled and when it expires.
func (g *Registry) EditKey(ctx context.Context, id string, edit func(*Key)) error {
	return g.update(ctx, func(w metadata.EntityTxn) error {
		k, err := load[Key](w.EntityReader, kindKey, "", id)
		if err != nil {
			return err
		}
		e := *k
		edit(&e)
		k.Rotated = k.Rotated && e.Expires.Equal(k.Expires)
		k.Disabled, k.Expires = e.Disabled, e.Expires.UTC()
		return store(w, kindKey, "", id, k)
	})
}

// DeleteKey removes a key.
func (g *Registry) DeleteKey(ctx context.Context, id string) error {
	return g.update(ctx, func(w metadata.EntityTxn) error {
		k, err := load[Key](w.EntityReader, kindKey, "", id)
		if err != nil {
			return err
		}
		err = g.editOwner(w, k, func(keys []string) ([]string, error) {
			return slices.DeleteFunc(keys, func(s string) bool { return s == id }), nil
		})
		if err != nil {
			return err
		}
		return w.Delete(kindKey, "", id)
	})
}

// Keys lists the keys of a user, or of an account's root; without their secrets.
func (g *Registry) Keys(ctx context.Context, account, user string) (keys []Key, err error) {
	err = g.db.ViewEntities(ctx, func(r metadata.EntityReader) error {
		keys = []Key{} // none is [] in JSON
		var ids []string
		if user == "" {
			if account == s3api.RootAccount {
				return nil
			}
			a, err := load[Account](r, kindAccount, "", account)
			if err != nil {
				return err
			}
			ids = a.Keys
		} else {
			u, err := load[User](r, kindUser, account, user)
			if err != nil {
				return err
			}
			ids = u.Keys
		}
		for _, id := range ids {
			k, err := load[Key](r, kindKey, "", id)
			if err != nil {
				return err
			}
			k.Sealed = nil
			keys = append(keys, *k)
		}
		return nil
	})
	return keys, err
}
