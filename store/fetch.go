package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/weftstore/weft/erasure"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/node/extent"
	"github.com/weftstore/weft/rdma"
)

// errNarrow: rebuilding needs more memory than there is beside what this request
// holds; it is to be tried again holding nothing.
var errNarrow = errors.New("no memory to rebuild in")

// fetch fills one segment: from the shards that have its bytes, and when one of
// those fails or is late, from others.
//
// It runs on the goroutine of its request. Each read has a goroutine and a block
// that belongs to it until the Target's call returned, however long that takes.
type fetch struct {
	s    *Store
	ctx  context.Context
	part *metadata.Part
	ref  metadata.PartRef
	g    erasure.Geometry
	seg  *segment
	all  chunkRange // of all pieces together: what rebuilding reads from other shards

	shards  []shardState
	spare   []*rdma.Block // for all
	pending int           // reads under way
	search  bool          // not all pieces will come from their own shards in time
	hit     bool          // a shard failed, as opposed to being late
	patient bool          // short of memory, wait for the reads under way

	mu      sync.Mutex
	over    bool // nobody takes results any more
	results chan readResult
}

// shardState is what a fetch knows of a shard.
type shardState struct {
	have *rdma.Block // read, with the bytes of got
	got  chunkRange
	busy int   // reads under way
	wide bool  // all was asked for
	late bool  // it did not answer in time; it may yet
	err  error // it failed
}

type readResult struct {
	shard int
	r     chunkRange
	block *rdma.Block
	err   error
}

func newFetch(ctx context.Context, s *Store, part *metadata.Part, ref metadata.PartRef, seg *segment) *fetch {
	g := geometry(part)
	n := g.Layout.Shards()
	f := &fetch{s: s, ctx: ctx, part: part, ref: ref, g: g, seg: seg, shards: make([]shardState, n)}
	for i := range seg.pieces {
		f.all = f.all.join(seg.pieces[i].chunk)
	}
	f.results = make(chan readResult, 2*n) // room for all: a shard is asked twice at most
	return f
}

// read fills the segment; the blocks are its own from now on. After an error
// all are released, now or when the calls that use them return.
func (f *fetch) read(blocks []*rdma.Block) error {
	defer f.close()
	if f.g.Layout.K == 1 {
		f.chooseCopy()
	}
	now := f.s.now()
	for i := range f.seg.pieces {
		p := &f.seg.pieces[i]
		t := f.s.target(f.target(p.shard))
		switch {
		case t == nil:
			f.fail(p.shard, extent.ErrOffline)
			f.spareBlock(blocks[i])
			continue
		case !t.usable(now) && f.othersUsable(now):
			f.search, f.hit = true, true // it is the last to be asked
			f.spareBlock(blocks[i])
			continue
		}
		f.start(t, p.shard, p.chunk, blocks[i])
	}
	return f.collect()
}

// readWide is read for a request that needs other shards and could not get the
// memory while it held some: it waits for all it may need at once.
func (f *fetch) readWide() error {
	w := newFetch(f.ctx, f.s, f.part, f.ref, f.seg)
	w.search, w.hit, w.patient = true, f.hit, true
	for i := range f.shards {
		w.shards[i].err = f.shards[i].err
	}
	defer w.close()
	var err error
	n := int(w.g.Layout.K) + min(len(w.seg.pieces), int(w.g.Layout.M))
	if w.spare, err = f.s.acquire(f.ctx, f.s.poolFor(f.all.n), n); err != nil {
		return err
	}
	if err := w.collect(); err != errNarrow {
		return err
	}
	return fmt.Errorf("rebuild: %w", ErrBusy)
}

func (f *fetch) target(shard int) metadata.TargetID {
	if shard < len(f.part.Targets) {
		return f.part.Targets[shard]
	}
	return 0
}

// chooseCopy directs the reads of a replicated part to the copy that answers soonest.
func (f *fetch) chooseCopy() {
	best := f.rank()
	if len(best) == 0 {
		return
	}
	for i := range f.seg.pieces {
		f.seg.pieces[i].shard = best[0]
	}
}

// othersUsable says whether the data can be had without targets that are unwell.
func (f *fetch) othersUsable(now time.Time) bool {
	n := 0
	for i := range f.shards {
		if t := f.s.target(f.target(i)); t != nil && f.shards[i].err == nil && t.usable(now) {
			n++
		}
	}
	return n >= int(f.g.Layout.K)
}

// start reads a range of a shard into block. The result comes by f.results, or
// the block is released if nobody waits any more.
func (f *fetch) start(t *target, shard int, r chunkRange, block *rdma.Block) {
	f.pending++
	f.shards[shard].busy++
	f.s.work.Go(func() {
		err := f.s.readChunk(f.ctx, t, chunkID(f.part.Set, shard), r, block)
		f.mu.Lock()
		over := f.over
		if !over {
			f.results <- readResult{shard, r, block, err}
		}
		f.mu.Unlock()
		if over {
			block.Release()
		}
	})
}

// readChunk is one read of a target, with its health in mind.
func (s *Store) readChunk(ctx context.Context, t *target, id extent.ID, r chunkRange, block *rdma.Block) error {
	api := t.get()
	if api == nil {
		return extent.ErrOffline
	}
	begin := time.Now()
	t.inflight.Add(1)
	err := api.Read(ctx, id, r.off, block.Remote(0, r.n))
	t.inflight.Add(-1)
	if err == nil {
		t.observe(time.Since(begin))
	}
	s.note(t, "read", err)
	return err
}

// close releases what no piece took and leaves reads under way to themselves.
func (f *fetch) close() {
	f.mu.Lock()
	f.over = true
	f.mu.Unlock()
	for more := true; more; {
		select {
		case r := <-f.results:
			r.block.Release()
		default:
			more = false
		}
	}
	for i := range f.shards {
		if b := f.shards[i].have; b != nil {
			b.Release()
			f.shards[i].have = nil
		}
	}
	for _, b := range f.spare {
		b.Release()
	}
	f.spare = nil
}

// collect takes results until the segment is whole or cannot become so.
func (f *fetch) collect() error {
	deadline := time.Now().Add(f.s.cfg.OpTimeout)
	patience := f.patience()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		if f.complete() {
			f.deliver()
			return nil
		}
		if f.search {
			done, err := f.elsewhere()
			if err == errNarrow && f.patient && f.pending > 0 {
				err = nil // what was asked for may still come
			}
			if done || err != nil {
				return err
			}
		}
		if f.pending == 0 {
			return f.failure()
		}
		select {
		case r := <-f.results:
			f.take(r)
		case <-timer.C:
			left := time.Until(deadline)
			f.findLate(left <= 0)
			if left <= 0 {
				return f.failure()
			}
			timer.Reset(min(patience, left))
		case <-f.ctx.Done():
			return context.Cause(f.ctx)
		}
	}
}

// findLate marks the shards that have not answered; at the end their targets are
// blamed for it.
func (f *fetch) findLate(end bool) {
	for i := range f.shards {
		sh := &f.shards[i]
		if sh.busy == 0 {
			continue
		}
		t := f.s.target(f.target(i))
		if end {
			sh.err = errTimeout
		}
		switch {
		case t == nil: // it was removed meanwhile
		case end:
			f.s.note(t, "read", errTimeout)
		case !sh.late:
			f.s.noteLate(t)
		}
		sh.late, f.search = true, true
	}
}

// patience is how long to wait before other shards are asked as well.
func (f *fetch) patience() time.Duration {
	d := time.Duration(0)
	for i := range f.seg.pieces {
		if t := f.s.target(f.target(f.seg.pieces[i].shard)); t != nil {
			d = max(d, t.late(f.s.cfg.HedgeFloor))
		}
	}
	return min(max(d, f.s.cfg.HedgeFloor), f.s.cfg.OpTimeout)
}

// take notes a result.
func (f *fetch) take(r readResult) {
	f.pending--
	sh := &f.shards[r.shard]
	sh.busy--
	switch {
	case r.err != nil:
		f.spareBlock(r.block)
		f.fail(r.shard, r.err)
	case sh.have != nil && sh.got.covers(r.r):
		f.spareBlock(r.block)
	default:
		if sh.have != nil {
			f.spareBlock(sh.have)
		}
		sh.have, sh.got, sh.err, sh.late = r.block, r.r, nil, false
	}
}

func (f *fetch) spareBlock(b *rdma.Block) {
	if len(b.Bytes()) >= f.all.n {
		f.spare = append(f.spare, b)
		return
	}
	b.Release()
}

// fail notes that a shard cannot be read, and queues it for repair when it is the
// chunk that is missing or wrong.
func (f *fetch) fail(shard int, err error) {
	f.search, f.hit = true, true
	sh := &f.shards[shard]
	if sh.have != nil {
		return
	}
	sh.err = err
	if f.target(shard) == 0 {
		sh.err = extent.ErrNotFound
	}
	if wrongChunk(sh.err) {
		f.s.reportDamage(f.ref, f.part.Set, 1<<shard)
	}
}

// wrongChunk says that a chunk is missing, corrupt, or of another length than recorded.
func wrongChunk(err error) bool {
	return errors.Is(err, extent.ErrNotFound) || errors.Is(err, extent.ErrCorrupt) || errors.Is(err, extent.ErrInvalid)
}

// complete says whether every piece was read.
func (f *fetch) complete() bool {
	for i := range f.seg.pieces {
		p := &f.seg.pieces[i]
		sh := &f.shards[p.shard]
		if sh.have == nil || !sh.got.covers(p.chunk) {
			return false
		}
	}
	return true
}

// deliver hands the blocks over to the pieces.
func (f *fetch) deliver() {
	for i := range f.seg.pieces {
		p := &f.seg.pieces[i]
		sh := &f.shards[p.shard]
		p.block = sh.have
		p.base = int(p.chunk.off-sh.got.off) + p.skip
	}
	for i := range f.seg.pieces {
		f.shards[f.seg.pieces[i].shard].have = nil
	}
}

// failure is the error of a segment that cannot be had.
func (f *fetch) failure() error {
	lost := 0
	var last error
	for i := range f.shards {
		switch err := f.shards[i].err; {
		case wrongChunk(err):
			lost++
			last = err
		case err != nil && last == nil:
			last = err
		}
	}
	kind := ErrUnavailable
	if lost > int(f.g.Layout.M) {
		kind = ErrDamaged
	}
	if last == nil {
		last = errTimeout
	}
	return fmt.Errorf("read set %x: %w: %w", f.part.Set, kind, last)
}
