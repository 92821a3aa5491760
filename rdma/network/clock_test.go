package network

import (
	"testing"
	"time"

	"github.com/weftstore/weft/internal/clocktest"
	"github.com/weftstore/weft/rdma"
)

// TestClockSet: a clock that is set forward makes no lane look dead, and one that is set
// back none alive.
func TestClockSet(t *testing.T) {
	for _, tc := range []struct {
		name        string
		passes, set time.Duration
		dead        bool
	}{
		{"forward", 0, time.Hour, false},
		{"back", time.Hour, -2 * time.Hour, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, rdma.Options{Lanes: 1, KeepAlive: time.Minute}, echo, newCables())
			now := clocktest.Set(t, time.Now().Add(tc.passes), tc.set)
			c := r.c.(*conn)
			c.mu.Lock()
			l := c.lanes[0]
			c.mu.Unlock()
			r.s.(*server).look(now)
			l.beat(now)
			for end, of := range map[string]*Transport{"calling": r.client, "answering": r.server} {
				if got := of.Stats().KeepAliveKills > 0; got != tc.dead {
					t.Errorf("the %s end gives the lane up: %t, want %t", end, got, tc.dead)
				}
			}
		})
	}
}
