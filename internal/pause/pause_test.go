package pause

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("why")
		ctx, cancel := context.WithCancelCause(t.Context())
		begun := time.Now()
		if err := errors.Join(For(ctx, time.Minute), For(ctx, 0), For(ctx, -time.Minute)); err != nil || time.Since(begun) != time.Minute {
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
		time.AfterFunc(time.Second, func() { cancel(why) })
		if err := For(ctx, time.Hour); !errors.Is(err, why) || time.Since(begun) != time.Minute+time.Second {
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
		if err := For(ctx, 0); !errors.Is(err, context.Canceled) {
			t.Errorf("at once: %v", err)
		}
	})
}
