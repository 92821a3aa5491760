package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weftstore/weft/erasure"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/node/extent"
	"github.com/weftstore/weft/rdma"
)

// Store is the data path over a set of targets. See the package comment.
type Store struct {
	cfg   Config
	meta  *metadata.DB
	pool  *rdma.Pool
	small *rdma.Pool
	log   *slog.Logger

	topology  atomic.Pointer[topology]
	targetsMu sync.Mutex // held to replace it
	codecs    sync.Map   // erasure.Layout -> *erasure.Codec

	pins   pins
	damage damageQueue
	upkeep upkeep
	gcKick chan struct{}

	// Background work and calls that outlive their requests.
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup
	closed atomic.Bool
}

// New starts a store. The pools, the metadata and the targets stay the caller's
// to close, after Close.
func New(cfg Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Store{
		cfg: cfg, meta: cfg.Meta, pool: cfg.Pool, small: cfg.Small, log: cfg.Logger,
		gcKick: make(chan struct{}, 1),
	}
	targets := make([]*target, len(cfg.Targets))
	for i, c := range cfg.Targets {
		targets[i] = newTarget(c)
	}
	s.topology.Store(newTopology(targets))
	s.pins.init()
	s.damage.init()
	s.upkeep.started = s.now()
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.newerThanSnapshots()
	if cfg.Peers == nil {
		s.goBackground(s.gcLoop)
	}
	s.goBackground(s.damageLoop)
	s.goBackground(s.usageLoop)
	return s, nil
}

// Close stops the background work and waits, until ctx ends, for calls to targets
// that are still under way; with ctx's error some still are, and their memory
// must not be unmapped. Requests must have ended.
func (s *Store) Close(ctx context.Context) error {
	s.closed.Store(true)
	s.cancel()
	done := make(chan struct{})
	go func() {
		s.work.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close store: operations of targets are still under way: %w", ctx.Err())
	}
}

// SetTarget adds a target, or replaces the Target of one that is known by its id:
// with nil it is away from now on.
func (s *Store) SetTarget(c TargetConfig) {
	s.targetsMu.Lock()
	defer s.targetsMu.Unlock()
	list := slices.Clone(s.topology.Load().list)
	t := newTarget(c)
	if i := slices.IndexFunc(list, func(t *target) bool { return t.id == c.ID }); i >= 0 {
		list[i] = t
	} else {
		list = append(list, t)
	}
	s.topology.Store(newTopology(list))
	s.kickGC()
}

// RemoveTarget forgets a target that was retired.
func (s *Store) RemoveTarget(id metadata.TargetID) {
	s.targetsMu.Lock()
	defer s.targetsMu.Unlock()
	list := slices.DeleteFunc(slices.Clone(s.topology.Load().list), func(t *target) bool { return t.id == id })
	s.topology.Store(newTopology(list))
}

// Layout of new parts.
func (s *Store) Layout() erasure.Layout { return s.cfg.Layout }

// TargetHealth is what the data path thinks of a target.
type TargetHealth struct {
	ID       metadata.TargetID
	Name     string
	Present  bool // a Target is there
	Usable   bool // work is sent there by choice
	Full     bool
	Failures int // errors in a row
	InFlight int
	Free     int64 // bytes, 0 when not known
	ReadTime time.Duration
}

// Health of all targets.
func (s *Store) Health() []TargetHealth {
	now := s.now()
	var out []TargetHealth
	for _, t := range s.topology.Load().list {
		out = append(out, TargetHealth{
			ID: t.id, Name: t.name, Present: t.get() != nil, Usable: t.usable(now), Full: t.full(now),
			Failures: int(t.fails.Load()), InFlight: int(t.inflight.Load()), Free: t.free.Load(),
			ReadTime: time.Duration(t.readTime.Load()),
		})
	}
	return out
}

func (s *Store) now() time.Time { return s.cfg.Now() }

// target finds one by id; nil when it is not known.
func (s *Store) target(id metadata.TargetID) *target {
	return s.topology.Load().byID[id]
}

// codec of a layout, made once.
func (s *Store) codec(l erasure.Layout) (*erasure.Codec, error) {
	if c, ok := s.codecs.Load(l); ok {
		return c.(*erasure.Codec), nil
	}
	c, err := erasure.NewCodec(l)
	if err != nil {
		return nil, err
	}
	s.codecs.Store(l, c)
	return c, nil
}

// goBackground runs fn until it returns, which it does soon after ctx ends.
func (s *Store) goBackground(fn func(ctx context.Context)) {
	s.work.Go(func() { fn(s.ctx) })
}

// note records the outcome of an operation in the target's health.
func (s *Store) note(t *target, op string, err error) {
	if err == nil {
		t.worked()
		return
	}
	if errors.Is(err, context.Canceled) {
		return // nobody wanted it any more
	}
	t.failed(s.now(), err)
	if f := s.cfg.Events.TargetError; f != nil {
		f(t.name, op, err)
	}
}

// noteLate records that a read of the target was overtaken.
func (s *Store) noteLate(t *target) {
	if t.lates.Add(1) >= maxLates {
		s.note(t, "read", errTimeout)
	}
}

// acquire gets n blocks or ErrBusy within the time a request may wait.
func (s *Store) acquire(ctx context.Context, p *rdma.Pool, n int) ([]*rdma.Block, error) {
	if blocks, ok := p.TryAcquire(n); ok {
		return blocks, nil
	}
	wait, cancel := context.WithTimeout(ctx, s.cfg.AcquireWait)
	defer cancel()
	blocks, err := p.Acquire(wait, n)
	return blocks, busy(ctx, err)
}

// busy turns a pool's error into what the request's caller is told.
func busy(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("wait for memory: %w", context.Cause(ctx))
	case errors.Is(err, rdma.ErrClosed):
		return fmt.Errorf("wait for memory: %w", ErrClosed)
	default:
		return fmt.Errorf("wait for memory: %w", ErrBusy)
	}
}

// newSet makes a chunk set id.
func newSet() metadata.SetID {
	var id metadata.SetID
	_, _ = rand.Read(id[:]) // never fails, crypto/rand says
	return id
}

// chunkID names a shard's chunk.
func chunkID(set metadata.SetID, shard int) extent.ID {
	return extent.ID{Set: extent.SetID(set), Index: uint8(shard)}
}

// geometry of a part as it was recorded.
func geometry(p *metadata.Part) erasure.Geometry {
	return erasure.Geometry{Layout: erasure.Layout{K: p.K, M: p.M}, Block: int(p.Block), Size: storedSize(p)}
}

// usageLoop asks the targets that can tell for their free space.
func (s *Store) usageLoop(ctx context.Context) {
	type usager interface {
		Usage(ctx context.Context) (extent.Usage, error)
	}
	tick := time.NewTicker(usageEvery)
	defer tick.Stop()
	for {
		for _, t := range s.topology.Load().list {
			u, ok := t.get().(usager)
			if !ok || t.asking.Swap(true) {
				continue
			}
			s.work.Go(func() {
				defer t.asking.Store(false)
				call, cancel := context.WithTimeout(ctx, s.cfg.OpTimeout)
				defer cancel()
				if usage, err := u.Usage(call); err == nil {
					t.free.Store(int64(min(usage.Free, 1<<62)))
					t.total.Store(int64(min(usage.Total, 1<<62)))
				}
			})
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

const usageEvery = 10 * time.Second
