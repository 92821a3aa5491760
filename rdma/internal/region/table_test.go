package region

import (
	"errors"
	"testing"

	"github.com/weftstore/weft/rdma"
)

func TestWindow(t *testing.T) {
	b, err := Map(5000, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	var table Table
	if _, _, err := table.Window(Remote(b, 7, 0, 1)); !errors.Is(err, rdma.ErrRemote) {
		t.Errorf("window in an empty table: %v", err)
	}
	e := table.AddNew(b)
	whole := Remote(b, e.Key(), 0, len(b))
	for name, w := range map[string]rdma.Remote{
		"key":      {Addr: whole.Addr, RKey: whole.RKey + 1, Len: 1},
		"before":   {Addr: whole.Addr - 1, RKey: whole.RKey, Len: 1},
		"beyond":   {Addr: whole.Addr + 1, RKey: whole.RKey, Len: whole.Len},
		"far":      {Addr: whole.Addr + 1<<40, RKey: whole.RKey, Len: 1},
		"wrapping": {Addr: ^uint64(0) - 3, RKey: whole.RKey, Len: 8},
	} {
		if _, _, err := table.Window(w); !errors.Is(err, rdma.ErrRemote) {
			t.Errorf("%s: %v", name, err)
		}
	}
	in, p, err := table.Window(Remote(b, e.Key(), 16, 100))
	if err != nil || len(p) != 100 || cap(p) != 100 || &p[0] != &b[16] {
		t.Fatalf("window of %d bytes, %v", len(p), err)
	}
	removed := make(chan struct{})
	go func() { e.Remove(); close(removed) }()
	for !in.transfers.IsShut() {
		select {
		case <-removed:
			t.Fatal("removed under a window")
		default:
		}
	}
	if _, _, err := table.Window(whole); !errors.Is(err, rdma.ErrRemote) {
		t.Errorf("window under removal: %v", err)
	}
	p[0] = 1 // still mapped
	in.Leave()
	<-removed
	e.Remove()
	if err := Unmap(b); err != nil {
		t.Error(err)
	}
}
