package vfs

import (
	"errors"

	"golang.org/x/sys/unix"
)

// openDirect is the flag of unbuffered files; 0 where there are none.
const openDirect = unix.O_DIRECT

func fsMagic(path string) (uint32, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, err
	}
	return uint32(st.Type), nil
}

func fsUsage(path string) (total, free uint64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, 0, err
	}
	unit := uint64(st.Frsize)
	return st.Blocks * unit, st.Bavail * unit, nil
}

func writev(fd int, bufs [][]byte, off int64) (int, error) { return unix.Pwritev(fd, bufs, off) }

// reserve is errors.ErrUnsupported where the file system cannot.
func reserve(fd int, off, n int64) error {
	for {
		err := unix.Fallocate(fd, 0, off, n)
		switch err {
		case unix.EINTR:
			continue
		case unix.EOPNOTSUPP, unix.ENOSYS:
			return errors.ErrUnsupported
		}
		return err
	}
}

func syncData(fd int) error { return unix.Fdatasync(fd) }

func startWriteback(fd int, off, n int64) {
	// Advice only: the sync at commit is what counts, and reports errors.
	_ = unix.SyncFileRange(fd, off, n, unix.SYNC_FILE_RANGE_WRITE)
}
