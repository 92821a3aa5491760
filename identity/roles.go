package identity

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/s3api/policy"
)

// Limits of a role's sessions.
const (
	DefaultRoleSession = time.Hour
	MaxRoleSession     = 12 * time.Hour
)

// RoleOptions are what a role is made with.
type RoleOptions struct {
	Trust       string // document
	Description string
	MaxSession  time.Duration // 0: DefaultRoleSession
	Tags        map[string]string
}

func isNotFound(err error) bool { return errors.Is(err, ErrNotFound) }

// CreateRole makes a role to which nothing is allowed yet.
func (g *Registry) CreateRole(ctx context.Context, account, name string, o RoleOptions) (*Role, error) {
	v := &Role{Version: recordVersion, Account: account, Name: name, ID: newID("AROA"), Created: g.stamp(), Description: o.Description,
		Trust: o.Trust, MaxSession: o.MaxSession, Tags: o.Tags}
	if v.MaxSession == 0 {
		v.MaxSession = DefaultRoleSession
	}
	if err := v.check(); err != nil {
		return nil, err
	}
	return v, g.create(ctx, kindRole, account, name, func(w metadata.EntityTxn) error { return store(w, kindRole, account, name, v) })
}

func (v *Role) check() error {
	if _, err := policy.Parse([]byte(v.Trust), policy.Trust, ""); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if v.MaxSession < time.Hour || v.MaxSession > MaxRoleSession {
		return fmt.Errorf("the longest session of a role is between an hour and %s: %w", MaxRoleSession, ErrInvalid)
	}
	if len(v.Description) > 1000 {
		return fmt.Errorf("description of %d bytes, the limit is 1,000: %w", len(v.Description), ErrInvalid)
	}
	return checkTags(v.Tags)
}

// EditRole changes trust, description, the longest session and tags.
func (g *Registry) EditRole(ctx context.Context, account, name string, edit func(*Role)) error {
	return g.update(ctx, func(w metadata.EntityTxn) error {
		return editRecord(w, kindRole, account, name, func(v *Role) error {
			e := *v
			e.Tags = maps.Clone(v.Tags)
			edit(&e)
			v.Trust, v.Description, v.MaxSession, v.Tags = e.Trust, e.Description, e.MaxSession, e.Tags
			return v.check()
		})
	})
}

// DeleteRole removes a role that has no policies; its sessions end with it.
func (g *Registry) DeleteRole(ctx context.Context, account, name string) error {
	return g.update(ctx, func(w metadata.EntityTxn) error {
		v, err := load[Role](w.EntityReader, kindRole, account, name)
		if err != nil {
			return err
		}
		if len(v.Policies)+len(v.Inline) > 0 {
			return fmt.Errorf("role %s has policies: detach or delete them first: %w", name, ErrInUse)
		}
		return w.Delete(kindRole, account, name)
	})
}

// Role reads one.
func (g *Registry) Role(ctx context.Context, account, name string) (v *Role, err error) {
	err = g.db.ViewEntities(ctx, func(r metadata.EntityReader) (err error) {
		v, err = load[Role](r, kindRole, account, name)
		return err
	})
	return v, err
}

// RoleARN names a role in policies.
func RoleARN(account, name string) string { return "arn:aws:iam::" + account + ":role/" + name }

// EditUser changes a user's tags.
func (g *Registry) EditUser(ctx context.Context, account, name string, edit func(*User)) error {
	return g.update(ctx, func(w metadata.EntityTxn) error {
		return editRecord(w, kindUser, account, name, func(v *User) error {
			e := *v
			e.Tags = maps.Clone(v.Tags)
			edit(&e)
			v.Tags = e.Tags
			return checkTags(v.Tags)
		})
	})
}

func checkTags(tags map[string]string) error {
	if len(tags) > MaxTags {
		return fmt.Errorf("%d tags, the limit is %d: %w", len(tags), MaxTags, ErrLimit)
	}
	for k, v := range tags {
		if k == "" || len(k) > 128 || len(v) > 256 {
			return fmt.Errorf("tag %.32q: a key has 1 to 128 characters and a value at most 256: %w", k, ErrInvalid)
		}
	}
	return nil
}

// User reads one.
func (g *Registry) User(ctx context.Context, account, name string) (v *User, err error) {
	err = g.db.ViewEntities(ctx, func(r metadata.EntityReader) (err error) {
		v, err = load[User](r, kindUser, account, name)
		return err
	})
	return v, err
}

// Key reads one, without its secret.
func (g *Registry) Key(ctx context.Context, id string) (k *Key, err error) {
	err = g.db.ViewEntities(ctx, func(r metadata.EntityReader) (err error) {
		if k, err = load[Key](r, kindKey, "", id); err == nil {
			k.Sealed = nil
		}
		return err
	})
	return k, err
}
