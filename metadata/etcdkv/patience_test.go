package etcdkv

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/metadata/etcdkv/etcdtest"
)

// TestPatience: a request that may be repeated outlasts an election, for a bounded time.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &DB{health: health{patience: 5 * time.Second}}
		for name, c := range map[string]struct {
			err    error
			passes int // the try that succeeds, 0 never
			tries  bool
		}{
			"election":       {rpctypes.ErrLeaderChanged, 3, true},
			"no leader":      {rpctypes.ErrNoLeader, 3, true},
			"no answer":      {context.DeadlineExceeded, 2, true},
			"its own wait":   {fmt.Errorf("lease: %w", status.Error(codes.Unknown, "context deadline exceeded")), 2, true},
			"for ever":       {rpctypes.ErrNoLeader, 0, true},
			"another reason": {rpctypes.ErrPermissionDenied, 0, false},
			"unknown reason": {status.Error(codes.Unknown, "auth: broken"), 0, false},
			"known to be so": {errDown, 0, false},
		} {
			begun, n := time.Now(), 0
			err := d.patiently(t.Context(), func() error {
				if n++; n == c.passes {
					return nil
				}
				return c.err
			})
			took := time.Since(begun)
			if (err == nil) != (c.passes > 0) || c.passes == 0 && !errors.Is(err, c.err) {
				t.Errorf("%s: %v", name, err)
			}
			if c.tries != (n > 1) || took > 6*time.Second {
				t.Errorf("%s: %d tries in %v", name, n, took)
			}
		}
	})
}

// TestHealth: while etcd does not answer one request at a time looks, and the others do
// not wait.
func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &health{patience: 5 * time.Second}
		enter := func() (probe, down bool) {
			probe, err := h.enter()
			return probe, errors.Is(err, errDown)
		}
		h.leave(false, rpctypes.ErrNoLeader, false)
		if probe, down := enter(); probe || down {
			t.Error("given up at the first failure")
		}
		time.Sleep(6 * time.Second)
		probe, down := enter()
		if !probe || down {
			t.Error("nobody looks")
		}
		if _, down := enter(); !down {
			t.Error("two look at once")
		}
		h.leave(true, rpctypes.ErrNoLeader, false)
		if probe, down := enter(); !probe || down {
			t.Error("nobody looks again")
		}
		h.leave(true, context.Canceled, true)
		if probe, _ := enter(); !probe {
			t.Error("a client that went away was taken for an answer")
		}
		h.leave(true, rpctypes.ErrCompacted, false)
		if probe, down := enter(); probe || down {
			t.Error("an answer was not noticed")
		}
	})
}

// TestAway: what asks an etcd that is away is told so, without a request each, and goes on
// when it is back.
func TestAway(t *testing.T) {
	s := startEtcd(t, "http")
	d := s.openWith(t, Config{
		Endpoints: []string{s.Addr}, Prefix: "/away/", RequestTimeout: 100 * time.Millisecond, Patience: 200 * time.Millisecond,
	})
	once := func(ctx context.Context) error { return increment(ctx, d, "k") }
	eventually(t, once)
	s.Kill()
	read := func(ctx context.Context) error {
		return d.View(ctx, func(r metadata.Reader) error { _, err := r.Get([]byte("other")); return err })
	}
	for range 5 {
		if err := read(t.Context()); !errors.Is(err, metadata.ErrUnavailable) {
			t.Fatal("read: ", err)
		}
	}
	before := d.Stats().Requests
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if err := increment(t.Context(), d, "k"); !errors.Is(err, metadata.ErrUnavailable) || errors.Is(err, metadata.ErrUnknown) {
				t.Error("commit: ", err)
			}
		})
	}
	wg.Wait()
	if n := d.Stats().Requests - before; n > 50 {
		t.Errorf("%d requests for 100 transactions", n)
	}
	s.Restart()
	eventually(t, read)
	eventually(t, once)
}

// TestLeaderKilled: nobody who reads or writes is told of an election.
func TestLeaderKilled(t *testing.T) {
	members := etcdtest.StartMembers(t, 3, "http")
	// Requests end sooner than an election.
	cfg := patient(Config{Prefix: "/leader/", RequestTimeout: 500 * time.Millisecond})
	for _, m := range members {
		cfg.Endpoints = append(cfg.Endpoints, m.Addr)
	}
	d, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var clients sync.WaitGroup
	var done [4]atomic.Int64
	stop := make(chan struct{})
	for i := range done {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := increment(t.Context(), d, fmt.Sprint("k", i)); err != nil {
					t.Errorf("client %d after %d: %v", i, done[i].Load(), err)
					return
				}
				done[i].Add(1)
			}
		})
	}
	moved := func() { // all clients get on
		t.Helper()
		for i := range done {
			for was, end := done[i].Load(), time.Now().Add(time.Minute); done[i].Load() < was+5; time.Sleep(time.Millisecond) {
				if t.Failed() || time.Now().After(end) {
					t.Fatalf("client %d is at %d", i, done[i].Load())
				}
			}
		}
	}
	moved()
	for _, m := range members {
		st, err := d.Client().Status(t.Context(), m.Addr)
		if err == nil && st.Leader == st.Header.MemberId {
			m.Kill()
			break
		}
	}
	moved()
	close(stop)
	clients.Wait()
	for i := range done {
		wantCount(t, d, fmt.Sprint("k", i), uint64(done[i].Load()))
	}
}
