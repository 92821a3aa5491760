package erasure

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Limits of a layout. Beyond 10 data shards klauspost/reedsolomon falls to a
// quarter of its speed (measured), so the defaults stop there; MaxK is what the
// formats on disk and on the wire can say.
const (
	MaxK      = 32
	MaxM      = 8
	MaxShards = MaxK + MaxM

	defaultMaxK = 10
)

// ErrLayout is wrapped by every error about a layout that cannot be.
var ErrLayout = errors.New("invalid layout")

// Layout is the number of data shards (K) and parity shards (M) of a part.
// K = 1 means replicas: M copies beside the first. M = 0 means no redundancy.
// The zero value is not valid.
type Layout struct {
	K, M uint8
}

// ParseLayout reads "ec:K+M", "replica:N" or "stripe:K".
func ParseLayout(s string) (Layout, error) {
	bad := func() (Layout, error) {
		return Layout{}, fmt.Errorf("layout %q: want ec:K+M (K from 2 to %d, M from 1 to %d), replica:N (up to %d) or stripe:K: %w", s, MaxK, MaxM, MaxM+1, ErrLayout)
	}
	kind, arg, ok := strings.Cut(s, ":")
	if !ok {
		return bad()
	}
	num := func(s string, lo, hi int) (uint8, bool) {
		n, err := strconv.ParseUint(s, 10, 8)
		return uint8(n), err == nil && int(n) >= lo && int(n) <= hi && s[0] != '+'
	}
	switch kind {
	case "ec":
		ks, ms, ok := strings.Cut(arg, "+")
		if !ok {
			return bad()
		}
		k, ok1 := num(ks, 2, MaxK)
		m, ok2 := num(ms, 1, MaxM)
		if ok1 && ok2 {
			return Layout{K: k, M: m}, nil
		}
	case "replica":
		if n, ok := num(arg, 1, MaxM+1); ok {
			return Layout{K: 1, M: n - 1}, nil
		}
	case "stripe":
		if k, ok := num(arg, 1, MaxK); ok {
			return Layout{K: k}, nil
		}
	}
	return bad()
}

// String is what ParseLayout reads.
func (l Layout) String() string {
	switch {
	case l.M == 0:
		return fmt.Sprintf("stripe:%d", l.K)
	case l.K == 1:
		return fmt.Sprintf("replica:%d", l.M+1)
	default:
		return fmt.Sprintf("ec:%d+%d", l.K, l.M)
	}
}

// Valid reports whether the numbers are within the limits.
func (l Layout) Valid() bool {
	return l.K >= 1 && l.K <= MaxK && l.M <= MaxM
}

// Shards is K+M, the number of targets that a part is spread over.
func (l Layout) Shards() int { return int(l.K) + int(l.M) }

// Small is the layout for parts too small to be worth cutting: as many losses
// survived, one read instead of K.
func (l Layout) Small() Layout { return Layout{K: 1, M: l.M} }

// WriteQuorum is how many shards must be durable before a write is
// acknowledged: K+max(1, M/2), and all K where there is no parity.
func (l Layout) WriteQuorum() int {
	if l.M == 0 {
		return int(l.K)
	}
	return int(l.K) + max(1, int(l.M)/2)
}

// Default is the layout for a number of targets of which no more is known:
// stripe:1, replica:2, replica:3, ec:2+2, then two parity shards with up to ten
// data shards.
func Default(targets int) Layout {
	switch {
	case targets <= 1:
		return Layout{K: 1}
	case targets <= 3:
		return Layout{K: 1, M: uint8(targets - 1)}
	default:
		return Layout{K: uint8(min(targets-2, defaultMaxK)), M: 2}
	}
}
