package tcp

import (
	"bytes"
	"crypto/rand"
	"errors"
	"testing"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/internal/region"
	"github.com/weftstore/weft/rdma/internal/wire"
)

// pieceSize is more than one read takes where windows are small.
const pieceSize = 128 << 10

// TestPayloadInPieces: however a payload is cut and whatever follows it, all of it
// arrives, and what follows is not waited for.
func TestPayloadInPieces(t *testing.T) {
	plainAndTLS(t, func(t *testing.T, secure bool) {
		c := newCaller(t, rdma.Options{TLS: secure})
		want := make([]byte, rdma.MaxBulk)
		_, _ = rand.Read(want)
		id := uint64(0)
		for _, n := range []int{1, headSize, readBuffer, pieceSize - 1, pieceSize, pieceSize + 1, 1 << 20, rdma.MaxBulk} {
			for _, piece := range []int{n, n/2 + 1, pieceSize + 1, 100_000, 70_001} {
				id++
				clear(c.memory)
				h := head{Header: wire.Header{Kind: kindPush, ID: id, Value: region.Addr(c.memory), Length: uint32(n)}, key: memoryKey}
				all := bytesOf(h, want[:n])
				for len(all) > 0 {
					cut := min(piece, len(all))
					if _, err := c.script.Write(all[:cut]); err != nil {
						t.Fatal(err)
					}
					all = all[cut:]
				}
				if a, _ := frameOf(t, c.script); a.Kind != kindPushed || a.ID != id || a.Status != statusOK {
					t.Fatalf("%d bytes in pieces of %d: answered %+v", n, piece, a)
				}
				if !bytes.Equal(c.memory[:n], want[:n]) {
					t.Fatalf("%d bytes in pieces of %d: they are not those sent", n, piece)
				}
				send(t, c.script, head{Header: wire.Header{Kind: wire.Reply, ID: id}}, nil) // one small message
				if m := wait(t, c.got, "a message after a payload"); m.ID != id {
					t.Fatalf("got %+v", m)
				}
			}
		}
	})
}

// TestPayloadCutOff: a peer that leaves within a payload ends the lane at once,
// wherever that is.
func TestPayloadCutOff(t *testing.T) {
	plainAndTLS(t, func(t *testing.T, secure bool) {
		for _, sent := range []int{0, 1, readBuffer, pieceSize - 1, pieceSize + 1, rdma.MaxBulk - 1} {
			c := newCaller(t, rdma.Options{TLS: secure})
			h := head{Header: wire.Header{Kind: kindPush, ID: 1, Value: region.Addr(c.memory), Length: rdma.MaxBulk}, key: memoryKey}
			send(t, c.script, h, make([]byte, sent))
			c.script.Close()
			c.wantBroken(t, "")
		}
	})
}

// TestPayloadStopped: a lane that breaks while it waits for a payload lets go of the
// memory at once.
func TestPayloadStopped(t *testing.T) {
	plainAndTLS(t, func(t *testing.T, secure bool) {
		c := newCaller(t, rdma.Options{TLS: secure})
		h := head{Header: wire.Header{Kind: kindPush, ID: 1, Value: region.Addr(c.memory), Length: rdma.MaxBulk}, key: memoryKey}
		send(t, c.script, h, make([]byte, pieceSize/2))
		broken := make(chan struct{})
		go func() {
			c.lane.Break(errors.New("given up"))
			close(broken)
		}()
		wait(t, broken, "the end of the lane")
	})
}
