package extent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weftstore/weft/internal/vfs"
)

// Config of a target. Only FS must be set.
type Config struct {
	FS vfs.FS
	// IndexPath is a bbolt file on the real file system, best on a fast local
	// disk. It is a cache: when it is missing or damaged it is made again from
	// the extents. Empty: kept in memory and made again at every Open.
	IndexPath string
	// Identity that the superblock must have; zero takes what is there.
	Identity Identity
	// Epoch that this process owns the target with; zero takes what is there. A
	// higher one in the superblock fences us.
	Epoch uint64
	// Guard is asked after every sync, before success is told, and before an extent is
	// removed: an error says that the right to write ended. It must be quick. Nil: it
	// never ends.
	Guard func() error
	// ReadOnly changes nothing on disk, whatever recovery finds.
	ReadOnly bool
	// ExtentSize of shared extents, bytes; 1 GiB when 0.
	ExtentSize int64
	// OwnFile is the length from which a chunk gets a file; the constant when 0.
	OwnFile int64
	// AllocStep is how much is reserved on disk ahead of the writes; 64 MiB
	// when 0.
	AllocStep int64
	// Reserve is the free space that new chunks leave for deletions and
	// compaction; 0 takes half an extent, which is the most that compaction copies
	// before it frees one, and 64 MiB, or 5 % of a small file system.
	Reserve int64
	// CacheBytes bounds the memory for places and checksum tables of chunks
	// that were read lately; 8 MiB when 0.
	CacheBytes int64
	// CheckpointEntries is how many index changes are kept in memory; 65,536
	// when 0. New chunks are refused when there are eight times as many and the
	// index cannot be written.
	CheckpointEntries int
	// OpenFiles bounds the extents kept open for reading; 256 when 0.
	OpenFiles int
	// Now is the clock of creation times; time.Now when nil.
	Now    func() time.Time
	Events Events
}

// Events tells what a target does on its own. Nil functions are not called;
// the others must return soon and not call the target.
type Events struct {
	// Rebuild: the index is thrown away and made from the extents, and why.
	Rebuild func(reason error)
	// Scanned: extents read so far by recovery, of how many, and records found.
	Scanned func(extents, of int, records uint64)
	// Torn: an unacknowledged chunk that a crash left incomplete was dropped.
	Torn func(id ID, extent uint64)
	// Corrupt: a record or an extent does not match its checksum; it is left as it is.
	Corrupt func(id ID, extent uint64, err error)
	// SyncFailed: a write or sync failed; the extent takes no more writes.
	SyncFailed func(extent uint64, err error)
	// Checkpoint: index changes were written, and how long that took.
	Checkpoint func(entries int, took time.Duration, err error)
	// Compacted: a shared extent was removed.
	Compacted func(extent uint64, reclaimed int64)
	// Down: the target refuses everything from now on.
	Down func(reason error)
}

func (c *Config) defaults() error {
	if c.FS == nil {
		return fmt.Errorf("no file system: %w", ErrInvalid)
	}
	setDefault := func(p *int64, v int64) {
		if *p <= 0 {
			*p = v
		}
	}
	setDefault(&c.ExtentSize, 1<<30)
	setDefault(&c.AllocStep, min(64<<20, c.ExtentSize))
	setDefault(&c.OwnFile, OwnFile)
	setDefault(&c.CacheBytes, 8<<20)
	if c.CheckpointEntries <= 0 {
		c.CheckpointEntries = 64 << 10
	}
	if c.OpenFiles <= 0 {
		c.OpenFiles = 256
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.ExtentSize < 64<<10 || c.AllocStep < 4<<10 {
		return fmt.Errorf("extent size %d, allocation step %d: %w", c.ExtentSize, c.AllocStep, ErrInvalid)
	}
	return nil
}

// Target is an open target. Safe for concurrent use.
//
// Locks, in the order in which they are taken:
// compacting, ckpt, erasing, alloc, mu.
type Target struct {
	cfg   Config
	fs    vfs.FS
	sb    Superblock
	files *handles
	cache *cache
	down  atomic.Pointer[error]

	// ckpt: one checkpoint or compaction step at a time.
	ckpt sync.Mutex
	base index

	compacting sync.Mutex // one Compact at a time
	erasing    sync.Mutex // one deletion of chunks with files enters the index at a time

	// alloc guards where the next bytes go.
	alloc      sync.Mutex
	active     *extent
	nextExtent uint64
	seq        atomic.Uint64 // last that was given out

	// mu guards what exists.
	mu      sync.RWMutex
	delta   map[ID]entry
	frozen  map[ID]entry // being written to base
	pending map[ID]struct{}
	extents map[uint64]*extent // shared ones
	doomed  map[uint64]bool    // moved out of, not removed yet
	dropped []uint64           // removed, the index does not know
	chunks  uint64
	live    int64
	ownings int // own-file extents

	changes   uint64
	tooMany   bool  // a checkpoint is due or running
	unwritten error // why the last checkpoint failed

	syncs, commits atomic.Uint64

	queue    queue
	loops    sync.WaitGroup
	closed   atomic.Bool
	badIndex atomic.Bool // to be thrown away
}

// Open opens a formatted target and recovers what a crash left. Errors:
// ErrOffline (no superblock), ErrCorrupt (damaged), ErrFenced (another identity
// or a higher epoch).
func Open(cfg Config) (*Target, error) {
	if err := cfg.defaults(); err != nil {
		return nil, fmt.Errorf("open target: %w", err)
	}
	sb, err := ReadSuperblock(cfg.FS)
	if err != nil {
		return nil, fmt.Errorf("open target: %w", err)
	}
	if cfg.Identity != (Identity{}) && cfg.Identity != sb.Identity {
		return nil, fmt.Errorf("open target: it is %v, not %v: %w", sb.Identity, cfg.Identity, ErrFenced)
	}
	if cfg.Epoch != 0 && sb.Epoch > cfg.Epoch {
		return nil, fmt.Errorf("open target: epoch %d, ours is %d: %w", sb.Epoch, cfg.Epoch, ErrFenced)
	}
	sb.Epoch = max(sb.Epoch, cfg.Epoch) // a lower one is of a take-over that came late
	fsys, err := atEpoch(&cfg, sb.Epoch)
	if err != nil {
		return nil, fmt.Errorf("open target: %w", err)
	}
	t := &Target{
		cfg: cfg, fs: fsys, sb: sb,
		files:   newHandles(fsys, cfg.OpenFiles),
		cache:   newCache(cfg.CacheBytes),
		pending: make(map[ID]struct{}),
	}
	t.queue.init()
	if err := t.recover(); err != nil {
		if t.base != nil {
			_ = t.base.close()
		}
		t.files.closeAll()
		return nil, fmt.Errorf("open target: %w", err)
	}
	t.loops.Go(t.commitLoop)
	return t, nil
}

// Superblock is what Open read.
func (t *Target) Superblock() Superblock { return t.sb }

func (t *Target) up() error {
	if p := t.down.Load(); p != nil {
		return *p
	}
	return nil
}

func (t *Target) writable() error {
	if t.cfg.ReadOnly {
		return fmt.Errorf("target is open for reading only: %w", ErrInvalid)
	}
	return t.up()
}

func (t *Target) setDown(reason error) {
	if t.down.CompareAndSwap(nil, &reason) && t.cfg.Events.Down != nil && !errors.Is(reason, errClosed) {
		t.cfg.Events.Down(reason)
	}
}

var errClosed = fmt.Errorf("target closed: %w", ErrOffline)

// Check reads the superblock again, and the header of the extent that is
// written to. When the directory is no longer the one that was opened it is
// ErrOffline, with a higher epoch ErrFenced; the target refuses everything from
// then on. Other errors are of this one look.
func (t *Target) Check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := t.up(); err != nil {
		return err
	}
	sb, err := ReadSuperblock(t.fs)
	switch {
	case errors.Is(err, ErrOffline):
		t.setDown(err)
		return err
	case err != nil:
		return fmt.Errorf("check target: %w", err)
	case sb.Identity != t.sb.Identity:
		err = fmt.Errorf("check target: it is %v now, not %v: %w", sb.Identity, t.sb.Identity, ErrOffline)
		t.setDown(err)
		return err
	case sb.Epoch > t.sb.Epoch:
		err = fmt.Errorf("check target: epoch is %d now, ours is %d: %w", sb.Epoch, t.sb.Epoch, ErrFenced)
		t.setDown(err)
		return err
	}
	return t.checkActive()
}

// checkActive notices that the directory was replaced by another one with a
// copy of the superblock: the active extent is not in it.
func (t *Target) checkActive() error {
	t.alloc.Lock()
	e := t.active
	t.alloc.Unlock()
	if e == nil {
		return nil
	}
	h, err := readExtentHeader(t.fs, extentName(e.num, false))
	gone := errors.Is(err, fs.ErrNotExist)
	if err != nil && !gone {
		return fmt.Errorf("check target: %w", err)
	}
	if gone || h.salt != e.salt {
		// Compaction may have removed it in the meantime.
		t.alloc.Lock()
		still := t.active == e
		t.alloc.Unlock()
		if still {
			err = fmt.Errorf("check target: extent %d is missing or another one: %w", e.num, ErrOffline)
			t.setDown(err)
			return err
		}
	}
	return nil
}

// Usage counts what is stored. The error is of the file system.
func (t *Target) Usage() (Usage, error) {
	total, free, err := t.fs.Usage()
	t.mu.RLock()
	defer t.mu.RUnlock()
	u := Usage{
		Total: total, Free: free,
		Chunks: t.chunks, LiveBytes: uint64(max(t.live, 0)),
		Extents:       uint64(len(t.extents) + t.ownings),
		SyncedCommits: t.syncs.Load(), CommitChunks: t.commits.Load(),
	}
	for _, e := range t.extents {
		u.DeadBytes += uint64(e.dead())
	}
	if err != nil {
		return u, fmt.Errorf("usage: %w", err)
	}
	return u, nil
}

// Close waits for commits under way, writes a checkpoint and closes the files.
// A second Close does nothing.
func (t *Target) Close() error {
	t.mu.Lock()
	closed := t.closed.Swap(true) // no checkpoint begins from now on
	t.mu.Unlock()
	if closed {
		return nil
	}
	_ = t.guard() // what is not ours any more is left alone
	t.setDown(errClosed)
	t.queue.close()
	t.loops.Wait()
	var err error
	// A target that was taken over or vanished is not ours to write to.
	if reason := *t.down.Load(); !t.cfg.ReadOnly && errors.Is(reason, errClosed) {
		t.alloc.Lock()
		if t.active != nil {
			t.seal(t.active)
		}
		t.alloc.Unlock()
		err = t.checkpoint()
	}
	t.ckpt.Lock()
	defer t.ckpt.Unlock()
	err = errors.Join(err, t.base.close())
	if t.badIndex.Load() && t.cfg.IndexPath != "" {
		err = errors.Join(err, removeIndex(t.cfg.IndexPath))
	}
	t.files.closeAll()
	if err != nil {
		return fmt.Errorf("close target: %w", err)
	}
	return nil
}
