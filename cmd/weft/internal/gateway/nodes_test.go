package gateway

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/rdma"
)

// Another gateway removes a target while this one starts and has no store yet.
func TestRemovedBeforeTheStore(t *testing.T) {
	ns := newNodes(nil, nil, [16]byte{1}, nil, 0, slog.New(slog.DiscardHandler))
	row := metadata.Target{ID: 1, UUID: [16]byte{2}, Path: "node:/dir"}
	ns.learn([]metadata.Target{row})
	row.Retired = true
	ns.learn([]metadata.Target{row})
	if !ns.isRetired(row.ID) || len(ns.targets) != 0 {
		t.Fatal("a removed target is there: ", ns.targets)
	}
}

// dials counts them.
type dials struct {
	rdma.Transport
	n int
}

func (d *dials) Dial(context.Context, string) (rdma.Conn, error) {
	d.n++
	return nil, errors.New("nobody is there")
}

// A node leaves the cluster map while `admin repair` has the link to it in hand: it is not connected to
// again, as its targets would then be those of a link that nobody looks at.
func TestLinkEndsUnderRepair(t *testing.T) {
	fabric := new(dials)
	ns := newNodes(fabric, nil, [16]byte{1}, nil, 0, slog.New(slog.DiscardHandler))
	ns.run, ns.stop = context.WithCancel(t.Context())
	l := newLink(ns, Node{Name: "n", Address: "a"})
	l.poll(t.Context())
	ns.begin(l)
	before := fabric.n
	if err := ns.end(l); err != nil {
		t.Fatal(err)
	}
	if l.poll(t.Context()); fabric.n != before {
		t.Error("it was dialed after its end")
	}
	if err := ns.close(); err != nil {
		t.Fatal(err)
	}
}
