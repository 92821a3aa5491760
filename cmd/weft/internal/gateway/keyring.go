package gateway

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/weftstore/weft/cmd/weft/internal/statedir"
	"github.com/weftstore/weft/identity"
	"github.com/weftstore/weft/kms"
)

// KeyringFile seals the secrets of access keys, in the state directory.
const KeyringFile = "keyring"

// openIdentity reads the keyring, made at the first start, and begins to look up keys.
func (g *Gateway) openIdentity() (err error) {
	path := g.cfg.keyring()
	if _, err := os.Stat(path); g.cfg.Keyring == "" && errors.Is(err, fs.ErrNotExist) {
		if err := statedir.WriteFile(path, identity.GenerateKeyring()); err != nil {
			return fmt.Errorf("keyring: %w", err)
		}
	}
	if g.ring, err = readKeyring(path); err != nil {
		return err
	}
	if g.keys, err = g.cfg.keyService(g.ring); err != nil {
		return err
	}
	g.registry = identity.NewRegistry(g.parts.Meta.DB, g.ring, nil)
	g.directory = identity.NewDirectory(g.registry)
	return nil
}

// keyring is the path of the file.
func (c *Config) keyring() string {
	if c.Keyring != "" {
		return c.Keyring
	}
	return filepath.Join(c.State, KeyringFile)
}

func readKeyring(path string) (*identity.Keyring, error) {
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by others; run `chmod 600 %s`", path, path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	ring, err := identity.ParseKeyring(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return ring, nil
}

// agreeKeyring refuses to run beside a gateway that seals what this one could not open. Both
// are registered when they look, so that one sees the other.
func (p *Process) agreeKeyring(ctx context.Context, cfg *ProcessConfig) error {
	ring, err := readKeyring(cfg.keyring())
	if err != nil {
		return err
	}
	peers, err := p.member.Peers(ctx)
	if err != nil {
		return err
	}
	for _, o := range peers {
		if o.Keyring != "" && !ring.Has(o.Keyring) {
			return fmt.Errorf("keyring %s lacks key %s, with which gateway %s on host %s seals secrets: copy the file from there, "+
				"with mode 0600, and if this one has sealed anything add its lines at the end of both", cfg.keyring(), o.Keyring, o.Name, o.Host)
		}
	}
	return nil
}

// shareKeyring derives the keyring from the cluster's secret when none is named and the
// state directory has none: so every gateway opens what another has sealed.
func shareKeyring(cfg *ProcessConfig) error {
	path := cfg.keyring()
	if _, err := os.Stat(path); cfg.Keyring != "" || !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	secret, err := cfg.Cluster.Secret()
	if err != nil {
		return fmt.Errorf("keyring: %w", err)
	}
	key, err := hkdf.Key(sha256.New, secret, cfg.Cluster.Deployment[:], "weft keyring", 40)
	if err != nil {
		return fmt.Errorf("keyring: %w", err)
	}
	return statedir.WriteFile(path, fmt.Appendf(nil, "# Derived from the secret of the cluster.\n%x %x\n", key[:8], key[8:]))
}

// keyService has the keys of SSE-KMS: the ring, or Vault.
func (c *Config) keyService(ring *identity.Keyring) (kms.Service, error) {
	if c.Vault == "" {
		return &kms.Local{Ring: ring, Names: c.KMSKeys}, nil
	}
	v, err := kms.NewVault(kms.VaultConfig{Address: c.Vault, Mount: c.VaultMount, Namespace: c.VaultNamespace, TokenFile: c.VaultTokenFile, Default: c.KMSKeys[0]})
	if err != nil {
		return nil, err
	}
	return kms.NewCached(v, nil), nil
}
