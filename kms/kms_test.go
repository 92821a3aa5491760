package kms

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// transit is a server that speaks the part of Vault's transit interface that Vault
// (API documentation, "Transit secrets engine": generate data key, decrypt data) needs here.
type transit struct {
	mu     sync.Mutex
	keys   map[string]cipher.AEAD
	token  string
	asked  atomic.Int64
	fail   atomic.Int64 // answers 503 so many times
	broken atomic.Bool  // answers 500 always
}

func newTransit(t *testing.T, names ...string) (*transit, *httptest.Server) {
	tr := &transit{keys: map[string]cipher.AEAD{}, token: "s.secret-token"}
	for _, n := range names {
		raw := make([]byte, 32)
		_, _ = rand.Read(raw)
		block, err := aes.NewCipher(raw)
		if err != nil {
			t.Fatal(err)
		}
		if tr.keys[n], err = cipher.NewGCM(block); err != nil {
			t.Fatal(err)
		}
	}
	srv := httptest.NewServer(tr)
	t.Cleanup(srv.Close)
	return tr, srv
}

func (tr *transit) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	tr.asked.Add(1)
	tell := func(status int, what string) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"errors": []string{what}})
	}
	switch {
	case tr.broken.Load():
		tell(500, "internal error")
		return
	case tr.fail.Add(-1) >= 0:
		tell(503, "Vault is sealed")
		return
	case r.Header.Get("X-Vault-Token") != tr.token:
		tell(403, "permission denied")
		return
	}
	var in struct {
		Ciphertext string `json:"ciphertext"`
		Bits       int    `json:"bits"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || r.Method != http.MethodPost {
		tell(400, "bad request")
		return
	}
	answer := map[string]string{}
	path := strings.TrimPrefix(r.URL.Path, "/v1/transit/")
	name := path[strings.LastIndexByte(path, '/')+1:]
	tr.mu.Lock()
	aead := tr.keys[name]
	tr.mu.Unlock()
	switch {
	case aead == nil:
		tell(400, "encryption key not found")
		return
	case strings.HasPrefix(path, "datakey/plaintext/"):
		key, nonce := make([]byte, in.Bits/8), make([]byte, 12)
		_, _ = rand.Read(key)
		_, _ = rand.Read(nonce)
		answer["plaintext"] = base64.StdEncoding.EncodeToString(key)
		answer["ciphertext"] = "vault:v1:" + base64.StdEncoding.EncodeToString(aead.Seal(nonce, nonce, key, nil))
	case strings.HasPrefix(path, "decrypt/"):
		raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(in.Ciphertext, "vault:v1:"))
		if err != nil || len(raw) < 12 {
			tell(400, "invalid ciphertext: could not decode base64")
			return
		}
		key, err := aead.Open(nil, raw[:12], raw[12:], nil)
		if err != nil {
			tell(400, "cipher: message authentication failed")
			return
		}
		answer["plaintext"] = base64.StdEncoding.EncodeToString(key)
	default:
		tell(404, "no handler for route")
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"data": answer})
}

func newVault(t *testing.T, srv *httptest.Server, token string) *Vault {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	v, err := NewVault(VaultConfig{Address: srv.URL, TokenFile: file, Default: "main"})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// conform is what every Service does.
func conform(t *testing.T, s Service) {
	t.Helper()
	ctx := t.Context()
	id, err := s.Resolve("")
	if err != nil || id != "main" {
		t.Fatal(id, err)
	}
	k, sealed, err := s.NewKey(ctx, id, []byte("for this"))
	if err != nil || k == (Key{}) || bytes.Contains(sealed, k[:]) {
		t.Fatal(err)
	}
	if again, err := s.OpenKey(ctx, id, sealed, []byte("for this")); err != nil || again != k {
		t.Errorf("opened: %v", err)
	}
	if other, err := s.OpenKey(ctx, id, sealed, []byte("for that")); err == nil && other == k {
		t.Error("it opens for something else")
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if other, err := s.OpenKey(ctx, id, bad, []byte("for this")); err == nil && other == k && i > len("vault:v1:") && i < len(sealed)-2 {
			t.Fatalf("byte %d flipped: it opens", i)
		}
	}
	if _, err := s.OpenKey(ctx, "second", sealed, []byte("for this")); !errors.Is(err, ErrSealed) {
		t.Errorf("under another key: %v", err)
	}
	if _, err := s.Resolve("../sys/seal"); !errors.Is(err, ErrNoKey) {
		t.Errorf("a path for a name: %v", err)
	}
}

// aesRing seals with one key; name and bound are authenticated.
type aesRing struct{ cipher.AEAD }

func (r aesRing) SealFor(name string, plain, bound []byte) []byte {
	nonce := make([]byte, 12)
	_, _ = rand.Read(nonce)
	return r.Seal(nonce, nonce, plain, append([]byte(name+"|"), bound...))
}

func (r aesRing) OpenFor(name string, sealed, bound []byte) ([]byte, error) {
	if len(sealed) < 12 {
		return nil, ErrSealed
	}
	return r.Open(nil, sealed[:12], sealed[12:], append([]byte(name+"|"), bound...))
}

func TestLocal(t *testing.T) {
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	conform(t, &Local{Ring: aesRing{aead}, Names: []string{"main", "second"}})
}

func TestVault(t *testing.T) {
	_, srv := newTransit(t, "main", "second")
	conform(t, newVault(t, srv, "s.secret-token"))
	conform(t, NewCached(newVault(t, srv, "s.secret-token"), nil))
}

func TestVaultFails(t *testing.T) {
	tr, srv := newTransit(t, "main")
	ctx := t.Context()
	v := newVault(t, srv, "s.secret-token")
	tr.fail.Store(2)
	if _, _, err := v.NewKey(ctx, "main", nil); err != nil {
		t.Errorf("sealed for a moment: %v", err)
	}
	if _, _, err := v.NewKey(ctx, "nobody", nil); !errors.Is(err, ErrNoKey) {
		t.Errorf("a key that is not there: %v", err)
	}
	_, _, err := newVault(t, srv, "s.old-token").NewKey(ctx, "main", nil)
	if !errors.Is(err, ErrNoKey) || strings.Contains(err.Error(), "old-token") {
		t.Errorf("another token: %v", err)
	}
	tr.broken.Store(true)
	if _, _, err := v.NewKey(ctx, "main", nil); !errors.Is(err, ErrUnavailable) {
		t.Errorf("broken: %v", err)
	}
	srv.Close()
	if _, _, err := v.NewKey(ctx, "main", nil); !errors.Is(err, ErrUnavailable) {
		t.Errorf("gone: %v", err)
	}
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	if _, _, err := v.NewKey(canceled, "main", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	for _, c := range []VaultConfig{{Address: "vault:8200", TokenFile: "x"}, {Address: "https://vault:8200"}, {Address: "file:///x", TokenFile: "x"}} {
		if _, err := NewVault(c); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
}

// TestCached: one question for many objects, for five minutes and not longer.
func TestCached(t *testing.T) {
	tr, srv := newTransit(t, "main")
	now := time.Unix(1e9, 0)
	c := NewCached(newVault(t, srv, "s.secret-token"), func() time.Time { return now })
	k, sealed, err := c.NewKey(t.Context(), "main", []byte("b"))
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if again, s2, err := c.NewKey(t.Context(), "main", []byte("b")); err != nil || again != k || !bytes.Equal(s2, sealed) {
			t.Fatal(err)
		}
		if again, err := c.OpenKey(t.Context(), "main", sealed, []byte("b")); err != nil || again != k {
			t.Fatal(err)
		}
	}
	if n := tr.asked.Load(); n != 2 {
		t.Errorf("%d questions", n)
	}
	if other, _, err := c.NewKey(t.Context(), "main", []byte("c")); err != nil || other == k {
		t.Errorf("the same key for something else: %v", err)
	}
	now = now.Add(cacheFor)
	if again, _, err := c.NewKey(t.Context(), "main", []byte("b")); err != nil || again == k {
		t.Errorf("an old key: %v", err)
	}
	tr.broken.Store(true)
	if _, err := c.OpenKey(t.Context(), "main", sealed, []byte("b")); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a key that cannot be asked for any more opens: %v", err)
	}
}
