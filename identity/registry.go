package identity

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/s3api"
	"github.com/weftstore/weft/s3api/sigv4"
)

// Registry changes what is kept. Each method is one transaction.
type Registry struct {
	db    *metadata.DB
	ring  *Keyring
	now   func() time.Time
	turns atomic.Uint64 // counts changes, so that a Directory sees them at once
}

// NewRegistry works on db; now is time.Now if nil.
func NewRegistry(db *metadata.DB, ring *Keyring, now func() time.Time) *Registry {
	if now == nil {
		now = time.Now
	}
	// Who asks for a bucket may have been known when its account was there.
	db.SetOwners(func(r metadata.EntityReader, account string) error {
		err := exists(r, account)
		if isNotFound(err) {
			err = sigv4.ErrInvalidAccessKeyID
		}
		return err
	})
	return &Registry{db: db, ring: ring, now: now}
}

func (g *Registry) update(ctx context.Context, fn func(metadata.EntityTxn) error) error {
	// Before as well as after: what was read while the change was under way must not
	// be kept either.
	g.turns.Add(1)
	defer g.turns.Add(1)
	return g.db.UpdateEntities(ctx, fn)
}

func (g *Registry) stamp() time.Time { return g.now().UTC().Truncate(time.Second) }

// CreateAccount makes a tenant with a random id.
func (g *Registry) CreateAccount(ctx context.Context, name string) (*Account, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	a := &Account{Version: recordVersion, Name: name, Created: g.stamp()}
	return a, g.update(ctx, func(w metadata.EntityTxn) error {
		all, err := list[Account](w.EntityReader, kindAccount, "")
		if err != nil {
			return err
		}
		if slices.ContainsFunc(all, func(b Account) bool { return b.Name == name }) {
			return fmt.Errorf("account %q: %w", name, ErrExists)
		}
		for {
			if a.ID, err = newAccountID(); err != nil {
				return err
			}
			if !slices.ContainsFunc(all, func(b Account) bool { return b.ID == a.ID }) {
				return store(w, kindAccount, "", a.ID, a)
			}
		}
	})
}

func newAccountID() (string, error) {
	var b [12]byte
	for {
		for i := range b {
			var r [1]byte
			for r[0] = 255; r[0] >= 250; {
				if _, err := rand.Read(r[:]); err != nil {
					return "", err
				}
			}
			b[i] = '0' + r[0]%10
		}
		if id := string(b[:]); id != s3api.RootAccount {
			return id, nil
		}
	}
}

// Accounts lists them by id, without the root account.
func (g *Registry) Accounts(ctx context.Context) (all []Account, err error) {
	err = g.db.ViewEntities(ctx, func(r metadata.EntityReader) (err error) {
		all, err = list[Account](r, kindAccount, "")
		return err
	})
	return all, err
}

// DeleteAccount removes an account that has neither users, groups, policies nor
// buckets, with the keys of its root.
func (g *Registry) DeleteAccount(ctx context.Context, id string) error {
	buckets, err := g.db.Buckets(ctx)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(buckets, func(b metadata.Bucket) bool { return b.Owner == id }); i >= 0 {
		return fmt.Errorf("account %s owns bucket %s: %w", id, buckets[i].Name, ErrInUse)
	}
	err = g.update(ctx, func(w metadata.EntityTxn) error {
		a, err := load[Account](w.EntityReader, kindAccount, "", id)
		if err != nil {
			return err
		}
		bucket, err := w.BucketOf(id)
		if err != nil {
			return err
		}
		if bucket != "" { // made since
			return fmt.Errorf("account %s owns bucket %s: %w", id, bucket, ErrInUse)
		}
		for _, kind := range []byte{kindUser, kindGroup, kindPolicy, kindRole, kindOIDC} {
			left := ""
			if err := w.Scan(kind, id, func(name string, _ []byte) bool { left = name; return false }); err != nil {
				return err
			}
			if left != "" {
				return fmt.Errorf("account %s has %s %s: %w", id, kindName(kind), left, ErrInUse)
			}
		}
		for _, k := range a.Keys {
			if err := w.Delete(kindKey, "", k); err != nil {
				return err
			}
		}
		return w.Delete(kindAccount, "", id)
	})
	if err != nil {
		return err
	}
	return g.db.SetQuota(ctx, metadata.QuotaOf{Account: id}, metadata.Quota{})
}

// CreateUser makes a user to whom nothing is allowed yet.
func (g *Registry) CreateUser(ctx context.Context, account, name string, tags map[string]string) (*User, error) {
	if err := checkTags(tags); err != nil {
		return nil, err
	}
	u := &User{Version: recordVersion, Account: account, Name: name, ID: newID("AIDA"), Created: g.stamp(), Tags: tags}
	return u, g.create(ctx, kindUser, account, name, func(w metadata.EntityTxn) error { return store(w, kindUser, account, name, u) })
}

// CreateGroup makes a group without users.
func (g *Registry) CreateGroup(ctx context.Context, account, name string) (*Group, error) {
	v := &Group{Version: recordVersion, Account: account, Name: name, ID: newID("AGPA"), Created: g.stamp()}
	return v, g.create(ctx, kindGroup, account, name, func(w metadata.EntityTxn) error { return store(w, kindGroup, account, name, v) })
}

// create checks the name, the account and that nothing is there, before put.
func (g *Registry) create(ctx context.Context, kind byte, account, name string, put func(metadata.EntityTxn) error) error {
	if err := checkName(name); err != nil {
		return err
	}
	return g.enter(ctx, kind, account, name, put)
}

func (g *Registry) enter(ctx context.Context, kind byte, account, name string, put func(metadata.EntityTxn) error) error {
	return g.update(ctx, func(w metadata.EntityTxn) error {
		if err := exists(w.EntityReader, account); err != nil {
			return err
		}
		old, err := w.Get(kind, account, name)
		if err != nil {
			return err
		}
		if old != nil {
			return fmt.Errorf("%s %q: %w", kindName(kind), name, ErrExists)
		}
		return put(w)
	})
}

// SetPolicy makes a managed policy or replaces its document.
func (g *Registry) SetPolicy(ctx context.Context, account, name, document string) (*Policy, error) {
	p, err := g.CreatePolicy(ctx, account, Policy{Name: name, Document: document})
	if !errors.Is(err, ErrExists) {
		return p, err
	}
	return g.EditPolicy(ctx, account, name, func(p *Policy) { p.Document = document })
}

// CreatePolicy makes a managed policy of p's name, document, description and tags.
func (g *Registry) CreatePolicy(ctx context.Context, account string, p Policy) (*Policy, error) {
	p.Version, p.Account, p.ID, p.Created, p.Revision = recordVersion, account, newID("ANPA"), g.stamp(), 1
	p.Updated = p.Created
	if _, ok := builtIn[p.Name]; ok {
		return nil, fmt.Errorf("policy %s is built in: %w", p.Name, ErrInvalid)
	}
	if err := errors.Join(checkNameOf(p.Name, maxPolicies), p.check()); err != nil {
		return nil, err
	}
	return &p, g.enter(ctx, kindPolicy, account, p.Name, func(w metadata.EntityTxn) error { return store(w, kindPolicy, account, p.Name, &p) })
}

// EditPolicy changes a managed policy's document, description and tags.
func (g *Registry) EditPolicy(ctx context.Context, account, name string, edit func(*Policy)) (p *Policy, err error) {
	return p, g.update(ctx, func(w metadata.EntityTxn) error {
		return editRecord(w, kindPolicy, account, name, func(v *Policy) error {
			e := *v
			e.Tags = maps.Clone(v.Tags)
			edit(&e)
			if e.Document != v.Document {
				v.Revision, v.Updated = max(v.Revision, 1)+1, g.stamp()
			}
			v.Document, v.Description, v.Tags = e.Document, e.Description, e.Tags
			p = v
			return v.check()
		})
	})
}

func (p *Policy) check() error {
	if len(p.Description) > 1000 {
		return fmt.Errorf("description of %d bytes, the limit is 1,000: %w", len(p.Description), ErrInvalid)
	}
	if err := checkPolicy(p.Document); err != nil {
		return err
	}
	return checkTags(p.Tags)
}

// DeletePolicy removes a policy that nothing is attached to.
func (g *Registry) DeletePolicy(ctx context.Context, account, name string) error {
	return g.update(ctx, func(w metadata.EntityTxn) error {
		if _, err := load[Policy](w.EntityReader, kindPolicy, account, name); err != nil {
			return err
		}
		holders, err := attachedTo(w.EntityReader, account, name)
		if err != nil {
			return err
		}
		if len(holders) > 0 {
			return fmt.Errorf("policy %s is attached to %s: %w", name, holders[0], ErrInUse)
		}
		return w.Delete(kindPolicy, account, name)
	})
}

// DeleteUser removes a user and its keys; with bare, one that has neither keys, policies
// nor groups only.
func (g *Registry) DeleteUser(ctx context.Context, account, name string, bare bool) error {
	return g.update(ctx, func(w metadata.EntityTxn) error {
		u, err := load[User](w.EntityReader, kindUser, account, name)
		if err != nil {
			return err
		}
		if bare && len(u.Keys)+len(u.Groups)+len(u.Policies)+len(u.Inline) > 0 {
			return fmt.Errorf("user %s has access keys, groups or policies: remove them first: %w", name, ErrInUse)
		}
		for _, k := range u.Keys {
			if err := w.Delete(kindKey, "", k); err != nil {
				return err
			}
		}
		return w.Delete(kindUser, account, name)
	})
}

// DeleteGroup removes a group that has no users.
func (g *Registry) DeleteGroup(ctx context.Context, account, name string) error {
	return g.update(ctx, func(w metadata.EntityTxn) error {
		if _, err := load[Group](w.EntityReader, kindGroup, account, name); err != nil {
			return err
		}
		users, err := list[User](w.EntityReader, kindUser, account)
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(users, func(u User) bool { return slices.Contains(u.Groups, name) }); i >= 0 {
			return fmt.Errorf("group %s has user %s: %w", name, users[i].Name, ErrInUse)
		}
		return w.Delete(kindGroup, account, name)
	})
}

// SetMember puts a user into a group, or takes it out.
func (g *Registry) SetMember(ctx context.Context, account, group, user string, member bool) error {
	return g.update(ctx, func(w metadata.EntityTxn) error {
		if _, err := load[Group](w.EntityReader, kindGroup, account, group); err != nil {
			return err
		}
		u, err := load[User](w.EntityReader, kindUser, account, user)
		if err != nil {
			return err
		}
		if u.Groups, err = with(u.Groups, group, member, MaxGroups); err != nil {
			return err
		}
		return store(w, kindUser, account, user, u)
	})
}

// with adds to a set of names, or removes from it.
func with(set []string, name string, in bool, limit int) ([]string, error) {
	i, found := slices.BinarySearch(set, name)
	switch {
	case in && !found && len(set) >= limit:
		return nil, fmt.Errorf("more than %d: %w", limit, ErrLimit)
	case in && !found:
		return slices.Insert(set, i, name), nil
	case !in && found:
		return slices.Delete(set, i, i+1), nil
	}
	return set, nil
}

// View is everything of an account, by name.
type View struct {
	Users    []User
	Groups   []Group
	Policies []Policy
	Roles    []Role
	OIDC     []Provider
}

// View reads an account at one moment.
func (g *Registry) View(ctx context.Context, account string) (v View, err error) {
	err = g.db.ViewEntities(ctx, func(r metadata.EntityReader) (err error) {
		if err = exists(r, account); err != nil {
			return err
		}
		if v.Users, err = list[User](r, kindUser, account); err != nil {
			return err
		}
		if v.Groups, err = list[Group](r, kindGroup, account); err != nil {
			return err
		}
		if v.Policies, err = list[Policy](r, kindPolicy, account); err != nil {
			return err
		}
		if v.Roles, err = list[Role](r, kindRole, account); err != nil {
			return err
		}
		v.OIDC, err = list[Provider](r, kindOIDC, account)
		return err
	})
	return v, err
}

// newSecret has 240 random bits.
func newSecret() string {
	var b [30]byte
	_, _ = rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}
