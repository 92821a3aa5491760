package iamapi

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/weftstore/weft/identity"
	"github.com/weftstore/weft/identity/oidc"
	"github.com/weftstore/weft/s3api"
	"github.com/weftstore/weft/s3api/policy"
)

type credentials struct{ AccessKeyId, SecretAccessKey, SessionToken, Expiration string }

type assumed struct{ AssumedRoleId, Arn string }

func showSession(s *identity.Session) credentials {
	return credentials{s.AccessKey, s.Secret, s.Token, when(s.Expires)}
}

var stsActions = map[string]action{
	// Every session, whatever its policies say, may ask who it is.
	"GetCallerIdentity": {service: "sts", open: true, run: func(q *query) (any, error) {
		if q.who == anonymous {
			return nil, errMissingToken
		}
		return struct{ Arn, UserId, Account string }{q.who.ARNs[0], q.who.ID, q.account}, nil
	}},
	// Nor does GetSessionToken ask policies: it gives nothing that the key has not.
	"GetSessionToken":           {service: "sts", open: true, run: getSessionToken},
	"AssumeRole":                {service: "sts", open: true, run: assumeRole},
	"AssumeRoleWithWebIdentity": {service: "sts", open: true, run: assumeRoleWithWebIdentity},
}

func getSessionToken(q *query) (any, error) {
	switch {
	case q.who == anonymous:
		return nil, errMissingToken
	case q.temporary():
		return nil, errAccessDenied.saying("Cannot call GetSessionToken with session credentials")
	case q.who.Operator:
		return nil, errAccessDenied.saying("The root keys of the root account have no sessions: use a user's.")
	}
	lasts, err := q.seconds("DurationSeconds")
	if err != nil {
		return nil, err
	}
	if lasts == 0 {
		lasts = 12 * time.Hour
	}
	if q.who.Root {
		lasts = min(lasts, time.Hour)
	}
	s, err := q.h.cfg.Registry.NewSession(q.ctx, q.access, lasts)
	if err != nil {
		return nil, err
	}
	return struct{ Credentials credentials }{showSession(s)}, nil
}

// temporary tells whether who signed did so with a session's credentials.
func (q *query) temporary() bool { return !q.who.Issued.IsZero() }

// ask reads what both ways to become a role have in common.
func (q *query) ask(action string, more map[string][]string) (*identity.Assume, error) {
	names, err := q.needs("RoleArn", "RoleSessionName")
	if err != nil {
		return nil, err
	}
	if _, ok := q.form["Tags.member.1.Key"]; ok {
		return nil, errValidation.saying("Session tags are not implemented.")
	}
	lasts, err := q.seconds("DurationSeconds")
	if err != nil {
		return nil, err
	}
	account, name, ok := roleOf(names[0])
	if !ok {
		return nil, errValidation.saying(clip(names[0]) + " is invalid")
	}
	a := &identity.Assume{Action: action, Account: account, Role: name, Name: names[1], Lasts: lasts, Policy: q.param("Policy"), Chained: q.temporary()}
	for _, arn := range q.members("PolicyArns", ".arn") {
		owner := q.account
		q.account = account // policies of a session are of the role's account
		p, err := q.policyOf(arn)
		q.account = owner
		if err != nil {
			return nil, err
		}
		a.Managed = append(a.Managed, p)
	}
	globals := q.globals()
	globals.Owner = account
	c := &trustContext{globals, map[string][]string{"sts:rolesessionname": {a.Name}}}
	for k, v := range more {
		c.values[k] = v
	}
	a.Context = c
	return a, nil
}

// roleOf takes the ARN of a role apart.
func roleOf(arn string) (account, name string, ok bool) {
	rest, ok := strings.CutPrefix(arn, "arn:aws:iam::")
	account, name, ok2 := strings.Cut(rest, ":role/")
	return account, name, ok && ok2 && policy.IsAccount(account)
}

// trustContext are the values of conditions in trust policies, or what else the globals lack.
type trustContext struct {
	*s3api.Globals
	values map[string][]string
}

func (c *trustContext) Values(key string) []string {
	if v, ok := c.values[key]; ok {
		return v
	}
	return c.Globals.Values(key)
}

func assumeRole(q *query) (any, error) {
	if q.who == anonymous {
		return nil, errMissingToken
	}
	var more map[string][]string
	if id := q.param("ExternalId"); id != "" {
		more = map[string][]string{"sts:externalid": {id}}
	}
	a, err := q.ask("sts:AssumeRole", more)
	if err != nil {
		return nil, err
	}
	s, role, err := q.h.cfg.Registry.AssumeRole(q.ctx, q.who, a)
	if errors.Is(err, identity.ErrDenied) {
		return nil, errAccessDenied.saying("User: " + q.who.ARNs[0] + " is not authorized to perform: sts:AssumeRole on resource: " + clip(q.param("RoleArn")))
	}
	if err != nil {
		return nil, err
	}
	return struct {
		Credentials     credentials
		AssumedRoleUser assumed
	}{showSession(s), showAssumed(role, a.Name)}, nil
}

func showAssumed(r *identity.Role, session string) assumed {
	return assumed{r.ID + ":" + session, identity.SessionARN(r.Account, r.Name, session)}
}

func assumeRoleWithWebIdentity(q *query) (any, error) {
	token, err := q.need("WebIdentityToken")
	if err != nil {
		return nil, err
	}
	if q.param("ProviderId") != "" {
		return nil, errValidation.saying("ProviderId is for providers of OAuth 2.0 access tokens, which are not implemented.")
	}
	// Who signed says nothing here: the token does.
	q.who = anonymous
	a, err := q.ask("sts:AssumeRoleWithWebIdentity", nil)
	if err != nil {
		return nil, err
	}
	p, claims, err := q.h.webIdentity(q.ctx, a.Account, token)
	if err != nil {
		return nil, err
	}
	arn := identity.ProviderARN(a.Account, p.URL)
	a.Context = &claimContext{a.Context, claimPrefix(p.URL), claims, arn}
	who := &s3api.Principal{Principal: policy.Principal{Federated: arn}}
	s, role, err := q.h.cfg.Registry.AssumeRole(q.ctx, who, a)
	if errors.Is(err, identity.ErrDenied) {
		return nil, errAccessDenied.saying("Not authorized to perform sts:AssumeRoleWithWebIdentity")
	}
	if err != nil {
		return nil, err
	}
	q.account = a.Account
	return struct {
		Credentials                                     credentials
		AssumedRoleUser                                 assumed
		SubjectFromWebIdentityToken, Provider, Audience string
	}{showSession(s), showAssumed(role, a.Name), claims.Subject, arn, claims.Audience}, nil
}

// webIdentity finds the provider of a token in an account and verifies the token.
func (h *Handler) webIdentity(ctx context.Context, account, token string) (*identity.Provider, *oidc.Claims, error) {
	issuer, err := oidc.Issuer(token)
	if err != nil {
		return nil, nil, err
	}
	p, err := h.cfg.Registry.Provider(ctx, account, issuer)
	if errors.Is(err, identity.ErrNotFound) {
		return nil, nil, &Error{"InvalidIdentityToken", "No OpenIDConnect provider found in your account for " + clip(issuer), 400}
	}
	if err != nil {
		return nil, nil, err
	}
	claims, err := h.cfg.Tokens.Verify(ctx, p.URL, p.Clients, token)
	if errors.Is(err, oidc.ErrProvider) {
		h.cfg.Logger.Warn("identity provider", "issuer", p.URL, "err", err)
	}
	return p, claims, err
}

// claimContext answers keys such as "issuer.example.org/realm:sub" with the claims of a token.
type claimContext struct {
	policy.Context
	prefix string
	claims *oidc.Claims
	arn    string
}

// claimPrefix is what the keys of a provider's claims begin with, as policies have it.
func claimPrefix(issuer string) string {
	host, path, _ := strings.Cut(identity.ProviderName(issuer), "/")
	if host = strings.ToLower(host); path != "" {
		host += "/" + path
	}
	return host + ":"
}

func (c *claimContext) Values(key string) []string {
	if name, ok := strings.CutPrefix(key, c.prefix); ok {
		return c.claims.Values(name)
	}
	if key == "aws:federatedprovider" {
		return []string{c.arn}
	}
	return c.Context.Values(key)
}
