package rc

import (
	"errors"
	"testing"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/internal/verbs"
	"github.com/weftstore/weft/rdma/internal/wire"
)

// TestBacklogIsBounded: a peer that pings without taking the answers is cut off.
func TestBacklogIsBounded(t *testing.T) {
	l := &lane{qp: &verbs.QP{}}
	l.once.Do(func() {}) // there is nothing to take down
	l.send.init(l, 4, 0, 0)
	l.send.posted = 4 // nothing completes
	for range 10_000 {
		if err := l.send.message(&wire.Header{Kind: wire.Pong}, nil); err != nil {
			if !errors.Is(err, rdma.ErrPeer) {
				t.Error(err)
			}
			return
		}
	}
	t.Errorf("%d messages wait", len(l.send.backlog))
}
