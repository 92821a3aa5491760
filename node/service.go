package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weftstore/weft/node/extent"
)

// Service owns targets and answers for them. Safe for concurrent use.
type Service struct {
	cfg     Config
	ops     sync.Pool // *op
	writers *writers
	closed  atomic.Bool
	stop    context.CancelFunc
	ctx     context.Context // ends with Close
	loops   sync.WaitGroup
	targets atomic.Pointer[registry]
	mu      sync.Mutex // serializes changes of targets
}

// registry is an immutable set of targets.
type registry struct {
	byID  map[TargetUUID]*target
	order []*target
}

// AddOptions say what is known of a target.
type AddOptions struct {
	// Expect is the target that the directory must hold. With it, a directory that
	// is missing or holds something else is added all the same, and served as soon
	// as it is right.
	Expect TargetUUID
	// Deployment that the target must belong to; zero is any.
	Deployment [16]byte
	// WasMount: the directory was a mount point when it was formatted. It is not
	// served while it is none, as then the disk beneath it is missing.
	WasMount bool
	// Epoch and Guard are those of a target that is held by a lease, see extent.Config.
	Epoch uint64
	Guard func() error
}

// FormatOptions guard Format.
type FormatOptions struct {
	// WasMount: refuse when the directory is not a mount point.
	WasMount bool
}

// New makes a service without targets.
func New(cfg Config) *Service {
	s := &Service{cfg: cfg.withDefaults()}
	s.ops.New = func() any { return newOp(s) }
	s.writers = newWriters(s.cfg)
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.targets.Store(&registry{})
	s.loops.Go(func() { s.writers.sweep(s.ctx) })
	if s.cfg.CompactEvery > 0 {
		s.loops.Go(func() { s.compactLoop(s.ctx) })
	}
	return s
}

// Format makes the empty directory dir a target. It is the only way in which a
// directory ever becomes one. fs.ErrExist when there is something in it.
func (s *Service) Format(dir string, id extent.Identity, o FormatOptions) error {
	info, err := s.cfg.Inspect(dir)
	if err != nil {
		return fmt.Errorf("format %s: %w", dir, err)
	}
	if o.WasMount && !info.Mount {
		return fmt.Errorf("format %s: not a mount point, as it was before; mount the file system first: %w", dir, extent.ErrOffline)
	}
	if err := s.cfg.Format(dir, id); err != nil {
		return fmt.Errorf("format %s: %w", dir, err)
	}
	return nil
}

// formatKnown makes a target anew whose directory is empty now, and looks at the
// target whatever it holds. It says whether it formatted. ErrOffline when the
// directory should be a mount point and is none.
func (s *Service) formatKnown(t *target) (bool, error) {
	if t.cur.Load() != nil || t.stalled.Load() {
		return false, nil
	}
	done, err := s.formatEmpty(t)
	if err == nil {
		t.check(s.ctx)
	}
	return done, err
}

func (s *Service) formatEmpty(t *target) (bool, error) {
	t.busy.Lock() // nobody opens it meanwhile
	defer t.busy.Unlock()
	if info, err := s.cfg.Inspect(t.dir); err != nil || !info.Empty || t.cur.Load() != nil || s.closed.Load() {
		return false, nil //nolint:nilerr // the check that follows says what is wrong
	}
	if s.cfg.IndexDir != "" {
		if err := os.Remove(indexPath(s.cfg.IndexDir, t.uuid)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, fmt.Errorf("format %s: %w", t.dir, err)
		}
	}
	id := extent.Identity{Deployment: t.opts.Deployment, Target: t.uuid}
	if err := s.Format(t.dir, id, FormatOptions{WasMount: t.opts.WasMount}); err != nil {
		return false, err
	}
	s.cfg.Logger.Warn("formatted a replaced target", "target", t.uuid, "dir", t.dir)
	return true, nil
}

// Add begins to serve the formatted target in dir. Without Expect the directory
// must hold a target: extent.ErrOffline, ErrCorrupt or ErrFenced otherwise. With
// Expect it waits for the first look at the directory, or for the end of ctx, and
// only fails when the target was added before or the service is closed.
func (s *Service) Add(ctx context.Context, dir string, o AddOptions) (TargetUUID, error) {
	t := newTarget(s, dir, o)
	if o.Expect.IsZero() {
		b, err := t.open()
		if err != nil {
			return TargetUUID{}, fmt.Errorf("add %s: %w", dir, err.err)
		}
		t.serve(b)
	}
	if err := s.register(t); err != nil {
		if x := t.drop(); x != nil {
			_ = x.close(s.writers)
		}
		return TargetUUID{}, fmt.Errorf("add %s: %w", dir, err)
	}
	first := make(chan struct{})
	s.loops.Go(func() { t.watch(t.ctx, first) })
	select {
	case <-first:
	case <-ctx.Done():
	}
	return t.uuid, nil
}

// Remove serves a target no longer and closes it, unless it hangs: it is closed when it
// answers. Requests for it are answered with ErrUnknownTarget from then on.
func (s *Service) Remove(id TargetUUID) error {
	s.mu.Lock()
	old := s.targets.Load()
	t := old.byID[id]
	if t != nil {
		next := &registry{byID: maps.Clone(old.byID), order: slices.DeleteFunc(slices.Clone(old.order), func(o *target) bool { return o == t })}
		delete(next.byID, id)
		s.targets.Store(next)
	}
	s.mu.Unlock()
	if t == nil {
		return fmt.Errorf("remove: %w: %s", ErrUnknownTarget, id)
	}
	t.stop()
	done := make(chan error, 1)
	go func() { done <- t.close(s.writers) }()
	timeout := time.NewTimer(s.cfg.CloseTimeout)
	defer timeout.Stop()
	select {
	case err := <-done:
		return err
	case <-timeout.C:
		return fmt.Errorf("remove %s: it hangs: %w", t.dir, extent.ErrOffline)
	}
}

func (s *Service) register(t *target) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.targets.Load()
	if s.closed.Load() {
		return fmt.Errorf("service closed: %w", extent.ErrOffline)
	}
	for _, o := range old.order {
		if o.uuid == t.uuid || o.dir == t.dir {
			return fmt.Errorf("target %s is served already from %s: %w", o.uuid, o.dir, extent.ErrExists)
		}
	}
	next := &registry{byID: make(map[TargetUUID]*target, len(old.order)+1), order: append(slices.Clone(old.order), t)}
	for _, o := range next.order {
		next.byID[o.uuid] = o
	}
	s.targets.Store(next)
	return nil
}

// Status is the state of all targets, in the order they were added. The slice is
// the caller's.
func (s *Service) Status() []TargetStatus {
	order := s.targets.Load().order
	all := make([]TargetStatus, len(order))
	for i, t := range order {
		all[i] = t.status(s.writers)
	}
	return all
}

// Close aborts open writers, waits for requests under way and closes the targets.
// Requests from then on are answered with extent.ErrOffline. A target that hangs
// longer than CloseTimeout is left behind and named in the error. Idempotent.
func (s *Service) Close() error {
	s.mu.Lock()
	again := s.closed.Swap(true)
	s.mu.Unlock()
	if again {
		return nil
	}
	s.stop()
	order := s.targets.Load().order
	done := make(chan error, len(order))
	for _, t := range order {
		go func() { done <- t.close(s.writers) }()
	}
	timeout := time.NewTimer(s.cfg.CloseTimeout)
	defer timeout.Stop()
	var errs []error
	for range order {
		select {
		case err := <-done:
			errs = append(errs, err)
		case <-timeout.C:
			return errors.Join(append(errs, fmt.Errorf("close node: targets hang: %w", extent.ErrOffline))...)
		}
	}
	s.loops.Wait()
	return errors.Join(errs...)
}
