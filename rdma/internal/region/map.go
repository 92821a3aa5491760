// Package region maps memory for transfers and finds it again by key: mapping of
// anonymous pages, and the table of what peers may name.
package region

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/weftstore/weft/rdma"
)

// hugePage is the size of the huge pages that are asked for.
const hugePage = 2 << 20

// Map maps n bytes of zeroed memory outside the Go heap, rounded up to whole pages.
// With huge it asks for huge pages, and takes ordinary ones with a warning where
// none are left. The memory is the caller's until Unmap.
func Map(n int, huge bool, log *slog.Logger) ([]byte, error) {
	if n <= 0 || n > math.MaxInt-hugePage {
		return nil, fmt.Errorf("map memory: length %d out of range", n)
	}
	const flags = unix.MAP_ANON | unix.MAP_PRIVATE
	if huge {
		b, err := unix.Mmap(-1, 0, round(n, hugePage), unix.PROT_READ|unix.PROT_WRITE, flags|unix.MAP_HUGETLB|unix.MAP_HUGE_2MB)
		if err == nil {
			return b, nil
		}
		if !errors.Is(err, syscall.ENOMEM) && !errors.Is(err, syscall.EINVAL) {
			return nil, fmt.Errorf("map %d bytes in huge pages: %w", n, err)
		}
		log.Warn("no huge pages left: ordinary pages are used; raise vm.nr_hugepages", "bytes", n)
	}
	b, err := unix.Mmap(-1, 0, round(n, os.Getpagesize()), unix.PROT_READ|unix.PROT_WRITE, flags)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes: %w", n, err)
	}
	return b, nil
}

func round(n, unit int) int { return (n + unit - 1) / unit * unit }

// Unmap gives memory of Map back. Nothing may refer to it any more.
func Unmap(b []byte) error {
	if err := unix.Munmap(b); err != nil {
		return fmt.Errorf("unmap memory: %w", err)
	}
	return nil
}

// Addr is the address of memory of Map.
func Addr(b []byte) uint64 { return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) }

// Remote names n bytes from off of memory b under key. It panics when the range is
// outside of b, as slicing does.
func Remote(b []byte, key uint32, off, n int) rdma.Remote {
	_ = b[off : off+n]
	if n > math.MaxUint32 {
		panic(fmt.Sprintf("rdma: remote of %d bytes", n))
	}
	return rdma.Remote{Addr: Addr(b) + uint64(off), RKey: key, Len: uint32(n)}
}

// RandomKey is a key that cannot be guessed; 0 is no key.
func RandomKey() uint32 {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return binary.LittleEndian.Uint32(b[:])
}
