package extent

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/weftstore/weft/internal/checksum"
)

// bbolt has no checksums on its pages, and a damaged one can send it into
// endless recursion or make it allocate all memory, neither of which can be
// recovered from. So each checkpoint leaves the checksum of the whole file
// beside it, and a file without the right one is not given to bbolt at all. A
// crash between the two costs a rebuild.
const (
	sumSuffix = ".sum"
	sumMagic  = "weftidx\n"
	sumSize   = 32
)

// sumFile adds up an index file as it is now.
func sumFile(f *os.File) ([]byte, error) {
	b := make([]byte, sumSize)
	copy(b, sumMagic)
	buf := make([]byte, 1<<20)
	var crc uint64
	var size int64
	for {
		n, err := f.ReadAt(buf, size)
		crc = checksum.UpdateCRC64(crc, buf[:n])
		size += int64(n)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	le := binary.LittleEndian
	le.PutUint64(b[8:], uint64(size))
	le.PutUint64(b[16:], crc)
	le.PutUint64(b[24:], checksum.CRC64(b[:24]))
	return b, nil
}

// writeSum writes the checksum of the index at path.
func writeSum(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := sumFile(f)
	if err != nil {
		return err
	}
	tmp, err := os.OpenFile(path+sumSuffix+".tmp", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = tmp.Write(b)
	if err == nil {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path+sumSuffix)
	}
	return err
}

// checkSum is errIndex when the index at path is not as its last checkpoint
// left it. No file is right too.
func checkSum(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open index: %w", err)
	}
	defer f.Close()
	// bbolt locks the same way: a file that changes must not be taken for damaged.
	if err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); err != nil {
		return fmt.Errorf("open index: another process has it: %w", err)
	}
	want, err := os.ReadFile(path + sumSuffix)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("open index: %w", err)
	}
	got, err := sumFile(f)
	if err != nil {
		return fmt.Errorf("open index: %w", err)
	}
	if string(got) != string(want) {
		return fmt.Errorf("it does not match its checksum: %w", errIndex)
	}
	return nil
}

// removeIndex removes the index at path with its checksum.
func removeIndex(path string) error {
	for _, name := range []string{path + sumSuffix, path} {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
