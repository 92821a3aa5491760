package gateway

import (
	"context"
	"fmt"
	"time"

	"github.com/weftstore/weft/cmd/weft/internal/adminsock"
	"github.com/weftstore/weft/identity"
	"github.com/weftstore/weft/s3api"
	"github.com/weftstore/weft/store"
)

// NewKey is an access key with its secret, which is told this once.
type NewKey struct {
	*identity.Key
	Secret string `json:"secret"`
}

// identityOp is an operation on identities; account is resolved.
type identityOp func(ctx context.Context, r *identity.Registry, account string, a *adminsock.Identity) (any, error)

// done is the answer of what has none.
var done = struct{}{}

var identityOps = map[string]identityOp{
	"account create": func(ctx context.Context, r *identity.Registry, _ string, a *adminsock.Identity) (any, error) {
		return r.CreateAccount(ctx, a.Name)
	},
	"account list": func(ctx context.Context, r *identity.Registry, _ string, _ *adminsock.Identity) (any, error) {
		return r.Accounts(ctx)
	},
	"account delete": func(ctx context.Context, r *identity.Registry, account string, _ *adminsock.Identity) (any, error) {
		return done, r.DeleteAccount(ctx, account)
	},
	"view": func(ctx context.Context, r *identity.Registry, account string, _ *adminsock.Identity) (any, error) {
		return r.View(ctx, account)
	},
	"user create": func(ctx context.Context, r *identity.Registry, account string, a *adminsock.Identity) (any, error) {
		return r.CreateUser(ctx, account, a.User, nil)
	},
	"user delete": func(ctx context.Context, r *identity.Registry, account string, a *adminsock.Identity) (any, error) {
		return done, r.DeleteUser(ctx, account, a.User, false)
	},
	"group create": func(ctx context.Context, r *identity.Registry, account string, a *adminsock.Identity) (any, error) {
		return r.CreateGroup(ctx, account, a.Group)
	},
	"group delete": func(ctx context.Context, r *identity.Registry, account string, a *adminsock.Identity) (any, error) {
		return done, r.DeleteGroup(ctx, account, a.Group)
	},
	"group member": func(ctx context.Context, r *identity.Registry, account string, a *adminsock.Identity) (any, error) {
		return done, r.SetMember(ctx, account, a.Group, a.User, a.On)
	},
	"policy set": func(ctx context.Context, r *identity.Registry, account string, a *adminsock.Identity) (any, error) {
		return r.SetPolicy(ctx, account, a.Name, a.Document)
	},
	"policy delete": func(ctx context.Context, r *identity.Registry, account string, a *adminsock.Identity) (any, error) {
		return done, r.DeletePolicy(ctx, account, a.Name)
	},
	"policy attach": func(ctx context.Context, r *identity.Registry, account string, a *adminsock.Identity) (any, error) {
		return done, r.Attach(ctx, account, identity.Holder{User: a.User, Group: a.Group, Role: a.Role}, a.Name, a.On)
	},
	"role create": func(ctx context.Context, r *identity.Registry, account string, a *adminsock.Identity) (any, error) {
		return r.CreateRole(ctx, account, a.Role, identity.RoleOptions{Trust: a.Document, Description: a.Name, MaxSession: a.Longest})
	},
	"role trust": func(ctx context.Context, r *identity.Registry, account string, a *adminsock.Identity) (any, error) {
		return done, r.EditRole(ctx, account, a.Role, func(v *identity.Role) { v.Trust = a.Document })
	},
	"role delete": func(ctx context.Context, r *identity.Registry, account string, a *adminsock.Identity) (any, error) {
		return done, r.DeleteRole(ctx, account, a.Role)
	},
	"provider create": func(ctx context.Context, r *identity.Registry, account string, a *adminsock.Identity) (any, error) {
		return r.CreateProvider(ctx, account, identity.Provider{URL: a.URL, Clients: a.Clients})
	},
	"provider clients": func(ctx context.Context, r *identity.Registry, account string, a *adminsock.Identity) (any, error) {
		return done, r.EditProvider(ctx, account, a.URL, func(v *identity.Provider) { v.Clients = a.Clients })
	},
	"provider delete": func(ctx context.Context, r *identity.Registry, account string, a *adminsock.Identity) (any, error) {
		return done, r.DeleteProvider(ctx, account, a.URL)
	},
	"key create": func(ctx context.Context, r *identity.Registry, account string, a *adminsock.Identity) (any, error) {
		k, secret, err := r.CreateKey(ctx, account, a.User, identity.KeyOptions{Description: a.Name, Policy: a.Document, Expires: a.Expires})
		return newKey(k, secret), err
	},
	"key list": func(ctx context.Context, r *identity.Registry, account string, a *adminsock.Identity) (any, error) {
		return r.Keys(ctx, account, a.User)
	},
	"key delete": func(ctx context.Context, r *identity.Registry, _ string, a *adminsock.Identity) (any, error) {
		return done, r.DeleteKey(ctx, a.Key)
	},
	"key disable": func(ctx context.Context, r *identity.Registry, _ string, a *adminsock.Identity) (any, error) {
		return done, r.EditKey(ctx, a.Key, func(k *identity.Key) { k.Disabled = a.On })
	},
	"key expire": func(ctx context.Context, r *identity.Registry, _ string, a *adminsock.Identity) (any, error) {
		return done, r.EditKey(ctx, a.Key, func(k *identity.Key) { k.Expires = a.Expires })
	},
	"key rotate": func(ctx context.Context, r *identity.Registry, _ string, a *adminsock.Identity) (any, error) {
		k, secret, err := r.RotateKey(ctx, a.Key, time.Until(a.Expires))
		return newKey(k, secret), err
	},
	"limit": func(ctx context.Context, r *identity.Registry, account string, a *adminsock.Identity) (any, error) {
		if a.Key != "" {
			return done, r.SetKeyLimits(ctx, a.Key, a.Limits)
		}
		return done, r.SetLimits(ctx, account, a.Limits, a.Weight)
	},
	"key session": func(ctx context.Context, r *identity.Registry, _ string, a *adminsock.Identity) (any, error) {
		return r.NewSession(ctx, a.Key, time.Until(a.Expires).Round(time.Minute))
	},
}

// newKey is without what only this process can read.
func newKey(k *identity.Key, secret string) *NewKey {
	if k == nil {
		return nil
	}
	shown := *k
	shown.Sealed = nil
	return &NewKey{&shown, secret}
}

// identity is the operation of the admin socket.
func (g *Gateway) identity(ctx context.Context, a adminsock.Args, _ store.Report) (any, error) {
	if a.Identity == nil || identityOps[a.Identity.Op] == nil {
		return nil, fmt.Errorf("this weft and the one that runs are of different releases")
	}
	account, err := g.account(ctx, a.Identity.Account)
	if err != nil {
		return nil, err
	}
	return identityOps[a.Identity.Op](ctx, g.registry, account, a.Identity)
}

// account finds an account by id or name; "" is the root account.
func (g *Gateway) account(ctx context.Context, name string) (string, error) {
	if name == "" || name == s3api.RootAccount {
		return s3api.RootAccount, nil
	}
	all, err := g.registry.Accounts(ctx)
	if err != nil {
		return "", err
	}
	for i := range all {
		if all[i].ID == name || all[i].Name == name {
			return all[i].ID, nil
		}
	}
	return "", fmt.Errorf("account %q: %w; `weft admin account list` shows them", name, identity.ErrNotFound)
}
