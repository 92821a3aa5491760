package etcdkv

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/etcd/client/v3"

	"github.com/weftstore/weft/metadata"
)

// The fault model: a connection is cut at any byte of etcd's answers, so that a request
// was carried out and its answer is lost, whole or in part; etcd is killed and started
// again; leases end. Bytes are not changed.

// proxy forwards connections to a server and cuts them on demand.
type proxy struct {
	l      net.Listener
	to     string
	mu     sync.Mutex
	conns  map[net.Conn]bool
	budget atomic.Int64 // bytes of answers until all connections are cut; negative: none
	cuts   atomic.Int64
	asked  atomic.Int64 // connections
}

func newProxy(t *testing.T, to string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{l: l, to: to, conns: map[net.Conn]bool{}}
	p.budget.Store(-1)
	t.Cleanup(func() { l.Close(); p.cut() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.asked.Add(1)
			go p.serve(c)
		}
	}()
	return p
}

func (p *proxy) serve(c net.Conn) {
	up, err := net.Dial("tcp", p.to)
	if err != nil {
		c.Close()
		return
	}
	p.mu.Lock()
	p.conns[c], p.conns[up] = true, true
	p.mu.Unlock()
	go func() { _, _ = io.Copy(up, c); up.Close() }()
	buf := make([]byte, 32<<10)
	for {
		n, err := up.Read(buf)
		if err != nil {
			break
		}
		if b := p.budget.Load(); b >= 0 {
			if int64(n) >= b && p.budget.CompareAndSwap(b, -1) {
				_, _ = c.Write(buf[:min(int64(n), b)])
				p.cuts.Add(1)
				p.cut()
				break
			}
			p.budget.CompareAndSwap(b, b-int64(n))
		}
		if _, err := c.Write(buf[:n]); err != nil {
			break
		}
	}
	c.Close()
	up.Close()
}

// cut closes all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
		delete(p.conns, c)
	}
}

func count(r metadata.Reader, key string) (uint64, error) {
	v, err := r.Get([]byte(key))
	if err != nil || v == nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(v), nil
}

func increment(ctx context.Context, d *DB, key string) error {
	return d.Update(ctx, func(txn metadata.Txn) error {
		n, err := count(txn, key)
		if err != nil {
			return err
		}
		return txn.Put([]byte(key), binary.BigEndian.AppendUint64(nil, n+1))
	})
}

func wantCount(t *testing.T, d *DB, key string, want uint64) {
	t.Helper()
	var n uint64
	if err := d.View(t.Context(), func(r metadata.Reader) (err error) {
		n, err = count(r, key)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if n != want {
		t.Errorf("%s counts %d, want %d", key, n, want)
	}
}

// TestLostAnswers: increments are not idempotent, so each that is run twice or reported
// falsely changes the sum.
func TestLostAnswers(t *testing.T) {
	s := startEtcd(t, "http")
	p := newProxy(t, s.Addr)
	d := s.openWith(t, Config{Endpoints: []string{p.l.Addr().String()}, Prefix: "/lost/", RequestTimeout: 20 * time.Second})
	stop := make(chan struct{})
	var cutter, wg sync.WaitGroup
	cutter.Go(func() {
		for i := int64(0); ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(3 * time.Millisecond):
				p.budget.Store(i * 37 % 400)
			}
		}
	})
	const workers, each = 6, 60
	for w := range workers {
		wg.Go(func() {
			for range each {
				key := string(rune('a' + w%2)) // some conflict, too
				for {
					err := increment(t.Context(), d, key)
					if err == nil {
						break
					}
					if errors.Is(err, metadata.ErrUnknown) {
						t.Errorf("outcome not found out: %v", err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	cutter.Wait()
	p.budget.Store(-1)
	direct := s.openWith(t, Config{Endpoints: []string{s.Addr}, Prefix: "/lost/"})
	wantCount(t, direct, "a", workers/2*each)
	wantCount(t, direct, "b", workers/2*each)
	st := d.Stats()
	t.Logf("%d cuts, %+v", p.cuts.Load(), st)
	if st.Resolved == 0 {
		t.Error("no commit lost its answer: the test shows nothing")
	}
}

// Fault model: the host is suspended for longer than the lease of the markers lives, while an
// answer is on its way. Then a marker that is gone tells nothing.
func TestMarkerAfterSuspend(t *testing.T) {
	s := startEtcd(t, "http")
	d := s.open(t)
	mk, err := d.markers.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d.dropMarker(t.Context(), mk)
	if done, err := d.settleMarker(t.Context(), mk); done || err != nil {
		t.Errorf("with the lease alive: %v, %v", done, err)
	}
	d.markers.mu.Lock()
	d.markers.slept -= 2 * leaseSeconds * time.Second // as if it had been since
	d.markers.mu.Unlock()
	if done, err := d.settleMarker(t.Context(), mk); err == nil {
		t.Errorf("a marker that went with its lease says that a commit happened: %t", done)
	}
}

// TestFence: a commit that is delayed until after its outcome was settled does not
// happen any more, and one that happened is found to have.
func TestFence(t *testing.T) {
	s := startEtcd(t, "http")
	d := s.open(t)
	commit := func(mk *marker) bool {
		resp, err := d.client.Do(t.Context(), clientv3.OpTxn(
			[]clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(mk.key), "=", mk.mod)},
			[]clientv3.Op{clientv3.OpPut(mk.key, "", clientv3.WithLease(mk.lease))}, nil))
		if err != nil {
			t.Fatal(err)
		}
		return resp.Txn().Succeeded
	}
	late, err := d.markers.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the answer of the first may be lost as well
		if done, err := d.settleMarker(t.Context(), late); done || err != nil {
			t.Fatalf("a commit that did not happen: %v, %v", done, err)
		}
	}
	if commit(late) {
		t.Error("a commit happened after it was said not to have")
	}
	early, err := d.markers.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !commit(early) {
		t.Fatal("commit refused")
	}
	if done, err := d.settleMarker(t.Context(), early); !done || err != nil {
		t.Errorf("a commit that happened: %v, %v", done, err)
	}
}

// TestLeaseEnds: without its markers a DB makes new ones.
func TestLeaseEnds(t *testing.T) {
	s := startEtcd(t, "http")
	d := s.open(t)
	for range 3 {
		if err := increment(t.Context(), d, "n"); err != nil {
			t.Fatal(err)
		}
		d.markers.mu.Lock()
		lease := d.markers.lease
		d.markers.mu.Unlock()
		if _, err := d.client.Revoke(t.Context(), lease); err != nil {
			t.Fatal(err)
		}
	}
	if err := increment(t.Context(), d, "n"); err != nil {
		t.Fatal(err)
	}
	wantCount(t, d, "n", 4)
}

// TestLeaseOfManyEnds: a commit does not try all markers of a lease that ended, one after the other.
func TestLeaseOfManyEnds(t *testing.T) {
	s := startEtcd(t, "http")
	d := s.open(t)
	var all []*marker
	for range 100 {
		mk, err := d.markers.get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, mk)
	}
	for _, mk := range all {
		d.markers.put(mk)
	}
	if _, err := d.client.Revoke(t.Context(), all[0].lease); err != nil {
		t.Fatal(err)
	}
	if err := increment(t.Context(), d, "n"); err != nil {
		t.Fatal(err)
	}
	if n := d.Stats().Conflicts; n != 1 {
		t.Errorf("%d commits were refused", n)
	}
}

// TestRestart: etcd is killed and started again under load.
func TestRestart(t *testing.T) {
	s := startEtcd(t, "http")
	d := s.openWith(t, Config{Endpoints: []string{s.Addr}, Prefix: "/restart/"})
	const workers, each = 4, 150
	var wg sync.WaitGroup
	var done atomic.Int64
	half := make(chan struct{})
	for range workers {
		wg.Go(func() {
			for range each {
				for increment(t.Context(), d, "n") != nil {
					if t.Context().Err() != nil {
						return
					}
				}
				if done.Add(1) == workers*each/2 {
					close(half)
				}
			}
		})
	}
	<-half
	s.Kill()
	s.Restart()
	wg.Wait()
	wantCount(t, d, "n", workers*each)
	t.Logf("%+v", d.Stats())
}

// TestTriedAgainSoon: however long etcd has been away, its return is noticed within a second or two.
func TestTriedAgainSoon(t *testing.T) {
	s := startEtcd(t, "http")
	p := newProxy(t, s.Addr)
	d := s.openWith(t, Config{Endpoints: []string{p.l.Addr().String()}, Prefix: "/soon/"})
	s.Kill()
	p.cut()
	p.asked.Store(0)
	const away = 8 * time.Second
	time.Sleep(away)
	if n, least := p.asked.Load(), int64(away/connecting.Backoff.MaxDelay)*3/4; n < least {
		t.Errorf("tried %d times in %v, want %d or more", n, away, least)
	}
	s.Restart()
	if err := increment(t.Context(), d, "n"); err != nil {
		t.Fatal(err)
	}
}
