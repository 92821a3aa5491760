package identity

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/weftstore/weft/metadata"
)

const (
	maxClients    = 100
	maxProviders  = 100 // of an account
	providerPaths = ":oidc-provider/"
)

// ProviderName is the part of a provider's URL that names it in ARNs and in condition
// keys: all but "https://".
func ProviderName(issuer string) string {
	return strings.TrimSuffix(strings.TrimPrefix(issuer, "https://"), "/")
}

// ProviderARN names a provider in trust policies.
func ProviderARN(account, issuer string) string {
	return "arn:aws:iam::" + account + providerPaths + ProviderName(issuer)
}

// CreateProvider makes an account trust tokens of p's URL for p's clients.
func (g *Registry) CreateProvider(ctx context.Context, account string, p Provider) (*Provider, error) {
	u, err := url.Parse(p.URL)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || len(p.URL) > 255 || u.String() != p.URL {
		return nil, fmt.Errorf("url %.64q: want https://HOST/PATH as the provider calls itself: %w", p.URL, ErrInvalid)
	}
	v := &p
	v.Version, v.Account, v.Created = recordVersion, account, g.stamp()
	if err := v.check(); err != nil {
		return nil, err
	}
	return v, g.update(ctx, func(w metadata.EntityTxn) error {
		if err := exists(w.EntityReader, account); err != nil {
			return err
		}
		all, err := list[Provider](w.EntityReader, kindOIDC, account)
		if err != nil {
			return err
		}
		name := ProviderName(v.URL)
		if slices.ContainsFunc(all, func(p Provider) bool { return ProviderName(p.URL) == name }) {
			return fmt.Errorf("provider %s: %w", v.URL, ErrExists)
		}
		if len(all) >= maxProviders {
			return fmt.Errorf("more than %d providers: %w", maxProviders, ErrLimit)
		}
		return store(w, kindOIDC, account, name, v)
	})
}

func (v *Provider) check() error {
	if len(v.Clients) > maxClients || len(v.Thumbprints) > 5 {
		return fmt.Errorf("at most %d client ids and 5 thumbprints: %w", maxClients, ErrLimit)
	}
	for _, c := range v.Clients {
		if c == "" || len(c) > 255 {
			return fmt.Errorf("a client id has 1 to 255 characters: %w", ErrInvalid)
		}
	}
	return checkTags(v.Tags)
}

// EditProvider changes the clients, thumbprints and tags of a provider, which is named by
// its URL or what ProviderName makes of that.
func (g *Registry) EditProvider(ctx context.Context, account, issuer string, edit func(*Provider)) error {
	return g.update(ctx, func(w metadata.EntityTxn) error {
		return editRecord(w, kindOIDC, account, ProviderName(issuer), func(v *Provider) error {
			e := *v
			e.Clients, e.Tags = slices.Clone(v.Clients), maps.Clone(v.Tags)
			edit(&e)
			v.Clients, v.Thumbprints, v.Tags = e.Clients, e.Thumbprints, e.Tags
			return v.check()
		})
	})
}

// DeleteProvider removes one; sessions that began with its tokens go on to their end.
func (g *Registry) DeleteProvider(ctx context.Context, account, issuer string) error {
	return g.update(ctx, func(w metadata.EntityTxn) error {
		if _, err := load[Provider](w.EntityReader, kindOIDC, account, ProviderName(issuer)); err != nil {
			return err
		}
		return w.Delete(kindOIDC, account, ProviderName(issuer))
	})
}

// Provider reads one.
func (g *Registry) Provider(ctx context.Context, account, issuer string) (v *Provider, err error) {
	err = g.db.ViewEntities(ctx, func(r metadata.EntityReader) (err error) {
		v, err = load[Provider](r, kindOIDC, account, ProviderName(issuer))
		return err
	})
	return v, err
}
