package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/weftstore/weft/internal/tracing"
	"github.com/weftstore/weft/node/extent"
)

// Config of a Service. Zero fields mean their defaults.
type Config struct {
	// Identity is what the service answers to Identify.
	Identity Identity
	// Logger is told of changes in the state of targets; nil discards.
	Logger *slog.Logger
	// Now is the clock, time.Now by default.
	Now func() time.Time
	// CheckEvery is the time between health checks of a target, 2 s by default.
	CheckEvery time.Duration
	// CheckTimeout is how long a check may take before the target counts as
	// hanging and is not served, 10 s by default.
	CheckTimeout time.Duration
	// FailAfter is the number of I/O errors in a row, counted apart for reads and
	// writes, from which such requests are only tried once per CheckEvery; 5 by
	// default.
	FailAfter int
	// HandleTTL is how long a writer may be idle before it is aborted, 2 min by default.
	HandleTTL time.Duration
	// MaxHandles bounds the writers that are open at once, 4096 by default.
	MaxHandles int
	// MaxSessionHandles bounds those of one session, so that no gateway takes all;
	// half of MaxHandles by default.
	MaxSessionHandles int
	// CompactEvery is how often dead space is given back on every target; a full
	// one is compacted at once. 0: only when asked to.
	CompactEvery time.Duration
	// CompactRate bounds what a compaction moves in bytes per second, 64 MiB by default.
	CompactRate int64
	// CloseTimeout bounds how long Close waits for targets that hang, 30 s by default.
	CloseTimeout time.Duration
	// Staging is the memory in bytes that the fabric lends to transfers, see rdma.Options. With
	// several targets one has a quarter, so that a disk that hangs leaves some to the others; 0:
	// no bound.
	Staging int
	// IndexDir is where OpenExtent keeps the targets' indexes: a fast local disk
	// is best. Empty: in memory, made again at every start.
	IndexDir string
	// Open opens the target in a directory, OpenExtent by default.
	Open OpenFunc
	// Format makes a directory a target, FormatExtent by default.
	Format func(dir string, id extent.Identity) error
	// Tracer records what the service does for requests that are traced; nil: nothing.
	Tracer *tracing.Tracer
	// Inspect looks at a directory, InspectDir by default.
	Inspect func(dir string) (DirInfo, error)
}

// Identity says which node of which store a service is.
type Identity struct {
	Deployment [16]byte
	Name       string // at most 255 bytes
}

// OpenFunc opens the target in dir and tells whose it is. Errors that wrap
// extent.ErrOffline, ErrCorrupt and ErrFenced give the target its state.
type OpenFunc func(dir string, o OpenOptions) (Backend, extent.Identity, error)

// OpenOptions are what an OpenFunc needs besides the directory.
type OpenOptions struct {
	Logger *slog.Logger
	// Expect is the identity that the target must have; zero parts are not checked.
	Expect extent.Identity
	// Epoch with which the target is owned, and what is asked whether it still is; zero
	// for a target that nobody takes over.
	Epoch uint64
	Guard func() error
}

// Chunks is the data path of an opened target. Implementations are safe for
// concurrent use and keep no slice after returning. They check written bytes
// against crcs, and read ones against what they stored: extent.ErrCorrupt.
type Chunks interface {
	Append(ctx context.Context, id extent.ID, meta, data []byte, crcs []uint64) error
	Create(ctx context.Context, id extent.ID, length int64) (ChunkWriter, error)
	ReadAt(ctx context.Context, id extent.ID, p []byte, off int64) error
	CRCs(ctx context.Context, id extent.ID, off, n int64) ([]uint64, error)
	Stat(id extent.ID) (extent.Info, error)
	Meta(ctx context.Context, id extent.ID) (extent.Info, []byte, error)
	Delete(ctx context.Context, ids []extent.ID) error
}

// Upkeep is the rest of an opened target.
type Upkeep interface {
	List(ctx context.Context, after *extent.ID, limit int) ([]extent.Info, error)
	Verify(ctx context.Context, id extent.ID) error
	// Compact tells how many bytes it gave back.
	Compact(ctx context.Context, bytesPerSec int64) (int64, error)
	Usage() (extent.Usage, error)
	// Check says whether the directory still holds this very target.
	Check(ctx context.Context) error
	Checkpoint() error
	Close() error
}

// Backend is an opened target: an extent.Target, or a fake.
type Backend interface {
	Chunks
	Upkeep
}

// ChunkWriter is a chunk that is being written. WriteAt may be called
// concurrently for ranges apart; Commit or Abort is last, and Abort may follow a
// Commit that failed.
type ChunkWriter interface {
	WriteAt(ctx context.Context, p []byte, off int64, crcs []uint64) error
	Commit(ctx context.Context, meta []byte) error
	Abort()
}

// DirInfo is what a directory looks like.
type DirInfo struct {
	Empty bool // nothing in it, or only lost+found
	Mount bool // it is the root of a mounted file system
}

// InspectDir looks at a real directory. fs.ErrNotExist when there is none. A bind
// mount from the same file system is not recognised as a mount point.
func InspectDir(dir string) (DirInfo, error) {
	self, err := os.Stat(dir)
	if err != nil {
		return DirInfo{}, err
	}
	if !self.IsDir() {
		return DirInfo{}, fmt.Errorf("inspect %s: not a directory: %w", dir, fs.ErrNotExist)
	}
	parent, err := os.Stat(filepath.Join(dir, ".."))
	if err != nil {
		return DirInfo{}, err
	}
	names, err := readSomeNames(dir)
	if err != nil {
		return DirInfo{}, err
	}
	empty := len(names) == 0 || (len(names) == 1 && names[0] == "lost+found")
	return DirInfo{Empty: empty, Mount: os.SameFile(self, parent) || deviceOf(self) != deviceOf(parent)}, nil
}

func readSomeNames(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return names, nil
}

func deviceOf(i fs.FileInfo) uint64 {
	if st, ok := i.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Dev)
	}
	return 0
}

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Inspect == nil {
		c.Inspect = InspectDir
	}
	if c.Format == nil {
		c.Format = FormatExtent
	}
	if c.Open == nil {
		indexes := c.IndexDir
		c.Open = func(dir string, o OpenOptions) (Backend, extent.Identity, error) {
			return OpenExtent(dir, indexes, o)
		}
	}
	c.CheckEvery = orDefault(c.CheckEvery, 2*time.Second)
	c.CheckTimeout = orDefault(c.CheckTimeout, 10*time.Second)
	c.HandleTTL = orDefault(c.HandleTTL, 2*time.Minute)
	c.CloseTimeout = orDefault(c.CloseTimeout, 30*time.Second)
	c.FailAfter = orDefault(c.FailAfter, 5)
	c.MaxHandles = orDefault(c.MaxHandles, 4096)
	c.MaxSessionHandles = orDefault(c.MaxSessionHandles, (c.MaxHandles+1)/2)
	c.CompactRate = orDefault(c.CompactRate, 64<<20)
	c.Identity.Name = truncate(c.Identity.Name, maxName)
	return c
}

func orDefault[T int | int64 | time.Duration](v, def T) T {
	if v <= 0 {
		return def
	}
	return v
}
