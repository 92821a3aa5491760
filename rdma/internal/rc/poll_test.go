package rc

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/internal/verbs"
	"github.com/weftstore/weft/rdma/internal/wire"
)

// TestWaitForSpin: wait does not return while a caller spins. What it has polled lies in
// memory that is unmapped next.
func TestWaitForSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lane{n: &Network{cfg: wire.Config{Options: rdma.Options{SpinFor: time.Second}}}}
		l.poll.init(l)
		waited := make(chan struct{})
		asked := 0
		l.poll.spin(func() bool {
			if asked++; asked == 2 { // it has the turn
				go func() {
					l.poll.wait()
					close(waited)
				}()
				synctest.Wait()
				select {
				case <-waited:
					t.Error("wait returned while somebody polls")
				default:
				}
			}
			return asked > 1
		})
		<-waited
	})
}

// deaf is a wire.Receiver that is told whether the lane broke.
type deaf struct{ broken chan error }

func (d deaf) Receive(wire.Message) wire.Work { return nil }
func (d deaf) Heard()                         {}
func (d deaf) Broken(err error)               { d.broken <- err }

// TestPongUnasked: a pong that nobody asked for ends the lane. It is not counted as the
// answer to a call, which nobody would poll for then.
func TestPongUnasked(t *testing.T) {
	l := &lane{n: &Network{}, to: deaf{}}
	l.once.Do(func() {}) // there is nothing to take down
	l.poll.init(l)
	l.poll.awaited.Store(1) // a call
	r := &recv{l: l, bytes: make([]byte, messageSize)}
	h := wire.Header{Kind: wire.Pong, ID: 7}
	h.Encode(r.bytes)
	l.received(r, wire.HeaderSize)
	if !l.poll.needed() {
		t.Error("nobody polls for the answer to a call")
	}
	if l.cause == nil {
		t.Error("the lane lives")
	}
}

// TestWriteWithImmediate: a WRITE of the peer that takes a receive puts no message into it, and
// its length is that of the WRITE. It ends the lane, not the process.
func TestWriteWithImmediate(t *testing.T) {
	l := &lane{n: &Network{}, to: deaf{}}
	l.once.Do(func() {}) // there is nothing to take down
	l.poll.init(l)
	l.recvs = []recv{{l: l, bytes: make([]byte, messageSize)}}
	l.poll.out[0] = verbs.Completion{ID: recvID, Op: verbs.WCRecvImm, Bytes: rdma.MaxBulk, Flags: verbs.WCWithImm}
	l.poll.take(1)
	if l.cause == nil {
		t.Error("the lane lives")
	}
}

// TestStartBroken: a lane that broke before it starts, as of a server that closes, tells
// its Receiver.
func TestStartBroken(t *testing.T) {
	l := &lane{n: &Network{}, down: make(chan struct{}), done: make(chan struct{}), cause: rdma.ErrClosed}
	close(l.down)
	close(l.done)
	to := deaf{make(chan error, 1)}
	l.Start(to)
	select {
	case err := <-to.broken:
		if !errors.Is(err, rdma.ErrPeer) {
			t.Error(err)
		}
	default:
		t.Error("the Receiver is not told")
	}
}
