package kms

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

const (
	vaultTimeout   = 10 * time.Second
	vaultTries     = 3
	maxVaultAnswer = 64 << 10
)

// VaultConfig says where Vault is.
type VaultConfig struct {
	Address   string // such as https://vault:8200
	Mount     string // of the transit engine; "transit" if empty
	Namespace string // "" for none
	// TokenFile is read for each question, so that an agent may renew what is in it.
	TokenFile string
	Default   string // key for clients that name none
	// Client is for its transport; nil is http.DefaultClient's.
	Client *http.Client
}

// Vault asks the transit engine. A data key that it makes is bound by a key that is
// derived from it here, so that transit keys need not be of the derived kind.
type Vault struct {
	cfg  VaultConfig
	base string
	http http.Client
}

// NewVault checks the configuration; it asks nothing yet.
func NewVault(cfg VaultConfig) (*Vault, error) {
	u, err := url.Parse(cfg.Address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("address of Vault %q: want a URL such as https://vault:8200", cfg.Address)
	}
	if cfg.TokenFile == "" {
		return nil, errors.New("the file with Vault's token is not named")
	}
	if cfg.Mount == "" {
		cfg.Mount = "transit"
	}
	v := &Vault{cfg: cfg, base: strings.TrimSuffix(cfg.Address, "/") + "/v1/" + strings.Trim(cfg.Mount, "/") + "/"}
	if cfg.Client != nil {
		v.http = *cfg.Client
	}
	v.http.Timeout = vaultTimeout
	v.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // the token goes nowhere else
	return v, nil
}

// Resolve implements Service; whether the key exists Vault tells later.
func (v *Vault) Resolve(id string) (string, error) {
	if id == "" {
		id = v.cfg.Default
	}
	if id == "" || len(id) > 256 || strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != "" {
		return "", fmt.Errorf("key %q: %w", id, ErrNoKey)
	}
	return id, nil
}

type vaultAnswer struct {
	Data struct {
		Plaintext  string `json:"plaintext"`
		Ciphertext string `json:"ciphertext"`
	} `json:"data"`
}

// NewKey implements Service.
func (v *Vault) NewKey(ctx context.Context, id string, bound []byte) (Key, []byte, error) {
	a, err := v.ask(ctx, "datakey/plaintext/"+id, map[string]any{"bits": 256})
	if err != nil {
		return Key{}, nil, err
	}
	root, err := a.key()
	if err != nil || a.Data.Ciphertext == "" {
		return Key{}, nil, fmt.Errorf("data key of Vault: %w", ErrUnavailable)
	}
	return root.bind(bound), []byte(a.Data.Ciphertext), nil
}

// OpenKey implements Service. A key that is bound to something else opens to another
// key here, which then opens nothing.
func (v *Vault) OpenKey(ctx context.Context, id string, sealed, bound []byte) (Key, error) {
	a, err := v.ask(ctx, "decrypt/"+id, map[string]any{"ciphertext": string(sealed)})
	if err != nil {
		return Key{}, err
	}
	root, err := a.key()
	if err != nil {
		return Key{}, fmt.Errorf("data key of Vault: %w", ErrSealed)
	}
	return root.bind(bound), nil
}

func (a *vaultAnswer) key() (k Key, err error) {
	raw, err := base64.StdEncoding.DecodeString(a.Data.Plaintext)
	if err != nil || len(raw) != len(k) {
		return k, ErrSealed
	}
	return Key(raw), nil
}

// ask sends one question, again when Vault is sealed or busy.
func (v *Vault) ask(ctx context.Context, path string, body map[string]any) (*vaultAnswer, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		a, again, err := v.once(ctx, path, data)
		if err == nil || !again || try == vaultTries || ctx.Err() != nil {
			return a, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(try) * 200 * time.Millisecond):
		}
	}
}

func (v *Vault) once(ctx context.Context, path string, data []byte) (a *vaultAnswer, again bool, err error) {
	token, err := os.ReadFile(v.cfg.TokenFile)
	if err != nil {
		return nil, false, fmt.Errorf("token of Vault: %w: %w", ErrUnavailable, err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, v.base+path, bytes.NewReader(data))
	if err != nil {
		return nil, false, err
	}
	r.Header.Set("X-Vault-Token", strings.TrimSpace(string(token)))
	r.Header.Set("X-Vault-Request", "true")
	if v.cfg.Namespace != "" {
		r.Header.Set("X-Vault-Namespace", v.cfg.Namespace)
	}
	res, err := v.http.Do(r)
	if err != nil {
		return nil, true, fmt.Errorf("ask Vault: %w: %w", ErrUnavailable, err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxVaultAnswer))
	switch {
	case err != nil:
		return nil, true, fmt.Errorf("ask Vault: %w: %w", ErrUnavailable, err)
	case res.StatusCode == http.StatusNotFound:
		return nil, false, fmt.Errorf("Vault has no such key or no transit engine at %s: %w", v.cfg.Mount, ErrNoKey)
	case res.StatusCode == http.StatusForbidden:
		return nil, false, fmt.Errorf("Vault does not let the token use the key: %w", ErrNoKey)
	case res.StatusCode == http.StatusBadRequest && bytes.Contains(raw, []byte("encryption key not found")):
		return nil, false, fmt.Errorf("Vault has no such key: %w", ErrNoKey)
	case res.StatusCode == http.StatusBadRequest:
		return nil, false, fmt.Errorf("Vault refuses what is to be opened: %w", ErrSealed)
	case res.StatusCode != http.StatusOK:
		return nil, res.StatusCode >= 500 || res.StatusCode == http.StatusTooManyRequests, fmt.Errorf("Vault answers %d: %w", res.StatusCode, ErrUnavailable)
	}
	a = new(vaultAnswer)
	if err := json.Unmarshal(raw, a); err != nil {
		return nil, false, fmt.Errorf("answer of Vault: %w", ErrUnavailable)
	}
	return a, false, nil
}
