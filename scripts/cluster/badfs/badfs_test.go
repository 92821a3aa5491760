package badfs

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestFS uses a mount as a target does, and then with each fault.
func TestFS(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	from, at := t.TempDir(), t.TempDir()
	f, err := Mount(from, at)
	if err != nil {
		t.Skip(err)
	}
	defer func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	data := bytes.Repeat([]byte("0123456789abcdef"), 200<<10) // several requests
	must(os.Mkdir(filepath.Join(at, "d"), 0o700))
	file, err := os.OpenFile(filepath.Join(at, "d", "f.tmp"), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	must(err)
	defer file.Close()
	_, err = file.WriteAt(data, 0)
	must(errors.Join(err, file.Sync()))
	must(os.Rename(filepath.Join(at, "d", "f.tmp"), filepath.Join(at, "d", "f")))
	got, err := os.ReadFile(filepath.Join(at, "d", "f"))
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	list, err := os.ReadDir(filepath.Join(at, "d"))
	if err != nil || len(list) != 1 || list[0].Name() != "f" {
		t.Fatal(list, err)
	}
	must(unix.Fallocate(int(file.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, 8<<20))
	must(os.Truncate(filepath.Join(at, "d", "f"), 100))
	if info, err := os.Stat(filepath.Join(from, "d", "f")); err != nil || info.Size() != 100 {
		t.Fatal(info, err)
	}

	one := make([]byte, 1)
	f.Set(Fault{Errno: unix.EIO})
	if _, err := file.ReadAt(one, 0); !errors.Is(err, unix.EIO) {
		t.Error(err)
	}
	if _, err := file.WriteAt(one, 0); !errors.Is(err, unix.EIO) {
		t.Error(err)
	}
	f.Set(Fault{Errno: unix.ENOSPC})
	if _, err := file.ReadAt(one, 0); err != nil {
		t.Error(err)
	}
	if _, err := file.WriteAt(one, 0); !errors.Is(err, unix.ENOSPC) {
		t.Error(err)
	}
	f.Set(Fault{Delay: 50 * time.Millisecond})
	begin := time.Now()
	if _, err := file.ReadAt(one, 0); err != nil || time.Since(begin) < 50*time.Millisecond {
		t.Error(err, time.Since(begin))
	}
	f.Set(Fault{})
	must(os.Remove(filepath.Join(at, "d", "f")))
	must(os.Remove(filepath.Join(at, "d")))
	if _, err := os.Stat(filepath.Join(at, "d")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
