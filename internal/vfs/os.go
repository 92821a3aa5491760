package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// Quirk is what a kind of file system does differently.
type Quirk struct {
	Name string
	// NoReserve: fallocate is missing, emulated by writing zeros, or keeps no
	// promise, so Allocate only sets the size.
	NoReserve bool
	// Network: names and sizes may change under us by another host's hand.
	Network bool
}

// quirk looks a file system up by its statfs magic (linux/magic.h, and the
// sources of those that are not in the kernel).
func quirk(magic uint32) Quirk {
	switch magic {
	case 0xEF53:
		return Quirk{Name: "ext4"}
	case 0x58465342:
		return Quirk{Name: "xfs"}
	case 0x9123683E:
		// Copy on write: reserved blocks are not the ones a rewrite needs.
		return Quirk{Name: "btrfs", NoReserve: true}
	case 0x2FC12FC1:
		return Quirk{Name: "zfs", NoReserve: true}
	case 0x01021994:
		return Quirk{Name: "tmpfs"}
	case 0x794C7630:
		return Quirk{Name: "overlayfs"}
	case 0x0BD00BD0:
		return Quirk{Name: "lustre", NoReserve: true, Network: true}
	case 0x47504653:
		return Quirk{Name: "gpfs", Network: true}
	case 0x19830326:
		return Quirk{Name: "beegfs", NoReserve: true, Network: true}
	case 0x00C36400:
		return Quirk{Name: "cephfs", NoReserve: true, Network: true}
	case 0x6969:
		return Quirk{Name: "nfs", NoReserve: true, Network: true}
	case 0x65735546:
		return Quirk{Name: "fuse", Network: true}
	}
	return Quirk{Name: fmt.Sprintf("0x%x", magic)}
}

// OS is the real file system beneath one directory. Safe for concurrent use.
type OS struct {
	root  string
	quirk Quirk
}

// NewOS is the tree beneath the existing directory root.
func NewOS(root string) (*OS, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("open root: %w", err)
	}
	info, err := os.Stat(abs)
	if err != nil {
		return nil, fmt.Errorf("open root: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("open root %s: %w", abs, unix.ENOTDIR)
	}
	magic, err := fsMagic(abs)
	if err != nil {
		return nil, fmt.Errorf("statfs %s: %w", abs, err)
	}
	return &OS{root: abs, quirk: quirk(magic)}, nil
}

// Root is the absolute path that names are relative to.
func (o *OS) Root() string { return o.root }

// Quirk tells which kind of file system this is.
func (o *OS) Quirk() Quirk { return o.quirk }

func (o *OS) path(name string) string { return filepath.Join(o.root, filepath.FromSlash(name)) }

// Open implements FS.
func (o *OS) Open(name string) (File, error) {
	return o.open("open", name, unix.O_RDWR)
}

// Create implements FS.
func (o *OS) Create(name string) (File, error) {
	return o.open("create", name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL)
}

func (o *OS) open(op, name string, flags int) (File, error) {
	for {
		fd, err := unix.Open(o.path(name), flags|unix.O_CLOEXEC, 0o600)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, &fs.PathError{Op: op, Path: o.path(name), Err: err}
		}
		return &osFile{fd: fd, name: name, noReserve: o.quirk.NoReserve}, nil
	}
}

// Rename implements FS.
func (o *OS) Rename(from, to string) error { return os.Rename(o.path(from), o.path(to)) }

// Remove implements FS.
func (o *OS) Remove(name string) error { return os.Remove(o.path(name)) }

// List implements FS.
func (o *OS) List(dir string) ([]string, error) {
	d, err := os.Open(o.path(dir))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	return names, nil
}

// MkdirAll implements FS. Directories are private to the owner.
func (o *OS) MkdirAll(dir string) error { return os.MkdirAll(o.path(dir), 0o700) }

// SyncDir implements FS.
func (o *OS) SyncDir(dir string) error {
	d, err := os.Open(o.path(dir))
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	return nil
}

// Usage implements FS.
func (o *OS) Usage() (total, free uint64, err error) { return fsUsage(o.root) }

type osFile struct {
	direct    direct
	fd        int
	name      string
	noReserve bool
}

func (f *osFile) wrap(op string, err error) error {
	return &fs.PathError{Op: op, Path: f.name, Err: err}
}

func (f *osFile) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := unix.Pread(f.fd, p[done:], off+int64(done))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return done, f.wrap("pread", err)
		case n == 0:
			return done, io.EOF
		default:
			done += n
		}
	}
	return done, nil
}

func (f *osFile) WriteAt(p []byte, off int64) (int, error) {
	done := f.writeDirect(p, off)
	for done < len(p) {
		n, err := unix.Pwrite(f.fd, p[done:], off+int64(done))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return done, f.wrap("pwrite", err)
		case n == 0:
			return done, f.wrap("pwrite", io.ErrShortWrite)
		default:
			done += n
		}
	}
	return done, nil
}

// maxIovecs is IOV_MAX of Linux (uio.h, UIO_MAXIOV).
const maxIovecs = 1024

func (f *osFile) Writev(bufs [][]byte, off int64) error {
	for len(bufs) > 0 {
		if len(bufs[0]) == 0 {
			bufs = bufs[1:]
			continue
		}
		n, err := writev(f.fd, bufs[:min(len(bufs), maxIovecs)], off)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return f.wrap("pwritev", err)
		}
		if n == 0 {
			return f.wrap("pwritev", io.ErrShortWrite)
		}
		off += int64(n)
		for len(bufs) > 0 && n >= len(bufs[0]) {
			n -= len(bufs[0])
			bufs = bufs[1:]
		}
		if n > 0 {
			// A short write inside a buffer: finish it alone, so that the
			// caller's slice of buffers is not changed.
			rest := bufs[0][n:]
			if _, err := f.WriteAt(rest, off); err != nil {
				return err
			}
			off += int64(len(rest))
			bufs = bufs[1:]
		}
	}
	return nil
}

func (f *osFile) Allocate(off, n int64) error {
	if !f.noReserve {
		err := reserve(f.fd, off, n)
		if !errors.Is(err, errors.ErrUnsupported) {
			if err != nil {
				return f.wrap("fallocate", err)
			}
			return nil
		}
	}
	size, err := f.Size()
	if err != nil || size >= off+n {
		return err
	}
	return f.Truncate(off + n)
}

func (f *osFile) SyncData() error {
	// Never retried: after a failed sync the kernel may have dropped the pages.
	if err := syncData(f.fd); err != nil {
		return f.wrap("fdatasync", err)
	}
	return nil
}

func (f *osFile) StartWriteback(off, n int64) { startWriteback(f.fd, off, n) }

func (f *osFile) Truncate(size int64) error {
	for {
		err := unix.Ftruncate(f.fd, size)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return f.wrap("ftruncate", err)
		}
		return nil
	}
}

func (f *osFile) Size() (int64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil {
		return 0, f.wrap("fstat", err)
	}
	return st.Size, nil
}

func (f *osFile) Close() error {
	f.closeDirect()
	if err := unix.Close(f.fd); err != nil && err != unix.EINTR {
		return f.wrap("close", err)
	}
	return nil
}
