package identity

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/s3api/sigv4"
)

// Limits of sessions: those of GetSessionToken.
const (
	MinSession = 15 * time.Minute
	MaxSession = 36 * time.Hour
	maxToken   = 4 << 10
)

// Session are temporary credentials.
type Session struct {
	AccessKey, Secret, Token string
	Expires                  time.Time
}

// token is what a session's token says, sealed.
type token struct {
	Version int    `json:"version"`
	Parent  string `json:"parent"` // access key
	Secret  string `json:"secret"`
	Expires int64  `json:"expires"`
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
	s := &Session{AccessKey: newID("ASIA"), Secret: newSecret(), Expires: g.stamp().Add(lasts)}
	plain, err := json.Marshal(token{recordVersion, accessKey, s.Secret, s.Expires.Unix()})
	if err != nil {
		return nil, err
	}
	s.Token = base64.RawURLEncoding.EncodeToString(g.ring.seal(plain, sessionBound+s.AccessKey))
	return s, nil
}

func (d *Directory) readSession(ctx context.Context, id cacheID, now time.Time) (c cached, err error) {
	c.read = now
	if !strings.HasPrefix(id.accessKey, "ASIA") || len(id.token) > maxToken {
		return c, sigv4.ErrInvalidToken
	}
	sealed, err := base64.RawURLEncoding.DecodeString(id.token)
	if err != nil {
		return c, sigv4.ErrInvalidToken
	}
	plain, err := d.g.ring.open(sealed, sessionBound+id.accessKey)
	if err != nil {
		return c, sigv4.ErrInvalidToken
	}
	var t token
	if err := json.Unmarshal(plain, &t); err != nil || t.Version != recordVersion {
		return c, sigv4.ErrInvalidToken
	}
	c.expires = time.Unix(t.Expires, 0)
	if !now.Before(c.expires) {
		return c, sigv4.ErrExpiredToken
	}
	err = d.g.db.ViewEntities(ctx, func(r metadata.EntityReader) error {
		k, p, err := d.principal(r, t.Parent, now)
		if err != nil {
			return err
		}
		if !k.Expires.IsZero() && k.Expires.Before(c.expires) {
			c.expires = k.Expires
		}
		c.key = sigv4.Key{Secret: t.Secret, Owner: p}
		return nil
	})
	return c, err
}
