package mem

import (
	"context"
	"testing"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/rdmatest"
)

func TestConformance(t *testing.T) {
	rdmatest.Run(t, func(t *testing.T) (client, server rdma.Transport, addr string) {
		n := New()
		t.Cleanup(func() {
			if err := n.Close(); err != nil {
				t.Error(err)
			}
		})
		return n, n, ""
	})
}

// TestLendsCallersMemory: no copy is made in either direction.
func TestLendsCallersMemory(t *testing.T) {
	n := New()
	defer n.Close()
	r, err := n.Register(8192)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	calls := 0
	lent := func(p []byte) error {
		calls++
		if &p[0] != &r.Bytes()[4096] || len(p) != 100 || cap(p) != 100 {
			t.Errorf("lent %p, %d bytes, capacity %d", &p[0], len(p), cap(p))
		}
		return nil
	}
	inHandler(t, n, func(ctx context.Context, p rdma.Peer) {
		if err := p.Pull(ctx, r.Remote(4096, 100), lent); err != nil {
			t.Error(err)
		}
		if err := p.Push(ctx, r.Remote(4096, 100), lent); err != nil {
			t.Error(err)
		}
	})
	if calls != 2 {
		t.Errorf("%d callbacks, want 2", calls)
	}
}

// TestCloseWaitsForTransfer: memory that is lent stays mapped.
func TestCloseWaitsForTransfer(t *testing.T) {
	n := New()
	defer n.Close()
	r, err := n.Register(4096)
	if err != nil {
		t.Fatal(err)
	}
	remote := r.Remote(0, 4096)
	closed := make(chan struct{})
	inHandler(t, n, func(ctx context.Context, p rdma.Peer) {
		err := p.Push(ctx, remote, func(b []byte) error {
			go func() {
				_ = r.Close()
				close(closed)
			}()
			for r.Bytes() != nil { // until Close has begun
				select {
				case <-closed:
					t.Error("Close returned while the memory was lent")
					return nil
				default:
				}
			}
			if err := p.Pull(ctx, remote, func([]byte) error { return nil }); err == nil {
				// Between the first step of Close and the second a transfer may begin.
				t.Log("transfer began as Close did")
			}
			clear(b)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-closed
}

// TestHandlerMayNotKeepPeer: transfers after the handler's return are refused,
// and those it left behind are waited for.
func TestHandlerMayNotKeepPeer(t *testing.T) {
	n := New()
	defer n.Close()
	r, err := n.Register(4096)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var kept rdma.Peer
	finished := false
	inHandler(t, n, func(ctx context.Context, p rdma.Peer) {
		kept = p
		inside, started := make(chan struct{}), make(chan struct{})
		go func() {
			_ = p.Pull(context.WithoutCancel(ctx), r.Remote(0, 10), func([]byte) error {
				close(started)
				<-inside
				finished = true
				return nil
			})
		}()
		<-started
		close(inside)
	})
	if !finished {
		t.Error("Call returned with a transfer under way")
	}
	if err := kept.Pull(t.Context(), r.Remote(0, 10), func([]byte) error { return nil }); err == nil {
		t.Error("a peer was used after its handler had returned")
	}
}

// inHandler runs f in a handler.
func inHandler(t *testing.T, n *Transport, f func(ctx context.Context, p rdma.Peer)) {
	t.Helper()
	s, err := n.Serve("", func(ctx context.Context, p rdma.Peer, _, _ []byte) int {
		f(ctx, p)
		return 0
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := n.Dial(t.Context(), s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Call(t.Context(), nil, nil); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkCall(b *testing.B) {
	n := New()
	defer n.Close()
	s, err := n.Serve("", func(_ context.Context, _ rdma.Peer, req, rep []byte) int { return copy(rep, req) })
	if err != nil {
		b.Fatal(err)
	}
	c, err := n.Dial(b.Context(), s.Addr())
	if err != nil {
		b.Fatal(err)
	}
	for _, size := range []struct {
		name string
		rep  int
	}{{"PooledReply", 100}, {"OwnReply", rdma.MaxMessage}} {
		b.Run(size.name, func(b *testing.B) {
			b.ReportAllocs()
			req, rep := make([]byte, 88), make([]byte, size.rep)
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			for b.Loop() {
				if _, err := c.Call(ctx, req, rep); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
