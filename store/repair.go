package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/weftstore/weft/metadata"
)

// errWaiting: a part cannot be repaired now, for lack of a target.
var errWaiting = errors.New("waits for a target")

// errAway: what is missing is on a target that does not answer.
var errAway = fmt.Errorf("%w that does not answer", errWaiting)

// RepairOptions of Store.Repair.
type RepairOptions struct {
	BytesPerSecond int64 // to write at most; 0 is no limit

	walked bool // parts whose targets are away were counted
}

// RepairResult counts what a repair did.
type RepairResult struct {
	Parts    int64    `json:"parts"`    // looked at
	Repaired int64    `json:"repaired"` // parts
	Shards   int64    `json:"shards"`   // rebuilt
	Bytes    int64    `json:"bytes"`    // written
	Waiting  int64    `json:"waiting"`  // parts that wait for a target, also those whole but for targets that are away
	Failed   int64    `json:"failed"`   // parts that could not be repaired
	Lost     int64    `json:"lost"`     // of them, parts with fewer shards left than needed
	Orphans  int64    `json:"orphans"`  // chunks collected
	Problems []string `json:"problems,omitempty"`
}

// Repair restores the redundancy of every part: it compares all parts with the
// targets, queues what is lost, mends what is queued, worst first, and collects
// orphans. What waits for a target that is away stays queued.
func (s *Store) Repair(ctx context.Context, o RepairOptions, report Report) (*RepairResult, error) {
	parts, away, err := s.findDamage(ctx, report)
	if err != nil {
		return nil, fmt.Errorf("find damage: %w", err)
	}
	o.walked = true
	r, err := s.drainDamage(ctx, o, report)
	if err != nil {
		return nil, fmt.Errorf("repair: %w", err)
	}
	r.Parts, r.Waiting = parts, r.Waiting+away
	if r.Orphans, err = s.sweep(ctx, true, new(CheckResult), report); err != nil {
		return nil, fmt.Errorf("collect orphans: %w", err)
	}
	if r.Repaired > 0 && s.upkeep.lastSnapshot.Load() != 0 {
		// What the snapshots on the targets say of placements is old, and they may
		// have lost shards themselves.
		if err := s.Snapshot(ctx); err != nil {
			problem(&r.Problems, "snapshot after the repair: %v", err)
		}
	}
	return r, nil
}

// findDamage compares all parts with the targets and queues what is lost or belongs
// elsewhere. away are the parts that lack nothing but targets that do not answer.
func (s *Store) findDamage(ctx context.Context, report Report) (parts, away int64, err error) {
	err = s.queueDamage(ctx, newProgress(report, "find damage"), func(in *inspected) uint64 {
		parts++
		mask := in.lost() | in.misplaced(s.topology.Load())
		if mask == 0 && in.count(shardAway) > 0 {
			away++
		}
		return mask
	})
	return parts, away, err
}

// queueDamage queues the shards of all parts that bad says are to be made anew.
func (s *Store) queueDamage(ctx context.Context, p *progress, bad func(*inspected) uint64) error {
	var found []metadata.Damage
	flush := func() error {
		defer func() { found = found[:0] }()
		if len(found) == 0 {
			return nil
		}
		return s.meta.AddDamage(ctx, found)
	}
	err := s.walk(ctx, false, &throttle{}, func(in *inspected) error {
		p.add(1, 0)
		if mask := bad(in); mask != 0 {
			found = append(found, metadata.Damage{Ref: in.ref, Set: in.part.Set, Shards: mask, Since: s.now()})
		}
		if len(found) == inspectBatch {
			return flush()
		}
		return nil
	})
	if err == nil {
		err = flush()
	}
	return err
}

const damagePage = 1000

// drainDamage goes once through the queue for each number of lost shards, the
// highest first.
func (s *Store) drainDamage(ctx context.Context, o RepairOptions, report Report) (*RepairResult, error) {
	s.upkeep.repairing.Lock()
	defer s.upkeep.repairing.Unlock()
	worst, total := 0, int64(0)
	err := s.eachDamage(ctx, func(d *metadata.Damage) error {
		worst = max(worst, popcount(d.Shards))
		total++
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.upkeep.run.begin(s.now(), total)
	defer s.upkeep.run.end()
	r, th, p := new(RepairResult), &throttle{rate: o.BytesPerSecond}, newProgress(report, "repair")
	for n := worst; n >= 0; n-- {
		err := s.eachDamage(ctx, func(d *metadata.Damage) error {
			if popcount(d.Shards) != n {
				return nil
			}
			before := r.Bytes
			err := s.repairPart(ctx, d, th, r)
			p.add(1, r.Bytes-before)
			s.upkeep.run.add(r.Bytes - before)
			switch {
			case err == nil:
				return nil
			case ctx.Err() != nil:
				return ctx.Err()
			case errors.Is(err, errAway) && o.walked:
				return nil
			case errors.Is(err, errWaiting):
				r.Waiting++
			default:
				r.Failed++
				if errors.Is(err, ErrDamaged) {
					r.Lost++
				}
			}
			problem(&r.Problems, "%q part %d, set %x: %v", d.Ref.Key, d.Ref.Number, d.Set, err)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	s.upkeep.waiting.Store(r.Waiting + r.Failed)
	return r, nil
}

// eachDamage reads the whole queue.
func (s *Store) eachDamage(ctx context.Context, fn func(*metadata.Damage) error) error {
	var after metadata.SetID
	for {
		list, err := s.meta.Damage(ctx, after, damagePage)
		if err != nil {
			return err
		}
		for i := range list {
			if err := fn(&list[i]); err != nil {
				return err
			}
		}
		if len(list) < damagePage {
			return nil
		}
		after = list[len(list)-1].Set
	}
}

// allShards are those of a part that is gone.
const allShards = ^uint64(0)

// repairPart mends one part, or finds that nothing is wrong with it any more.
func (s *Store) repairPart(ctx context.Context, d *metadata.Damage, th *throttle, r *RepairResult) error {
	d.Ref.Set = d.Set
	for {
		p, err := s.meta.PartFor(ctx, d.Ref)
		if errors.Is(err, metadata.ErrStale) {
			return s.meta.DamageDone(ctx, d.Set, allShards) // deleted
		}
		if err != nil {
			return err
		}
		in := &inspected{ref: d.Ref, part: *p}
		in.part.Targets = slices.Clone(p.Targets)
		s.inspect(ctx, []*inspected{in}, false, th)
		for i := range in.fates {
			if d.Shards&(1<<i) != 0 && in.fates[i] == shardGood { // it is said to be bad
				in.fates[i] = s.fate(ctx, s.target(p.Targets[i]), p, i, true, th)
			}
		}
		move := in.misplaced(s.topology.Load())
		lost, good := in.lost()|move, in.count(shardGood)
		switch {
		case lost == 0 && in.count(shardAway) == 0:
			return s.meta.DamageDone(ctx, d.Set, d.Shards)
		case lost == 0:
			return errAway
		case good < int(p.K) && good+in.count(shardAway) >= int(p.K):
			return errWaiting
		case good < int(p.K):
			return fmt.Errorf("%d of %d shards are left, %d are needed: %w", good, len(in.fates), p.K, ErrDamaged)
		}
		m := &mend{s: s, in: in, g: geometry(&in.part), throttle: th, move: move}
		err = m.run(ctx)
		if errors.Is(err, errSurvivor) && m.bad&^d.Shards != 0 {
			d.Shards |= m.bad // found while reading: choose again
			continue
		}
		if errors.Is(err, metadata.ErrStale) {
			return s.meta.DamageDone(ctx, d.Set, allShards)
		}
		if err != nil {
			return err
		}
		r.Repaired++
		r.Shards += int64(len(m.jobs))
		r.Bytes += int64(len(m.jobs)) * m.g.ChunkLen()
		s.upkeep.repaired.Add(1)
		if in.count(shardAway) > 0 || m.short {
			return errWaiting
		}
		return s.meta.DamageDone(ctx, d.Set, d.Shards|lost)
	}
}
