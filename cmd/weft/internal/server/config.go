package server

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/weftstore/weft/cmd/weft/internal/gateway"
	"github.com/weftstore/weft/cmd/weft/internal/metrics"
	"github.com/weftstore/weft/erasure"
	"github.com/weftstore/weft/internal/tracing"
)

// Config is what an operator may set. The TOML names are those of the flags.
type Config struct {
	gateway.Config
	Targets []string `toml:"targets"`
	// Layout of new objects; "" chooses by the number of targets at first start
	// and keeps that choice.
	Layout string `toml:"layout"`

	// Counters are served at Metrics; nil: none.
	Counters *metrics.Set `toml:"-"`
	// Tracer records requests; nil: none.
	Tracer *tracing.Tracer `toml:"-"`

	// checkEvery is the time between health checks of a target; 0 is the node's
	// default. Tests lower it.
	checkEvery time.Duration
}

// DefaultConfig serves on loopback with 1 GiB of registered memory.
func DefaultConfig() Config { return Config{Config: gateway.DefaultConfig()} }

// Load reads a TOML file over c, except for the settings that keep says are
// given by other means. Unknown names are errors.
func (c *Config) Load(path string, keep func(name string) bool) error {
	file := *c
	for _, list := range []*[]string{&file.Domains, &file.KMSKeys, &file.Notify} {
		*list = slices.Clone(*list) // decoding writes into what is there
	}
	meta, err := toml.DecodeFile(path, &file)
	if err != nil {
		return fmt.Errorf("config file %s: %w", path, err)
	}
	if un := meta.Undecoded(); len(un) > 0 {
		return fmt.Errorf("config file %s: unknown setting %q; `weft server --help` lists them", path, un[0].String())
	}
	for _, s := range []struct {
		name string
		put  func()
	}{
		{"address", func() { file.Address = c.Address }},
		{"layout", func() { file.Layout = c.Layout }},
		{"memory", func() { file.Memory = c.Memory }},
		{"state", func() { file.State = c.State }},
		{"domain", func() { file.Domains = c.Domains }},
		{"region", func() { file.Region = c.Region }},
		{"tls-cert", func() { file.TLSCert = c.TLSCert }},
		{"tls-key", func() { file.TLSKey = c.TLSKey }},
		{"http2", func() { file.HTTP2 = c.HTTP2 }},
		{"keyring", func() { file.Keyring = c.Keyring }},
		{"kms-key", func() { file.KMSKeys = c.KMSKeys }},
		{"kms-vault", func() { file.Vault = c.Vault }},
		{"kms-vault-mount", func() { file.VaultMount = c.VaultMount }},
		{"kms-vault-namespace", func() { file.VaultNamespace = c.VaultNamespace }},
		{"kms-vault-token-file", func() { file.VaultTokenFile = c.VaultTokenFile }},
		{"tls-in-front", func() { file.TLSInFront = c.TLSInFront }},
		{"places", func() { file.Places = c.Places }},
		{"audit-log", func() { file.AuditLog = c.AuditLog }},
		{"audit-webhook", func() { file.AuditWebhook = c.AuditWebhook }},
		{"audit-token-file", func() { file.AuditTokenFile = c.AuditTokenFile }},
		{"object-ownership", func() { file.Ownership = c.Ownership }},
		{"lost-after", func() { file.LostAfter = c.LostAfter }},
		{"lifecycle-day", func() { file.LifecycleDay = c.LifecycleDay }},
		{"notify", func() { file.Notify = c.Notify }},
		{"bucket-logging-every", func() { file.LogEvery = c.LogEvery }},
		{"metrics", func() { file.Metrics = c.Metrics }},
		{"trace-endpoint", func() { file.Endpoint = c.Endpoint }},
		{"trace-ratio", func() { file.Ratio = c.Ratio }},
		{"trace-clients", func() { file.Clients = c.Clients }},
	} {
		if keep(s.name) {
			s.put()
		}
	}
	*c = file
	return nil
}

// Validate reports every problem at once.
func (c *Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(c.Targets) == 0 {
		bad("no target directories: name at least one, as in `weft server /data/1 /data/2 /data/3 /data/4`")
	}
	seen := map[string]bool{}
	for i, d := range c.Targets {
		abs, err := filepath.Abs(d)
		if err != nil {
			bad("target %q: %w", d, err)
			continue
		}
		c.Targets[i] = abs
		if seen[abs] {
			bad("target %s is named twice", abs)
		}
		seen[abs] = true
	}
	if c.Layout != "" {
		l, err := erasure.ParseLayout(c.Layout)
		if err != nil {
			bad("--layout: %w", err)
		} else if l.Shards() > len(c.Targets) && len(c.Targets) > 0 {
			bad("--layout %s needs %d targets and there are %d", l, l.Shards(), len(c.Targets))
		}
	}
	return errors.Join(append(errs, c.Config.Validate())...)
}

// layout is the configured one, else the one kept, else the default.
func (c *Config) layout(kept erasure.Layout) erasure.Layout {
	if l, err := erasure.ParseLayout(c.Layout); err == nil {
		return l
	}
	if kept.Valid() {
		return kept
	}
	return erasure.Default(len(c.Targets))
}
