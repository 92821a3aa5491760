package iamapi

import (
	"slices"
	"strings"

	"github.com/weftstore/weft/identity"
)

func onProvider(q *query) string    { return q.param("OpenIDConnectProviderArn") }
func onNewProvider(q *query) string { return identity.ProviderARN(q.account, q.param("Url")) }

// providerName is the provider of an ARN of the account. An ARN has one form, the one that
// policies name.
func (q *query) providerName() (string, error) {
	arn, err := q.need("OpenIDConnectProviderArn")
	if err != nil {
		return "", err
	}
	name, ok := strings.CutPrefix(arn, identity.ProviderARN(q.account, ""))
	if !ok || name == "" || name != identity.ProviderName(name) {
		return "", errNoSuchEntity.saying("OpenIDConnect Provider not found for arn " + clip(arn))
	}
	return name, nil
}

func (q *query) provider() (*identity.Provider, error) {
	name, err := q.providerName()
	if err != nil {
		return nil, err
	}
	return q.h.cfg.Registry.Provider(q.ctx, q.account, name)
}

var providerActions = map[string]action{
	"CreateOpenIDConnectProvider": {service: "iam", on: onNewProvider, run: func(q *query) (any, error) {
		url, err := q.need("Url")
		if err != nil {
			return nil, err
		}
		tags, err := q.tags()
		if err != nil {
			return nil, err
		}
		p, err := q.h.cfg.Registry.CreateProvider(q.ctx, q.account, identity.Provider{URL: url, Clients: q.members("ClientIDList", ""), Thumbprints: q.members("ThumbprintList", ""), Tags: tags})
		if err != nil {
			return nil, err
		}
		out := struct {
			OpenIDConnectProviderArn string
			Tags                     list[tag]
		}{identity.ProviderARN(q.account, p.URL), tagList(tags)}
		return out, nil
	}},
	"GetOpenIDConnectProvider": {service: "iam", on: onProvider, run: func(q *query) (any, error) {
		p, err := q.provider()
		if err != nil {
			return nil, err
		}
		return struct {
			Url, CreateDate              string
			ClientIDList, ThumbprintList list[string]
			Tags                         list[tag]
		}{identity.ProviderName(p.URL), when(p.Created), list[string]{p.Clients}, list[string]{p.Thumbprints}, tagList(p.Tags)}, nil
	}},
	"ListOpenIDConnectProviders": {service: "iam", run: func(q *query) (any, error) {
		v, err := q.h.cfg.Registry.View(q.ctx, q.account)
		if err != nil {
			return nil, err
		}
		type entry struct{ Arn string }
		out := struct{ OpenIDConnectProviderList list[entry] }{}
		for i := range v.OIDC {
			out.OpenIDConnectProviderList.Member = append(out.OpenIDConnectProviderList.Member, entry{identity.ProviderARN(q.account, v.OIDC[i].URL)})
		}
		return out, nil
	}},
	"DeleteOpenIDConnectProvider": {service: "iam", on: onProvider, run: func(q *query) (any, error) {
		name, err := q.providerName()
		if err != nil {
			return nil, err
		}
		return none{}, q.h.cfg.Registry.DeleteProvider(q.ctx, q.account, name)
	}},
	"AddClientIDToOpenIDConnectProvider": {service: "iam", on: onProvider, run: func(q *query) (any, error) {
		return q.editProvider("ClientID", func(p *identity.Provider, id string) {
			if !slices.Contains(p.Clients, id) {
				p.Clients = append(p.Clients, id)
			}
		})
	}},
	"RemoveClientIDFromOpenIDConnectProvider": {service: "iam", on: onProvider, run: func(q *query) (any, error) {
		return q.editProvider("ClientID", func(p *identity.Provider, id string) {
			p.Clients = slices.DeleteFunc(p.Clients, func(c string) bool { return c == id })
		})
	}},
	// Thumbprints are kept and not used: certificates are checked against the system's roots.
	"UpdateOpenIDConnectProviderThumbprint": {service: "iam", on: onProvider, run: func(q *query) (any, error) {
		prints := q.members("ThumbprintList", "")
		return q.editProvider("OpenIDConnectProviderArn", func(p *identity.Provider, _ string) { p.Thumbprints = prints })
	}},
}

func (q *query) editProvider(param string, edit func(*identity.Provider, string)) (any, error) {
	v, err := q.need(param)
	if err != nil {
		return nil, err
	}
	name, err := q.providerName()
	if err != nil {
		return nil, err
	}
	return none{}, q.h.cfg.Registry.EditProvider(q.ctx, q.account, name, func(p *identity.Provider) { edit(p, v) })
}
