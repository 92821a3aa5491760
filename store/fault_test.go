package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weftstore/weft/erasure"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/node/extent"
)

// Fault model: an operation of a target fails with an I/O error, fails because
// the target is full, or hangs until the end of the test and then succeeds late; a
// target as a whole has lost its chunks, finds them corrupt, fails or hangs at
// everything. Metadata does not fail here. Time is that of a synctest bubble.

// newGate is a channel and what closes it once.
func newGate() (chan struct{}, func()) {
	c := make(chan struct{})
	return c, sync.OnceFunc(func() { close(c) })
}

// hang blocks until release is closed, then lets the operation go on.
func hang(release chan struct{}) func(string) error {
	return func(string) error { <-release; return nil }
}

// faultOnce makes operation at, of all targets together and from 0, fail ("error"), find no
// room ("full") or hang until release is closed. Reads and deletes are not counted. It returns
// the count.
func (r *rig) faultOnce(kind string, at int64, release <-chan struct{}) *atomic.Int64 {
	ops := new(atomic.Int64)
	for _, ft := range r.targets {
		ft.fault = func(op string) error {
			if op == "read" || op == "delete" || ops.Add(1)-1 != at {
				return nil
			}
			switch kind {
			case "error":
				return errInjected
			case "full":
				return extent.ErrFull
			}
			<-release
			return nil
		}
	}
	return ops
}

// faultIn runs change with a fault as faultOnce does it, or with a commit of the metadata that
// fails ("metadata"). Then seen looks at what there is, and no chunk may be left over. It
// returns whether the fault came.
func (r *rig) faultIn(t *testing.T, kind string, at int64, change func() error, seen func(err error)) bool {
	t.Helper()
	release, open := newGate()
	defer open()
	ops := new(atomic.Int64)
	if kind == "metadata" {
		r.kv.fail = metadata.ErrQuota // one that is certain
	} else {
		ops = r.faultOnce(kind, at, release)
	}
	err := change()
	reached := ops.Load() > at
	r.kv.mu.Lock()
	r.kv.fail = nil
	r.kv.mu.Unlock()
	if (err != nil) != (kind == "metadata") {
		t.Fatalf("%s at %d: %v", kind, at, err)
	}
	seen(err)
	open()
	synctest.Wait()
	time.Sleep(20 * time.Second) // of the bubble: the collector has had its turns
	res, cerr := r.Check(context.Background(), CheckOptions{Deep: true}, nil)
	if cerr != nil || res.Orphans != 0 || res.Missing+res.Corrupt > 1 {
		t.Fatalf("%s at %d: %+v, %v", kind, at, res, cerr)
	}
	if n := int64(r.stored()); n != res.Shards-res.Missing {
		t.Fatalf("%s at %d: %d chunks for %d shards", kind, at, n, res.Shards)
	}
	return reached
}

// everyFault calls run, which uses faultIn, with each kind of fault at each operation, for small
// and large objects.
func everyFault(t *testing.T, run func(t *testing.T, kind string, size int, at int64) (reached bool)) {
	t.Helper()
	for _, kind := range []string{"error", "full", "hang", "metadata"} {
		for _, size := range []int{1000, 200_000} {
			for i := 0; ; i++ {
				reached := false
				synctest.Test(t, func(t *testing.T) { reached = run(t, kind, size, int64(i)) })
				if !reached {
					break
				}
			}
		}
	}
}

// A single fault at operation i of a put, for every i: the put succeeds and the
// object reads, at once and after everything late has ended.
func TestFaultAtOperation(t *testing.T) {
	for _, kind := range []string{"error", "full", "hang"} {
		for _, targets := range []int{4, 6} {
			for _, size := range []int{1000, 100_000, 200_000, 700_000} {
				for i := 0; ; i++ {
					reached := false
					synctest.Test(t, func(t *testing.T) { reached = faultAt(t, kind, targets, size, int64(i)) })
					if !reached {
						break
					}
				}
			}
		}
	}
}

func faultAt(t *testing.T, kind string, targets, size int, at int64) bool {
	release, open := newGate()
	defer open()
	r := newRig(t, rigOptions{layout: "ec:2+2", targets: targets})
	ops := r.faultOnce(kind, at, release)
	name := fmt.Sprintf("%s at %d of %d bytes, %d targets", kind, at, size, targets)
	data := testBody(size, 7)
	if err := r.put("k", data); err != nil {
		t.Fatalf("%s: put: %v", name, err)
	}
	r.mustGet("k", data)
	reached := ops.Load() > at
	open()
	synctest.Wait()
	time.Sleep(20 * time.Second) // of the bubble: the collector has had its turns
	r.mustGet("k", data)
	damage, err := r.db.Damage(context.Background(), metadata.SetID{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	o, err := r.Open(context.Background(), "b", "k", "")
	if err != nil {
		t.Fatal(err)
	}
	o.Close()
	p := o.Version.Inline
	held := 0
	var lost uint64
	for shard, id := range p.Targets {
		if id == 0 {
			lost |= 1 << shard
			continue
		}
		held++
		if _, _, err := r.targets[id-1].Meta(context.Background(), chunkID(p.Set, shard)); err != nil {
			t.Fatalf("%s: shard %d is not where the part says: %v", name, shard, err)
		}
	}
	if lost != 0 && (len(damage) != 1 || damage[0].Shards != lost) {
		t.Fatalf("%s: shards %b lost, damage %+v", name, lost, damage)
	}
	if n := r.stored(); n != held {
		t.Fatalf("%s: %d chunks stored, %d referred to", name, n, held)
	}
	r.close()
	return reached
}

// With more faults than the quorum bears a put fails in bounded time, and
// nothing of it stays.
func TestQuorumLost(t *testing.T) {
	for _, op := range []string{"append", "create", "write", "commit"} {
		for _, kind := range []error{errInjected, extent.ErrFull, nil} {
			for _, size := range []int{1000, 200_000, 700_000} {
				synctest.Test(t, func(t *testing.T) { quorumLost(t, op, kind, size) })
			}
		}
	}
}

func quorumLost(t *testing.T, op string, kind error, size int) {
	release, open := newGate()
	defer open()
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	hit := atomic.Bool{}
	bad := 2
	if size == 1000 {
		bad = 3 // replica:3 on four targets, so that two are hit whichever are chosen
	}
	for _, ft := range r.targets[:bad] {
		ft.fault = func(o string) error {
			if o != op {
				return nil
			}
			hit.Store(true)
			if kind == nil {
				<-release
			}
			return kind
		}
	}
	begin := time.Now()
	err := r.put("k", testBody(size, 3))
	if d := time.Since(begin); d > 30*time.Second {
		t.Fatalf("%s %v: put took %v", op, kind, d)
	}
	if hit.Load() {
		want := ErrUnavailable
		if errors.Is(kind, extent.ErrFull) {
			want = ErrFull
		}
		if !errors.Is(err, want) {
			t.Fatalf("%s %v of %d bytes: %v, want %v", op, kind, size, err, want)
		}
		if _, err := r.get("k", 0, -1); !errors.Is(err, metadata.ErrNoSuchKey) {
			t.Fatalf("visible: %v", err)
		}
	} else if err != nil {
		t.Fatal(err)
	}
	open()
	synctest.Wait()
	time.Sleep(time.Minute)
	if n := r.stored(); hit.Load() && n != 0 {
		t.Fatalf("%s %v of %d bytes: %d chunks are left over", op, kind, size, n)
	}
	r.close()
}

// Any m targets without their chunks, with corrupt chunks, failing or hanging:
// every read is right, for as long as it lasts, and chunks that are lost or wrong
// are queued for repair.
func TestReadWithTargetsLost(t *testing.T) {
	for _, kind := range []string{"lost", "corrupt", "error", "hang", "away"} {
		for _, layout := range []string{"replica:3", "ec:2+2", "ec:4+2"} {
			synctest.Test(t, func(t *testing.T) { readLost(t, kind, layout) })
		}
	}
}

func readLost(t *testing.T, kind, layout string) {
	r := newRig(t, rigOptions{layout: layout})
	sizes := []int{1, 5000, 70_000, 130_000, 64<<10*4 + 100, 900_000}
	for _, n := range sizes {
		if err := r.put(fmt.Sprint(n), testBody(n, uint64(n))); err != nil {
			t.Fatal(err)
		}
	}
	whole := make([]map[extent.ID]*fakeChunk, len(r.targets))
	for i, ft := range r.targets {
		whole[i] = ft.chunks
	}
	for mask := range uint(1) << len(r.targets) {
		if bits.OnesCount(mask) != int(r.Layout().M) {
			continue
		}
		release, open := newGate()
		defer open()
		for i, ft := range r.targets {
			bad := mask&(1<<i) != 0
			ft.mu.Lock()
			ft.chunks, ft.corrupt, ft.fault = whole[i], false, nil
			if bad {
				breakTarget(ft, kind, release)
			}
			ft.mu.Unlock()
			cfg := TargetConfig{ID: metadata.TargetID(i + 1), Target: ft} // health starts anew
			if bad && kind == "away" {
				cfg.Target = nil
			}
			r.SetTarget(cfg)
		}
		for _, n := range sizes {
			want := testBody(n, uint64(n))
			r.mustGet(fmt.Sprint(n), want)
			off, l := n/3, (n+1)/2
			got, err := r.get(fmt.Sprint(n), int64(off), int64(l))
			if err != nil || !bytes.Equal(got, want[off:off+l]) {
				t.Fatalf("%s %s %b: range of %d: %v", kind, layout, mask, n, err)
			}
		}
		open() // what hangs holds its memory until now
		synctest.Wait()
	}
	damage, err := r.db.Damage(context.Background(), metadata.SetID{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	if chunky := kind == "lost" || kind == "corrupt"; chunky != (len(damage) > 0) {
		t.Fatalf("%s: damage of %d sets recorded", kind, len(damage))
	}
	r.close()
}

func breakTarget(ft *fakeTarget, kind string, release chan struct{}) {
	switch kind {
	case "lost":
		ft.chunks = map[extent.ID]*fakeChunk{}
	case "corrupt":
		ft.corrupt = true
	case "error":
		ft.fault = func(string) error { return errInjected }
	case "hang":
		ft.fault = hang(release)
	}
}

// More lost than the layout bears is an error in bounded time and never wrong bytes.
func TestReadBeyondRepair(t *testing.T) {
	for kind, want := range map[string]error{"lost": ErrDamaged, "corrupt": ErrDamaged, "error": ErrUnavailable, "hang": ErrUnavailable} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, rigOptions{layout: "ec:2+2"})
			data := testBody(300_000, 1)
			if err := r.put("k", data); err != nil {
				t.Fatal(err)
			}
			release, open := newGate()
			defer open()
			for _, ft := range r.targets[:3] {
				breakTarget(ft, kind, release)
			}
			begin := time.Now()
			if _, err := r.get("k", 0, -1); !errors.Is(err, want) {
				t.Fatalf("%s: %v, want %v", kind, err, want)
			}
			if d := time.Since(begin); d > time.Minute {
				t.Fatalf("%s: took %v", kind, d)
			}
			open()
			synctest.Wait()
			r.close()
		})
	}
}

// A late shard is overtaken after the hedge delay, not after the timeout.
func TestHedge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{layout: "ec:2+2"})
		data := testBody(128<<10, 1)
		if err := r.put("k", data); err != nil {
			t.Fatal(err)
		}
		release, open := newGate()
		defer open()
		o, err := r.Open(context.Background(), "b", "k", "")
		if err != nil {
			t.Fatal(err)
		}
		defer o.Close()
		r.targets[o.Version.Inline.Targets[0]-1].fault = hang(release)
		begin := time.Now()
		for range 20 {
			r.mustGet("k", data)
		}
		if d := time.Since(begin); d < r.cfg.HedgeFloor || d > 10*r.cfg.HedgeFloor {
			t.Fatalf("twenty reads around a hung target took %v", d)
		}
		if n := r.pool.Stats().InUse + r.small.Stats().InUse; n > maxLates {
			t.Fatalf("%d blocks are held by the hung target", n)
		}
		open()
		synctest.Wait()
		r.close()
	})
}

// A put whose quorum is there waits for a hung shard for Grace, at whichever
// operation it hangs, and not for OpTimeout.
func TestGrace(t *testing.T) {
	for _, op := range []string{"append", "create", "write", "commit"} {
		for _, size := range []int{1000, 200_000, 2_000_000} {
			synctest.Test(t, func(t *testing.T) {
				release, open := newGate()
				defer open()
				r := newRig(t, rigOptions{layout: "ec:2+2"})
				r.targets[0].fault = func(o string) error {
					if o == op {
						<-release
					}
					return nil
				}
				begin := time.Now()
				if err := r.put("k", testBody(size, 1)); err != nil {
					t.Fatal(err)
				}
				if d := time.Since(begin); d > r.cfg.Grace+time.Second {
					t.Fatalf("%s of %d bytes hung: put took %v", op, size, d)
				}
				open()
				synctest.Wait()
				r.close()
			})
		}
	}
}

// A target is removed while a read of it is late: the read is tried elsewhere.
func TestTargetRemovedUnderRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release, open := newGate()
		defer open()
		r := newRig(t, rigOptions{layout: "ec:2+2"})
		data := testBody(200_000, 1)
		if err := r.put("k", data); err != nil {
			t.Fatal(err)
		}
		o, err := r.Open(context.Background(), "b", "k", "")
		if err != nil {
			t.Fatal(err)
		}
		id := o.Version.Inline.Targets[0]
		o.Close()
		r.targets[id-1].fault = func(op string) error {
			if op == "read" {
				r.RemoveTarget(id)
				<-release
			}
			return nil
		}
		r.mustGet("k", data)
		open()
		r.close()
	})
}

// slowBody gives a few bytes every ten seconds.
type slowBody struct{ left []byte }

func (b *slowBody) Read(p []byte) (int, error) {
	time.Sleep(10 * time.Second)
	if len(b.left) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.left[:min(len(b.left), 2000)])
	b.left = b.left[n:]
	return n, nil
}

// Fault model: a client sends so slowly that a stripe takes longer than nodes, two minutes,
// keep a writer that is idle.
func TestSlowBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{layout: "ec:2+2"})
		for _, ft := range r.targets {
			var last atomic.Int64 // several read at the same time
			ft.fault = func(op string) error {
				now := time.Now().UnixNano()
				idle := time.Duration(now - last.Swap(now))
				if idle > 2*time.Minute && (op == "write" || op == "commit") {
					return extent.ErrInvalid
				}
				return nil
			}
		}
		data := testBody(500_000, 1)
		_, err := r.Put(context.Background(), &PutRequest{Bucket: "b", Key: "k", Size: int64(len(data)), Body: &slowBody{data}})
		if err != nil {
			t.Fatal(err)
		}
		r.mustGet("k", data)
		if res := mustCheck(t, r, true); !res.Clean() || res.Garbage != 0 {
			t.Fatalf("%+v", res)
		}
		r.close()
	})
}

// Fault model: the metadata that has the queue of repairs is away when shards are found missing,
// as while the home cluster is. They are queued when it is back.
func TestDamageWhileMetadataIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{layout: "ec:2+2"})
		away := func(err error) {
			r.kv.mu.Lock()
			defer r.kv.mu.Unlock()
			r.kv.fail = err
		}
		away(fmt.Errorf("etcd: %w", metadata.ErrUnavailable))
		const sets = 5000
		for i := range sets {
			r.reportDamage(metadata.PartRef{Key: "k"}, metadata.SetID{byte(i), byte(i >> 8)}, 1)
		}
		time.Sleep(time.Minute)
		away(nil)
		time.Sleep(time.Minute)
		list, err := r.db.Damage(t.Context(), metadata.SetID{}, 2*sets)
		if err != nil || len(list) != sets {
			t.Fatalf("%d of %d sets are queued, %v", len(list), sets, err)
		}
		r.close()
	})
}

// What the metadata refuses for lack of room, or as too large, it has not: no chunk stays.
func TestMetadataRefuses(t *testing.T) {
	for refusal, want := range map[error]error{
		syscall.ENOSPC: ErrFull, syscall.EDQUOT: ErrFull, syscall.EFBIG: ErrFull, metadata.ErrTooLarge: metadata.ErrTooLarge,
	} {
		r := newRig(t, rigOptions{layout: "ec:2+2"})
		r.kv.fail = fmt.Errorf("commit: %w", refusal)
		if err := r.put("k", testBody(20_000, 1)); !errors.Is(err, want) {
			t.Fatalf("%v: %v", refusal, err)
		}
		r.close() // waits for the deletion
		if n, pinned := r.stored(), len(r.pins.list()); n != 0 || pinned != 0 {
			t.Errorf("%v: %d chunks are left, %d sets are pinned", refusal, n, pinned)
		}
	}
}

// Fault model: the disk of the metadata is full when it syncs what was committed. A restart may
// show the record, so the chunks stay.
func TestFullAfterCommit(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	r.kv.fail = fmt.Errorf("sync: %w: %w", metadata.ErrUnknown, syscall.ENOSPC)
	if err := r.put("k", testBody(20_000, 1)); !errors.Is(err, metadata.ErrUnknown) {
		t.Fatal(err)
	}
	r.close() // waits for a deletion
	if n := r.stored(); n != 4 {
		t.Errorf("%d of 4 chunks are left", n)
	}
}

// TestRepairBesideGarbage: the target that failed a shard of a put, and could not be told to
// delete what it may have of it, gets the shard from a repair. What was to be deleted before
// is not the new one.
func TestRepairBesideGarbage(t *testing.T) {
	for _, size := range []int{1000, 200_000} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, rigOptions{layout: "ec:2+2"})
			defer r.close()
			var sick atomic.Bool
			sick.Store(true)
			r.targets[0].fault = func(op string) error {
				if sick.Load() && (op == "append" || op == "commit" || op == "delete") {
					return errInjected
				}
				return nil
			}
			data := testBody(size, 1)
			if err := r.put("k", data); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			sick.Store(false)
			rep, err := r.Repair(t.Context(), RepairOptions{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute) // the collector has had its turns
			res, err := r.Check(t.Context(), CheckOptions{Deep: true}, nil)
			if err != nil || res.Missing != 0 || res.Orphans != 0 {
				t.Errorf("size %d: repaired %+v, then %+v, %v", size, rep, res, err)
			}
		})
	}
}

// Shards that are shorter than recorded are damage like any other.
func TestReadShortShards(t *testing.T) {
	var damaged atomic.Uint64
	r := newRig(t, rigOptions{layout: "ec:2+2", events: Events{Damaged: func(_ metadata.SetID, shards uint64) { damaged.Or(shards) }}})
	defer r.close()
	body := testBody(300<<10, 1)
	if err := r.put("k", body); err != nil {
		t.Fatal(err)
	}
	v, _, err := r.db.Get(t.Context(), "b", "k", "")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		ft := r.targets[v.Inline.Targets[i]-1]
		ft.mu.Lock()
		c := ft.chunks[chunkID(v.Inline.Set, i)]
		c.data = c.data[:erasure.Unit]
		ft.mu.Unlock()
		if i < 2 {
			r.mustGet("k", body)
		} else if _, err := r.get("k", 0, -1); !errors.Is(err, ErrDamaged) {
			t.Fatalf("three are short: %v", err)
		}
		if want := uint64(1)<<(i+1) - 1; damaged.Load() != want {
			t.Fatalf("damage %b, want %b", damaged.Load(), want)
		}
	}
}
