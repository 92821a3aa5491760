package oidc

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// algorithms are those with public keys: a MAC would be one with a key that clients know.
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// Verifier checks tokens.
type Verifier struct {
	client *http.Client
	now    func() time.Time

	mu    sync.Mutex
	known map[string]*provider // by issuer
}

// New makes a Verifier. client nil is one with the system's roots; now nil is time.Now.
func New(client *http.Client, now func() time.Time) *Verifier {
	if client == nil {
		client = &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConns: 16, IdleConnTimeout: time.Minute,
			TLSHandshakeTimeout: fetchWithin, MaxResponseHeaderBytes: 16 << 10}}
	}
	c := *client
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if now == nil {
		now = time.Now
	}
	return &Verifier{client: &c, now: now, known: map[string]*provider{}}
}

// Claims are what a verified token says.
type Claims struct {
	Subject  string
	Audience string // the client that it was made for: azp if there is one, else of aud
	All      map[string]any
}

// Verify checks a token of issuer for one of the clients.
func (v *Verifier) Verify(ctx context.Context, issuer string, clients []string, token string) (*Claims, error) {
	if len(token) > MaxToken {
		return nil, fmt.Errorf("%w: it is longer than %d bytes", ErrInvalid, MaxToken)
	}
	parsed, err := jwt.ParseSigned(token, algorithms)
	if err != nil || len(parsed.Headers) != 1 {
		return nil, fmt.Errorf("%w: it is not a signed JWT", ErrInvalid)
	}
	var std jwt.Claims
	all := map[string]any{}
	if err := v.signed(ctx, issuer, parsed, &std, &all); err != nil {
		return nil, err
	}
	switch now := v.now(); {
	case std.Issuer != issuer:
		return nil, fmt.Errorf("%w: it has another issuer", ErrInvalid)
	case std.Expiry == nil || std.IssuedAt == nil:
		return nil, fmt.Errorf("%w: it does not say when it was issued and when it expires", ErrInvalid)
	case now.After(std.Expiry.Time().Add(leeway)):
		return nil, ErrExpired
	case std.NotBefore != nil && now.Before(std.NotBefore.Time().Add(-leeway)), now.Before(std.IssuedAt.Time().Add(-leeway)):
		return nil, fmt.Errorf("%w: it is not valid yet", ErrInvalid)
	case std.Subject == "" || len(std.Subject) > 255:
		return nil, fmt.Errorf("%w: it needs a subject of at most 255 bytes", ErrInvalid)
	}
	c := &Claims{Subject: std.Subject, All: all}
	if azp, ok := all["azp"]; ok {
		if c.Audience, ok = azp.(string); !ok || !slices.Contains(clients, c.Audience) {
			return nil, fmt.Errorf("%w: its authorized party is not among the client ids", ErrInvalid)
		}
		return c, nil
	}
	i := slices.IndexFunc(std.Audience, func(a string) bool { return slices.Contains(clients, a) })
	if i < 0 {
		return nil, fmt.Errorf("%w: its audience is not among the client ids", ErrInvalid)
	}
	c.Audience = std.Audience[i]
	return c, nil
}

// signed checks the signature and reads the claims.
func (v *Verifier) signed(ctx context.Context, issuer string, token *jwt.JSONWebToken, into ...any) error {
	h := &token.Headers[0]
	keys, err := v.keys(ctx, issuer, h.KeyID)
	if err != nil {
		return err
	}
	for i := range keys {
		k := &keys[i]
		if k.Algorithm != "" && k.Algorithm != h.Algorithm {
			continue
		}
		if token.Claims(k.Key, into...) == nil {
			return nil
		}
	}
	return fmt.Errorf("%w: no key of the provider made its signature", ErrInvalid)
}

// Values are the texts of a claim, nil if there is none. A dot leads into an object, as
// in "realm_access.roles"; names match without case, but the one
// that is written so comes first.
func (c *Claims) Values(name string) []string {
	switch strings.ToLower(name) {
	case "aud":
		return []string{c.Audience}
	case "oaud":
		name = "aud"
	}
	return values(c.All, name, 0)
}

func values(object map[string]any, name string, depth int) []string {
	if v, ok := object[name]; ok {
		return texts(v)
	}
	for _, k := range slices.Sorted(maps.Keys(object)) { // of several the same every time
		v := object[k]
		if strings.EqualFold(k, name) {
			return texts(v)
		}
		inner, ok := v.(map[string]any)
		if ok && depth < 4 && len(name) > len(k) && name[len(k)] == '.' && strings.EqualFold(name[:len(k)], k) {
			return values(inner, name[len(k)+1:], depth+1)
		}
	}
	return nil
}

func texts(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case bool, float64, json.Number:
		b, _ := json.Marshal(v)
		return []string{string(b)}
	case []any:
		var out []string
		for _, e := range v[:min(len(v), 256)] {
			if s, ok := e.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

// usable tells whether a key may sign tokens.
func usable(k *jose.JSONWebKey) bool {
	if r, ok := k.Key.(*rsa.PublicKey); ok && r.N.BitLen() < 2048 {
		return false
	}
	return k.IsPublic() && k.Valid() && (k.Use == "" || k.Use == "sig")
}

// Issuer is who a token says made it. It is not to be trusted before Verify.
func Issuer(token string) (string, error) {
	if len(token) > MaxToken {
		return "", fmt.Errorf("%w: it is longer than %d bytes", ErrInvalid, MaxToken)
	}
	parsed, err := jwt.ParseSigned(token, algorithms)
	var c jwt.Claims
	if err != nil || parsed.UnsafeClaimsWithoutVerification(&c) != nil || c.Issuer == "" {
		return "", fmt.Errorf("%w: it is not a signed JWT with an issuer", ErrInvalid)
	}
	return c.Issuer, nil
}
