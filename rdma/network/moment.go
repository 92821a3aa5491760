package network

import (
	"sync/atomic"
	"time"
)

// moment is when something happened last, by the monotonic clock: somebody may set that
// of the wall.
type moment struct {
	first time.Time // set by begin
	after atomic.Int64
}

// begin is the first note, before others know of m.
func (m *moment) begin() { m.first = time.Now() }

// note notes that it happens now.
func (m *moment) note() { m.at(time.Now()) }

// at notes that it happens now, for those who know what time it is.
func (m *moment) at(now time.Time) { m.after.Store(int64(now.Sub(m.first))) }

// before is how long before now it was.
func (m *moment) before(now time.Time) time.Duration {
	return now.Sub(m.first) - time.Duration(m.after.Load())
}
