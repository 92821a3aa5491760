package server

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sys/unix"
)

// Fault model of this file: the file systems of all targets run full, with large
// objects or with small ones. What was acknowledged stays readable, deletions
// work, and what they give back can be used again.

// smallDisks mounts a file system of so many bytes on each target directory.
func smallDisks(t *testing.T, cfg Config, bytes int64) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting file systems of limited size needs root")
	}
	for _, dir := range cfg.Targets {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		err := unix.Mount("weft-test", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes))
		if errors.Is(err, unix.EPERM) {
			t.Skip("mounting file systems of limited size is not permitted here")
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
	}
}

// status is the HTTP status in err, 0 when there is none.
func status(err error) int {
	var resp minio.ErrorResponse
	errors.As(err, &resp)
	return resp.StatusCode
}

// fill puts objects of n bytes until one is refused for lack of space.
func (r *rig) fill(prefix string, n int64, most int) (done []object) {
	r.t.Helper()
	for i := range most {
		o := object{key: fmt.Sprint(prefix, i), n: n, seed: uint64(i)}
		err := r.put(o)
		if err == nil {
			done = append(done, o)
			continue
		}
		if status(err) != http.StatusInsufficientStorage {
			r.t.Fatalf("put %d: %v; want 507", i, err)
		}
		return done
	}
	r.t.Fatalf("%d objects of %d bytes fit", most, n)
	return nil
}

func (r *rig) del(os ...object) {
	r.t.Helper()
	r.each(os, func(o object) error {
		return r.cl.RemoveObject(r.t.Context(), testBucket, o.key, minio.RemoveObjectOptions{})
	})
}

func TestDiskFull(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		disk int64
		n    int64
		most int
	}{
		{"large", 40 << 20, 4 << 20, 200},
		{"small", 24 << 20, 150 << 10, 2000},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := testConfig(t, 4)
			smallDisks(t, cfg, c.disk)
			r := start(t, cfg, nil)
			r.makeBucket()
			all := r.fill("first", c.n, c.most)
			t.Logf("%d objects of %d bytes fit", len(all), c.n)
			r.mustGet(all...)
			half := len(all) / 2
			r.del(all[:half]...)
			all = all[half:]
			began := time.Now()
			var more []object
			r.until(time.Minute, func() bool { // what was deleted is given back bit by bit
				more = append(more, r.fill(fmt.Sprint("again", len(more), "-"), c.n, c.most)...)
				return len(more) >= half/2
			})
			t.Logf("%d objects fit where %d were deleted, after %v", len(more), half, time.Since(began))
			all = append(all, more...)
			r.mustGet(all...)
			r.stop()
			r = start(t, cfg, nil)
			r.mustGet(all...)
			// What was written while some disk was still full waits for room to be repaired.
			if res := r.check(true); res.Corrupt+res.Unreachable+res.Crowded+res.Misplaced != 0 {
				t.Errorf("check: %+v", res)
			}
		})
	}
}
