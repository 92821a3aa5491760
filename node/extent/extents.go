package extent

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"syscall"

	"github.com/weftstore/weft/internal/vfs"
)

// extent is a shared extent. Own-file extents have no such record: everything
// about them is in the index entry of their only chunk.
type extent struct {
	num  uint64
	own  bool // only in recovery
	salt [16]byte
	seed uint64

	// Guarded by Target.alloc.
	h         *handle // held while active or while writers are left
	tail      int64   // where the next record goes
	allocated int64   // reserved on disk so far
	heads     int64   // room kept for the headers of unfinished writers
	writers   int     // unfinished writers and commits under way
	failed    bool    // a write or sync failed, or the header is damaged: nothing more is written
	sealed    bool    // not the active extent any more

	// Guarded by Target.mu.
	durable int64            // records before this are synced and indexed
	live    int64            // bytes of chunks that exist
	tombs   map[uint64]int64 // bytes of tombstones by the extent of their victims
	dirty   bool             // differs from what the index has
}

// dead is what compaction would give back. Target.mu is held.
func (e *extent) dead() int64 { return max(e.durable-headerBlock-e.live, 0) }

func extentName(num uint64, own bool) string {
	ext := ".x"
	if own {
		ext = ".o"
	}
	return path.Join(extentsDir, fmt.Sprintf("%08d", num)+ext)
}

// parseExtentName is the inverse for a name in the directory of extents.
func parseExtentName(name string) (num uint64, own, ok bool) {
	digits, ext, found := strings.Cut(name, ".")
	num, err := strconv.ParseUint(digits, 10, 64)
	if !found || err != nil || ext != "x" && ext != "o" {
		return 0, false, false
	}
	own = ext == "o"
	return num, own, path.Base(extentName(num, own)) == name
}

func readExtentHeader(fsys vfs.FS, name string) (extentHeader, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return extentHeader{}, fmt.Errorf("read extent header: %w", err)
	}
	defer f.Close()
	return headerOf(f)
}

func headerOf(f vfs.File) (extentHeader, error) {
	b := make([]byte, headerBlock)
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return extentHeader{}, fmt.Errorf("read extent header: %w", err)
	}
	return decodeExtentHeader(b[:n])
}

// asFull makes "no space" errors ErrFull.
func asFull(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w (%w)", ErrFull, err)
	}
	return err
}

// slack is kept at the end of what is reserved, so that deletions can be
// recorded when nothing more can be reserved.
func (t *Target) slack() int64 { return min(1<<20, t.cfg.AllocStep/8) }

// reserveBytes is what new chunks must leave free.
func (t *Target) reserveBytes(total uint64) int64 {
	if t.cfg.Reserve > 0 {
		return t.cfg.Reserve
	}
	return min(t.cfg.ExtentSize/2+64<<20, int64(total/20))
}

// spaceFor is ErrFull when n more bytes would eat into the reserve.
func (t *Target) spaceFor(n int64) error {
	total, free, err := t.fs.Usage()
	if err != nil {
		return fmt.Errorf("usage: %w", err)
	}
	if int64(min(free, 1<<62)) < n+t.reserveBytes(total) {
		return fmt.Errorf("%d bytes free: %w", free, ErrFull)
	}
	return nil
}

// grow reserves e up to end. urgent may use the slack and the reserve: for
// what makes room in the end. alloc is held.
func (t *Target) grow(e *extent, end int64, urgent bool) error {
	slack := t.slack()
	if end+slack <= e.allocated || urgent && end <= e.allocated {
		return nil
	}
	var err error
	for _, want := range [...]int64{align(end+slack-e.allocated, t.cfg.AllocStep), align(end+slack-e.allocated, headerBlock)} {
		if err = t.spaceFor(want); err != nil && !urgent {
			continue
		}
		if err = e.h.file.Allocate(e.allocated, want); err == nil {
			e.allocated += want
			return nil
		}
	}
	return fmt.Errorf("extend extent %d: %w", e.num, asFull(err))
}

// room is an extent with n bytes left, besides heads bytes for a header later:
// the active one or a new one. alloc is held.
func (t *Target) room(n, heads int64, urgent bool) (*extent, error) {
	limit := t.cfg.ExtentSize
	if !urgent {
		limit -= t.slack()
	}
	if e := t.active; e != nil {
		end := e.tail + e.heads + n + heads
		if end <= limit {
			return e, t.grow(e, end, urgent)
		}
	}
	e, err := t.newExtent(headerBlock+n+heads, urgent)
	if err != nil {
		if e := t.active; e != nil && urgent {
			// Better an extent that is too long than a deletion refused.
			return e, t.grow(e, e.tail+e.heads+n+heads, true)
		}
		return nil, err
	}
	if t.active != nil {
		t.seal(t.active)
	}
	t.active = e
	return e, nil
}

// newExtent makes a shared extent whose name and header are durable. alloc is held.
func (t *Target) newExtent(size int64, urgent bool) (*extent, error) {
	t.nextExtent++
	num := t.nextExtent
	hdr := extentHeader{identity: t.sb.Identity, kind: kindShared, number: num, created: t.cfg.Now().UnixNano()}
	rand.Read(hdr.salt[:])
	h, err := t.createFile(num, false, &hdr)
	if err != nil {
		return nil, err
	}
	e := &extent{
		num: num, salt: hdr.salt, seed: hdr.seed(), h: h,
		tail: headerBlock, durable: headerBlock, dirty: true, tombs: make(map[uint64]int64),
	}
	err = t.grow(e, size, urgent)
	if err == nil {
		err = h.file.SyncData()
	}
	if err == nil {
		err = t.fs.SyncDir(extentsDir)
	}
	if err != nil {
		t.files.release(h)
		t.files.drop(num)
		_ = t.fs.Remove(extentName(num, false))
		return nil, fmt.Errorf("new extent %d: %w", num, asFull(err))
	}
	t.mu.Lock()
	t.extents[num] = e
	t.mu.Unlock()
	return e, nil
}

// createFile makes the file of an extent with its header, nothing synced.
func (t *Target) createFile(num uint64, own bool, hdr *extentHeader) (*handle, error) {
	name := extentName(num, own)
	f, err := t.fs.Create(name)
	if err != nil {
		return nil, fmt.Errorf("create extent: %w", asFull(err))
	}
	if _, err := f.WriteAt(hdr.encode(), 0); err != nil {
		f.Close()
		_ = t.fs.Remove(name)
		return nil, fmt.Errorf("create extent: %w", asFull(err))
	}
	return t.files.adopt(num, own, f), nil
}

// seal ends writing to an extent, except for writers that are under way, and
// gives back what was reserved and not used. alloc is held.
func (t *Target) seal(e *extent) {
	e.sealed = true
	if t.active == e {
		t.active = nil
	}
	t.letGo(e)
}

// letGo closes a sealed extent for writing when nobody writes any more.
func (t *Target) letGo(e *extent) {
	if !e.sealed || e.writers > 0 || e.h == nil {
		return
	}
	if !e.failed && e.allocated > e.tail {
		// Only tidiness: recovery reads past a longer file all the same.
		_ = e.h.file.Truncate(e.tail)
	}
	t.files.release(e.h)
	e.h = nil
}

// fail ends all writing to an extent after an error. What a failed sync left
// behind cannot be trusted: the kernel may show pages that are not on disk, so
// everything after the last good sync is cut off.
func (t *Target) fail(e *extent, err error) {
	t.alloc.Lock()
	first := !e.failed
	e.failed = true
	if first && e.h != nil && t.guard() == nil {
		t.mu.RLock()
		durable := e.durable
		t.mu.RUnlock()
		_ = e.h.file.Truncate(durable)
	}
	t.seal(e)
	t.alloc.Unlock()
	if first && t.cfg.Events.SyncFailed != nil {
		t.cfg.Events.SyncFailed(e.num, err)
	}
}
