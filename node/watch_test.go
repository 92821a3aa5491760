package node

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weftstore/weft/node/extent"
)

// Fault model of this file: a directory vanishes, is unmounted, is replaced by an
// empty or a foreign one, fails or hangs, at any time, and comes back. Requests
// must fail quickly and the target must be served again without help.

// syncBuffer is a log that may be read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) count(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Count(s.b.String(), what)
}

// bubble runs f with a rig whose target is checked every 2 s of a fake clock.
func bubble(t *testing.T, f func(t *testing.T, r *rig, log *syncBuffer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		log := &syncBuffer{}
		r := newRig(t, func(c *Config) {
			c.CheckEvery = 2 * time.Second
			c.Logger = slog.New(slog.NewTextHandler(log, nil))
		})
		f(t, r, log)
		if err := r.s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}

// pass lets fake time pass until all is quiet.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (r *rig) state() State { return r.s.Status()[0].State }

func TestDirectoryComesAndGoes(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig, log *syncBuffer) {
		r.opened.Store(newFake(seq(60)))
		r.dirInfo.Store(&dirAnswer{info: DirInfo{Mount: true}})
		uuid, err := r.s.Add(t.Context(), "mounted", AddOptions{WasMount: true})
		if err != nil {
			t.Fatal(err)
		}
		tgt := r.client.Target(uuid)
		status := func() TargetStatus { return r.s.Status()[1] }
		for _, tc := range []struct {
			name string
			bad  dirAnswer
			want State
		}{
			{"missing", dirAnswer{err: fs.ErrNotExist}, Offline},
			{"unreadable", dirAnswer{err: syscall.EIO}, Offline},
			{"unmounted", dirAnswer{info: DirInfo{}}, Offline},
			{"empty", dirAnswer{info: DirInfo{Mount: true, Empty: true}}, Empty},
		} {
			r.dirInfo.Store(&dirAnswer{info: DirInfo{Mount: true}})
			pass(5 * time.Second)
			if s := status(); s.State != Online {
				t.Fatalf("before %s: %v, %s", tc.name, s.State, s.Error)
			}
			opens, told := r.opens.Load(), log.count("is not served\" target="+uuid.String())
			if err := tgt.Checkpoint(t.Context()); err != nil {
				t.Errorf("before %s: %v", tc.name, err)
			}
			r.dirInfo.Store(&tc.bad)
			pass(20 * time.Second)
			if s := status(); s.State != tc.want || s.Error == "" {
				t.Errorf("%s: state %v, %q", tc.name, s.State, s.Error)
			}
			if err := tgt.Checkpoint(t.Context()); !errors.Is(err, extent.ErrOffline) {
				t.Errorf("%s: %v", tc.name, err)
			}
			if n := log.count("is not served\" target="+uuid.String()) - told; n != 1 {
				t.Errorf("%s: logged %d times", tc.name, n)
			}
			if r.opens.Load() != opens {
				t.Errorf("%s: the directory was opened", tc.name)
			}
		}
	})
}

// A target that cannot be served from the beginning is told like one that goes.
func TestFirstLookIsTold(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig, log *syncBuffer) {
		r.dirInfo.Store(&dirAnswer{err: fs.ErrNotExist})
		if _, err := r.s.Add(t.Context(), "missing", AddOptions{Expect: seq(61)}); err != nil {
			t.Fatal(err)
		}
		pass(20 * time.Second)
		if n := log.count("is not served\" target=" + TargetUUID(seq(61)).String()); n != 1 {
			t.Errorf("logged %d times", n)
		}
	})
}

func TestOpenVerdicts(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig, _ *syncBuffer) {
		wrong := newFake(seq(99))
		for _, tc := range []struct {
			err     error
			foreign bool
			want    State
			client  error
		}{
			{extent.ErrOffline, false, Offline, extent.ErrOffline},
			{extent.ErrCorrupt, false, Corrupt, extent.ErrOffline},
			{extent.ErrFenced, false, Fenced, extent.ErrFenced},
			{syscall.EIO, false, Offline, extent.ErrOffline},
			{nil, true, Foreign, extent.ErrOffline},
		} {
			r.fake.inject(func(op string) error {
				switch {
				case op == "check" && tc.foreign:
					return extent.ErrOffline
				case op == "check" || op == "open":
					return tc.err
				}
				return nil
			})
			if tc.foreign {
				r.opened.Store(wrong)
			}
			pass(5 * time.Second)
			if got := r.state(); got != tc.want {
				t.Errorf("%v: state %v, want %v", tc.err, got, tc.want)
			}
			if err := r.target.Checkpoint(t.Context()); !errors.Is(err, tc.client) {
				t.Errorf("%v: client gets %v", tc.err, err)
			}
			r.opened.Store(r.fake)
			r.fake.inject(func(string) error { return nil })
			pass(5 * time.Second)
			if got := r.state(); got != Online {
				t.Errorf("after %v: %v", tc.err, got)
			}
		}
	})
}

// A target that fails one check comes back at the next, though it was being compacted,
// which may take hours.
func TestLostSessionEndsCompaction(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig, _ *syncBuffer) {
		var lost atomic.Bool
		r.fake.inject(func(op string) error {
			switch {
			case op == "compact":
				return errLong
			case op == "check" && !lost.Swap(true):
				return syscall.EIO
			}
			return nil
		})
		ended := make(chan error, 1)
		go func() { _, err := r.target.Compact(t.Context(), 0); ended <- err }()
		pass(5 * time.Second)
		if s := r.state(); s != Online || !lost.Load() {
			t.Errorf("%v after a failed check", s)
		}
		select {
		case err := <-ended:
			if err == nil {
				t.Error("the compaction was told to be done")
			}
		default:
			t.Error("the compaction goes on")
		}
	})
}

// TestHangingCheck: a check that does not return takes its target off, not others.
func TestHangingCheck(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig, log *syncBuffer) {
		hanging := r.fake
		release := make(chan struct{})
		hanging.inject(func(op string) error {
			if op == "check" {
				<-release
			}
			return nil
		})
		r.opened.Store(newFake(seq(7)))
		other, err := r.s.Add(t.Context(), "other", AddOptions{})
		if err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		if s := r.s.Status(); s[0].State != Offline || s[1].State != Online {
			t.Errorf("states %v and %v", s[0].State, s[1].State)
		}
		if err := r.target.Checkpoint(t.Context()); !errors.Is(err, extent.ErrOffline) {
			t.Errorf("hanging target: %v", err)
		}
		if err := r.client.Target(other).Checkpoint(t.Context()); err != nil {
			t.Errorf("the other target: %v", err)
		}
		if n := log.count("target hangs"); n != 1 {
			t.Errorf("logged %d times", n)
		}
		close(release)
		pass(5 * time.Second)
		if err := r.target.Checkpoint(t.Context()); err != nil || r.state() != Online {
			t.Errorf("after that: %v, %v", err, r.state())
		}
	})
}

// TestFailing: after errors in a row a target is tried seldom, until it works.
func TestFailing(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig, _ *syncBuffer) {
		src, crcs := r.data(100)
		r.fake.chunks[testID(1)] = fakeChunk{data: make([]byte, 100)}
		tries, broken := 0, true
		r.fake.inject(func(op string) error {
			if op != "append" {
				return nil
			}
			tries++
			if broken {
				return syscall.EIO
			}
			return nil
		})
		write := func() error { return r.target.Append(t.Context(), testID(9), nil, src, crcs) }
		for range 100 {
			if err := write(); !errors.Is(err, ErrIO) {
				t.Fatalf("write: %v", err)
			}
		}
		if s := r.s.Status()[0]; tries != 5 || s.State != Failing || s.IOErrors != 5 || !strings.Contains(s.Error, "input/output") {
			t.Errorf("%d tries; %+v", tries, s)
		}
		if err := r.target.Read(t.Context(), testID(1), 0, r.region.Remote(8192, 100)); err != nil {
			t.Errorf("reads fail with writes: %v", err)
		}
		pass(3 * time.Second)
		_, _ = write(), write()
		if tries != 6 {
			t.Errorf("%d tries after a while, want 6", tries)
		}
		broken = false
		pass(3 * time.Second)
		if err := write(); err != nil || r.state() != Online {
			t.Errorf("a target that works again: %v, %v", err, r.state())
		}
	})
}

// TestFailingDisk: what succeeds without the disk, between requests that fail, neither hides
// that the target fails nor ends it. A try of a large put is all of its requests.
func TestFailingDisk(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig, _ *syncBuffer) {
		src, crcs := r.data(100)
		r.fake.chunks[testID(1)] = fakeChunk{data: make([]byte, 100)}
		commits, broken := 0, true
		r.fake.inject(func(op string) error {
			if op == "commit" {
				commits++
			}
			if (op == "commit" || op == "read") && broken { // the check does not look at it
				return syscall.EIO
			}
			return nil
		})
		put := func() error {
			w, err := r.target.Create(t.Context(), testID(9), 100)
			if err != nil {
				return err
			}
			defer w.Abort()
			if err := w.Write(t.Context(), 0, src, crcs); err != nil {
				return err
			}
			return w.Commit(t.Context(), nil)
		}
		read := func() error {
			if _, err := r.target.Usage(t.Context()); err != nil {
				return err
			}
			return r.target.Read(t.Context(), testID(1), 0, r.region.Remote(8192, 100))
		}
		for name, do := range map[string]func() error{"put": put, "read": read} {
			for range 100 {
				if err := do(); !errors.Is(err, ErrIO) {
					t.Fatalf("%s: %v", name, err)
				}
			}
			if got := r.state(); got != Failing {
				t.Errorf("%s: state %v", name, got)
			}
			broken = false
			pass(3 * time.Second)
			if err := do(); err != nil || r.state() != Online {
				t.Errorf("%s when the disk works again: %v, state %v", name, err, r.state())
			}
			broken = true
		}
		if commits > 9 {
			t.Errorf("%d commits, want 5 before it counts as failing and few later", commits)
		}
	})
}

func TestFullPasses(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig, _ *syncBuffer) {
		src, crcs := r.data(100)
		r.fake.inject(func(op string) error {
			if op == "append" {
				return extent.ErrFull
			}
			return nil
		})
		if err := r.target.Append(t.Context(), testID(1), nil, src, crcs); !errors.Is(err, extent.ErrFull) {
			t.Errorf("append: %v", err)
		}
		if got := r.state(); got != Full {
			t.Errorf("state %v", got)
		}
		if err := r.target.Delete(t.Context(), []extent.ID{testID(1)}); err != nil {
			t.Errorf("delete on a full target: %v", err)
		}
		pass(fullFor + time.Second)
		if got := r.state(); got != Online {
			t.Errorf("state %v after a while", got)
		}
	})
}

// TestLostSessionEndsWriters: no handle survives the session it was made in.
func TestLostSessionEndsWriters(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig, _ *syncBuffer) {
		src, crcs := r.data(100)
		w, err := r.target.Create(t.Context(), testID(1), 100)
		if err != nil {
			t.Fatal(err)
		}
		r.dirInfo.Store(&dirAnswer{err: fs.ErrNotExist})
		pass(5 * time.Second)
		if err := w.Write(t.Context(), 0, src, crcs); !errors.Is(err, extent.ErrOffline) {
			t.Errorf("write to a lost target: %v", err)
		}
		r.dirInfo.Store(&dirAnswer{})
		pass(5 * time.Second)
		if err := w.Write(t.Context(), 0, src, crcs); !errors.Is(err, extent.ErrInvalid) || r.fake.aborted != 1 {
			t.Errorf("write with an old handle: %v, %d aborted", err, r.fake.aborted)
		}
	})
}

// TestRealDirectory: the same on the real extent store and real directories.
func TestRealDirectory(t *testing.T) {
	base := t.TempDir()
	dir, away := filepath.Join(base, "a"), filepath.Join(base, "away")
	r := newRig(t, func(c *Config) { c.IndexDir = base })
	s := New(Config{IndexDir: base, CheckEvery: time.Hour})
	defer s.Close()
	id := extent.Identity{Deployment: seq(1), Target: seq(2)}
	if err := s.Format(dir, id, FormatOptions{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("format of nothing: %v", err)
	}
	mustMkdir(t, dir)
	if err := s.Format(dir, id, FormatOptions{WasMount: true}); err == nil {
		t.Error("a directory that was a mount point was formatted while it is none")
	}
	if _, err := s.Add(t.Context(), dir, AddOptions{}); !errors.Is(err, extent.ErrOffline) {
		t.Errorf("add of an empty directory: %v", err)
	}
	if err := s.Format(dir, id, FormatOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Format(dir, id, FormatOptions{}); err == nil {
		t.Error("a target was formatted again")
	}
	uuid, err := s.Add(t.Context(), dir, AddOptions{Expect: id.Target, Deployment: id.Deployment})
	if err != nil || uuid != id.Target {
		t.Fatalf("Add: %v, %v", uuid, err)
	}
	server, err := r.fabric.Serve("", s.Handler())
	if err != nil {
		t.Fatal(err)
	}
	r.server = server
	tgt := r.dial(t).Target(uuid)
	src, crcs := r.data(50000)
	if err := tgt.Append(t.Context(), testID(1), []byte("meta"), src, crcs); err != nil {
		t.Fatal(err)
	}
	check := func(want State) {
		t.Helper()
		s.targets.Load().byID[uuid].check(t.Context())
		if st := s.Status()[0]; st.State != want {
			t.Fatalf("state %v (%s), want %v", st.State, st.Error, want)
		}
	}
	check(Online)
	mustRename(t, dir, away)
	check(Offline)
	if err := tgt.Read(t.Context(), testID(1), 0, src); !errors.Is(err, extent.ErrOffline) {
		t.Errorf("read from a missing target: %v", err)
	}
	mustMkdir(t, dir)
	check(Empty)
	if names, _ := os.ReadDir(dir); len(names) != 0 {
		t.Errorf("something was made in an empty directory: %v", names)
	}
	if err := FormatExtent(dir, extent.Identity{Deployment: seq(1), Target: seq(3)}); err != nil {
		t.Fatal(err)
	}
	check(Foreign)
	mustRename(t, dir, dir+"-other")
	mustRename(t, away, dir)
	check(Online)
	dst := r.region.Remote(512<<10, 50000)
	if err := tgt.Read(t.Context(), testID(1), 0, dst); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(r.region.Bytes()[512<<10:512<<10+50000], r.region.Bytes()[:50000]) {
		t.Error("other bytes came back")
	}
	if err := os.WriteFile(filepath.Join(dir, extent.SuperblockName), []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	check(Corrupt)
}

// TestAddMissing: a target that is away at the start is served once it is there.
func TestAddMissing(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig, _ *syncBuffer) {
		r.dirInfo.Store(&dirAnswer{err: fs.ErrNotExist})
		r.opened.Store(newFake(seq(50)))
		if _, err := r.s.Add(t.Context(), "late", AddOptions{}); !errors.Is(err, extent.ErrOffline) {
			t.Errorf("unknown and missing: %v", err)
		}
		uuid, err := r.s.Add(t.Context(), "late", AddOptions{Expect: seq(50)})
		if err != nil || uuid != seq(50) {
			t.Fatalf("known and missing: %v", err)
		}
		if s := r.s.Status()[1]; s.State != Offline || s.ID != uuid {
			t.Errorf("%+v", s)
		}
		r.dirInfo.Store(&dirAnswer{})
		pass(5 * time.Second)
		if err := r.client.Target(uuid).Checkpoint(t.Context()); err != nil {
			t.Errorf("once it is there: %v", err)
		}
	})
}

func mustMkdir(t *testing.T, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
}

func mustRename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}
