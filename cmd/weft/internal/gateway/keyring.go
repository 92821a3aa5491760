package gateway

import (
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/weftstore/weft/cmd/weft/internal/statedir"
	"github.com/weftstore/weft/identity"
)

// KeyringFile seals the secrets of access keys, in the state directory.
const KeyringFile = "keyring"

// openIdentity reads the keyring, made at the first start, and begins to look up keys.
func (g *Gateway) openIdentity() error {
	path := g.cfg.Keyring
	if path == "" {
		path = filepath.Join(g.cfg.State, KeyringFile)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			if err := statedir.WriteFile(path, identity.GenerateKeyring()); err != nil {
				return fmt.Errorf("keyring: %w", err)
			}
		}
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s can be read by others; run `chmod 600 %s`", path, path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("keyring: %w", err)
	}
	ring, err := identity.ParseKeyring(text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	g.registry = identity.NewRegistry(g.parts.Meta.DB, ring, nil)
	g.directory = identity.NewDirectory(g.registry)
	return nil
}

// shareKeyring derives the keyring from the cluster's secret when none is named and the
// state directory has none: so every gateway opens what another has sealed.
func shareKeyring(cfg *ProcessConfig) error {
	path := filepath.Join(cfg.State, KeyringFile)
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
