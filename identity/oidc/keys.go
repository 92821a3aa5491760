package oidc

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// provider is what is remembered of one. Whoever holds turn may ask it, and has tried and err.
type provider struct {
	turn  chan struct{}
	tried time.Time
	err   error // of the last try

	mu   sync.Mutex
	keys []jose.JSONWebKey
	read time.Time // when keys came
}

// keys are those that might have made a signature that names id.
func (v *Verifier) keys(ctx context.Context, issuer, id string) ([]jose.JSONWebKey, error) {
	p := v.provider(issuer)
	found, age := p.find(id, v.now())
	if len(found) > 0 && age < MaxAge {
		return found, nil
	}
	select {
	case p.turn <- struct{}{}:
	default:
		if len(found) > 0 && age < MaxStale {
			return found, nil // somebody asks for newer ones
		}
		select {
		case p.turn <- struct{}{}:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrProvider, ctx.Err())
		}
	}
	defer func() { <-p.turn }()
	now := v.now()
	found, age = p.find(id, now)
	if (len(found) == 0 || age >= MaxAge) && now.Sub(p.tried) >= MinFetch {
		p.tried = now
		keys, err := v.fetch(ctx, issuer)
		if p.err = err; err == nil {
			p.set(keys, now)
			found, age = p.find(id, now)
		}
	}
	if age >= MaxStale {
		if p.err == nil {
			return nil, ErrProvider
		}
		return nil, fmt.Errorf("%w: %w", ErrProvider, p.err)
	}
	return found, nil
}

// find returns the key with an id, or all of a provider when a token names none, and how old
// they are.
func (p *provider) find(id string, now time.Time) (out []jose.JSONWebKey, age time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.keys {
		if id == "" || p.keys[i].KeyID == id {
			out = append(out, p.keys[i])
		}
	}
	return out, now.Sub(p.read)
}

func (p *provider) set(keys []jose.JSONWebKey, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys, p.read = keys, now
}

func (v *Verifier) provider(issuer string) *provider {
	v.mu.Lock()
	defer v.mu.Unlock()
	p := v.known[issuer]
	if p == nil {
		for old := range v.known { // any one: they are as many as there are records of providers in use
			if len(v.known) < maxProviders {
				break
			}
			delete(v.known, old)
		}
		p = &provider{turn: make(chan struct{}, 1)}
		v.known[issuer] = p
	}
	return p
}

// fetch asks for the keys (OpenID Connect Discovery 1.0, section 4).
func (v *Verifier) fetch(ctx context.Context, issuer string) ([]jose.JSONWebKey, error) {
	// A client that leaves must not leave the others without keys.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchWithin)
	defer cancel()
	var about struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := v.get(ctx, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration", &about); err != nil {
		return nil, err
	}
	if about.Issuer != issuer {
		return nil, fmt.Errorf("the provider of %s calls itself %.64q", issuer, about.Issuer)
	}
	var raw struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := v.get(ctx, about.Keys, &raw); err != nil {
		return nil, err
	}
	if len(raw.Keys) > maxKeys {
		return nil, fmt.Errorf("the provider has %d keys, the limit is %d", len(raw.Keys), maxKeys)
	}
	var keys []jose.JSONWebKey
	for _, r := range raw.Keys {
		var k jose.JSONWebKey
		// One of a kind that is not known here must not hide the others.
		if err := json.Unmarshal(r, &k); err == nil && usable(&k) {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("the provider of %s has no key that can be used", issuer)
	}
	return keys, nil
}

func (v *Verifier) get(ctx context.Context, from string, into any) error {
	u, err := url.Parse(from)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return fmt.Errorf("%.128q is no https URL", from)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := v.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: status %d", from, resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err != nil {
		return err
	}
	if len(body) > maxDocument {
		return fmt.Errorf("GET %s: more than %d bytes", from, maxDocument)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("GET %s: not the JSON that is wanted", from)
	}
	return nil
}
