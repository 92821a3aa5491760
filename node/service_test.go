package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weftstore/weft/erasure"
	"github.com/weftstore/weft/node/extent"
	"github.com/weftstore/weft/rdma"
)

func TestAppendAndRead(t *testing.T) {
	r := newRig(t, nil)
	ctx, id, meta := t.Context(), testID(1), []byte("who I am")
	src, crcs := r.data(40000)
	if err := r.target.Append(ctx, id, meta, src, crcs); err != nil {
		t.Fatal(err)
	}
	if err := r.target.Append(ctx, id, meta, src, crcs); !errors.Is(err, extent.ErrExists) {
		t.Errorf("second append: %v", err)
	}
	if err := r.target.Append(ctx, testID(2), meta, src, []uint64{crcs[0], 1}); !errors.Is(err, extent.ErrCorrupt) {
		t.Errorf("append with wrong checksums: %v", err)
	}
	if err := r.target.Append(ctx, testID(2), meta, src, crcs[:1]); !errors.Is(err, extent.ErrInvalid) {
		t.Errorf("append with too few checksums: %v", err)
	}
	const at = 512 << 10
	if err := r.target.Read(ctx, id, erasure.Unit, r.region.Remote(at, 40000-erasure.Unit)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(r.region.Bytes()[at:at+40000-erasure.Unit], r.region.Bytes()[erasure.Unit:40000]) {
		t.Error("other bytes were read than were written")
	}
	if err := r.target.Read(ctx, id, 1, src); !errors.Is(err, extent.ErrInvalid) {
		t.Errorf("unaligned read: %v", err)
	}
	info, got, err := r.target.Meta(ctx, id)
	if err != nil || !bytes.Equal(got, meta) || info.Length != 40000 || info.ID != id {
		t.Errorf("Meta: %+v, %q, %v", info, got, err)
	}
	if info, err := r.target.Stat(ctx, id); err != nil || info.Length != 40000 {
		t.Errorf("Stat: %+v, %v", info, err)
	}
	if got, err := r.target.CRCs(ctx, id, 0, 40000); err != nil || !slices.Equal(got, crcs) {
		t.Errorf("CRCs: %v, %v", got, err)
	}
	if err := r.target.Append(ctx, testID(3), nil, rdma.Remote{}, nil); err != nil {
		t.Errorf("append of nothing: %v", err)
	}
	bad := src
	bad.RKey++
	if err := r.target.Append(ctx, testID(4), nil, bad, crcs); !errors.Is(err, rdma.ErrRemote) {
		t.Errorf("append from elsewhere: %v", err)
	}
	if err := r.target.Read(ctx, id, 0, bad); !errors.Is(err, rdma.ErrRemote) {
		t.Errorf("read to elsewhere: %v", err)
	}
	if err := r.client.Target(TargetUUID{9}).Verify(ctx, id); !errors.Is(err, ErrUnknownTarget) {
		t.Errorf("unknown target: %v", err)
	}
	s := r.s.Status()[0]
	if s.IOErrors != 0 || s.CorruptFound != 1 || s.Writes != 2 || s.Reads != 1 || s.ReadBytes != 40000-erasure.Unit {
		t.Errorf("the caller's mistakes count against the target: %+v", s)
	}
}

// TestLongLists: what does not fit into one message comes in several.
func TestLongLists(t *testing.T) {
	r := newRig(t, nil)
	ctx := t.Context()
	var ids []extent.ID
	for i := range 2000 {
		id := extent.ID{Set: extent.SetID{byte(i >> 8), byte(i)}}
		ids = append(ids, id)
		r.fake.chunks[id] = fakeChunk{}
	}
	for _, limit := range []int{0, 1, maxReplyInfos, maxReplyInfos + 1, 1999, 2000, 5000} {
		infos, err := r.target.List(ctx, nil, limit)
		if err != nil || len(infos) != min(limit, 2000) {
			t.Fatalf("List(%d): %d chunks, %v", limit, len(infos), err)
		}
		for i, info := range infos {
			if info.ID != ids[i] {
				t.Fatalf("List(%d): chunk %d is %v", limit, i, info.ID)
			}
		}
	}
	if infos, err := r.target.List(ctx, &ids[1500], 5000); err != nil || len(infos) != 499 || infos[0].ID != ids[1501] {
		t.Errorf("List after: %d, %v", len(infos), err)
	}
	if err := r.target.Delete(ctx, ids[:1999]); err != nil || len(r.fake.chunks) != 1 {
		t.Errorf("Delete: %v, %d chunks left", err, len(r.fake.chunks))
	}
	long := testID(7)
	data := make([]byte, (maxReplyCRCs+5)*erasure.Unit-1)
	r.fake.chunks[long] = fakeChunk{data: data}
	crcs, err := r.target.CRCs(ctx, long, 0, int64(len(data)))
	if err != nil || !slices.Equal(crcs, sums(data)) {
		t.Errorf("CRCs: %d, %v", len(crcs), err)
	}
	if n, err := r.target.Compact(ctx, 0); n != 4711 || err != nil {
		t.Errorf("Compact: %d, %v", n, err)
	}
	if u, err := r.target.Usage(ctx); u.Total != 1000 || err != nil {
		t.Errorf("Usage: %+v, %v", u, err)
	}
}

// TestErrorsReachClient injects each error into each operation.
func TestErrorsReachClient(t *testing.T) {
	r := newRig(t, func(c *Config) { c.FailAfter = 1 << 30 })
	ctx, id := t.Context(), testID(1)
	src, crcs := r.data(1000)
	r.fake.chunks[id] = fakeChunk{data: make([]byte, 1000)}
	write := func(commit bool) error {
		w, err := r.target.Create(ctx, testID(2), 1000)
		if err != nil {
			return err
		}
		defer w.Abort()
		if err := w.Write(ctx, 0, src, crcs); err != nil || !commit {
			return err
		}
		return w.Commit(ctx, nil)
	}
	second := func(_ any, err error) error { return err }
	ops := map[string]func() error{
		"append": func() error { return r.target.Append(ctx, testID(3), nil, src, crcs) },
		"create": func() error { return write(false) },
		"write":  func() error { return write(false) },
		"commit": func() error { return write(true) },
		"read":   func() error { return r.target.Read(ctx, id, 0, src) },
		"crcs":   func() error { return second(r.target.CRCs(ctx, id, 0, 1000)) },
		"stat":   func() error { return second(r.target.Stat(ctx, id)) },
		"meta":   func() error { _, _, err := r.target.Meta(ctx, id); return err },
		"list":   func() error { return second(r.target.List(ctx, nil, 5)) },
		"delete": func() error { return r.target.Delete(ctx, []extent.ID{testID(8)}) },
		"verify": func() error { return r.target.Verify(ctx, id) },
		"compact": func() error {
			return second(r.target.Compact(ctx, 0))
		},
		"checkpoint": func() error { return r.target.Checkpoint(ctx) },
	}
	var injected error
	var at string
	var mu sync.Mutex // checks of the target run beside the operations
	r.fake.inject(func(op string) error {
		mu.Lock()
		defer mu.Unlock()
		if op == at {
			return injected
		}
		return nil
	})
	for name, op := range ops {
		for cause, want := range map[error]error{
			extent.ErrNotFound: extent.ErrNotFound, extent.ErrCorrupt: extent.ErrCorrupt, extent.ErrFull: extent.ErrFull,
			extent.ErrInvalid: extent.ErrInvalid, extent.ErrExists: extent.ErrExists, syscall.EIO: ErrIO, syscall.EROFS: ErrIO,
		} {
			mu.Lock()
			at, injected = name, fmt.Errorf("injected: %w", cause)
			mu.Unlock()
			if err := op(); !errors.Is(err, want) {
				t.Errorf("%s with %v: client gets %v", name, cause, err)
			}
		}
	}
	if n := r.s.Status()[0].Writers; n != 0 {
		t.Errorf("%d writers are left open", n)
	}
}

func TestWriterHandles(t *testing.T) {
	now := time.Unix(1000, 0)
	var clock sync.Mutex
	r := newRig(t, func(c *Config) {
		c.MaxHandles, c.MaxSessionHandles, c.HandleTTL = 2, 2, time.Minute
		c.Now = func() time.Time { clock.Lock(); defer clock.Unlock(); return now }
	})
	ctx := t.Context()
	src, crcs := r.data(2 * erasure.Unit)
	w, err := r.target.Create(ctx, testID(1), 3*erasure.Unit)
	if err != nil {
		t.Fatal(err)
	}
	// The handle is worth nothing on another connection.
	thief := &writer{t: r.dial(t).Target(r.target.uuid), handle: w.(*writer).handle}
	if err := thief.Write(ctx, 0, src, crcs); !errors.Is(err, extent.ErrInvalid) {
		t.Errorf("write of another session: %v", err)
	}
	if err := thief.Commit(ctx, nil); !errors.Is(err, extent.ErrInvalid) {
		t.Errorf("commit of another session: %v", err)
	}
	thief.Abort()
	if err := w.Write(ctx, 1, src, crcs); !errors.Is(err, extent.ErrInvalid) {
		t.Errorf("unaligned write: %v", err)
	}
	for off := range int64(2) {
		if err := w.Write(ctx, off*erasure.Unit, src, crcs); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(ctx, []byte("m")); err != nil {
		t.Fatal(err)
	}
	w.Abort()
	if err := w.Write(ctx, 0, src, crcs); !errors.Is(err, extent.ErrInvalid) || r.fake.aborted != 0 {
		t.Errorf("write after commit: %v, %d aborted", err, r.fake.aborted)
	}
	var kept Writer
	for i := range 3 {
		if w, err = r.target.Create(ctx, testID(byte(2+i)), 1); err == nil {
			kept = w
		}
	}
	if !errors.Is(err, ErrBusy) {
		t.Errorf("third writer: %v", err)
	}
	r.s.writers.sweepOnce().Wait()
	if n := r.s.Status()[0].Writers; n != 2 {
		t.Errorf("%d writers after an early sweep, want 2", n)
	}
	later := func(d time.Duration) {
		clock.Lock()
		defer clock.Unlock()
		now = now.Add(d)
	}
	later(50 * time.Second)
	if err := kept.Write(ctx, 0, rdma.Remote{}, nil); err != nil {
		t.Errorf("a write of nothing: %v", err)
	}
	later(50 * time.Second)
	r.s.writers.sweepOnce().Wait()
	if n := r.s.Status()[0].Writers; n != 1 || r.fake.aborted != 1 {
		t.Errorf("%d writers open, %d aborted: want the one that is kept", n, r.fake.aborted)
	}
	later(50 * time.Second)
	r.s.writers.sweepOnce().Wait()
	if n := r.s.Status()[0].Writers; n != 0 || r.fake.aborted != 2 {
		t.Errorf("%d writers open, %d aborted after a sweep", n, r.fake.aborted)
	}
	if _, err = r.target.Create(ctx, testID(9), 1); err != nil {
		t.Error(err)
	}
	if err := r.s.Close(); err != nil || r.fake.aborted != 3 || !r.fake.closed {
		t.Errorf("Close: %v, %d aborted", err, r.fake.aborted)
	}
	if err := r.target.Verify(ctx, testID(1)); !errors.Is(err, extent.ErrOffline) {
		t.Errorf("after Close: %v", err)
	}
}

// An idle writer of a target that closes, and waits for a request, ends with it.
func TestIdleWriterOfClosingTarget(t *testing.T) {
	var later atomic.Int64
	r := newRig(t, func(c *Config) { c.Now = func() time.Time { return time.Unix(later.Load(), 0) } })
	if _, err := r.target.Create(t.Context(), testID(1), 1); err != nil {
		t.Fatal(err)
	}
	later.Store(3600)
	x := r.s.targets.Load().order[0].drop()
	x.use.RLock() // the request
	closed := make(chan error)
	go func() { closed <- x.close(r.s.writers) }()
	for x.use.TryRLock() {
		x.use.RUnlock()
	}
	r.s.writers.sweepOnce().Wait()
	x.use.RUnlock()
	if err := <-closed; err != nil || r.fake.aborted != 1 {
		t.Errorf("close: %v, %d aborted", err, r.fake.aborted)
	}
}

// The writers of a target whose disk hangs keep those of no other open.
func TestIdleWriterOfHangingTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.HandleTTL = time.Minute })
		hanging := r.fake
		release := make(chan struct{})
		hanging.inject(func(op string) error {
			if op == "abort" {
				<-release
			}
			return nil
		})
		r.opened.Store(newFake(seq(7)))
		uuid, err := r.s.Add(t.Context(), "other", AddOptions{})
		if err != nil {
			t.Fatal(err)
		}
		create := func(target *Target) {
			if _, err := target.Create(t.Context(), testID(1), 1); err != nil {
				t.Fatal(err)
			}
		}
		create(r.target)
		pass(2 * time.Minute)
		create(r.client.Target(uuid))
		pass(2 * time.Minute)
		if s := r.s.Status(); s[1].Writers != 0 {
			t.Errorf("%d idle writers of another target are open", s[1].Writers)
		}
		close(release)
		if err := r.s.Close(); err != nil || hanging.aborted != 1 {
			t.Errorf("close: %v, %d aborted", err, hanging.aborted)
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	r := newRig(t, nil)
	src, crcs := r.data(1000)
	var users sync.WaitGroup
	for u := range 8 {
		users.Go(func() {
			for i := range 50 {
				id := extent.ID{Set: extent.SetID{byte(u), byte(i)}}
				if err := r.target.Append(t.Context(), id, nil, src, crcs); err != nil {
					t.Error(err)
				}
				if err := r.target.Read(t.Context(), id, 0, r.region.Remote((1+u)*4096, 1000)); err != nil {
					t.Error(err)
				}
				r.s.targets.Load().order[0].checkSoon()
				if _, err := r.client.Status(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	users.Wait()
}

func TestManyTargetsStatus(t *testing.T) {
	r := newRig(t, nil)
	for i := range 100 {
		r.opened.Store(newFake([16]byte{byte(i), 200}))
		if _, err := r.s.Add(t.Context(), fmt.Sprint("dir", i), AddOptions{WasMount: false}); err != nil {
			t.Fatal(err)
		}
	}
	all, err := r.client.Status(t.Context())
	if err != nil || len(all) != 101 || all[100].Dir != "dir99" || all[100].State != Online {
		t.Errorf("%d targets, %v", len(all), err)
	}
	if _, err := r.s.Add(t.Context(), "dir5", AddOptions{}); !errors.Is(err, extent.ErrExists) {
		t.Errorf("added twice: %v", err)
	}
}

func BenchmarkRead(b *testing.B) {
	r := newRig(b, nil)
	id := testID(1)
	r.fake.chunks[id] = fakeChunk{data: make([]byte, 64)}
	dst := r.region.Remote(0, 64)
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	b.ReportAllocs()
	for b.Loop() {
		if err := r.target.Read(ctx, id, 0, dst); err != nil {
			b.Fatal(err)
		}
	}
}
