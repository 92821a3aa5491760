package boltkv

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/weftstore/weft/metadata"
)

// childEnv tells a copy of this test binary which helper to be, and on which file.
const (
	childEnv = "WEFT_BOLTKV_CHILD"
	pathEnv  = "WEFT_BOLTKV_PATH"
)

func TestMain(m *testing.M) {
	switch os.Getenv(childEnv) {
	case "writer":
		writer(os.Getenv(pathEnv))
	case "full":
		full(os.Getenv(pathEnv))
	default:
		os.Exit(m.Run())
	}
}

func child(t *testing.T, what, path string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+what, pathEnv+"="+path)
	cmd.Stderr = os.Stderr
	return cmd
}

// TestKill's fault model: the process is killed (SIGKILL) at any instant, and the
// kernel goes on. Every update that was acknowledged is there after that, each one
// whole; one that was not may be there, also whole. (That commits are synced is
// bbolt's doing; a loss of power is not simulated.)
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kv")
	acked := map[string]bool{}
	for round := range 6 {
		cmd := child(t, "writer", path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 50 + rand.IntN(400); n > 0 && lines.Scan(); n-- {
			acked[lines.Text()] = true
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // what it had written before it died
			acked[lines.Text()] = true
		}
		_ = cmd.Wait() // it was killed
		verifyLedger(t, path, acked)
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
	if len(acked) < 300 {
		t.Errorf("only %d updates were acknowledged", len(acked))
	}
}

func verifyLedger(t *testing.T, path string, acked map[string]bool) {
	t.Helper()
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	err = d.View(t.Context(), func(r metadata.Reader) error {
		halves := map[string]int{}
		if err := r.Scan([]byte{0}, nil, func(k, v []byte) bool {
			name, _, _ := strings.Cut(string(k), ".")
			if halves[name]++; string(v) != strings.Repeat(name, 20) {
				t.Errorf("value of %s is %q", k, v)
			}
			return true
		}); err != nil {
			return err
		}
		for name := range acked {
			if halves[name] != 2 {
				t.Errorf("acknowledged %s: %d of 2 keys are there", name, halves[name])
			}
		}
		for name, n := range halves {
			if n != 2 {
				t.Errorf("%s: %d of 2 keys are there", name, n)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// writer makes updates of two keys each until it is killed, and prints the name of
// each after it was acknowledged.
func writer(path string) {
	d, err := Open(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				name := fmt.Sprintf("%016x", rand.Uint64())
				err := d.Update(context.Background(), func(txn metadata.Txn) error {
					value := []byte(strings.Repeat(name, 20))
					return errors.Join(txn.Put([]byte(name+".a"), value), txn.Put([]byte(name+".z"), value))
				})
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				mu.Lock()
				fmt.Println(name)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

// TestDiskFull's fault model: writes to the file fail with EFBIG (as ENOSPC would)
// for a while. Updates fail, what was acknowledged stays readable, and when there is
// room again updates succeed.
func TestDiskFull(t *testing.T) {
	cmd := child(t, "full", filepath.Join(t.TempDir(), "kv"))
	out, err := cmd.Output()
	if err != nil || string(out) != "ok\n" {
		t.Fatalf("%v: %s", err, out)
	}
}

func full(path string) {
	if err := runFull(path); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ok")
}

func runFull(path string) error {
	signal.Ignore(syscall.SIGXFSZ)
	d, err := Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	n := 0
	put := func() error {
		err := d.Update(context.Background(), func(txn metadata.Txn) error {
			return txn.Put(fmt.Appendf(nil, "%06d", n), make([]byte, 100<<10))
		})
		if err == nil {
			n++
		}
		return err
	}
	for range 10 {
		if err := put(); err != nil {
			return err
		}
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	size, err := d.Size()
	if err != nil {
		return err
	}
	small := limit
	small.Cur = uint64(size)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &small); err != nil {
		return err
	}
	for err = put(); err == nil; err = put() {
		if n > 5000 {
			return errors.New("the file does not get full")
		}
	}
	if errors.Is(err, metadata.ErrCorrupt) {
		return err
	}
	if err := put(); err == nil {
		return errors.New("an update succeeded without room")
	}
	if err := count(d, n); err != nil {
		return err
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	if err := put(); err != nil {
		return fmt.Errorf("with room again: %w", err)
	}
	return count(d, n)
}

func count(d *DB, want int) error {
	return d.View(context.Background(), func(r metadata.Reader) error {
		n := 0
		if err := r.Scan([]byte{0}, nil, func(_, _ []byte) bool { n++; return true }); err != nil {
			return err
		}
		if n != want {
			return fmt.Errorf("%d keys of %d are there", n, want)
		}
		return nil
	})
}

// TestDamagedFile's fault model: the file is overwritten or cut short under the open
// engine. Reads and updates return metadata.ErrCorrupt, or succeed where they do not
// touch the damage; nothing ends the process.
func TestDamagedFile(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(f *os.File, size int64) error
	}{
		{"cut to nothing", func(f *os.File, _ int64) error { return f.Truncate(0) }},
		{"cut short", func(f *os.File, _ int64) error { return f.Truncate(2 * 4096) }},
		{"zeros", func(f *os.File, size int64) error { return overwrite(f, size, 0) }},
		{"ones", func(f *os.File, size int64) error { return overwrite(f, size, 0xff) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := openTest(t, Options{NoSync: true})
			err := d.Update(t.Context(), func(txn metadata.Txn) error {
				for i := range 2000 {
					if err := txn.Put(fmt.Appendf(nil, "%05d", i), make([]byte, 100)); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			size, err := d.Size()
			if err != nil {
				t.Fatal(err)
			}
			f, err := os.OpenFile(d.path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := c.damage(f, size); err != nil {
				t.Fatal(err)
			}
			err = d.View(t.Context(), func(r metadata.Reader) error {
				_, err := r.Get([]byte("00500"))
				if !errors.Is(err, metadata.ErrCorrupt) {
					t.Errorf("get: %v", err)
				}
				return r.Scan([]byte{0}, nil, func(_, _ []byte) bool { return true })
			})
			if !errors.Is(err, metadata.ErrCorrupt) {
				t.Errorf("scan: %v", err)
			}
			for range 2 {
				err = d.Update(t.Context(), func(txn metadata.Txn) error { return txn.Put([]byte("00700"), []byte("x")) })
				if !errors.Is(err, metadata.ErrCorrupt) {
					t.Errorf("update: %v", err)
				}
			}
		})
	}
}

func overwrite(f *os.File, size int64, with byte) error {
	b := make([]byte, size-2*4096)
	for i := range b {
		b[i] = with
	}
	_, err := f.WriteAt(b, 2*4096)
	return err
}

// TestForeignFile: something else at the path is not overwritten.
func TestForeignFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kv")
	text := strings.Repeat("not a database\n", 1000)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); !errors.Is(err, metadata.ErrCorrupt) {
		t.Errorf("open: %v", err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if b, err := io.ReadAll(f); err != nil || string(b) != text {
		t.Errorf("the file has changed, %v", err)
	}
}

// TestClosed: after Close everything fails with ErrClosed; a second file lock works.
func TestClosed(t *testing.T) {
	d := openTest(t, Options{NoSync: true})
	if _, err := OpenWith(d.path, Options{LockTimeout: 1}); err == nil {
		t.Error("opened twice")
	}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if err := d.Update(t.Context(), func(txn metadata.Txn) error { return txn.Put([]byte("k"), []byte("v")) }); err != nil && !errors.Is(err, metadata.ErrClosed) {
				t.Error(err)
			}
		})
	}
	if err := errors.Join(d.Close(), d.Close()); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if err := d.Update(t.Context(), func(metadata.Txn) error { return nil }); !errors.Is(err, metadata.ErrClosed) {
		t.Errorf("update: %v", err)
	}
	if err := d.View(t.Context(), func(metadata.Reader) error { return nil }); !errors.Is(err, metadata.ErrClosed) {
		t.Errorf("view: %v", err)
	}
}
