package rc

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/weftstore/weft/rdma"
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
