// Package suspend tells for how long the host did not run. The clock of package time stands
// still meanwhile, and a lease does not.
package suspend

import (
	"time"

	"golang.org/x/sys/unix"
)

// Total is how long the host has been suspended since it started. A freeze between its looks at
// the clocks adds to it: that is on the safe side when it is asked for last, or before a
// renewal is sent.
func Total() time.Duration {
	var boot, mono unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono) != nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot) != nil {
		return 0
	}
	return time.Duration(boot.Nano() - mono.Nano())
}
