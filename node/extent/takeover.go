package extent

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/weftstore/weft/internal/vfs"
)

// TakeOver gives the target to another owner with a higher epoch and takes its extents
// away from the one before, whatever that is doing and wherever it runs: their directory
// gets another name, so that the old owner creates, renames and removes nothing any more.
// What it still writes to files that it has open is past what the new owner found there,
// and the new owner never appends to those files. ErrFenced when the epoch is not higher.
//
// It is no compare-and-swap between hosts: the caller holds the target in etcd. What was
// cut short is finished by Open.
func TakeOver(fsys vfs.FS, owner [16]byte, epoch uint64) (Superblock, error) {
	sb, err := SetOwner(fsys, owner, epoch)
	if err == nil {
		err = nameExtents(fsys, epoch)
	}
	if err != nil {
		return sb, fmt.Errorf("take over: %w", err)
	}
	return sb, nil
}

// extentsOf is the directory of extents in an epoch.
func extentsOf(epoch uint64) string {
	if epoch == 0 {
		return extentsDir
	}
	return extentsDir + "." + strconv.FormatUint(epoch, 10)
}

// nameExtents gives the directory of extents the name of an epoch.
func nameExtents(fsys vfs.FS, epoch uint64) error {
	name, err := findExtents(fsys, epoch)
	if err != nil || name == extentsOf(epoch) {
		return err
	}
	if err := fsys.Rename(name, extentsOf(epoch)); err != nil {
		return fmt.Errorf("name extents: %w", err)
	}
	if err := fsys.SyncDir("."); err != nil {
		return fmt.Errorf("name extents: %w", err)
	}
	return nil
}

// findExtents is the name that the directory has: that of an epoch, or of one before when
// a take-over was cut short.
func findExtents(fsys vfs.FS, epoch uint64) (string, error) {
	names, err := fsys.List(".")
	if err != nil {
		return "", fmt.Errorf("find extents: %w", err)
	}
	found, best := "", uint64(0)
	for _, name := range names {
		var of uint64
		if name != extentsDir {
			digits, ok := strings.CutPrefix(name, extentsDir+".")
			if of, err = strconv.ParseUint(digits, 10, 64); !ok || err != nil {
				continue
			}
		}
		if of <= epoch && (found == "" || of > best) {
			found, best = name, of
		}
	}
	if found == "" {
		return "", fmt.Errorf("find extents: no directory of epoch %d or before: %w", epoch, ErrCorrupt)
	}
	return found, nil
}

// epochFS is a file system on which the directory of extents has the name dir.
type epochFS struct {
	vfs.FS
	dir string
}

func (f epochFS) name(name string) string {
	if rest, ok := strings.CutPrefix(name, extentsDir); ok && (rest == "" || rest[0] == '/') {
		return f.dir + rest
	}
	return name
}

func (f epochFS) Open(name string) (vfs.File, error)   { return f.FS.Open(f.name(name)) }
func (f epochFS) Create(name string) (vfs.File, error) { return f.FS.Create(f.name(name)) }
func (f epochFS) Rename(from, to string) error         { return f.FS.Rename(f.name(from), f.name(to)) }
func (f epochFS) Remove(name string) error             { return f.FS.Remove(f.name(name)) }
func (f epochFS) List(dir string) ([]string, error)    { return f.FS.List(f.name(dir)) }
func (f epochFS) MkdirAll(dir string) error            { return f.FS.MkdirAll(f.name(dir)) }
func (f epochFS) SyncDir(dir string) error             { return f.FS.SyncDir(f.name(dir)) }

// atEpoch is the file system as the owner of an epoch sees it.
func atEpoch(cfg *Config, epoch uint64) (vfs.FS, error) {
	if epoch == 0 {
		return cfg.FS, nil
	}
	if !cfg.ReadOnly {
		if err := nameExtents(cfg.FS, epoch); err != nil {
			return nil, err
		}
	}
	dir, err := findExtents(cfg.FS, epoch)
	return epochFS{cfg.FS, dir}, err
}

// guard asks whether the target is still ours. When it is not, nothing that was written
// may be told to be durable: whoever owns it now may have read the extents before.
func (t *Target) guard() error {
	if t.cfg.Guard == nil {
		return nil
	}
	if err := t.cfg.Guard(); err != nil {
		err = fmt.Errorf("%w: %w", ErrFenced, err)
		t.setDown(err)
		return err
	}
	return nil
}
