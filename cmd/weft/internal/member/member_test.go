package member

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/client/v3"

	"github.com/weftstore/weft/internal/suspend"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/metadata/etcdkv"
	"github.com/weftstore/weft/metadata/etcdkv/etcdtest"
)

// Fault model of this file: leases that end behind the back of their holder, as they do
// for a process that is frozen; members that end without a word, or do not answer; an
// etcd that is away.

type rig struct {
	t    *testing.T
	etcd *etcdtest.Server
	kv   *etcdkv.DB
}

const ttl = time.Second

func newRig(t *testing.T) *rig {
	r := &rig{t: t, etcd: etcdtest.Start(t, "http")}
	r.kv = r.open()
	return r
}

func (r *rig) open() *etcdkv.DB {
	kv, err := etcdkv.Open(r.t.Context(), etcdkv.Config{Endpoints: []string{r.etcd.Addr}, Prefix: "/p/", DialTimeout: time.Minute})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { kv.Close() })
	return kv
}

func (r *rig) join(name string) *Member {
	r.t.Helper()
	m, err := Join(r.t.Context(), Config{
		Client: r.open().Client(), Prefix: "/p/", Deployment: [16]byte{1}, TTL: ttl,
		Info: Info{Kind: Gateway, Name: name}, Logger: slog.New(slog.NewTextHandler(r.t.Output(), nil)),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { m.Close() })
	return m
}

// commit writes something in a term.
func (r *rig) commit(m *Member, term int64) error {
	return r.kv.Update(m.Within(r.t.Context(), term), func(t metadata.Txn) error { return t.Put([]byte("k"), []byte("v")) })
}

// revoke ends a member's lease behind its back.
func (r *rig) revoke(m *Member) {
	r.t.Helper()
	if _, err := r.kv.Client().Revoke(r.t.Context(), m.term().lease); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) wait(what string, ch <-chan struct{}) {
	r.t.Helper()
	select {
	case <-ch:
	case <-time.After(time.Minute):
		r.t.Fatal("waited a minute for: ", what)
	}
}

// lead is one run of Lead.
type lead struct {
	began chan context.Context
	stop  func()
}

func (r *rig) lead(m *Member) *lead {
	l := &lead{began: make(chan context.Context, 10)}
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.Lead(ctx, func(ctx context.Context) {
			l.began <- ctx
			<-ctx.Done()
		})
	}()
	l.stop = sync.OnceFunc(func() { cancel(); <-done })
	r.t.Cleanup(l.stop)
	return l
}

// A term's commits fail from the instant its lease is gone, though the member does not
// know yet; the next term's do not.
func TestTermEnds(t *testing.T) {
	r := newRig(t)
	m := r.join("a")
	old := m.Term()
	if err := r.commit(m, old); err != nil {
		t.Fatal(err)
	}
	begun := m.Within(t.Context(), old)
	r.revoke(m)
	err := r.kv.Update(begun, func(t metadata.Txn) error { return t.Put([]byte("k"), []byte("w")) })
	if !errors.Is(err, metadata.ErrFenced) {
		t.Fatalf("a commit of the ended term: %v", err)
	}
	next := old
	for end := time.Now().Add(time.Minute); next == old || next == 0; next = m.Term() {
		if time.Now().After(end) {
			t.Fatal("no new term")
		}
		m.pause(t.Context(), ttl/100)
	}
	if err := r.commit(m, old); !errors.Is(err, metadata.ErrFenced) {
		t.Fatalf("a commit of the ended term, in the next one: %v", err)
	}
	if err := r.commit(m, next); err != nil {
		t.Fatal(err)
	}
}

// One member leads at a time; another follows when the lease ends or the leader goes.
func TestLead(t *testing.T) {
	r := newRig(t)
	a, b := r.join("a"), r.join("b")
	la := r.lead(a)
	ctx := <-la.began
	lb := r.lead(b)
	if _, done, err := a.Leading(t.Context()); err != nil {
		t.Fatal(err)
	} else {
		done()
	}
	if _, _, err := b.Leading(t.Context()); err == nil {
		t.Fatal("two lead")
	}
	r.revoke(a)
	second := <-lb.began
	r.wait("the first leader to stop", ctx.Done())
	select {
	case <-second.Done():
		t.Fatal("the second leader was stopped")
	default:
	}
	lb.stop()
	third := <-la.began
	if third.Err() != nil {
		t.Fatal(third.Err())
	}
}

// A leader without etcd stops within the time to live, and leads again when etcd is back.
func TestEtcdAway(t *testing.T) {
	r := newRig(t)
	l := r.lead(r.join("a"))
	ctx := <-l.began
	r.etcd.Kill()
	killed := time.Now()
	r.wait("the leader to stop", ctx.Done())
	if d := time.Since(killed); d > 2*ttl {
		t.Fatalf("it stopped after %v", d)
	}
	r.etcd.Restart()
	<-l.began
}

// A question is answered with what every other member reports, and waits for those that
// do not answer until they are gone.
func TestAsk(t *testing.T) {
	r := newRig(t)
	a, b, c := r.join("a"), r.join("b"), r.join("c")
	set := func(n byte) metadata.SetID { return metadata.SetID{n} }
	b.Answer(func() ([]metadata.SetID, uint64, int64) { return []metadata.SetID{set(1), set(2)}, 7, 30 })
	changes := uint64(1)
	c.Answer(func() ([]metadata.SetID, uint64, int64) { return []metadata.SetID{set(3)}, changes, 20 })
	first, err := a.Ask(t.Context())
	if err != nil || len(first.Busy) != 3 || !first.Busy[set(1)] || !first.Busy[set(3)] || first.Clock != 20 {
		t.Fatalf("%+v, %v", first, err)
	}
	if second, err := a.Ask(t.Context()); err != nil || second.Changes != first.Changes {
		t.Fatalf("%+v, %v", second, err)
	}
	changes++
	if second, err := a.Ask(t.Context()); err != nil || second.Changes == first.Changes {
		t.Fatalf("%+v, %v", second, err)
	}
	asked, silent := make(chan struct{}), make(chan struct{})
	b.Answer(func() ([]metadata.SetID, uint64, int64) { close(asked); <-silent; return nil, 0, 0 })
	type outcome struct {
		busy map[metadata.SetID]bool
		err  error
	}
	answer := make(chan outcome, 1)
	go func() {
		rep, err := a.Ask(t.Context())
		if err != nil {
			answer <- outcome{err: err}
			return
		}
		answer <- outcome{busy: rep.Busy}
	}()
	<-asked
	select {
	case o := <-answer:
		t.Fatalf("answered without b: %+v", o)
	case <-time.After(ttl / 2):
	}
	r.revoke(b) // as when it is frozen longer than the time to live
	if o := <-answer; o.err != nil || len(o.busy) != 1 || !o.busy[set(3)] {
		t.Fatalf("%+v", o)
	}
	close(silent)
}

// TestJoinWaits: a process that starts while etcd is away joins when it is back.
func TestJoinWaits(t *testing.T) {
	r := newRig(t)
	client := r.open().Client()
	r.etcd.Kill()
	tries := make(chan struct{}, 1000)
	joined := make(chan error, 1)
	go func() {
		m, err := Join(t.Context(), Config{
			Client: client, Prefix: "/p/", Info: Info{Kind: Node}, TTL: ttl,
			Logger: slog.New(slog.NewTextHandler(writerFunc(func(b []byte) (int, error) { tries <- struct{}{}; return len(b), nil }), nil)),
		})
		if err == nil {
			err = m.Close()
		}
		joined <- err
	}()
	r.wait("a try that failed", tries)
	r.etcd.Restart()
	if err := <-joined; err != nil {
		t.Fatal(err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func TestOtherDeployment(t *testing.T) {
	r := newRig(t)
	r.join("a")
	_, err := Join(t.Context(), Config{Client: r.kv.Client(), Prefix: "/p/", Deployment: [16]byte{2}})
	if err == nil {
		t.Fatal("joined the members of another store")
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(encodeAnswer(1, 2, 3, []metadata.SetID{{3}, {4}}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		question, changes, clock, busy, err := decodeAnswer(b)
		if err != nil {
			return
		}
		if again := encodeAnswer(question, changes, clock, slices.Clone(busy)); !bytes.Equal(again, b) {
			t.Fatalf("%x became %x", b, again)
		}
	})
}

// While it is closed nobody joins, and it cannot be closed while somebody is there.
func TestClosed(t *testing.T) {
	r := newRig(t)
	m := r.join("a")
	shut := func(why string) (*Seal, error) {
		return Close(t.Context(), r.kv.Client(), "/p/", [16]byte{1}, why)
	}
	if _, err := shut("import"); err == nil {
		t.Fatal("closed with a member inside")
	}
	m.Close()
	s, err := shut("import")
	if err != nil || s.Again() {
		t.Fatal(err)
	}
	c := Config{Client: r.kv.Client(), Prefix: "/p/", Deployment: [16]byte{1}, Info: Info{Kind: Gateway}, TTL: ttl, Logger: slog.New(slog.DiscardHandler)}
	if _, err := Join(t.Context(), c); !errors.Is(err, ErrClosed) {
		t.Fatal("joined what is closed: ", err)
	}
	if _, err := shut("move"); !errors.Is(err, ErrClosed) {
		t.Fatal("closed for two reasons: ", err)
	}
	if s, err = shut("import"); err != nil || !s.Again() {
		t.Fatal(err)
	}
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.join("b")
}

// One member holds a thing; when its lease ends another can claim it with a higher epoch,
// and the first knows at once by its own clock, even before it looks at etcd.
func TestClaim(t *testing.T) {
	r := newRig(t)
	a, b := r.join("a"), r.join("b")
	first, err := a.Claim(t.Context(), "x")
	if err != nil || first.Guard() != nil {
		t.Fatal(err, first.Guard())
	}
	for _, m := range []*Member{a, b} {
		if _, err := m.Claim(t.Context(), "x"); !errors.Is(err, ErrHeld) {
			t.Fatal("claimed twice: ", err)
		}
	}
	r.revoke(a)
	second, err := b.Claim(t.Context(), "x")
	if err != nil || second.Epoch <= first.Epoch {
		t.Fatalf("epoch %d after %d, %v", second.Epoch, first.Epoch, err)
	}
	past := time.Now()
	second.term.until.Store(&past) // as after a freeze, before any timer has run
	if second.Guard() == nil {
		t.Fatal("a lease that has run out guards nothing")
	}
	if err := b.Release(t.Context(), "x", second); err != nil {
		t.Fatal(err)
	}
	if held, err := a.Held(t.Context(), "x"); err != nil || held {
		t.Fatal(held, err)
	}
}

// Fault model: the host is suspended for longer than the lease lives. Its clock tells nothing.
func TestGuardAfterSuspend(t *testing.T) {
	h := &Hold{term: &term{ctx: t.Context()}}
	until := time.Now().Add(time.Minute)
	h.term.until.Store(&until)
	h.term.slept.Store(int64(suspend.Total()))
	if err := h.Guard(); err != nil {
		t.Fatal(err)
	}
	h.term.slept.Add(-int64(time.Hour)) // as if it had been since
	if h.Guard() == nil {
		t.Error("a lease that ended meanwhile guards")
	}
}

// Fault model: the answer to a claim, or to a release, is lost, and the term goes on. What a
// member does not use can be claimed again, also by itself, with a higher epoch.
func TestClaimAfterALostAnswer(t *testing.T) {
	r := newRig(t)
	a, b := r.join("a"), r.join("b")
	for _, of := range []struct{ name, holder string }{{"claim", a.term().id}, {"other", b.term().id}} {
		if _, err := r.kv.Client().Put(t.Context(), "/p/c/own/"+of.name, of.holder); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.Claim(t.Context(), "other"); !errors.Is(err, ErrHeld) {
		t.Fatal("claimed what another holds: ", err)
	}
	if held, err := a.Held(t.Context(), "claim"); err != nil || held {
		t.Fatal("held by itself: ", held, err)
	}
	first, err := a.Claim(t.Context(), "claim")
	if err != nil {
		t.Fatal("after a claim whose answer was lost: ", err)
	}
	if _, err := a.Claim(t.Context(), "claim"); !errors.Is(err, ErrHeld) {
		t.Fatal("claimed twice: ", err)
	}
	lost, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Release(lost, "claim", first); err == nil {
		t.Fatal("the release got an answer")
	}
	if first.Guard() == nil {
		t.Fatal("what was given back is still guarded")
	}
	second, err := a.Claim(t.Context(), "claim")
	if err != nil || second.Epoch <= first.Epoch {
		t.Fatal("after a release that failed: ", err)
	}
	if err := a.Release(t.Context(), "claim", first); err != nil {
		t.Fatal(err)
	}
	if held, err := b.Held(t.Context(), "claim"); err != nil || !held || second.Guard() != nil {
		t.Fatal("an old hold was given back in place of the new one: ", held, err)
	}
}

// hangs has one request for a lease hang, and tells how long it was waited for at most.
type hangs struct {
	clientv3.Lease
	next chan struct{}
	told chan time.Duration
}

func (h *hangs) Grant(ctx context.Context, ttl int64) (*clientv3.LeaseGrantResponse, error) {
	select {
	case <-h.next:
		end, _ := ctx.Deadline()
		h.told <- time.Until(end)
		<-ctx.Done()
		return nil, ctx.Err()
	default:
		return h.Lease.Grant(ctx, ttl)
	}
}

// Fault model: a request for a new lease is lost, as the member of etcd that has it is frozen,
// while the others answer. No more than part of a lease is waited for it.
func TestNewTermDespiteLostRequest(t *testing.T) {
	r := newRig(t)
	client := r.open().Client()
	h := &hangs{client.Lease, make(chan struct{}, 1), make(chan time.Duration, 1)}
	client.Lease = h
	m, err := Join(t.Context(), Config{Client: client, Prefix: "/p/", TTL: ttl, Info: Info{Kind: Gateway, Name: "a"}})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	h.next <- struct{}{}
	r.revoke(m)
	if d := <-h.told; d > ttl/4 {
		t.Errorf("it waits %v for one request, with a lease of %v", d, ttl)
	}
	if _, err := m.await(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// stuck has requests to end a lease hang until release is closed.
type stuck struct {
	clientv3.Lease
	release chan struct{}
}

func (s *stuck) Revoke(context.Context, clientv3.LeaseID) (*clientv3.LeaseRevokeResponse, error) {
	<-s.release
	return nil, errors.New("lost")
}

// Fault model: the member of etcd that is asked to end the old lease is frozen. The new term does
// not wait for that.
func TestNewTermBesideStuckRevoke(t *testing.T) {
	r := newRig(t)
	client := r.open().Client()
	s := &stuck{client.Lease, make(chan struct{})}
	client.Lease = s
	m, err := Join(t.Context(), Config{Client: client, Prefix: "/p/", TTL: ttl, Info: Info{Kind: Gateway, Name: "a"}})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	defer close(s.release)
	first := m.term()
	r.revoke(m)
	<-first.ctx.Done()
	wait, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		m.mu.Lock()
		now, changed := m.cur, m.changed
		m.mu.Unlock()
		if now != nil && now != first {
			return
		}
		select {
		case <-changed:
		case <-wait.Done():
			t.Fatal("no new term")
		}
	}
}

// watches tells the context of each watch that is begun.
type watches struct {
	clientv3.Watcher
	begun chan context.Context
}

func (w *watches) Watch(ctx context.Context, key string, o ...clientv3.OpOption) clientv3.WatchChan {
	w.begun <- ctx
	return w.Watcher.Watch(ctx, key, o...)
}

// A member that could not answer a question keeps no watch of the try.
func TestNoWatchIsLeft(t *testing.T) {
	r := newRig(t)
	client := r.open().Client()
	w := &watches{client.Watcher, make(chan context.Context, 1000)}
	client.Watcher = w
	m, err := Join(t.Context(), Config{Client: client, Prefix: "/p/", TTL: time.Hour, Info: Info{Kind: Gateway, Name: "a"}})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	first := <-w.begun
	m.Answer(func() ([]metadata.SetID, uint64, int64) { return make([]metadata.SetID, maxSets+1), 0, 0 })
	if _, err := r.kv.Client().Put(t.Context(), "/p/"+keyAsk, "x"); err != nil {
		t.Fatal(err)
	}
	r.wait("the end of the watch", first.Done())
}

// etcd counts leases in whole seconds.
func TestLeaseInSeconds(t *testing.T) {
	for _, ttl := range []time.Duration{-time.Second, 500 * time.Millisecond, 1500 * time.Millisecond} {
		if _, err := Join(t.Context(), Config{TTL: ttl}); err == nil || !strings.Contains(err.Error(), "whole seconds") {
			t.Errorf("%v: %v", ttl, err)
		}
	}
}
