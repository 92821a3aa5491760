package e2e

import (
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

// peer kills the other machine, or boots it again.
func peer(t *testing.T, do string) {
	t.Helper()
	run(t, "../guest/peer", do)
}

// hook is a reader that calls at once it has given n bytes.
type hook struct {
	io.Reader
	n  int64
	at func()
}

func (h *hook) Read(p []byte) (int, error) {
	n, err := h.Reader.Read(p)
	if h.n -= int64(n); h.n <= 0 && h.at != nil {
		h.at()
		h.at = nil
	}
	return n, err
}

// TestRDMAPair: two of six nodes are in another machine, which loses power in the middle of a write and of a read. No packet tells
// of it: connections end by retries that were in vain. The write is answered with success or a request to try again, the read
// with the right bytes, both in bounded time, and the nodes come back with what they had synced.
func TestRDMAPair(t *testing.T) {
	skipOutside(t)
	const limit = 5 * time.Minute // a request over a dead machine, emulated; without a bound it would never end
	since := time.Now()
	c := emptyCluster(t, os.Getenv("WEFT_VM_DISK")) // where the cluster file has the targets
	c.file = os.Getenv("WEFT_PAIR_CLUSTER")
	c.gateway.allowed = "code=ServiceUnavailable"
	for _, name := range []string{"n1", "n2", "n3", "n4"} {
		c.addNode(name)
	}
	peer(t, "start")
	c.start()
	c.await("up", "n5", "n6")
	lap(t, &since, "started")
	s := newS3(t)
	s.put(32 * mib)
	s.get(32*mib, nil)
	if open := fabricSockets(t); len(open) > 0 {
		t.Errorf("TCP connections on the fabric: %v", open)
	}
	lap(t, &since, "both machines: wrote and read 32 MiB")

	// Four shards are left of this write, one less than it needs: it may fail, and the next one is made of copies.
	err := s.try(&hook{newContent(64*mib, 1), 8 * mib, func() { peer(t, "kill") }}, 64*mib)
	if err != nil && minio.ToErrorResponse(err).StatusCode != http.StatusServiceUnavailable {
		t.Fatal(err)
	}
	if took := time.Since(since); took > limit {
		t.Errorf("the write took %s", took)
	}
	lap(t, &since, "a write while the machine lost power: %v", err)
	if err != nil {
		s.put(64 * mib)
	}
	c.await("away", "n5", "n6")
	lap(t, &since, "a write without it")
	s.get(64*mib, nil)
	s.get(32*mib, nil)
	lap(t, &since, "reads without it")

	peer(t, "start")
	c.await("up", "n5", "n6")
	c.settle()
	lap(t, &since, "machine back, all repaired and verified")
	killed := false
	s.get(64*mib, func(off int64) {
		if off >= 8*mib && !killed {
			killed = true
			peer(t, "kill")
		}
	})
	if took := time.Since(since); took > limit {
		t.Errorf("the read took %s", took)
	}
	lap(t, &since, "a read while the machine lost power")
}
