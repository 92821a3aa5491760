package oidc

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// TestSlowProvider: who has a token that a known key made does not wait while the provider
// is asked for another.
func TestSlowProvider(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	asked, answer := make(chan struct{}), make(chan struct{})
	slow := false
	var srv *httptest.Server
	srv = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/.well-known/") {
			if slow {
				asked <- struct{}{}
				<-answer
			}
			_ = json.NewEncoder(w).Encode(map[string]string{"issuer": srv.URL, "jwks_uri": srv.URL + "/keys"})
			return
		}
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "known", Algorithm: "ES256"}}})
	}))
	defer srv.Close()
	now := time.Now()
	v := New(srv.Client(), func() time.Time { return now })
	verify := func(ctx context.Context, id string) error {
		s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: id}}, nil)
		if err != nil {
			return err
		}
		token, err := jwt.Signed(s).Claims(jwt.Claims{Issuer: srv.URL, Subject: "alice", Audience: jwt.Audience{"weft"},
			IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(24 * time.Hour))}).Serialize()
		if err != nil {
			return err
		}
		_, err = v.Verify(ctx, srv.URL, []string{"weft"}, token)
		return err
	}
	if err := verify(t.Context(), "known"); err != nil {
		t.Fatal(err)
	}
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	for _, later := range []time.Duration{MinFetch, MaxAge} {
		now, slow = now.Add(later), true
		done := make(chan error)
		go func() { done <- verify(t.Context(), "unknown") }()
		<-asked
		if err := verify(impatient, "known"); err != nil {
			t.Errorf("after %s: %v", later, err)
		}
		answer <- struct{}{}
		if err := <-done; err == nil {
			t.Error("an unknown key is accepted")
		}
	}
}
