package node

import (
	"sync/atomic"
	"testing"
	"time"
	"unsafe"
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

// A clock that is set forward aborts no writer, and one that is set back keeps none.
func TestIdleWriterAfterClockSet(t *testing.T) {
	for _, tc := range []struct {
		name        string
		passes, set time.Duration
		aborted     int
	}{
		{"forward", 0, time.Hour, 0},
		{"back", time.Hour, -2 * time.Hour, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			begun := time.Now()
			now := stepped(t, begun.Add(tc.passes), tc.set)
			var set atomic.Bool
			r := newRig(t, func(c *Config) {
				c.Now = func() time.Time {
					if !set.Load() {
						return begun
					}
					return now
				}
			})
			if _, err := r.target.Create(t.Context(), testID(1), 1); err != nil {
				t.Fatal(err)
			}
			set.Store(true)
			r.s.writers.sweepOnce().Wait()
			if r.fake.aborted != tc.aborted {
				t.Errorf("%d writers are aborted, want %d", r.fake.aborted, tc.aborted)
			}
		})
	}
}
