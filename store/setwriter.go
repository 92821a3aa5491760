package store

import (
	"context"
	"sync"
	"time"

	"github.com/weftstore/weft/erasure"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/node"
)

// setWriter writes the chunks of one part, each on a goroutine of its own, and
// gives up those that fail or fall behind as long as a write quorum is left.
type setWriter struct {
	s      *Store
	set    metadata.SetID
	layout erasure.Layout
	length int64 // of each chunk
	quorum int
	jobs   int // that a shard does before it is through: the stripes and the commit

	mu     sync.Mutex
	shards []*shardWriter
	used   []*target // that hold or held a shard
	wake   chan struct{}
	err    error // the quorum is out of reach
}

// shardWriter writes one chunk.
type shardWriter struct {
	sw    *setWriter
	index int
	more  sync.Cond // on sw.mu: jobs, lost

	// Under sw.mu.
	t       *target
	queue   []job
	started time.Time // of the operation under way; zero when there is none
	done    int       // jobs
	lost    bool      // given up; err says why
	idle    bool      // for keepEvery
	err     error
	ctx     context.Context
	cancel  context.CancelFunc

	// Of the goroutine only.
	w    node.Writer
	keep *time.Timer // ends in idle
	hold *job        // the only stripe of a part, kept until the commit in case another target must take it
}

// job is a piece of a chunk to write, or, without a block, the commit.
type job struct {
	off   int64
	n     int
	block *sharedBlock
	crcs  []uint64
	meta  []byte
}

func newSetWriter(ctx context.Context, w *partJob) *setWriter {
	sw := &setWriter{
		s: w.s, set: w.out.part.Set, layout: w.g.Layout, length: w.g.ChunkLen(), quorum: w.quorum,
		jobs: int(w.g.Stripes()) + 1, wake: make(chan struct{}, 1),
		shards: make([]*shardWriter, len(w.targets)),
	}
	base := context.WithoutCancel(ctx)
	for i, t := range w.targets {
		sh := &shardWriter{sw: sw, index: i, t: t}
		sh.more.L = &sw.mu
		sw.shards[i] = sh
		if t == nil {
			sh.lost, sh.err = true, errNoTarget
			continue
		}
		sw.used = append(sw.used, t)
		sh.ctx, sh.cancel = context.WithCancel(base)
	}
	for _, sh := range sw.shards {
		if !sh.lost {
			sw.s.work.Go(sh.run)
		}
	}
	return sw
}

// enqueue gives a shard its next job, unless it is lost. The block is held until
// it is done.
func (sw *setWriter) enqueue(shard int, j job) {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	sh := sw.shards[shard]
	if sh.lost {
		return
	}
	if j.block != nil {
		j.block.hold()
	}
	sh.queue = append(sh.queue, j)
	sh.more.Signal()
}

// slowest is the number of jobs that every shard has done. Under mu.
func (sw *setWriter) slowest() int {
	least := sw.jobs
	for _, sh := range sw.shards {
		if !sh.lost {
			least = min(least, sh.done)
		}
	}
	return least
}

// idleFrom is slowest for those who do not hold mu.
func (sw *setWriter) idleFrom() int {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	return sw.slowest()
}

// placement is where the shards are at the moment.
func (sw *setWriter) placement() []*target {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	placed := make([]*target, len(sw.shards))
	for i, sh := range sw.shards {
		if !sh.lost {
			placed[i] = sh.t
		}
	}
	return placed
}

// holders are the targets of the other shards that are not lost. Under mu.
func (sw *setWriter) holders(but *shardWriter) []*target {
	var list []*target
	for _, sh := range sw.shards {
		if sh != but && !sh.lost {
			list = append(list, sh.t)
		}
	}
	return list
}

// await waits until ready, which it calls with mu held. It gives up shards that
// are late meanwhile, and fails when the quorum is out of reach or ctx ends.
func (sw *setWriter) await(ctx context.Context, ready func() bool) error {
	var timer *time.Timer
	for {
		sw.mu.Lock()
		next := sw.expire(time.Now())
		err, ok := sw.err, ready()
		sw.mu.Unlock()
		if err != nil {
			return err
		}
		if ok {
			return nil
		}
		if timer == nil {
			timer = time.NewTimer(next)
			defer timer.Stop()
		} else {
			timer.Reset(next)
		}
		select {
		case <-sw.wake:
		case <-timer.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// expire gives up the late and returns how long until somebody may be late. An
// operation may take OpTimeout, and only Grace when a quorum is ahead of it.
func (sw *setWriter) expire(now time.Time) time.Duration {
	next := sw.s.cfg.OpTimeout
	for _, sh := range sw.shards {
		idle := sh.started.IsZero()
		if sh.lost || (idle && len(sh.queue) == 0) {
			continue
		}
		limit := sw.s.cfg.OpTimeout
		if sw.ahead(sh.done) >= sw.quorum {
			limit = min(limit, sw.s.cfg.Grace)
		}
		left := limit
		if !idle { // otherwise it begins any moment
			left -= now.Sub(sh.started)
		}
		if left > 0 {
			next = min(next, left)
			continue
		}
		sw.s.note(sh.t, "write", errTimeout)
		sw.drop(sh, errTimeout)
	}
	return next
}

// ahead counts the shards that did more than done jobs.
func (sw *setWriter) ahead(done int) int {
	n := 0
	for _, sh := range sw.shards {
		if !sh.lost && sh.done > done {
			n++
		}
	}
	return n
}

// drop gives a shard up. Its goroutine finds out when its call returns. Under mu.
func (sw *setWriter) drop(sh *shardWriter, err error) {
	if sh.lost {
		return
	}
	sh.lost, sh.err = true, err
	sh.cancel()
	for _, j := range sh.queue {
		if j.block != nil {
			j.block.letGo()
		}
	}
	sh.queue = nil
	sh.more.Signal()
	live := 0
	errs := make([]error, len(sw.shards))
	for i, o := range sw.shards {
		errs[i] = o.err
		if !o.lost {
			live++
		}
	}
	if live < sw.quorum && sw.err == nil {
		sw.err = quorumErrorOf(live, sw.quorum, errs)
	}
	sw.signal()
}

func (sw *setWriter) signal() {
	select {
	case sw.wake <- struct{}{}:
	default:
	}
}

// commit makes the chunks durable and returns where they are, nil for lost ones.
// When it fails, what was stored is being deleted.
func (sw *setWriter) commit(meta []byte) ([]*target, error) {
	for i := range sw.shards {
		sw.enqueue(i, job{meta: meta})
	}
	err := sw.await(context.Background(), func() bool { return sw.slowest() == sw.jobs })
	if err != nil {
		sw.abandon()
		return nil, err
	}
	return sw.placement(), nil
}

// abandon gives everything up: chunks under way are aborted, those that are
// stored deleted.
func (sw *setWriter) abandon() {
	sw.mu.Lock()
	placed := make([]*target, len(sw.shards))
	for i, sh := range sw.shards {
		if !sh.lost && sh.done == sw.jobs {
			placed[i] = sh.t
		}
		sw.drop(sh, context.Canceled)
	}
	sw.mu.Unlock()
	sw.s.discard(sw.set, targetIDs(placed))
}
