package store

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weftstore/weft/internal/checksum"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/node/extent"
)

// Fault model of this file: another gateway, which reads, writes, does not answer, or
// has taken over the lead while this one was frozen.

// fakePeers is one other member.
type fakePeers struct {
	mu      sync.Mutex
	term    int64
	busy    map[metadata.SetID]bool
	changes string
	clock   int64
	silent  bool
	asked   chan struct{} // gets one for each question
}

func (p *fakePeers) set(fn func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fn()
}

func (p *fakePeers) Term() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.term
}

type fencedKey struct{}

func (p *fakePeers) Within(ctx context.Context, term int64) context.Context {
	return context.WithValue(ctx, fencedKey{}, func() bool { return p.Term() != term })
}

func (p *fakePeers) Ask(ctx context.Context) (*PeerReport, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case p.asked <- struct{}{}:
	default:
	}
	if p.silent {
		return nil, errors.New("no answer")
	}
	return &PeerReport{Busy: p.busy, Changes: p.changes, Clock: p.clock}, nil
}

// fencedKV refuses commits as etcdkv does.
type fencedKV struct{ *memKV }

func (kv fencedKV) Update(ctx context.Context, fn func(metadata.Txn) error) error {
	return kv.memKV.Update(ctx, func(t metadata.Txn) error {
		if over, ok := ctx.Value(fencedKey{}).(func() bool); ok && over() {
			return metadata.ErrFenced
		}
		return fn(t)
	})
}

// newPeersRig is a rig with a peer, whose chunks are old. Maintain is not running.
func newPeersRig(t *testing.T) (*rig, *fakePeers) {
	p := &fakePeers{term: 1, asked: make(chan struct{}, 1)}
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	r.close()
	cfg := r.cfg
	cfg.Meta, _ = metadata.New(fencedKV{r.kv}, metadata.Options{})
	cfg.Peers, cfg.GCInterval = p, time.Millisecond
	var err error
	if r.Store, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.close)
	return r, p
}

func (r *rig) age() {
	for _, ft := range r.targets {
		ft.mu.Lock()
		for _, c := range ft.chunks {
			c.created = c.created.Add(-2 * orphanAge)
		}
		ft.mu.Unlock()
	}
}

func (r *rig) setOf(key string) metadata.SetID {
	r.t.Helper()
	v, _, err := r.db.Get(context.Background(), "b", key, "")
	if err != nil {
		r.t.Fatal(err)
	}
	return v.Inline.Set
}

// What another gateway reads is not collected, whatever does not answer may be reading,
// and only who leads collects at all.
func TestGarbageThatPeersRead(t *testing.T) {
	r, p := newPeersRig(t)
	if err := r.put("k", testBody(100<<10, 1)); err != nil {
		t.Fatal(err)
	}
	set := r.setOf("k")
	if _, err := r.db.Delete(t.Context(), "b", "k", "", metadata.Condition{}); err != nil {
		t.Fatal(err)
	}
	p.set(func() { p.silent, p.busy = true, map[metadata.SetID]bool{set: true} })
	r.Kick()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { r.Maintain(ctx, MaintenanceOptions{}); close(done) }()
	for _, silent := range []bool{true, false} {
		p.set(func() { p.silent = silent })
		for range 10 { // looks at the queue
			<-p.asked
		}
		if n := r.stored(); n != 4 {
			t.Fatalf("%d of 4 chunks are left while a peer reads them (silent: %v)", n, silent)
		}
	}
	p.set(func() { p.busy = nil })
	waitFor(t, func() bool { return r.stored() == 0 })
	stop()
	<-done
}

// Nothing is collected by who does not lead.
func TestFollowersCollectNothing(t *testing.T) {
	r, p := newPeersRig(t)
	if err := r.put("k", testBody(100<<10, 1)); err != nil {
		t.Fatal(err)
	}
	if err := r.put("k", testBody(100<<10, 2)); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	select {
	case <-p.asked:
		t.Fatal("a follower looked for garbage")
	case <-ctx.Done():
	}
	if n := r.stored(); n != 8 {
		t.Fatalf("%d of 8 chunks are left", n)
	}
}

// A chunk that another gateway is about to refer to is no orphan, however old clocks
// say it is; nor is any while a gateway does not answer.
func TestOrphansOfPeers(t *testing.T) {
	r, p := newPeersRig(t)
	if err := r.put("k", testBody(100<<10, 1)); err != nil {
		t.Fatal(err)
	}
	set := r.setOf("k")
	saved := r.kv.data
	r.kv.data = map[string][]byte{}
	for k, v := range saved {
		if k[0] != 'o' {
			r.kv.data[k] = v
		}
	}
	r.age()
	p.set(func() { p.silent = true })
	if _, err := r.sweep(t.Context(), true, new(CheckResult), nil); err == nil {
		t.Fatal("swept without an answer")
	}
	p.set(func() { p.silent, p.busy = false, map[metadata.SetID]bool{set: true} })
	if n, err := r.sweep(t.Context(), true, new(CheckResult), nil); err != nil || n != 0 {
		t.Fatalf("%d chunks of a write under way were collected, %v", n, err)
	}
	p.set(func() { p.busy = nil })
	if n, err := r.sweep(t.Context(), true, new(CheckResult), nil); err != nil || n != 4 {
		t.Fatalf("%d of 4 orphans were collected, %v", n, err)
	}
}

// Young chunks of another gateway are older than this process.
func TestOrphansOlderThanTheProcess(t *testing.T) {
	r, _ := newPeersRig(t)
	if r.old(extent.Info{Created: r.upkeep.started.Add(-time.Second)}) {
		t.Fatal("what was written a second before the start may be a write of another gateway that is under way")
	}
}

// A write is in use until its record is there, and is refused when the membership ended
// since it began: then somebody may have collected its chunks.
func TestWritesOfAnEndedTerm(t *testing.T) {
	r, p := newPeersRig(t)
	pr, pw := io.Pipe()
	body := testBody(100<<10, 1)
	result := make(chan error, 1)
	go func() {
		_, err := r.Put(t.Context(), &PutRequest{Bucket: "b", Key: "k", Size: int64(len(body)), Body: pr})
		result <- err
	}()
	if _, err := pw.Write(body[:10]); err != nil {
		t.Fatal(err)
	}
	if busy, _, _ := r.Report(); len(busy) != 1 {
		t.Fatalf("%d sets are told to be in use while one is written", len(busy))
	}
	p.set(func() { p.term = 0 })
	if err := r.put("other", body); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("a write without membership: %v", err)
	}
	p.set(func() { p.term = 2 })
	go func() { _, _ = pw.Write(body[10:]); _ = pw.Close() }()
	if err := <-result; !errors.Is(err, ErrUnavailable) {
		t.Fatalf("a write begun in an earlier term: %v", err)
	}
	if _, err := r.get("k", 0, -1); !errors.Is(err, metadata.ErrNoSuchKey) {
		t.Fatalf("it is there: %v", err)
	}
	if err := r.put("k", body); err != nil {
		t.Fatal(err)
	}
	if busy, _, _ := r.Report(); len(busy) != 0 {
		t.Fatalf("%d sets are told to be in use when nothing is", len(busy))
	}
	r.mustGet("k", body)
}

// A snapshot is due when any gateway changed something.
func TestSnapshotOfPeersChanges(t *testing.T) {
	r, p := newPeersRig(t)
	count := func() int {
		seqs, err := r.db.SnapshotSeqs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(seqs)
	}
	for i, changes := range []string{"a", "a", "b"} {
		p.set(func() { p.changes = changes })
		if err := r.SnapshotIfChanged(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n, want := count(), []int{1, 1, 2}[i]; n != want {
			t.Fatalf("%d snapshots after look %d, want %d", n, i+1, want)
		}
	}
}

// A target that another gateway entered in the metadata is looked for before its shards
// count as lost.
func TestTargetsOfPeers(t *testing.T) {
	r, _ := newPeersRig(t)
	body := testBody(100<<10, 1)
	if err := r.put("k", body); err != nil {
		t.Fatal(err)
	}
	all := r.topology.Load()
	r.topology.Store(newTopology(all.list[:1]))
	r.cfg.Refresh = func(context.Context) error { r.topology.Store(all); return nil }
	r.mustGet("k", body)
	r.topology.Store(newTopology(all.list[:1]))
	if res := mustCheck(t, r, false); !res.Clean() {
		t.Fatalf("check: %+v", res)
	}
}

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); !done(); <-tick.C {
		if time.Now().After(end) {
			t.Fatal("waited for 30 s")
		}
	}
}

// Fault model: the clock of who led before was ahead. What is written later stays, and is what
// a rebuild goes by.
func TestSnapshotsOfOtherClocks(t *testing.T) {
	r, _ := newPeersRig(t)
	var ahead time.Duration
	r.cfg.Now = func() time.Time { return time.Now().Add(ahead) }
	for _, ahead = range []time.Duration{time.Hour, time.Hour, 0, 0, 0} {
		before := r.now()
		if err := r.Snapshot(t.Context()); err != nil {
			t.Fatal(err)
		}
		seqs, err := r.db.SnapshotSeqs(t.Context())
		if err != nil || len(seqs) > keepSnapshots {
			t.Fatal(seqs, err)
		}
		if last := time.Unix(0, int64(seqs[len(seqs)-1])); last.Before(before) || last.After(r.now()) {
			t.Fatalf("the newest is of %v, one was written at %v", last, before)
		}
	}
}

// slowKV holds up what is read with a context that says so.
type slowKV struct {
	fencedKV
	reached, release chan struct{}
}

type slowKey struct{}

func (kv slowKV) View(ctx context.Context, fn func(metadata.Reader) error) error {
	if ctx.Value(slowKey{}) != nil {
		close(kv.reached)
		<-kv.release
	}
	return kv.fencedKV.View(ctx, fn)
}

// Fault model: one metadata cluster does not answer. Who asks what is in use waits for what is
// being opened there; what is opened elsewhere meanwhile does not.
func TestOpenDuringAQuestion(t *testing.T) {
	r, _ := newPeersRig(t)
	kv := slowKV{fencedKV{r.kv}, make(chan struct{}), make(chan struct{})}
	r.Store.meta, _ = metadata.New(kv, metadata.Options{})
	body := testBody(1000, 1)
	if err := r.put("k", body); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	release := sync.OnceFunc(func() { close(kv.release) })
	defer release()
	wg.Go(func() {
		if o, err := r.Open(context.WithValue(t.Context(), slowKey{}, true), "b", "k", ""); err == nil {
			o.Close()
		}
	})
	<-kv.reached
	told, read := make(chan struct{}), make(chan struct{})
	wg.Go(func() { r.Report(); close(told) })
	wg.Go(func() {
		for range 1000 {
			_, _ = r.get("k", 0, -1)
		}
		close(read)
	})
	select {
	case <-read:
	case <-time.After(20 * time.Second):
		t.Error("an object is not opened while another is")
	}
	select {
	case <-told:
		t.Error("it was told before what is being opened")
	default:
	}
	release()
	<-told
}

// A target is not empty while another gateway is about to refer to a chunk on it.
func TestLeftOfPeers(t *testing.T) {
	r, p := newPeersRig(t)
	if err := r.put("k", testBody(1<<20, 1)); err != nil {
		t.Fatal(err)
	}
	set := r.setOf("k")
	r.kv.data = maps.Clone(r.kv.data)
	maps.DeleteFunc(r.kv.data, func(k string, _ []byte) bool { return k[0] == 'o' })
	p.set(func() { p.busy = map[metadata.SetID]bool{set: true} })
	if n, err := r.Left(t.Context(), 1, 10); err != nil || n != 1 {
		t.Fatalf("%d parts are left while one is written, %v", n, err)
	}
	p.set(func() { p.silent = true })
	if n, err := r.Left(t.Context(), 1, 10); err == nil {
		t.Fatalf("%d parts are left, without an answer", n)
	}
	p.set(func() { p.silent, p.busy = false, nil })
	if n, err := r.Left(t.Context(), 1, 10); err != nil || n != 0 {
		t.Fatalf("%d parts are left of an orphan, %v", n, err)
	}
}

// Fault model: another gateway ends in the midst of a write, long after this one began to lead.
func TestOrphansWhileLeading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newPeersRig(t)
		r.cfg.GCInterval = time.Hour
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { r.Maintain(ctx, MaintenanceOptions{}); close(done) }()
		time.Sleep(2 * sweepAfter)
		if err := r.put("k", testBody(1000, 1)); err != nil {
			t.Fatal(err)
		}
		r.kv.mu.Lock()
		r.kv.data = maps.Clone(r.kv.data)
		maps.DeleteFunc(r.kv.data, func(k string, _ []byte) bool { return k[0] == 'o' })
		r.kv.mu.Unlock()
		time.Sleep(48 * time.Hour)
		if n := r.stored(); n != 0 {
			t.Errorf("%d chunks of it are there two days later", n)
		}
		stop()
		<-done
		r.close()
	})
}

// Fault model: the one that scrubs is frozen, another leads meanwhile and begins a pass.
func TestScrubAfterItsTerm(t *testing.T) {
	r, p := newPeersRig(t)
	if err := r.put("k", testBody(1<<20, 1)); err != nil {
		t.Fatal(err)
	}
	var pass scrubPass
	var once sync.Once
	res, err := r.Scrub(t.Context(), ScrubOptions{}, func(Progress) {
		once.Do(func() {
			var err error
			if pass, err = r.beginScrub(t.Context(), false); err != nil {
				t.Error(err)
			}
			p.set(func() { p.term = 2 })
		})
	})
	if err == nil && res.Errors == 0 {
		t.Error("the scrub says that it is whole")
	}
	if got, err := r.scrubPass(t.Context()); err != nil || got != pass || pass.began == 0 {
		t.Errorf("the pass of the other is %+v, want %+v, %v", got, pass, err)
	}
}

// lateKV commits nothing before the context ends, as etcd without a quorum.
type lateKV struct {
	*memKV
	late atomic.Bool
}

func (kv *lateKV) Update(ctx context.Context, fn func(metadata.Txn) error) error {
	if kv.late.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	return kv.memKV.Update(ctx, fn)
}

// Fault model: commits end with their time, so that nothing of them is done. What was
// written for them is not named for ever, and collected.
func TestCommitsOutOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newPeersRig(t)
		r.close()
		kv := &lateKV{memKV: r.kv}
		r.cfg.Meta, _ = metadata.New(kv, metadata.Options{})
		var err error
		if r.Store, err = New(r.cfg); err != nil {
			t.Fatal(err)
		}
		defer r.close()
		kv.late.Store(true)
		if err := r.put("k", testBody(1000, 1)); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		kv.late.Store(false)
		if busy, _, _ := r.Report(); len(busy) > 0 {
			t.Errorf("%d sets are named", len(busy))
		}
		r.age()
		if _, err := r.sweep(t.Context(), true, &CheckResult{}, nil); err != nil {
			t.Fatal(err)
		}
		if n := r.stored(); n != 0 {
			t.Errorf("%d chunks are left", n)
		}
	})
}

// A write to a bucket that another took the place of leaves nothing.
func TestPutIntoReplacedBucket(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	ctx := metadata.WithBucket(t.Context(), &metadata.Bucket{Name: "b", ID: 1 << 40})
	body := testBody(1000, 1)
	_, err := r.Put(ctx, &PutRequest{Bucket: "b", Key: "k", Size: int64(len(body)), Body: bytes.NewReader(body), Algorithm: checksum.CRC64NVME})
	if !errors.Is(err, metadata.ErrReplaced) {
		t.Fatal(err)
	}
	r.close() // waits for what is deleted
	if busy, n := r.pins.list(), r.stored(); len(busy) > 0 || n > 0 {
		t.Errorf("%d sets are named and %d chunks are left", len(busy), n)
	}
}
