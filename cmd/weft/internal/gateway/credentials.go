package gateway

import (
	"bufio"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/weftstore/weft/cmd/weft/internal/statedir"
)

// CredentialsFile holds the root keys, in the state directory.
const CredentialsFile = "credentials"

// credentials are the root user's keys. The file has the form that AWS tools
// read (AWS_SHARED_CREDENTIALS_FILE) and mode 0600.
type credentials struct {
	access, secret string
	file           string // where they are kept; "" when they came from outside
}

// loadCredentials returns the configured keys, else those of the state
// directory, which are generated when absent.
func loadCredentials(cfg Config) (credentials, error) {
	if cfg.AccessKey != "" {
		return credentials{access: cfg.AccessKey, secret: cfg.SecretKey}, nil
	}
	path := filepath.Join(cfg.State, CredentialsFile)
	c, err := readCredentials(path)
	if errors.Is(err, fs.ErrNotExist) {
		c = newCredentials(path)
		err = writeCredentials(c)
	}
	if err != nil {
		return credentials{}, fmt.Errorf("root credentials: %w", err)
	}
	return c, nil
}

// shareCredentials derives the root keys from the cluster's secret when none are given
// and the state directory has none: so every gateway has the same ones.
func shareCredentials(cfg *ProcessConfig) error {
	path := filepath.Join(cfg.State, CredentialsFile)
	if _, err := os.Stat(path); cfg.AccessKey != "" || !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	secret, err := cfg.Cluster.Secret()
	if err != nil {
		return fmt.Errorf("root credentials: %w", err)
	}
	a, err := hkdf.Key(sha256.New, secret, cfg.Cluster.Deployment[:], "weft root access key", 10)
	if err != nil {
		return fmt.Errorf("root credentials: %w", err)
	}
	s, err := hkdf.Key(sha256.New, secret, cfg.Cluster.Deployment[:], "weft root secret key", 30)
	if err != nil {
		return fmt.Errorf("root credentials: %w", err)
	}
	return writeCredentials(makeCredentials(path, a, s))
}

func writeCredentials(c credentials) error {
	return statedir.WriteFile(c.file, []byte(fmt.Sprintf(
		"[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", c.access, c.secret)))
}

func readCredentials(path string) (credentials, error) {
	f, err := os.Open(path)
	if err != nil {
		return credentials{}, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Mode().Perm()&0o077 != 0 {
		return credentials{}, fmt.Errorf("%s can be read by others; run `chmod 600 %s`", path, path)
	}
	c := credentials{file: path}
	for sc := bufio.NewScanner(f); sc.Scan(); {
		name, value, _ := strings.Cut(sc.Text(), "=")
		switch value = strings.TrimSpace(value); strings.TrimSpace(name) {
		case "aws_access_key_id":
			c.access = value
		case "aws_secret_access_key":
			c.secret = value
		}
	}
	if c.access == "" || c.secret == "" {
		return credentials{}, fmt.Errorf("%s holds no access key and secret key; remove it to have new ones made", path)
	}
	return c, nil
}

func newCredentials(path string) credentials {
	var a [10]byte
	var s [30]byte
	rand.Read(a[:]) // never fails (crypto/rand since Go 1.24)
	rand.Read(s[:])
	return makeCredentials(path, a[:], s[:])
}

func makeCredentials(path string, a, s []byte) credentials {
	return credentials{
		access: "WEFT" + base32.StdEncoding.EncodeToString(a),
		secret: base64.RawURLEncoding.EncodeToString(s),
		file:   path,
	}
}
