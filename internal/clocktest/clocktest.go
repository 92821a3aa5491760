// Package clocktest is for tests of what happens when somebody sets the clock of the wall.
package clocktest

import (
	"testing"
	"time"
	"unsafe"
)

// Set is now after the clock of the wall was set by d, of whole seconds: the monotonic reading
// is the same. The first word of a time.Time that has one has seconds above 30 bits of
// nanoseconds.
func Set(t *testing.T, now time.Time, d time.Duration) time.Time {
	t.Helper()
	then := now
	*(*uint64)(unsafe.Pointer(&then)) += uint64(d/time.Second) << 30
	if then.Sub(now) != 0 || then.Unix()-now.Unix() != int64(d/time.Second) {
		t.Fatal("time.Time is made otherwise: mend clocktest")
	}
	return then
}
