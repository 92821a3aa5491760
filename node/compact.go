package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// lookFull is how often it is looked whether a target is full. A target says so
// for longer after a refused write.
const lookFull = 5 * time.Second

// compactLoop gives dead space back in the background until ctx ends: on all targets
// one after the other, and on a full one without waiting for them.
func (s *Service) compactLoop(ctx context.Context) {
	look := min(lookFull, s.cfg.CompactEvery)
	tick := time.NewTicker(look)
	defer tick.Stop()
	var round sync.Mutex // held while the targets have their turns
	for rounds := time.Duration(1); ; rounds++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		all := rounds*look >= s.cfg.CompactEvery && round.TryLock()
		var turns []*target
		for _, t := range s.targets.Load().order {
			switch state := t.status(s.writers).State; {
			case state == Full:
				s.loops.Go(func() { s.compactOne(t.ctx, t) })
			case all && state == Online:
				turns = append(turns, t)
			}
		}
		if all {
			rounds = 0
			s.loops.Go(func() {
				defer round.Unlock()
				for _, t := range turns {
					s.compactOne(t.ctx, t)
				}
			})
		}
	}
}

func (s *Service) compactOne(ctx context.Context, t *target) {
	x, err := t.enter(opCompact)
	if err != nil {
		return
	}
	_, err = t.compact(ctx, x, s.cfg.CompactRate)
	if err != nil && ended(ctx) {
		err = ctx.Err()
	}
	t.leave(x, opCompact, err)
	if err != nil && !ended(ctx) && !errors.Is(err, ErrBusy) {
		s.cfg.Logger.Warn("compaction failed", "target", t.uuid, "dir", t.dir, "err", err)
	}
}

// compact runs one compaction; ErrBusy when one is under way.
func (t *target) compact(ctx context.Context, x *session, rate int64) (int64, error) {
	if !t.compacting.TryLock() {
		return 0, fmt.Errorf("%w: the target is being compacted", ErrBusy)
	}
	defer t.compacting.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(x.ctx, cancel)() // the end of the session waits for us
	n, err := x.b.Compact(ctx, rate)
	if n > 0 {
		t.fullUntil.Store(0)
	}
	return n, err
}
