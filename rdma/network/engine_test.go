package network

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/internal/wire"
)

// The engine alone, over the fake wire, in a bubble: what it does when, to the
// millisecond.

func echo(_ context.Context, _ rdma.Peer, req, rep []byte) int { return copy(rep, req) }

// rig is a client and a server in a bubble.
type rig struct {
	client, server *Transport
	s              rdma.Server
	c              rdma.Conn
}

func newRig(t *testing.T, o rdma.Options, h rdma.Handler, over ...*cables) *rig {
	t.Helper()
	r := &rig{client: fakeTransport(t, o, over...), server: fakeTransport(t, o, over...)}
	var err error
	if r.s, err = r.server.Serve("127.0.0.1:0", h); err != nil {
		t.Fatal(err)
	}
	if r.c, err = r.client.Dial(t.Context(), r.s.Addr()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(r.c.Close(), r.s.Close()); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *rig) echoes(t *testing.T) {
	t.Helper()
	if n, err := r.c.Call(t.Context(), []byte("abc"), make([]byte, 8)); n != 3 || err != nil {
		t.Errorf("call: %d, %v", n, err)
	}
}

// TestKeepAlive: a peer that is silent three times KeepAlive is given up by both ends,
// calls without a deadline end then, and an idle lane lives on.
func TestKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCables()
		blocked := make(chan struct{})
		r := newRig(t, rdma.Options{Lanes: 1, KeepAlive: time.Second}, func(ctx context.Context, p rdma.Peer, req, rep []byte) int {
			if req[0] == 'b' {
				<-blocked
			}
			return echo(ctx, p, req, rep)
		}, c)
		<-time.After(time.Hour)
		r.echoes(t)
		if s := r.client.Stats(); s.KeepAliveKills != 0 || s.Redials != 0 {
			t.Errorf("an idle hour: %+v", s)
		}
		done := make(chan error, 1)
		go func() {
			_, err := r.c.Call(context.Background(), []byte("block"), make([]byte, 8))
			done <- err
		}()
		synctest.Wait()
		c.mute.Store(true)
		start := time.Now()
		err := <-done
		if took := time.Since(start); !errors.Is(err, rdma.ErrPeer) || took < 2*time.Second || took > 4*time.Second {
			t.Errorf("call to a silent peer: %v after %s", err, took)
		}
		close(blocked)
		c.mute.Store(false)
		<-time.After(5 * time.Second)
		r.echoes(t)
		client, server := r.client.Stats(), r.server.Stats()
		if client.KeepAliveKills+server.KeepAliveKills == 0 || client.Redials == 0 {
			t.Errorf("client %+v, server %+v", client, server)
		}
		if client.Connections != 1 || server.Connections != 1 {
			t.Errorf("%d and %d lanes are up", client.Connections, server.Connections)
		}
	})
}

// TestSlots: no more calls than slots are under way; the others wait in turn, are
// counted, and give up with their contexts.
func TestSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int64
		var mu sync.Mutex
		var order []byte
		release := make(chan struct{})
		r := newRig(t, rdma.Options{Lanes: 2, Slots: 3}, func(_ context.Context, _ rdma.Peer, req, rep []byte) int {
			if n := running.Add(1); n > most.Load() {
				most.Store(n)
			}
			mu.Lock()
			order = append(order, req[0])
			mu.Unlock()
			<-release
			running.Add(-1)
			return copy(rep, req)
		}, newCables())
		<-time.After(time.Second) // both lanes are up
		results := make(chan error, 20)
		for i := range 10 {
			go func() {
				_, err := r.c.Call(context.Background(), []byte{byte(i)}, make([]byte, 1))
				results <- err
			}()
			synctest.Wait() // so that they come in this order
		}
		if s := r.client.Stats(); s.CallsInFlight != 6 || s.CreditsWaiting != 4 || s.CreditWaits != 4 {
			t.Errorf("%d under way, %d wait, %d had to", s.CallsInFlight, s.CreditsWaiting, s.CreditWaits)
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := r.c.Call(short, []byte{99}, make([]byte, 1))
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("a call that waits for a slot: %v after %s", err, time.Since(start))
		}
		for range 10 {
			release <- struct{}{}
			synctest.Wait()
		}
		for range 10 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if most.Load() != 6 || !slices.Equal(order[6:], []byte{6, 7, 8, 9}) || slices.Contains(order, 99) {
			t.Errorf("%d at once, in the order %v", most.Load(), order)
		}
		if s := r.client.Stats(); s.CreditsWaiting != 0 || s.CallsInFlight != 0 {
			t.Errorf("in the end %d wait and %d are under way", s.CreditsWaiting, s.CallsInFlight)
		}
	})
}

// TestNoLane: without a lane calls fail at once, those that wait too; when the other
// end is back it is dialed again, with growing intervals.
func TestNoLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCables()
		r := newRig(t, rdma.Options{Lanes: 1, Slots: 1}, func(ctx context.Context, p rdma.Peer, req, rep []byte) int {
			if req[0] == 'b' {
				<-ctx.Done()
			}
			return echo(ctx, p, req, rep)
		}, c)
		errs := make(chan error, 3)
		for range 3 { // one is under way, two wait
			go func() {
				_, err := r.c.Call(context.Background(), []byte("b"), make([]byte, 8))
				errs <- err
			}()
		}
		<-time.After(10 * time.Second)
		c.down.Store(true)
		start := time.Now()
		for _, s := range servedBy(r.server) {
			s.w.Break(errors.New("pulled"))
		}
		for range 3 {
			if err := <-errs; !errors.Is(err, rdma.ErrPeer) {
				t.Errorf("call: %v", err)
			}
		}
		if _, err := r.c.Call(t.Context(), []byte("x"), make([]byte, 8)); !errors.Is(err, rdma.ErrPeer) {
			t.Errorf("call without a lane: %v", err)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("that took %s", took)
		}
		<-time.After(time.Minute)
		c.down.Store(false)
		<-time.After(2 * time.Second) // the longest interval
		r.echoes(t)
	})
}

func servedBy(t *Transport) []*served {
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []*served
	for s := range t.servers {
		list = append(list, s.list()...)
	}
	return list
}

// TestUpgrade: where the preferred wire does not work a lane is made over the next;
// when it works again the lane moves, without a call noticing.
func TestUpgrade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fast, slow := newCables(), newCables()
		fast.down.Store(true)
		release := make(chan struct{})
		r := newRig(t, rdma.Options{Lanes: 2}, func(ctx context.Context, p rdma.Peer, req, rep []byte) int {
			if req[0] == 'b' {
				<-release
			}
			return echo(ctx, p, req, rep)
		}, fast, slow)
		lanes := func() string {
			w := r.client.Wires()
			return fmt.Sprint(w[0].Stats().Connections, w[1].Stats().Connections)
		}
		<-time.After(time.Minute)
		r.echoes(t)
		if got := lanes(); got != "0 2" {
			t.Errorf("lanes over each wire: %s, want 0 2", got)
		}
		done := make(chan error, 1)
		go func() {
			_, err := r.c.Call(context.Background(), []byte("b"), make([]byte, 8))
			done <- err
		}()
		synctest.Wait()
		fast.down.Store(false)
		<-time.After(upgradeEvery + 3*time.Second)
		if got := lanes(); got != "2 1" {
			t.Errorf("lanes over each wire: %s, want 2 1: the old one with its call", got)
		}
		<-time.After(time.Minute) // longer than a lane without a sign of life lives
		close(release)
		if err := <-done; err != nil {
			t.Errorf("call on the old lane: %v", err)
		}
		synctest.Wait()
		if got := lanes(); got != "2 0" {
			t.Errorf("lanes over each wire: %s, want 2 0", got)
		}
		r.echoes(t)
		calls := r.client.Wires()[0].Stats().Calls
		if r.echoes(t); r.client.Wires()[0].Stats().Calls != calls+1 {
			t.Error("a call went over the other wire")
		}
	})
}

// TestUpgradeInVain: a lane lives on while a better wire is tried that does not answer.
func TestUpgradeInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fast := newCables()
		fast.lost.Store(true)
		r := newRig(t, rdma.Options{Lanes: 1, KeepAlive: 500 * time.Millisecond}, echo, fast, newCables())
		<-time.After(3 * upgradeEvery)
		r.echoes(t)
		if s := r.server.Stats(); s.KeepAliveKills != 0 {
			t.Errorf("%d lanes were given up", s.KeepAliveKills)
		}
	})
}

// TestStaging: transfers beyond the staging memory wait in the order in which they
// came, whatever their sizes, and end with their contexts.
func TestStaging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mems := make(chan rdma.Region, 1)
		release := make(chan struct{})
		var mu sync.Mutex
		var order []string
		errs := make(chan error, 8)
		r := newRig(t, rdma.Options{Lanes: 1, Staging: 2 * rdma.MaxBulk}, func(ctx context.Context, p rdma.Peer, req, _ []byte) int {
			mem := <-mems
			mems <- mem
			size := map[byte]int{'h': rdma.MaxBulk, 's': 4096}[req[0]]
			if req[0] == 's' {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, time.Hour)
				defer cancel()
			}
			err := p.Pull(ctx, mem.Remote(0, size), func([]byte) error {
				mu.Lock()
				order = append(order, string(req))
				mu.Unlock()
				<-release
				return nil
			})
			if err != nil {
				errs <- err
			}
			return 0
		}, newCables())
		mem, err := r.client.Register(rdma.MaxBulk)
		if err != nil {
			t.Fatal(err)
		}
		defer mem.Close()
		mems <- mem
		var all sync.WaitGroup
		call := func(name string, limit time.Duration) {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), limit)
				defer cancel()
				_, _ = r.c.Call(ctx, []byte(name), make([]byte, 8))
			})
			<-time.After(100 * time.Millisecond)
		}
		call("huge 1", time.Hour)
		call("huge 2", time.Hour)
		call("huge 3", time.Second) // waits, and gives up
		call("huge 4", time.Hour)   // waits
		call("small 5", time.Hour)  // waits behind it
		s := r.server.Stats()
		if s.StagingInUse != 2*rdma.MaxBulk || s.StagingWaiting != 3 {
			t.Errorf("%d bytes in use, %d wait", s.StagingInUse, s.StagingWaiting)
		}
		if err := <-errs; !errors.Is(err, rdma.ErrNoMemory) || !(errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)) {
			t.Errorf("the one that gave up: %v", err)
		}
		for range 4 {
			release <- struct{}{}
			<-time.After(100 * time.Millisecond)
		}
		all.Wait()
		if want := []string{"huge 1", "huge 2", "huge 4", "small 5"}; !slices.Equal(order, want) {
			t.Errorf("order %q, want %q", order, want)
		}
		if s := r.server.Stats(); s.StagingInUse != 0 || s.StagingWaiting != 0 {
			t.Errorf("in the end %d bytes in use, %d wait", s.StagingInUse, s.StagingWaiting)
		}
	})
}

// TestPrompt: prompt requests are handled as they arrive, one after the other, and must
// not transfer; others do not wait for each other.
func TestPrompt(t *testing.T) {
	var under, most atomic.Int64
	o := rdma.Options{Lanes: 1, Prompt: func(req []byte) bool { return string(req) == "prompt" }}
	hold := make(chan struct{})
	r := newRig(t, o, func(ctx context.Context, p rdma.Peer, req, rep []byte) int {
		if string(req) == "slow" {
			<-hold
			return 0
		}
		most.Store(max(most.Load(), under.Add(1)))
		defer under.Add(-1)
		err := p.Pull(ctx, rdma.Remote{Len: 1}, func([]byte) error { return nil })
		if !errors.Is(err, errPromptTransfer) {
			return copy(rep, "pulled")
		}
		return copy(rep, req)
	}, newCables())
	var slow, all sync.WaitGroup
	slow.Go(func() { _, _ = r.c.Call(t.Context(), []byte("slow"), nil) })
	for range 8 {
		all.Go(func() {
			rep := make([]byte, 8)
			if n, err := r.c.Call(t.Context(), []byte("prompt"), rep); err != nil || string(rep[:n]) != "prompt" {
				t.Errorf("call: %q, %v", rep[:n], err)
			}
		})
	}
	all.Wait()
	close(hold)
	slow.Wait()
	if most.Load() != 1 {
		t.Errorf("%d prompt handlers of one lane ran at once", most.Load())
	}
}

// TestCloseUnderDial: a Dial without a deadline that Close overtakes returns.
func TestCloseUnderDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &conn{t: fakeTransport(t, rdma.Options{}, newCables()), addr: "127.0.0.1:1"}
		c.ctx, c.cancel = context.WithCancel(context.Background())
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if err := c.open(context.Background()); !errors.Is(err, rdma.ErrClosed) {
			t.Errorf("open: %v", err)
		}
	})
}

// TestCloseUnderClose: Close of a transport waits for a connection that another closes just
// then: its devices are closed next.
func TestCloseUnderClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rdma.Options{Lanes: 1}, echo, newCables())
		l := r.c.(*conn).lanes[0]
		transfers := &l.w.(*fakeLane).pair.transfers
		transfers.Add(1) // the lane is not broken before it is over
		go r.c.Close()
		synctest.Wait()
		closed := make(chan error, 1)
		go func() { closed <- r.client.Close() }()
		synctest.Wait()
		if len(closed) > 0 {
			t.Error("the transport is closed and a lane is not")
		}
		transfers.Done()
		if err := <-closed; err != nil {
			t.Error(err)
		}
	})
}

// TestDialUnderClose: a caller that comes while a transport closes does not keep it open with
// a call without a deadline.
func TestDialUnderClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCables()
		r := newRig(t, rdma.Options{Lanes: 1}, func(ctx context.Context, _ rdma.Peer, _, _ []byte) int {
			<-ctx.Done()
			return 0
		}, c)
		transfers := &r.c.(*conn).lanes[0].w.(*fakeLane).pair.transfers
		transfers.Add(1) // the lane is not broken before it is over
		closed := make(chan error, 1)
		go func() { closed <- r.server.Close() }()
		synctest.Wait()
		late, err := fakeTransport(t, rdma.Options{Lanes: 1}, c).Dial(t.Context(), r.s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = late.Call(context.Background(), nil, nil) }()
		synctest.Wait()
		transfers.Done()
		<-time.After(time.Minute)
		if len(closed) == 0 {
			t.Error("the transport does not close")
		}
		if err := errors.Join(late.Close(), <-closed); err != nil {
			t.Error(err)
		}
	})
}

// TestKeepAliveOfSlowCalls: answers that come one by one are no sign of life to the end that
// sends them: the caller, which has nothing else to say, still gives one.
func TestKeepAliveOfSlowCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rdma.Options{Lanes: 1, KeepAlive: time.Second}, func(ctx context.Context, p rdma.Peer, req, rep []byte) int {
			<-time.After(time.Duration(req[0]) * 700 * time.Millisecond)
			return echo(ctx, p, req, rep)
		}, newCables())
		var calls sync.WaitGroup
		for i := range 12 {
			calls.Go(func() {
				if _, err := r.c.Call(context.Background(), []byte{byte(i)}, make([]byte, 8)); err != nil {
					t.Errorf("call %d: %v", i, err)
				}
			})
		}
		calls.Wait()
	})
}

// TestStuckHandler: a handler that a disk keeps past the end of its call costs the other
// calls on the lane nothing; its caller is answered in time, and so are as many as the lane
// has slots.
func TestStuckHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck, slow := make(chan struct{}), make(chan struct{})
		r := newRig(t, rdma.Options{Lanes: 1, Slots: 3}, func(ctx context.Context, p rdma.Peer, req, rep []byte) int {
			switch req[0] {
			case 's':
				<-stuck
			case 'w':
				<-slow
			}
			return echo(ctx, p, req, rep)
		}, newCables())
		other := make(chan error, 1)
		go func() {
			_, err := r.c.Call(context.Background(), []byte("wait"), make([]byte, 8))
			other <- err
		}()
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			start := time.Now()
			_, err := r.c.Call(ctx, []byte("stuck"), make([]byte, 8))
			cancel()
			if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took >= 2*time.Second {
				t.Errorf("call of a handler that does not return: %v after %s", err, took)
			}
			r.echoes(t)
		}
		close(slow)
		if err := <-other; err != nil {
			t.Errorf("another call: %v", err)
		}
		close(stuck)
		synctest.Wait()
		r.echoes(t)
		if s := r.client.Stats(); s.Redials != 0 {
			t.Errorf("%d lanes were broken", s.Redials)
		}
		for _, l := range servedBy(r.server) {
			if len(l.calls) != 0 || l.deserted != 0 {
				t.Errorf("%d calls and %d handlers are left", len(l.calls), l.deserted)
			}
		}
	})
}

// TestLostAtOnce: a server that takes lanes and drops them at once, as one that has too
// many, is dialed ever more rarely, as one is that takes none.
func TestLostAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := fakeTransport(t, rdma.Options{Lanes: 1}, newCables())
		var taken atomic.Int64
		l, err := client.nets[0].Listen("127.0.0.1:0", nil, func(w wire.Lane) {
			taken.Add(1)
			w.Break(errors.New("too many lanes"))
		})
		if err != nil {
			t.Fatal(err)
		}
		c, err := client.Dial(t.Context(), l.Addr())
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Minute)
		if n := taken.Load(); n < 20 || n > 80 {
			t.Errorf("it was dialed %d times in a minute", n)
		}
		if err := errors.Join(c.Close(), l.Close()); err != nil {
			t.Error(err)
		}
	})
}
