// Package settings has the types of settings that flags and TOML files read alike,
// and the limits and defaults that all shapes of the process share.
package settings

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// DefaultState is where a process keeps its state: /var/lib/weft for root and the XDG state directory otherwise.
func DefaultState() string {
	if os.Geteuid() == 0 {
		return "/var/lib/weft"
	}
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, ".local", "state", "weft")
	}
	return ""
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
