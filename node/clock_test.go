package node

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/weftstore/weft/internal/clocktest"
)

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
			now := clocktest.Set(t, begun.Add(tc.passes), tc.set)
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
