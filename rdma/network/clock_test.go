package network

import (
	"testing"
	"time"
	"unsafe"

	"github.com/weftstore/weft/rdma"
)

// stepped is now when somebody has set the clock of the wall by d. The first word of a
// time.Time with a monotonic reading has seconds above 30 bits of nanoseconds.
func stepped(t *testing.T, now time.Time, d time.Duration) time.Time {
	t.Helper()
	then := now
	*(*uint64)(unsafe.Pointer(&then)) += uint64(d/time.Second) << 30
	if then.Sub(now) != 0 || then.Unix()-now.Unix() != int64(d/time.Second) {
		t.Fatal("time.Time is made otherwise: mend this test")
	}
	return then
}

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
			now := stepped(t, time.Now().Add(tc.passes), tc.set)
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
