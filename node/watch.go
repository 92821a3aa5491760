package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/weftstore/weft/node/extent"
)

// verdict is what is wrong with a target: its state, and what to do in err.
type verdict struct {
	state State
	err   error
}

// watch checks the target until ctx ends. first is closed after the first check.
//
// The check runs in a goroutine of its own: one that hangs, as on a dead network
// file system, must not keep the target from being marked.
func (t *target) watch(ctx context.Context, first chan<- struct{}) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-t.kick:
		}
		if ctx.Err() != nil {
			if first != nil {
				close(first)
			}
			return
		}
		if !t.checkWatched(ctx, first == nil) {
			return
		}
		if first != nil {
			close(first)
			first = nil
		}
		timer.Reset(t.svc.cfg.CheckEvery)
	}
}

// checkWatched runs a check and marks the target when it takes too long. It is
// false when ctx ended before the check did. The first check, which may have to
// replay a log, is given all the time it needs.
func (t *target) checkWatched(ctx context.Context, limited bool) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		t.check(ctx)
	}()
	var late <-chan time.Time
	if limited {
		timeout := time.NewTimer(t.svc.cfg.CheckTimeout)
		defer timeout.Stop()
		late = timeout.C
	}
	for {
		select {
		case <-done:
			if t.stalled.Swap(false) {
				t.svc.cfg.Logger.Info("target answers again", "target", t.uuid, "dir", t.dir)
			}
			return true
		case <-ctx.Done():
			return false // close waits for the check as long as it may
		case <-late:
			late = nil
			t.stalled.Store(true)
			t.svc.cfg.Logger.Error("target hangs and is offline until it answers: look at its disk or network",
				"target", t.uuid, "dir", t.dir, "after", t.svc.cfg.CheckTimeout)
		}
	}
}

// check looks at the target once: it ends the session of one that is gone and
// opens one that is back.
func (t *target) check(ctx context.Context) {
	t.busy.Lock()
	defer t.busy.Unlock()
	if ctx.Err() != nil {
		return
	}
	defer func() { t.health.setChecked(t.svc.cfg.Now()) }()
	if x := t.cur.Load(); x != nil {
		bad := t.examine(ctx, x.b)
		if bad == nil {
			t.refreshUsage(x.b)
			return
		}
		t.enterState(bad)
		t.drop()
		if err := x.close(t.svc.writers); err != nil {
			t.svc.cfg.Logger.Warn("close of a lost target", "target", t.uuid, "dir", t.dir, "err", err)
		}
		return
	}
	b, bad := t.open()
	if bad != nil {
		t.enterState(bad)
		return
	}
	for k := range t.fails {
		t.fails[k].Store(0)
	}
	t.serve(b)
	t.svc.cfg.Logger.Info("target is online", "target", t.uuid, "dir", t.dir)
}

// examine checks an open target; nil when all is well.
func (t *target) examine(ctx context.Context, b Backend) *verdict {
	if bad := t.inspect(); bad != nil {
		return bad
	}
	if err := b.Check(ctx); err != nil && !ended(ctx) {
		return t.judge(err)
	}
	return nil
}

// open opens the target if the directory holds the right one. It sets t.uuid
// when the target was not known before.
func (t *target) open() (Backend, *verdict) {
	if bad := t.inspect(); bad != nil {
		return nil, bad
	}
	expect := extent.Identity{Deployment: t.opts.Deployment, Target: t.uuid}
	b, id, err := t.svc.cfg.Open(t.dir, OpenOptions{Logger: t.svc.cfg.Logger, Expect: expect, Epoch: t.opts.Epoch, Guard: t.opts.Guard})
	if err != nil {
		return nil, t.judge(err)
	}
	foreign := (!t.uuid.IsZero() && t.uuid != id.Target) ||
		(t.opts.Deployment != [16]byte{} && t.opts.Deployment != id.Deployment)
	if foreign {
		return nil, t.judge(errors.Join(fmt.Errorf("open target in %s: %w: it is %s", t.dir, errForeign, id), b.Close()))
	}
	if t.uuid.IsZero() { // before others see the target
		t.uuid = id.Target
	}
	return b, nil
}

// inspect looks at the directory from outside.
func (t *target) inspect() *verdict {
	info, err := t.svc.cfg.Inspect(t.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &verdict{Offline, fmt.Errorf("%s is missing: restore or mount it; the target then comes back by itself: %w", t.dir, extent.ErrOffline)}
	case err != nil:
		return &verdict{Offline, fmt.Errorf("%s cannot be read: look at its disk and permissions: %w: %w", t.dir, extent.ErrOffline, err)}
	case t.opts.WasMount && !info.Mount:
		return &verdict{Offline, fmt.Errorf("%s is not a mount point any more: mount its file system: %w", t.dir, extent.ErrOffline)}
	case info.Empty:
		return &verdict{Empty, fmt.Errorf("%s is empty: mount its file system, or, if its disk was replaced, run `weft admin repair`: %w", t.dir, extent.ErrOffline)}
	}
	return nil
}

// judge turns an error of Open or Check into a state.
func (t *target) judge(err error) *verdict {
	switch {
	case errors.Is(err, errForeign):
		return &verdict{Foreign, fmt.Errorf("put the right disk back or use another directory: %w", err)}
	case errors.Is(err, ErrInUse):
		return &verdict{Offline, err}
	case errors.Is(err, extent.ErrFenced):
		return &verdict{Fenced, fmt.Errorf("%s was taken over by another node: %w", t.dir, err)}
	case errors.Is(err, extent.ErrCorrupt):
		return &verdict{Corrupt, fmt.Errorf("%s is damaged: repair its file system, or empty the directory and run `weft admin repair`: %w", t.dir, err)}
	case errors.Is(err, extent.ErrOffline):
		return &verdict{Offline, fmt.Errorf("%s does not hold the target: %w", t.dir, err)}
	}
	return &verdict{Offline, fmt.Errorf("%s fails: look at its disk and permissions: %w: %w", t.dir, extent.ErrOffline, err)}
}

// enterState logs a state once, when it is entered.
func (t *target) enterState(v *verdict) {
	if t.health.set(v.state, v.err.Error(), t.svc.cfg.Now()) {
		t.svc.cfg.Logger.Error("target is not served", "target", t.uuid, "dir", t.dir, "state", v.state.String(), "err", v.err)
	}
}
