package gateway

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/weftstore/weft/cmd/weft/internal/settings"
	"github.com/weftstore/weft/cmd/weft/internal/telemetry"
)

// Config is what an operator may set of a gateway. The TOML names are those of the flags.
type Config struct {
	Address string         `toml:"address"`
	Memory  settings.Bytes `toml:"memory"`
	State   string         `toml:"state"`
	Domains []string       `toml:"domain"`
	Region  string         `toml:"region"`
	TLSCert string         `toml:"tls-cert"`
	TLSKey  string         `toml:"tls-key"`
	HTTP2   bool           `toml:"http2"`

	// Keyring is the file that seals the secrets of access keys; "" is the one in the
	// state directory, generated at first start.
	Keyring string `toml:"keyring"`

	// KMSKeys are the names of keys that clients may ask for with SSE-KMS; the first is the
	// default. They are kept by the keyring, or by Vault when one is named.
	KMSKeys []string `toml:"kms-key"`
	// Vault is the URL of a Vault server whose transit engine has the keys of SSE-KMS.
	Vault          string `toml:"kms-vault"`
	VaultMount     string `toml:"kms-vault-mount"`
	VaultNamespace string `toml:"kms-vault-namespace"`
	VaultTokenFile string `toml:"kms-vault-token-file"`
	// TLSInFront says that clients reach this plain HTTP address through TLS.
	TLSInFront bool `toml:"tls-in-front"`

	// Places is how many requests work at once while several accounts contend; 0 is 8 for
	// each core.
	Places int `toml:"places"`

	// AuditLog is a file for a line of JSON for each request, AuditWebhook a URL that gets
	// them instead; "" is neither. AuditTokenFile has the webhook's bearer token.
	AuditLog       string `toml:"audit-log"`
	AuditWebhook   string `toml:"audit-webhook"`
	AuditTokenFile string `toml:"audit-token-file"`

	// Notify names the destinations of bucket notifications: NAME=URL.
	Notify []string `toml:"notify"`

	// LogEvery is the longest that lines of buckets' access logs wait for delivery.
	LogEvery settings.Duration `toml:"bucket-logging-every"`

	// Metrics is the address to serve /metrics on; "" is nowhere.
	Metrics string `toml:"metrics"`

	// Settings are those of traces.
	telemetry.Settings

	// SnapshotEvery is how often the metadata is copied to the targets while it
	// changes.
	SnapshotEvery settings.Duration `toml:"snapshot-every"`
	// ScrubEvery is how often every chunk is read and verified; 0 is never.
	ScrubEvery settings.Duration `toml:"scrub-every"`

	// LostAfter is how long a target may be away until what it had is made anew on
	// others; 0 is for ever.
	LostAfter settings.Duration `toml:"lost-after"`

	// Ownership is the ObjectOwnership of buckets that were told none; "" is
	// BucketOwnerEnforced.
	Ownership string `toml:"object-ownership"`

	// LifecycleDay is how long a day of lifecycle rules is in tests; 0 is a real one.
	LifecycleDay settings.Duration `toml:"lifecycle-day"`

	// AccessKey and SecretKey are the root credentials; both "" means those in
	// the state directory, generated at first start. Never in the file.
	AccessKey string `toml:"-"`
	SecretKey string `toml:"-"`
}

// MinMemory is the smallest memory with which 64 uploads make progress at ec:10+2.
const MinMemory = 64 << 20

// DefaultConfig serves on loopback with 1 GiB of registered memory.
func DefaultConfig() Config {
	return Config{
		Address:       "127.0.0.1:9000",
		Memory:        1 << 30,
		KMSKeys:       []string{"weft"},
		VaultMount:    "transit",
		State:         settings.DefaultState(),
		Region:        "us-east-1",
		SnapshotEvery: settings.Duration(10 * time.Minute),
		ScrubEvery:    settings.Duration(14 * 24 * time.Hour),
		LostAfter:     settings.Duration(15 * time.Minute),
		LogEvery:      settings.Duration(5 * time.Minute),
		Settings:      telemetry.Settings{Ratio: 1},
	}
}

// Check tries the destinations of events and the certificate, as New does, for who writes
// something before New.
func (c *Config) Check() error {
	senders, err := openSenders(c.Notify)
	closeSenders(senders)
	if err == nil && c.TLSCert != "" {
		_, err = loadCertificate(c.TLSCert, c.TLSKey, nil)
	}
	return err
}

// Validate reports every problem at once.
func (c *Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if _, _, err := net.SplitHostPort(c.Address); err != nil {
		bad("--address %q: want HOST:PORT: %w", c.Address, err)
	}
	if _, _, err := net.SplitHostPort(c.Metrics); c.Metrics != "" && err != nil {
		bad("--metrics %q: want HOST:PORT: %w", c.Metrics, err)
	}
	if c.AuditLog != "" && c.AuditWebhook != "" {
		bad("--audit-log and --audit-webhook: give one of them")
	}
	if u, err := url.Parse(c.AuditWebhook); c.AuditWebhook != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		bad("--audit-webhook %q: want an http or https URL", c.AuditWebhook)
	}
	if c.Places < 0 {
		bad("--places %d: want a number of requests, or 0 for 8 for each core", c.Places)
	}
	if c.Memory < MinMemory {
		bad("--memory %s: at least %s is needed", c.Memory, settings.Bytes(MinMemory))
	}
	switch c.Ownership {
	case "", "BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter":
	default:
		bad("--object-ownership %q: want BucketOwnerEnforced, BucketOwnerPreferred or ObjectWriter", c.Ownership)
	}
	if c.LogEvery <= 0 {
		bad("--bucket-logging-every %v: want a positive time", time.Duration(c.LogEvery))
	}
	if c.LifecycleDay < 0 {
		bad("--lifecycle-day %v: want a positive time, or 0 for a real day", time.Duration(c.LifecycleDay))
	}
	if c.State == "" {
		bad("--state: name a directory for metadata and credentials")
	}
	if (c.AccessKey == "") != (c.SecretKey == "") {
		bad("set both WEFT_ROOT_ACCESS_KEY and WEFT_ROOT_SECRET_KEY, or neither")
	}
	if c.AccessKey != "" && (len(c.AccessKey) < 3 || len(c.SecretKey) < 8) {
		bad("WEFT_ROOT_ACCESS_KEY needs at least 3 characters and WEFT_ROOT_SECRET_KEY at least 8")
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		bad("--tls-cert and --tls-key go together")
	}
	for _, s := range c.Notify {
		if name, address, ok := strings.Cut(s, "="); !ok || name == "" || address == "" {
			bad("--notify: want NAME=URL, such as hook=https://host/path")
		}
	}
	if len(c.KMSKeys) == 0 {
		bad("--kms-key: name one key at least")
	}
	if _, err := c.keyService(nil); err != nil {
		bad("--kms-vault: %w", err)
	}
	errs = append(errs, c.Settings.Validate())
	return errors.Join(errs...)
}
