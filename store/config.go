package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/weftstore/weft/erasure"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/node"
	"github.com/weftstore/weft/node/extent"
	"github.com/weftstore/weft/rdma"
)

// Config is what a Store is made of. DefaultConfig gives the numbers; Meta,
// Pool, Small, Targets and Layout are the caller's to set.
type Config struct {
	Meta *metadata.DB
	// Pool has the blocks of bulk data: its block size is the longest block that
	// new parts are cut into, a multiple of erasure.Unit.
	Pool *rdma.Pool
	// Small has the blocks of small parts and short reads, of at least SmallMax bytes.
	Small *rdma.Pool
	// Targets are all that ever held data and were not retired, also those that are away.
	Targets []TargetConfig
	// Expect is how many targets there will be when all were seen once; what is
	// missing to it counts as away. 0: those in Targets.
	Expect func() int
	// Layout of new parts. Reading follows what was recorded with each part.
	Layout erasure.Layout
	// SmallMax is the size up to which a part is stored in Layout.Small(); at
	// most extent.MaxInline.
	SmallMax int

	OpTimeout   time.Duration // one operation of a target, beyond which it counts as failed
	Grace       time.Duration // how long a write that has its quorum waits for the late
	AcquireWait time.Duration // how long a request waits for memory before ErrBusy
	HedgeFloor  time.Duration // the least time after which a read is tried elsewhere as well
	GCInterval  time.Duration // how often the queue of deleted chunks is looked at unasked

	// Peers are the other gateways over the same metadata; nil: there are none. With
	// Peers background work is done in Maintain only, for whoever leads.
	Peers Peers
	// Refresh has the owner of the store look for targets that the metadata knows and
	// the store does not; nil: there can be none.
	Refresh func(ctx context.Context) error
	// Retired says that a target the store does not have was retired; nil: none was.
	Retired func(metadata.TargetID) bool

	// NodeStatus tells the state and the space of targets for Status; nil: not known.
	NodeStatus func(ctx context.Context) ([]node.TargetStatus, error)

	Logger *slog.Logger     // nil discards
	Now    func() time.Time // nil is time.Now
	Events Events
}

// TargetConfig is a target of the store.
type TargetConfig struct {
	ID   metadata.TargetID
	UUID [16]byte
	Name string
	// Domain is what fails as a whole, such as a host: targets with the same name
	// are in one. With "" a target is a failure domain of its own.
	Domain string
	// Draining: it takes no new shards, and those that it has are to move elsewhere.
	Draining bool
	// Free and Total are the space of its file system in bytes, 0 when not known.
	Free, Total int64
	// Target is nil while the target is away; Store.SetTarget brings it back.
	Target Target
}

// Events tell what happens on the data path. Nil funcs are not called; the
// others are called on the path itself, from many goroutines, and must be quick.
type Events struct {
	// TargetError: an operation of a target failed with an error that speaks
	// against the target or the chunk. op is "append", "write", "commit", "read" or "delete".
	TargetError func(target, op string, err error)
	// DegradedWrite: a part was stored with lost shards missing.
	DegradedWrite func(lost int)
	// DegradedRead: a range was served from other shards than its own.
	DegradedRead func(hedged bool)
	// Damaged: shards of a set were found missing or corrupt.
	Damaged func(set metadata.SetID, shards uint64)
	// Collected: chunk sets were deleted.
	Collected func(sets int)
}

// DefaultConfig has the defaults of every number.
func DefaultConfig() Config {
	return Config{
		SmallMax:    extent.MaxInline,
		OpTimeout:   10 * time.Second,
		Grace:       2 * time.Second,
		AcquireWait: 10 * time.Second,
		HedgeFloor:  50 * time.Millisecond,
		GCInterval:  time.Second,
	}
}

// Validate lists every problem of the configuration.
func (c *Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Meta == nil || c.Pool == nil || c.Small == nil {
		bad("store: Meta, Pool and Small must be set")
		return errors.Join(errs...)
	}
	if !c.Layout.Valid() {
		bad("store: layout %d+%d: %w", c.Layout.K, c.Layout.M, erasure.ErrLayout)
	}
	if n, have := c.Layout.Shards(), max(len(c.Targets), c.expect()); have < n {
		bad("store: layout %v needs %d targets, %d are given", c.Layout, n, have)
	}
	if b := c.Pool.BlockSize(); b%erasure.Unit != 0 || b > erasure.MaxBlock {
		bad("store: blocks of %d bytes: want a multiple of %d up to %d", b, erasure.Unit, erasure.MaxBlock)
	}
	if c.SmallMax < 0 || c.SmallMax > extent.MaxInline || c.SmallMax > c.Small.BlockSize() {
		bad("store: SmallMax %d: want 0 to %d and small blocks as long", c.SmallMax, extent.MaxInline)
	}
	for _, p := range []*rdma.Pool{c.Pool, c.Small} {
		if n := p.Stats().Blocks; n < c.Layout.Shards() {
			bad("store: a pool of %d blocks cannot hold a stripe of %d", n, c.Layout.Shards())
		}
	}
	if c.OpTimeout <= 0 || c.Grace <= 0 || c.AcquireWait <= 0 || c.HedgeFloor <= 0 || c.GCInterval <= 0 {
		bad("store: times must be positive")
	}
	seen := make(map[metadata.TargetID]bool)
	for _, t := range c.Targets {
		if t.ID == 0 || seen[t.ID] {
			bad("store: target %q: id %d is 0 or given twice", t.Name, t.ID)
		}
		seen[t.ID] = true
	}
	return errors.Join(errs...)
}

func (c *Config) expect() int {
	if c.Expect == nil {
		return 0
	}
	return c.Expect()
}
