package store

import (
	"context"
	"math/bits"
	"slices"
	"sync"
	"time"

	"github.com/weftstore/weft/erasure"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/rdma"
)

func popcount(v uint64) int { return bits.OnesCount64(v) }

// storeInline stores a part of one stripe whose chunks are short enough to go
// with one message each.
func (w *partJob) storeInline(ctx context.Context) error {
	if err := w.body.wait(); err != nil {
		return err
	}
	shards := w.g.Layout.Shards()
	a := &appender{s: w.s, set: w.out.part.Set, layout: w.g.Layout, blocks: make([]*sharedBlock, shards), crcs: make([][]uint64, shards)}
	defer a.letGo()
	if w.g.Size > 0 {
		if err := w.fillInline(ctx, a); err != nil {
			return err
		}
	}
	w.setTargets(w.targets)
	meta, err := w.seal()
	if err != nil {
		return err
	}
	placed, err := a.run(ctx, w.quorum, w.targets, meta)
	if err != nil {
		return err
	}
	return w.placed(placed)
}

// fillInline reads the only stripe into blocks and encodes it.
func (w *partJob) fillInline(ctx context.Context, a *appender) error {
	k, n := int(w.g.Layout.K), w.g.Layout.Shards()
	if k == 1 {
		n = 1 // copies share the block
	}
	blocks, err := w.s.acquire(ctx, w.s.small, n)
	if err != nil {
		return err
	}
	a.length = w.g.BlockLen(0)
	for i, b := range blocks {
		a.blocks[i] = newShared(b, 1)
	}
	st, err := w.fillStripe(a.blocks[:n], 0)
	if err != nil {
		return err
	}
	copy(a.crcs, st)
	for i := n; i < len(a.blocks); i++ {
		a.blocks[i], a.crcs[i] = a.blocks[0], a.crcs[0]
		a.blocks[0].hold()
	}
	return nil
}

// fillStripe reads stripe number st of the body into the first K blocks, pads
// them, fills the others with parity, and gives the unit checksums of each.
func (w *partJob) fillStripe(blocks []*sharedBlock, st int64) ([][]uint64, error) {
	k, n := int(w.g.Layout.K), w.g.BlockLen(st)
	left := w.g.DataLen(st)
	data := make([][]byte, len(blocks))
	for i, b := range blocks {
		data[i] = b.Bytes()[:n]
		if i >= k {
			continue
		}
		m := int(min(left, int64(n)))
		if err := w.body.fill(data[i][:m]); err != nil {
			return nil, err
		}
		clear(data[i][m:])
		left -= int64(m)
	}
	if len(blocks) > k {
		codec, err := w.s.codec(w.g.Layout)
		if err != nil {
			return nil, err
		}
		if err := codec.Encode(data); err != nil {
			return nil, err
		}
	}
	units := erasure.Units(int64(n))
	all := make([]uint64, 0, units*len(blocks))
	crcs := make([][]uint64, len(blocks))
	left = w.g.DataLen(st)
	for i := range data {
		at := len(all)
		all = unitCRCs(all, data[i])
		crcs[i] = all[at:]
		if i < k {
			m := min(left, int64(n))
			w.sums.add(blocks[i], data[i], int(m), crcs[i])
			left -= m
		}
	}
	return crcs, nil
}

// appender writes one chunk to each of several targets with one message each.
type appender struct {
	s      *Store
	set    metadata.SetID
	layout erasure.Layout
	blocks []*sharedBlock // by shard, one reference each; nil for chunks without bytes
	crcs   [][]uint64
	length int

	mu    sync.Mutex
	used  []*target // that have or had a shard
	held  []*target // by shard, those that have it or try; nil is nobody
	over  bool      // the outcome is decided: whoever comes now is late
	ready chan appended
}

type appended struct {
	shard int
	t     *target
	err   error
}

func (a *appender) letGo() {
	for _, b := range a.blocks {
		if b != nil {
			b.letGo()
		}
	}
}

// run returns where each shard went, nil for those given up. When it fails,
// what was stored is being deleted.
func (a *appender) run(ctx context.Context, quorum int, targets []*target, meta []byte) ([]*target, error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel() // calls of the late end soon
	a.ready = make(chan appended, len(targets))
	placed, errs := make([]*target, len(targets)), make([]error, len(targets))
	a.held = slices.Clone(targets)
	pending, done := 0, 0
	for _, t := range targets {
		if t != nil {
			a.used = append(a.used, t)
			pending++
		}
	}
	for i, t := range targets {
		if t == nil {
			continue
		}
		if b := a.blocks[i]; b != nil {
			b.hold()
		}
		a.s.work.Go(func() { a.one(ctx, i, t, meta) })
	}
	timer := time.NewTimer(a.s.cfg.OpTimeout)
	defer timer.Stop()
	for timeout := false; pending > 0 && !timeout; {
		select {
		case r := <-a.ready:
			pending--
			if errs[r.shard] = r.err; r.err == nil {
				placed[r.shard] = r.t
				if done++; done == quorum {
					timer.Reset(a.s.cfg.Grace)
				}
			}
		case <-timer.C:
			timeout = true
		}
	}
	done = a.close(targets, placed, errs)
	if done < quorum {
		a.s.discard(a.set, targetIDs(placed))
		return nil, quorumErrorOf(done, quorum, errs)
	}
	return placed, nil
}

// close decides the outcome: it takes in who made it until now and blames the others.
func (a *appender) close(targets, placed []*target, errs []error) (done int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
	for more := true; more; {
		select {
		case r := <-a.ready:
			if errs[r.shard] = r.err; r.err == nil {
				placed[r.shard] = r.t
			}
		default:
			more = false
		}
	}
	for i, t := range targets {
		switch {
		case placed[i] != nil:
			done++
		case t != nil && errs[i] == nil:
			errs[i] = errTimeout
			a.s.note(t, "append", errTimeout)
		}
	}
	return done
}

// one writes a shard, elsewhere if the first target fails.
func (a *appender) one(ctx context.Context, shard int, t *target, meta []byte) {
	var data rdma.Remote
	if b := a.blocks[shard]; b != nil {
		defer b.letGo()
		data = b.Remote(0, a.length)
	}
	id := chunkID(a.set, shard)
	for {
		err := errNoTarget
		if api := t.get(); api != nil {
			t.inflight.Add(1)
			err = api.Append(ctx, id, meta, data, a.crcs[shard])
			t.inflight.Add(-1)
		}
		a.mu.Lock()
		if a.over {
			a.mu.Unlock()
			if mayExist(err) {
				a.s.deleteChunk(t, id) // nothing refers to it
			}
			return
		}
		var next *target
		if err != nil {
			a.s.note(t, "append", err)
			if mayExist(err) {
				a.s.deleteChunk(t, id)
			}
			a.held[shard] = nil
			if next = a.s.replacement(a.layout, a.held, a.used, a.s.now()); next != nil {
				a.used, a.held[shard] = append(a.used, next), next
			}
		} else {
			a.s.note(t, "append", nil)
		}
		if next == nil {
			a.ready <- appended{shard, t, err}
			a.mu.Unlock()
			return
		}
		a.mu.Unlock()
		t = next
	}
}
