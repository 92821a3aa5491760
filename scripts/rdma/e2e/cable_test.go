package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

// pullCable: the cable of a device, on which two of six nodes are, is pulled under a read and plugged in again. The processes live
// on at both ends of connections that are dead.
func pullCable(t *testing.T, c *cluster, s *s3) {
	t.Helper()
	const limit = 5 * time.Minute // emulated; without a bound it would never end
	since := time.Now()
	s.put(32 * mib)
	lap(t, &since, "wrote 32 MiB")
	objects := resources(t)
	plugged := true
	cable := func(state string) {
		run(t, "ip", "link", "set", "port2", state)
		plugged = state == "up"
	}
	t.Cleanup(func() { cable("up") })
	s.get(32*mib, func(off int64) {
		if off >= 8*mib && plugged {
			cable("down")
		}
	})
	if took := time.Since(since); took > limit {
		t.Errorf("the read took %s", took)
	}
	lap(t, &since, "read while the cable was pulled")
	c.await("away", "n2", "n5") // the addresses of hosts in turn
	if err := s.try(newContent(16*mib, 1), 16*mib); err != nil {
		if minio.ToErrorResponse(err).StatusCode != http.StatusServiceUnavailable {
			t.Error(err)
		}
		s.put(16 * mib)
	}
	s.get(16*mib, nil)
	lap(t, &since, "wrote and read without the cable")
	cable("up")
	c.await("up", "n2", "n5")
	eventually(t, "queue pairs, regions and the rest are as many as before", func() error { return differ(objects, resources(t)) })
	c.settle()
	lap(t, &since, "cable plugged in, all repaired and verified")
}
