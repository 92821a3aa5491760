package node

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/weftstore/weft/node/extent"
	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/network"
)

// Fault model: calls to a disk do not return, and the gateway goes on for a while to send it
// what others send to all disks. The other targets of the node have memory for transfers still.
func TestHungTargetLeavesStaging(t *testing.T) {
	const staging, piece = 4 * rdma.MaxBulk, 1 << 20
	fabric, err := network.New(network.Config{Kind: network.TCP, Options: rdma.Options{
		Secret: bytes.Repeat([]byte("s"), rdma.MinSecret), Staging: staging,
	}})
	if err != nil {
		t.Fatal(err)
	}
	fakes := map[string]*fakeBackend{"hung": newFake(seq(1)), "other": newFake(seq(7))}
	s := New(Config{
		Staging: staging, CheckEvery: time.Hour,
		Inspect: func(string) (DirInfo, error) { return DirInfo{}, nil },
		Open: func(dir string, _ OpenOptions) (Backend, extent.Identity, error) {
			return fakes[dir], fakes[dir].id, nil
		},
	})
	targets := map[string]*Target{}
	server, err := fabric.Serve("127.0.0.1:0", s.Handler())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := fabric.Dial(t.Context(), server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	for dir := range fakes {
		id, err := s.Add(t.Context(), dir, AddOptions{})
		if err != nil {
			t.Fatal(err)
		}
		targets[dir] = NewClient(conn).Target(id)
	}
	region, err := fabric.Register(piece)
	if err != nil {
		t.Fatal(err)
	}
	src, crcs := region.Remote(0, piece), sums(region.Bytes())
	release, hang := make(chan struct{}), make(chan struct{}, 64)
	defer func() { _ = fabric.Close() }()
	open := sync.OnceFunc(func() { close(release) })
	defer open()
	fakes["hung"].inject(func(op string) error {
		if op == "write" {
			hang <- struct{}{}
			<-release
		}
		return nil
	})
	w, err := targets["hung"].Create(t.Context(), testID(1), 16*piece)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var sent sync.WaitGroup
	for i := range int64(16) {
		sent.Go(func() {
			if err := w.Write(ctx, i*piece, src, crcs); err == nil {
				t.Error("a write to a hung target succeeds")
			}
		})
	}
	for range rdma.MaxBulk / piece {
		<-hang
	}
	other, err := targets["other"].Create(t.Context(), testID(1), 16*piece)
	if err != nil {
		t.Fatal(err)
	}
	call, end := context.WithTimeout(t.Context(), 20*time.Second)
	defer end()
	for i := range int64(16) {
		if err := other.Write(call, i*piece, src, crcs); err != nil {
			t.Errorf("write %d to another target: %v", i, err)
			break
		}
	}
	cancel()
	sent.Wait()
	if n := len(hang); n != 0 {
		t.Errorf("%d more transfers of the hung target have memory than are its share", n)
	}
	open()
	if err := errors.Join(region.Close(), s.Close()); err != nil {
		t.Error(err)
	}
}
