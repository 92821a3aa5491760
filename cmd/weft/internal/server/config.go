package server

import (
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/weftstore/weft/erasure"
)

// Config is what an operator may set. The TOML names are those of the flags.
type Config struct {
	Targets []string `toml:"targets"`
	Address string   `toml:"address"`
	// Layout of new objects; "" chooses by the number of targets at first start
	// and keeps that choice.
	Layout  string   `toml:"layout"`
	Memory  Bytes    `toml:"memory"`
	State   string   `toml:"state"`
	Domains []string `toml:"domain"`
	Region  string   `toml:"region"`
	TLSCert string   `toml:"tls-cert"`
	TLSKey  string   `toml:"tls-key"`

	// SnapshotEvery is how often the metadata is copied to the targets while it
	// changes.
	SnapshotEvery Duration `toml:"snapshot-every"`
	// ScrubEvery is how often every chunk is read and verified; 0 is never.
	ScrubEvery Duration `toml:"scrub-every"`

	// AccessKey and SecretKey are the root credentials; both "" means those in
	// the state directory, generated at first start. Never in the file.
	AccessKey string `toml:"-"`
	SecretKey string `toml:"-"`

	// checkEvery is the time between health checks of a target; 0 is the node's
	// default. Tests lower it.
	checkEvery time.Duration
}

// Smallest memory with which 64 uploads make progress at ec:10+2.
const minMemory = 64 << 20

// DefaultConfig serves on loopback with 1 GiB of registered memory.
func DefaultConfig() Config {
	return Config{
		Address:       "127.0.0.1:9000",
		Memory:        1 << 30,
		State:         defaultState(),
		Region:        "us-east-1",
		SnapshotEvery: Duration(10 * time.Minute),
		ScrubEvery:    Duration(14 * 24 * time.Hour),
	}
}

// defaultState is /var/lib/weft for root and the XDG state directory otherwise.
func defaultState() string {
	if os.Geteuid() == 0 {
		return "/var/lib/weft"
	}
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, ".local", "state", "weft")
	}
	return ""
}

// Load reads a TOML file over c, except for the settings that keep says are
// given by other means. Unknown names are errors.
func (c *Config) Load(path string, keep func(name string) bool) error {
	file := *c
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
	if _, _, err := net.SplitHostPort(c.Address); err != nil {
		bad("--address %q: want HOST:PORT: %w", c.Address, err)
	}
	if c.Memory < minMemory {
		bad("--memory %s: at least %s is needed", c.Memory, Bytes(minMemory))
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
	return errors.Join(errs...)
}

// Bytes is a size that reads and prints as 64MiB, 1GiB.
type Bytes int64

var byteUnits = []struct {
	suffix string
	shift  uint
}{{"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}, {"B", 0}}

// Set reads a whole number with an optional unit B, KiB, MiB, GiB or TiB.
func (b *Bytes) Set(s string) error {
	num, shift := s, uint(0)
	for _, u := range byteUnits {
		if n, ok := strings.CutSuffix(s, u.suffix); ok {
			num, shift = n, u.shift
			break
		}
	}
	n, err := strconv.ParseInt(num, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64>>shift {
		return fmt.Errorf("size %q: want a number with B, KiB, MiB, GiB or TiB", s)
	}
	*b = Bytes(n << shift)
	return nil
}

// String is the size in the largest unit that divides it.
func (b Bytes) String() string {
	for _, u := range byteUnits {
		if b != 0 && int64(b)%(1<<u.shift) == 0 {
			return strconv.FormatInt(int64(b)>>u.shift, 10) + u.suffix
		}
	}
	return "0B"
}

// Type names the flag's type in help.
func (b *Bytes) Type() string { return "size" }

// UnmarshalText is Set, for TOML.
func (b *Bytes) UnmarshalText(p []byte) error { return b.Set(string(p)) }

// Duration is a time.Duration that TOML reads as "10m".
type Duration time.Duration

// UnmarshalText reads what time.ParseDuration does.
func (d *Duration) UnmarshalText(p []byte) error {
	v, err := time.ParseDuration(string(p))
	*d = Duration(v)
	return err
}
