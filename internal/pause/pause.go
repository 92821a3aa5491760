// Package pause waits for some time, and no longer than a context.
package pause

import (
	"context"
	"time"
)

// For waits for d and returns nil, or returns the cause of ctx's end if that comes first.
// With nothing to wait for it returns ctx's error.
func For(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
