package store

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/weftstore/weft/internal/pause"
	"github.com/weftstore/weft/metadata"
)

// Bounds of the queue of damage that is on its way to the metadata.
const (
	damageQueueLen  = 1 << 16
	damageRemember  = 4096 // reports remembered, so that one bad shard read often is reported once
	damageForgetSec = 60   // after which the report is repeated
	damageBatch     = 256  // in one transaction
	damageRetry     = time.Second
)

// damageQueue takes reports from the data path, which must not wait for a
// metadata transaction. What does not fit is dropped: a repair of all finds it.
type damageQueue struct {
	kick  chan struct{}
	mu    sync.Mutex
	list  []metadata.Damage
	seen  map[metadata.SetID]uint64
	since time.Time // of seen
}

func (q *damageQueue) init() {
	q.kick = make(chan struct{}, 1)
	q.seen = make(map[metadata.SetID]uint64)
}

// some are the first in the queue.
func (q *damageQueue) some() []metadata.Damage {
	all := q.all()
	return all[:min(len(all), damageBatch)]
}

func (q *damageQueue) all() []metadata.Damage {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.list
}

// done takes the first n out.
func (q *damageQueue) done(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.list = q.list[n:]; len(q.list) == 0 {
		q.list = nil
	}
}

// reportDamage queues shards of a part for repair.
func (s *Store) reportDamage(ref metadata.PartRef, set metadata.SetID, shards uint64) {
	q, now := &s.damage, s.now()
	q.mu.Lock()
	if len(q.seen) >= damageRemember || now.Sub(q.since) > damageForgetSec*time.Second {
		clear(q.seen)
		q.since = now
	}
	fresh := shards &^ q.seen[set]
	q.seen[set] |= shards
	fits := len(q.list) < damageQueueLen
	if ref.Set = set; fresh != 0 && fits {
		q.list = append(q.list, metadata.Damage{Ref: ref, Set: set, Shards: fresh, Since: now})
	}
	q.mu.Unlock()
	if fresh == 0 {
		return
	}
	if f := s.cfg.Events.Damaged; f != nil {
		f(set, fresh)
	}
	if !fits {
		s.log.Warn("damage queue is full, leaving a report to a repair of all", "set", set)
	}
	select {
	case q.kick <- struct{}{}:
	default:
	}
}

// damageLoop writes the reports to the metadata, many in one transaction. Those that cannot
// be written now are kept: nothing else tells of a shard that was never stored.
func (s *Store) damageLoop(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-s.damage.kick:
		case <-ctx.Done():
		}
		for some := s.damage.some(); len(some) > 0; some = s.damage.some() {
			err := s.writeDamage(some)
			if err != nil && passing(err) {
				if pause.For(ctx, damageRetry) == nil {
					continue
				}
				some = s.damage.all() // the process ends, and does not wait for each
			}
			if err != nil {
				s.log.Error("damage not recorded, leaving it to a repair of all", "sets", len(some), "error", err)
			}
			s.damage.done(len(some))
		}
	}
}

// passing says that the metadata may answer later.
func passing(err error) bool {
	return errors.Is(err, metadata.ErrUnavailable) || errors.Is(err, metadata.ErrUnknown) || errors.Is(err, context.DeadlineExceeded)
}

func (s *Store) writeDamage(list []metadata.Damage) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.OpTimeout)
	defer cancel()
	return s.meta.AddDamage(ctx, list)
}
