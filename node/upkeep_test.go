package node

import (
	"errors"
	"io/fs"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weftstore/weft/node/extent"
)

func TestIdentify(t *testing.T) {
	want := Identity{Deployment: seq(9), Name: "node1"}
	r := newRig(t, func(c *Config) { c.Identity = want })
	if got, err := r.client.Identify(t.Context()); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
}

// A gateway that opens writers without end gets its share and no more.
func TestSessionHandles(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MaxHandles, c.MaxSessionHandles = 4, 1 })
	w, err := r.target.Create(t.Context(), testID(1), 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.target.Create(t.Context(), testID(2), 1); !errors.Is(err, ErrBusy) {
		t.Errorf("second writer of a session: %v", err)
	}
	w.Abort()
	if _, err := r.target.Create(t.Context(), testID(2), 1); err != nil {
		t.Errorf("after an abort: %v", err)
	}
}

// A known target whose directory is empty is formatted when asked to, and only
// then; a directory that should be a mount point never.
func TestFormatKnown(t *testing.T) {
	var formatted []extent.Identity
	known := newFake(seq(0x20))
	r := newRig(t, func(c *Config) {
		c.Format = func(_ string, id extent.Identity) error {
			formatted = append(formatted, id)
			return nil
		}
	})
	r.dirInfo.Store(&dirAnswer{info: DirInfo{Empty: true}})
	add := AddOptions{Expect: known.id.Target, Deployment: seq(0x40), WasMount: true}
	known.id.Deployment = add.Deployment
	if _, err := r.s.Add(t.Context(), "replaced", add); err != nil {
		t.Fatal(err)
	}
	target := r.client.Target(add.Expect)
	if done, err := target.Format(t.Context()); done || !errors.Is(err, extent.ErrOffline) || len(formatted) != 0 {
		t.Fatalf("not a mount point: %v, %v, formatted %v", done, err, formatted)
	}
	r.dirInfo.Store(&dirAnswer{err: fs.ErrNotExist})
	if done, err := target.Format(t.Context()); done || err != nil || len(formatted) != 0 {
		t.Fatalf("missing: %v, %v, formatted %v", done, err, formatted)
	}
	if done, err := r.target.Format(t.Context()); done || err != nil || len(formatted) != 0 {
		t.Fatalf("one that is served: %v, %v, formatted %v", done, err, formatted)
	}
	r.dirInfo.Store(&dirAnswer{info: DirInfo{Empty: true, Mount: true}})
	if done, err := target.Format(t.Context()); !done || err != nil {
		t.Fatalf("empty: %v, %v", done, err)
	}
	if want := (extent.Identity{Deployment: add.Deployment, Target: add.Expect}); len(formatted) != 1 || formatted[0] != want {
		t.Fatalf("formatted %v, want %v", formatted, want)
	}
	r.opened.Store(known)
	r.dirInfo.Store(&dirAnswer{info: DirInfo{Mount: true}})
	if done, err := target.Format(t.Context()); done || err != nil {
		t.Fatalf("holds the target: %v, %v", done, err)
	}
	if s := r.s.Status()[1]; s.State != Online {
		t.Errorf("not looked at: %+v", s)
	}
}

// All targets are compacted every now and then, a full one at once, and never
// twice at a time.
func TestCompactLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := make(chan struct{}, 100)
		hold := make(chan struct{})
		var stall bool
		r := newRig(t, func(c *Config) { c.CompactEvery = time.Minute })
		r.fake.inject(func(op string) error {
			switch {
			case op == "compact" && stall:
				<-hold
			case op == "compact":
				runs <- struct{}{}
			case op == "append":
				return extent.ErrFull
			}
			return nil
		})
		pass(59 * time.Second)
		if len(runs) != 0 {
			t.Fatalf("%d compactions within the minute", len(runs))
		}
		pass(2 * time.Second)
		if len(runs) != 1 {
			t.Fatalf("%d compactions after a minute, want 1", len(runs))
		}
		src, crcs := r.data(100)
		if err := r.target.Append(t.Context(), testID(1), nil, src, crcs); !errors.Is(err, extent.ErrFull) {
			t.Fatal(err)
		}
		pass(6 * time.Second)
		if len(runs) != 2 {
			t.Errorf("%d compactions after the target was full, want 2", len(runs))
		}
		stall = true
		first := make(chan error, 1)
		go func() { _, err := r.target.Compact(t.Context(), 0); first <- err }()
		synctest.Wait()
		if _, err := r.target.Compact(t.Context(), 0); !errors.Is(err, ErrBusy) {
			t.Errorf("second compaction at a time: %v", err)
		}
		close(hold)
		if err := <-first; err != nil {
			t.Error(err)
		}
		if err := r.s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A target that takes long, or hangs, keeps no full one from being compacted.
func TestCompactFullBesideSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.CompactEvery = time.Minute })
		r.fake.inject(compactsLong)
		other := newFake(seq(2))
		var runs atomic.Int64
		other.inject(func(op string) error {
			switch op {
			case "compact":
				runs.Add(1)
			case "append":
				return extent.ErrFull
			}
			return nil
		})
		r.opened.Store(other)
		id, err := r.s.Add(t.Context(), "other", AddOptions{})
		if err != nil {
			t.Fatal(err)
		}
		pass(61 * time.Second)
		before := runs.Load()
		src, crcs := r.data(100)
		if err := r.client.Target(id).Append(t.Context(), testID(1), nil, src, crcs); !errors.Is(err, extent.ErrFull) {
			t.Fatal(err)
		}
		pass(6 * time.Second)
		if n := runs.Load() - before; n != 1 {
			t.Errorf("%d compactions of the full target, want 1", n)
		}
		if err := r.s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A target is removed at once while it is compacted, whoever asked for that.
func TestRemoveEndsCompaction(t *testing.T) {
	for _, asked := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, func(c *Config) { c.CompactEvery = time.Minute })
			r.fake.inject(compactsLong)
			ended := make(chan error, 1)
			if asked {
				go func() { _, err := r.target.Compact(t.Context(), 0); ended <- err }()
			}
			pass(61 * time.Second)
			begun := time.Now()
			if err := r.s.Remove(r.s.Status()[0].ID); err != nil || time.Since(begun) > 0 {
				t.Errorf("asked for: %v: Remove took %v: %v", asked, time.Since(begun), err)
			}
			if err := r.s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A clock that goes back by an hour does not keep a target failing or full for an hour.
func TestClockGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var back atomic.Int64
		r := newRig(t, func(c *Config) {
			c.FailAfter = 2
			c.Now = func() time.Time { return time.Now().Add(-time.Duration(back.Load())) }
		})
		src, crcs := r.data(100)
		put := func() error { return r.target.Append(t.Context(), testID(1), nil, src, crcs) }
		for _, failure := range []error{syscall.EIO, extent.ErrFull} {
			r.fake.inject(func(op string) error {
				if op == "append" {
					return failure
				}
				return nil
			})
			for range 3 {
				if err := put(); err == nil {
					t.Fatal("no error")
				}
			}
			if s := r.state(); s == Online {
				t.Fatalf("%v: state %v", failure, s)
			}
			r.fake.inject(func(string) error { return nil })
			back.Add(int64(time.Hour))
			pass(time.Minute)
			if err := put(); err != nil && !errors.Is(err, extent.ErrExists) {
				t.Errorf("%v: %v", failure, err)
			}
			if s := r.state(); s != Online {
				t.Errorf("%v: state %v", failure, s)
			}
		}
		if err := r.s.Close(); err != nil {
			t.Error(err)
		}
	})
}
