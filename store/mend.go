package store

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/weftstore/weft/erasure"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/node"
	"github.com/weftstore/weft/node/extent"
	"github.com/weftstore/weft/rdma"
)

// errSurvivor: a shard that was thought to be good is not.
var errSurvivor = errors.New("a surviving shard cannot be read")

// mend rebuilds the lost shards of one part in one pass: a range of blocks of K
// shards is read, the lost ones are computed and written, then the next range.
type mend struct {
	s        *Store
	in       *inspected
	g        erasure.Geometry
	throttle *throttle
	move     uint64 // shards that are good and belong elsewhere

	term  int64
	meta  []byte
	from  []int // K shards to read
	jobs  []mendJob
	short bool   // some shard found no target
	bad   uint64 // survivors that turned out not to be
}

// mendJob is one shard to make.
type mendJob struct {
	shard int
	t     *target
	w     node.Writer // nil for a chunk that goes in one message
}

func (m *mend) run(ctx context.Context) error {
	var err error
	if m.term, err = m.s.term(); err != nil {
		return err
	}
	m.s.pins.pin(m.in.part.Set) // the new chunks are not where the record says
	defer m.s.pins.unpin(m.in.part.Set)
	if err := m.choose(ctx); err != nil {
		return err
	}
	defer func() {
		for i := range m.jobs {
			if w := m.jobs[i].w; w != nil {
				w.Abort() // nothing after a commit
			}
		}
	}()
	length := m.g.ChunkLen()
	if length <= extent.MaxInline {
		return m.round(ctx, 0, int(length), true)
	}
	for i := range m.jobs {
		j := &m.jobs[i]
		api := j.t.get()
		if api == nil {
			return errWaiting
		}
		var err error
		call, cancel := context.WithTimeout(ctx, m.s.cfg.OpTimeout)
		j.w, err = api.Create(call, m.id(j.shard), length)
		cancel()
		if err != nil {
			m.s.note(j.t, "write", err)
			return fmt.Errorf("create shard %d on %s: %w: %w", j.shard, j.t.name, errWaiting, err)
		}
	}
	step := int64(m.s.pool.BlockSize())
	for off := int64(0); off < length; off += step {
		if err := m.round(ctx, off, int(min(step, length-off)), false); err != nil {
			return err
		}
	}
	return m.publish(ctx, func(ctx context.Context, j *mendJob, _ int) error { return j.w.Commit(ctx, m.meta) })
}

func (m *mend) id(shard int) extent.ID { return chunkID(m.in.part.Set, shard) }

// moves says whether a shard is good where it is and goes elsewhere.
func (m *mend) moves(shard int) bool { return m.move&(1<<shard) != 0 }

// choose finds what to read and where to write, and makes room for it.
func (m *mend) choose(ctx context.Context) error {
	p := &m.in.part
	var used, leave []*target // that keep their shard; that have one which moves
	for i, f := range m.in.fates {
		switch t := m.s.target(p.Targets[i]); {
		case m.moves(i):
			leave = append(leave, t)
		case f == shardGood || f == shardAway:
			used = append(used, t)
		}
		if f == shardGood && len(m.from) < int(p.K) {
			m.from = append(m.from, i)
		}
	}
	now, tp := m.s.now(), m.s.topology.Load()
	limit := tp.limit(m.g.Layout)
	for i, f := range m.in.fates {
		if f != shardMissing && f != shardCorrupt && !m.moves(i) {
			continue
		}
		t := m.s.target(p.Targets[i])
		if t == nil || t.drains || m.moves(i) || !t.usable(now) || t.full(now) || has(used, t) || has(leave, t) || tp.held(used)[tp.domain[t.id]] >= limit {
			t = m.s.replacement(m.g.Layout, used, leave, now)
		}
		if t == nil {
			m.short = true
			continue
		}
		used = append(used, t)
		m.jobs = append(m.jobs, mendJob{shard: i, t: t})
	}
	if len(m.jobs) == 0 {
		return errWaiting
	}
	src := m.s.target(p.Targets[m.from[0]]).get()
	if src == nil {
		return errWaiting
	}
	call, cancel := context.WithTimeout(ctx, m.s.cfg.OpTimeout)
	defer cancel()
	var err error
	if _, m.meta, err = src.Meta(call, m.id(m.from[0])); err != nil {
		return m.survivor(m.from[0], err)
	}
	return m.clear(ctx)
}

// clear deletes what is in the way of the new chunks: corrupt ones and left-overs
// of an earlier attempt. The shards to rebuild from are verified before.
func (m *mend) clear(ctx context.Context) error {
	verified := false
	for i := range m.jobs {
		j := &m.jobs[i]
		api := j.t.get()
		if api == nil {
			return errWaiting
		}
		_, err := m.s.stat(ctx, api, m.id(j.shard))
		if errors.Is(err, extent.ErrNotFound) {
			continue
		}
		for _, from := range m.from {
			if verified {
				break
			}
			if f := m.s.fate(ctx, m.s.target(m.in.part.Targets[from]), &m.in.part, from, true, m.throttle); f != shardGood {
				return m.survivor(from, extent.ErrCorrupt)
			}
		}
		verified = true
		if !m.s.tryDelete(j.t, m.id(j.shard)) {
			return errWaiting
		}
	}
	return nil
}

func (m *mend) survivor(shard int, err error) error {
	if errors.Is(err, extent.ErrNotFound) || errors.Is(err, extent.ErrCorrupt) || badSector(err) {
		m.bad |= 1 << shard
		return errSurvivor
	}
	return fmt.Errorf("read shard %d: %w: %w", shard, errWaiting, err)
}

// round rebuilds n bytes of the chunks from off on. whole says that this is all.
func (m *mend) round(ctx context.Context, off int64, n int, whole bool) error {
	if err := m.throttle.wait(ctx, int64(n*len(m.jobs))); err != nil {
		return err
	}
	var held []*rdma.Block
	remote := make([]rdma.Remote, len(m.jobs))
	crcs := make([][]uint64, len(m.jobs))
	if n > 0 {
		var err error
		if held, err = m.s.acquire(ctx, m.s.poolFor(n), len(m.from)+len(m.jobs)); err != nil {
			return err
		}
		defer func() {
			for _, b := range held {
				b.Release()
			}
		}()
		if err := m.rebuild(ctx, held, chunkRange{off, n}); err != nil {
			return err
		}
		for i := range m.jobs {
			b := held[len(m.from)+i]
			remote[i], crcs[i] = b.Remote(0, n), unitCRCs(nil, b.Bytes()[:n])
		}
	}
	put := func(ctx context.Context, j *mendJob, i int) error {
		if !whole {
			return j.w.Write(ctx, off, remote[i], crcs[i])
		}
		api := j.t.get()
		if api == nil {
			return extent.ErrOffline
		}
		return api.Append(ctx, m.id(j.shard), m.meta, remote[i], crcs[i])
	}
	if !whole {
		return m.each(ctx, put)
	}
	return m.publish(ctx, put)
}

// rebuild reads a range of the survivors into the first blocks and computes the
// lost ones into the others.
func (m *mend) rebuild(ctx context.Context, held []*rdma.Block, r chunkRange) error {
	shards := m.g.Layout.Shards()
	blocks, present, want := make([][]byte, shards), make([]bool, shards), make([]bool, shards)
	errs := make([]error, len(m.from))
	var wg sync.WaitGroup
	for i, shard := range m.from {
		blocks[shard], present[shard] = held[i].Bytes()[:r.n], true
		wg.Go(func() {
			call, cancel := context.WithTimeout(ctx, m.s.cfg.OpTimeout)
			defer cancel()
			errs[i] = m.s.readChunk(call, m.s.target(m.in.part.Targets[shard]), m.id(shard), r, held[i])
		})
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return m.survivor(m.from[i], err)
		}
	}
	for i := range m.jobs {
		shard, made := m.jobs[i].shard, held[len(m.from)+i].Bytes()[:r.n]
		if present[shard] { // it moves, and was read to rebuild others from
			copy(made, blocks[shard])
			continue
		}
		blocks[shard], want[shard] = made, true
	}
	codec, err := m.s.codec(m.g.Layout)
	if err != nil {
		return err
	}
	return codec.Rebuild(blocks, present, want)
}

// each does one step of all jobs at once.
func (m *mend) each(ctx context.Context, step func(context.Context, *mendJob, int) error) error {
	errs := make([]error, len(m.jobs))
	var wg sync.WaitGroup
	for i := range m.jobs {
		wg.Go(func() {
			call, cancel := context.WithTimeout(ctx, m.s.cfg.OpTimeout)
			defer cancel()
			errs[i] = step(call, &m.jobs[i], i)
			m.s.note(m.jobs[i].t, "write", errs[i])
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("write: %w: %w", errWaiting, err)
	}
	return nil
}

// publish makes the new chunks durable and then the record refer to them. When
// that fails they are deleted: they are orphans.
func (m *mend) publish(ctx context.Context, commit func(context.Context, *mendJob, int) error) error {
	m.s.upkeep.placing.Lock()
	defer m.s.upkeep.placing.Unlock()
	err := m.each(ctx, commit)
	if err != nil {
		m.undo()
		return err
	}
	err = m.s.meta.UpdatePart(m.s.within(ctx, m.term), m.in.ref, func(p *metadata.Part) error {
		for i := range m.jobs {
			j := &m.jobs[i]
			if j.shard >= len(p.Targets) || p.Targets[j.shard] != m.in.part.Targets[j.shard] {
				return metadata.ErrStale
			}
			p.Targets[j.shard] = j.t.id
		}
		return nil
	})
	switch {
	case errors.Is(err, metadata.ErrStale):
		m.undo()
	case err == nil:
		m.leave()
	}
	return err
}

// leave makes garbage of the chunks of shards that have moved: whoever opened the part before
// reads them, and may need them all.
func (m *mend) leave() {
	var left []metadata.Garbage
	for i := range m.jobs {
		shard := m.jobs[i].shard
		if old := m.s.target(m.in.part.Targets[shard]); m.moves(shard) && old != nil {
			left = append(left, m.s.loneGarbage(old, m.id(shard)))
		}
	}
	if len(left) > 0 {
		m.s.addGarbage(left...)
	}
}

// undo deletes the new chunks, unless another gateway led meanwhile and made the same.
// What is left is for the sweep.
func (m *mend) undo() {
	ctx, cancel := context.WithTimeout(context.Background(), m.s.cfg.OpTimeout)
	defer cancel()
	p, err := m.s.meta.PartFor(ctx, m.in.ref)
	if err != nil && !errors.Is(err, metadata.ErrStale) {
		return
	}
	for i := range m.jobs {
		if shard := m.jobs[i].shard; p != nil && shard < len(p.Targets) && p.Targets[shard] == m.jobs[i].t.id {
			continue
		}
		m.s.tryDelete(m.jobs[i].t, m.id(m.jobs[i].shard))
	}
}
