package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weftstore/weft/internal/vfs"
	"github.com/weftstore/weft/node/extent"
)

// OpenExtent opens the extent store in a real directory. The index is kept in
// indexDir under the target's name, in memory when indexDir is empty.
func OpenExtent(dir, indexDir string, o OpenOptions) (Backend, extent.Identity, error) {
	fsys, err := vfs.NewOS(dir)
	if err != nil {
		return nil, extent.Identity{}, fmt.Errorf("open target in %s: %w", dir, err)
	}
	sb, err := extent.ReadSuperblock(fsys)
	if err != nil {
		return nil, extent.Identity{}, fmt.Errorf("open target in %s: %w", dir, err)
	}
	if (o.Expect.Target != [16]byte{} && o.Expect.Target != sb.Target) ||
		(o.Expect.Deployment != [16]byte{} && o.Expect.Deployment != sb.Deployment) {
		return nil, sb.Identity, fmt.Errorf("open target in %s: %w: it is %s", dir, errForeign, sb.Identity)
	}
	var lock *os.File
	if o.Epoch == 0 { // else the epoch keeps others away
		if lock, err = lockDir(dir); err != nil {
			return nil, sb.Identity, fmt.Errorf("open target in %s: %w", dir, err)
		}
	}
	cfg := extent.Config{FS: fsys, Identity: sb.Identity, Epoch: o.Epoch, Guard: o.Guard, Events: logEvents(o, dir)}
	if indexDir != "" {
		cfg.IndexPath = indexPath(indexDir, sb.Target)
		if epoch := max(sb.Epoch, o.Epoch); epoch > 0 { // what was indexed before another owner had it is of no use
			cfg.IndexPath = fmt.Sprintf("%s.%d", cfg.IndexPath, epoch)
		}
		removeOldIndexes(indexPath(indexDir, sb.Target), cfg.IndexPath)
	}
	if total, _, err := fsys.Usage(); err == nil {
		cfg.ExtentSize, cfg.OwnFile = extentSizes(total)
	}
	t, err := extent.Open(cfg)
	if err != nil {
		lock.Close() // nothing to a nil file
		return nil, sb.Identity, err
	}
	return extentBackend{t, lock}, sb.Identity, nil
}

// zfsMagic is that of ZFS in statfs(2), which package unix does not have.
const zfsMagic = 0x2fc12fc1

// lockDir keeps other processes of this host from serving what is in dir until the file
// is closed. On a file system of several hosts it does nothing: there the lock of a host
// that died lasts for minutes.
func lockDir(dir string) (*os.File, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return nil, os.NewSyscallError("statfs", err)
	}
	switch int64(st.Type) { //nolint:unconvert // of 32 bits on some architectures
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC, unix.TMPFS_MAGIC, unix.OVERLAYFS_SUPER_MAGIC, zfsMagic:
	default:
		return nil, nil //nolint:nilnil // no lock and no error
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		f.Close()
		return nil, ErrInUse
	}
	return f, nil
}

func indexPath(dir string, id TargetUUID) string { return filepath.Join(dir, id.String()+".index") }

// removeOldIndexes removes the files of a target's indexes of other epochs. What cannot be
// removed is tried again at the next opening.
func removeOldIndexes(first, now string) {
	files, _ := os.ReadDir(filepath.Dir(first))
	for _, f := range files {
		path := filepath.Join(filepath.Dir(first), f.Name())
		if path == now || !strings.HasPrefix(path, first) {
			continue
		}
		if rest, ours := strings.CutPrefix(path, now+"."); ours && strings.HasPrefix(rest, "sum") {
			continue
		}
		_ = os.Remove(path)
	}
}

// extentSizes are the length of shared extents on a file system of so many bytes,
// and that from which a chunk has a file. The space of deleted chunks comes back
// an extent at a time and never from the one that is being written, so an extent
// must be a small part of a small file system.
func extentSizes(total uint64) (shared, own int64) {
	const least, most, share = 2 << 20, 1 << 30, 32
	shared = int64(min(max(total/share, least), most)) &^ (1<<20 - 1)
	return shared, min(shared/2, extent.OwnFile)
}

// FormatExtent makes an empty real directory a target of the extent store.
func FormatExtent(dir string, id extent.Identity) error {
	fsys, err := vfs.NewOS(dir)
	if err != nil {
		return err
	}
	return extent.Format(fsys, id)
}

// logEvents logs what an operator should know of.
func logEvents(o OpenOptions, dir string) extent.Events {
	log := o.Logger.With("dir", dir)
	return extent.Events{
		Rebuild: func(reason error) { log.Info("index is made again from the extents", "reason", reason) },
		Torn: func(id extent.ID, num uint64) {
			log.Info("dropped a chunk that a crash left incomplete", "set", id.Set, "index", id.Index, "extent", num)
		},
		Corrupt: func(id extent.ID, num uint64, err error) {
			log.Error("chunk does not match its checksum", "set", id.Set, "index", id.Index, "extent", num, "err", err)
		},
		Checkpoint: func(entries int, _ time.Duration, err error) {
			if err != nil {
				log.Error("index cannot be written, and what is new is kept in memory, within bounds: look at the state directory", "entries", entries, "err", err)
			}
		},
		SyncFailed: func(num uint64, err error) {
			log.Error("write or sync failed: the extent takes no more writes", "extent", num, "err", err)
		},
	}
}

// extentBackend is an extent.Target as a Backend.
type extentBackend struct {
	*extent.Target
	lock *os.File
}

func (b extentBackend) Close() error {
	defer b.lock.Close()
	return b.Target.Close()
}

func (b extentBackend) Create(ctx context.Context, id extent.ID, length int64) (ChunkWriter, error) {
	w, err := b.Target.Create(ctx, id, length)
	if err != nil {
		return nil, err
	}
	return w, nil
}
