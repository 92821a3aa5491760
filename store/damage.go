package store

import (
	"context"
	"sync"
	"time"

	"github.com/weftstore/weft/metadata"
)

// Bounds of the queue of damage that is on its way to the metadata.
const (
	damageQueueLen  = 1024
	damageRemember  = 4096 // reports remembered, so that one bad shard read often is reported once
	damageForgetSec = 60   // after which the report is repeated
)

// damageQueue takes reports from the data path, which must not wait for a
// metadata transaction. What does not fit is dropped: the scrubber finds it.
type damageQueue struct {
	queue chan metadata.Damage
	mu    sync.Mutex
	seen  map[metadata.SetID]uint64
	since time.Time // of seen
}

func (q *damageQueue) init() {
	q.queue = make(chan metadata.Damage, damageQueueLen)
	q.seen = make(map[metadata.SetID]uint64)
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
	q.mu.Unlock()
	if fresh == 0 {
		return
	}
	if f := s.cfg.Events.Damaged; f != nil {
		f(set, fresh)
	}
	ref.Set = set
	select {
	case q.queue <- metadata.Damage{Ref: ref, Set: set, Shards: fresh, Since: now}:
	default:
		s.log.Warn("damage queue is full, leaving a report to the scrubber", "set", set)
	}
}

// damageLoop writes the reports to the metadata, as many as there are in one
// transaction.
func (s *Store) damageLoop(ctx context.Context) {
	for {
		var batch []metadata.Damage
		select {
		case d := <-s.damage.queue:
			batch = append(batch, d)
		case <-ctx.Done():
		}
		for more := true; more && len(batch) < 256; {
			select {
			case d := <-s.damage.queue:
				batch = append(batch, d)
			default:
				more = false
			}
		}
		if len(batch) > 0 {
			s.writeDamage(batch)
		}
		if ctx.Err() != nil && len(s.damage.queue) == 0 {
			return
		}
	}
}

func (s *Store) writeDamage(batch []metadata.Damage) {
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.OpTimeout)
	defer cancel()
	if err := s.meta.AddDamage(ctx, batch); err != nil {
		s.log.Error("damage not recorded, leaving it to the scrubber", "sets", len(batch), "error", err)
	}
}
