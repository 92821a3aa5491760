package identity

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/s3api"
	"github.com/weftstore/weft/s3api/policy"
	"github.com/weftstore/weft/s3api/sigv4"
)

// Limits of sessions: those of GetSessionToken.
const (
	MinSession = 15 * time.Minute
	MaxSession = 36 * time.Hour
	maxToken   = 12 << 10
)

// Session are temporary credentials.
type Session struct {
	AccessKey, Secret, Token string
	Expires                  time.Time
}

// token is what a session's token says, sealed. It is of an access key, or of a role.
type token struct {
	Version int      `json:"version"`
	Parent  string   `json:"parent,omitempty"` // access key
	Key     string   `json:"key,omitempty"`    // access key whose limits bound the session of a role
	Account string   `json:"account,omitempty"`
	Role    string   `json:"role,omitempty"`
	RoleID  string   `json:"role_id,omitempty"` // so that a new role of the name is another
	Name    string   `json:"name,omitempty"`    // of the session
	Policy  []string `json:"policy,omitempty"`  // documents that limit it
	Secret  string   `json:"secret"`
	Issued  int64    `json:"issued"`
	Expires int64    `json:"expires"`
}

// NewSession makes temporary credentials of whoever has the access key, which may do
// what it may, and end with it.
func (g *Registry) NewSession(ctx context.Context, accessKey string, lasts time.Duration) (*Session, error) {
	if lasts < MinSession || lasts > MaxSession {
		return nil, fmt.Errorf("a session lasts from %s to %s: %w", MinSession, MaxSession, ErrInvalid)
	}
	err := g.db.ViewEntities(ctx, func(r metadata.EntityReader) error {
		k, err := load[Key](r, kindKey, "", accessKey)
		if err == nil && k.State(g.now()) != "active" {
			err = fmt.Errorf("access key %s is %s: %w", accessKey, k.State(g.now()), ErrInvalid)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return g.seal(token{Parent: accessKey}, lasts)
}

// seal makes the credentials of a session.
func (g *Registry) seal(t token, lasts time.Duration) (*Session, error) {
	now := g.stamp()
	s := &Session{AccessKey: newID("ASIA"), Secret: newSecret(), Expires: now.Add(lasts)}
	t.Version, t.Secret, t.Issued, t.Expires = recordVersion, s.Secret, now.Unix(), s.Expires.Unix()
	plain, err := json.Marshal(t) //nolint:gosec // to be sealed
	if err != nil {
		return nil, err
	}
	s.Token = base64.RawURLEncoding.EncodeToString(g.ring.seal(plain, sessionBound+s.AccessKey))
	if len(s.Token) > maxToken {
		return nil, fmt.Errorf("policies of a session that make its token longer than %d bytes: %w", maxToken, ErrLimit)
	}
	return s, nil
}

// open is the reverse. now is within the session.
func (g *Registry) openToken(id cacheID, now time.Time) (t token, err error) {
	if !strings.HasPrefix(id.accessKey, "ASIA") || len(id.token) > maxToken {
		return t, sigv4.ErrInvalidToken
	}
	sealed, err := base64.RawURLEncoding.DecodeString(id.token)
	if err != nil {
		return t, sigv4.ErrInvalidToken
	}
	plain, err := g.ring.open(sealed, sessionBound+id.accessKey)
	if err != nil {
		return t, sigv4.ErrInvalidToken
	}
	if err := json.Unmarshal(plain, &t); err != nil || t.Version != recordVersion {
		return t, sigv4.ErrInvalidToken
	}
	if now.Unix() >= t.Expires {
		return t, sigv4.ErrExpiredToken
	}
	return t, nil
}

func (d *Directory) readSession(ctx context.Context, id cacheID, now time.Time) (c cached, err error) {
	t, err := d.g.openToken(id, now)
	if err != nil {
		return c, err
	}
	c.read, c.expires = now, time.Unix(t.Expires, 0)
	err = d.g.db.ViewEntities(ctx, func(r metadata.EntityReader) error {
		p, err := d.sessionPrincipal(r, &t, &c.expires, now)
		if err != nil {
			return err
		}
		p.Issued = time.Unix(t.Issued, 0)
		c.key = sigv4.Key{Secret: t.Secret, Owner: p}
		return nil
	})
	return c, err
}

// sessionPrincipal is whose the session is; expires may become earlier.
func (d *Directory) sessionPrincipal(r metadata.EntityReader, t *token, expires *time.Time, now time.Time) (*s3api.Principal, error) {
	if t.Parent != "" {
		k, p, err := d.principal(r, t.Parent, now)
		if err == nil && !k.Expires.IsZero() && k.Expires.Before(*expires) {
			*expires = k.Expires
		}
		return p, err
	}
	role, err := load[Role](r, kindRole, t.Account, t.Role)
	if isNotFound(err) || err == nil && role.ID != t.RoleID {
		return nil, sigv4.ErrInvalidAccessKeyID
	}
	if err != nil {
		return nil, err
	}
	p := &s3api.Principal{ID: role.ID + ":" + t.Name, Tags: role.Tags, Principal: policy.Principal{
		Account: t.Account, Canonical: s3api.CanonicalID(t.Account), ARNs: []string{SessionARN(t.Account, t.Role, t.Name), RoleARN(t.Account, t.Role)}}}
	if p.Policies, err = role.documents(r, t.Account, map[string]bool{}); err != nil {
		return nil, err
	}
	if err := limits(r, p); err != nil {
		return nil, err
	}
	if t.Key != "" {
		k, err := load[Key](r, kindKey, "", t.Key)
		if err != nil && !isNotFound(err) {
			return nil, err
		}
		if err == nil {
			p.Key, p.KeyLimits = k.ID, k.Limits
		}
	}
	p.Session, err = sessionPolicy(t.Policy)
	return p, err
}

func sessionPolicy(texts []string) (*policy.Document, error) {
	var docs []*policy.Document
	for _, text := range texts {
		doc, err := policy.Parse([]byte(text), policy.Identity, "")
		if err != nil {
			return nil, fmt.Errorf("policy of a session: %w", err)
		}
		docs = append(docs, doc)
	}
	return policy.Union(docs...), nil
}

// SessionARN names a session of a role in policies.
func SessionARN(account, role, session string) string {
	return "arn:aws:sts::" + account + ":assumed-role/" + role + "/" + session
}
