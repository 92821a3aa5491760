package extent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/weftstore/weft/internal/pause"
)

// Compact gives back the space of shared extents that are more than half dead:
// what lives in them is copied into the active extent, verified on the way, then
// they are removed. bytesPerSecond bounds reading; 0 is no bound. A chunk that
// does not verify keeps its extent until it is deleted, and an extent that cannot
// be read is passed over, its error being returned. It returns how many
// bytes were given back. One Compact runs at a time; readers and writers go on.
func (t *Target) Compact(ctx context.Context, bytesPerSecond int64) (int64, error) {
	var total int64
	if err := t.writable(); err != nil {
		return 0, err
	}
	t.compacting.Lock()
	defer t.compacting.Unlock()
	pace := &pacer{rate: bytesPerSecond, start: time.Now()}
	var first error
	for _, e := range t.candidates() {
		err := t.empty(ctx, e, pace)
		// One by one: on a full target the next copies need this one's space.
		n, berr := t.bury()
		total += n
		if err = errors.Join(err, berr); err != nil {
			err = fmt.Errorf("compact extent %d: %w", e.num, err)
			if berr != nil || ctx.Err() != nil || t.up() != nil {
				return total, err
			}
			if first == nil {
				first = err // a bad sector in one must not keep the others
			}
		}
	}
	n, err := t.bury() // what an earlier call could not remove
	total += n
	if err != nil && first == nil {
		first = fmt.Errorf("compact: %w", err)
	}
	return total, first
}

// candidates are the extents worth compacting, the most dead first.
func (t *Target) candidates() []*extent {
	t.alloc.Lock()
	defer t.alloc.Unlock()
	t.mu.RLock()
	defer t.mu.RUnlock()
	var es []*extent
	waste := make(map[*extent]int64)
	for num, e := range t.extents {
		if !e.sealed || e.writers > 0 || t.doomed[num] {
			continue
		}
		used := e.durable - headerBlock
		if w := e.dead() - t.needed(e); w*2 > used || used == 0 || e.live == 0 && w == used {
			es, waste[e] = append(es, e), w
		}
	}
	slices.SortFunc(es, func(a, b *extent) int { return cmp.Compare(waste[b], waste[a]) })
	return es
}

// needed is the bytes of tombstones whose victims could still be found by a
// scan. mu is held.
func (t *Target) needed(e *extent) int64 {
	var n int64
	for victim, bytes := range e.tombs {
		if t.extents[victim] != nil && victim != e.num {
			n += bytes
		}
	}
	return n
}

// moveBatch bounds the memory of copies that wait for one commit.
const moveBatch = 4 << 20

// empty moves everything that is still needed out of e, and dooms it.
func (t *Target) empty(ctx context.Context, e *extent, pace *pacer) error {
	t.mu.RLock()
	idle := e.live == 0 && t.needed(e) == 0
	t.mu.RUnlock()
	if !idle {
		if err := t.moveAll(ctx, e, pace); err != nil {
			return errors.Join(err, t.void(ctx, e))
		}
	}
	t.mu.Lock()
	// What a damaged header hides from the scan, and what did not verify, lives
	// on here.
	stays := e.live > 0
	if !stays {
		t.doomed[e.num] = true
		e.dirty = true
	}
	t.mu.Unlock()
	if stays {
		return t.void(ctx, e)
	}
	return nil
}

// void makes tombstones of the records of e that are not where their chunk is. A later deletion
// of one that was moved names its new extent, and is forgotten with that while e may stay on.
func (t *Target) void(ctx context.Context, e *extent) error {
	if err := t.guard(); err != nil {
		return err
	}
	h, err := t.files.acquire(e.num, false)
	if err != nil {
		return err
	}
	defer t.files.release(h)
	changed := false
	err = scan(h.file, e.seed, headerBlock, e.durable, func(s scanned) error {
		if s.kind != recChunk || ctx.Err() != nil {
			return ctx.Err()
		}
		at, err := t.lookup(s.id)
		if err == nil && at == s.loc(e.num, false) {
			return nil
		}
		if err != nil && err != ErrNotFound {
			return err
		}
		r := newRecord(recTombstone, s.id, int64(s.seq), nil)
		defer r.free()
		r.hdr.data, r.hdr.seq, r.hdr.created, r.hdr.durable = int64(e.num), s.seq, s.created, s.durable
		r.sealBody()
		r.hdr.put(r.head, e.seed, s.off)
		changed = true
		_, err = h.file.WriteAt(r.head[:recordFixed], s.off) // who reads there still needs the table
		return err
	})
	if changed {
		err = errors.Join(err, h.file.SyncData())
	}
	return err
}

func (t *Target) moveAll(ctx context.Context, e *extent, pace *pacer) error {
	h, err := t.files.acquire(e.num, false)
	if err != nil {
		return err
	}
	defer t.files.release(h)
	var batch []*record
	var size int64
	flush := func() error {
		t.submit(batch...)
		var err error
		for _, r := range batch {
			if r.err != nil && !errors.Is(r.err, errMoved) && err == nil {
				err = r.err
			}
			r.free()
		}
		batch, size = batch[:0], 0
		return err
	}
	err = scan(h.file, e.seed, headerBlock, e.durable, func(s scanned) error {
		if err := pace.wait(ctx, int64(s.size)); err != nil {
			return err
		}
		r, err := t.copyOf(ctx, e, h, &s, pace)
		if err != nil || r == nil {
			return err
		}
		batch, size = append(batch, r), size+r.size()
		if size >= moveBatch || len(batch) >= maxBatch {
			return flush()
		}
		return nil
	})
	if ferr := flush(); err == nil {
		err = ferr
	}
	return err
}

// copyOf is the record that keeps s alive elsewhere: nil when it is not needed
// any more, cannot be copied, or was moved already.
func (t *Target) copyOf(ctx context.Context, e *extent, h *handle, s *scanned, pace *pacer) (*record, error) {
	switch s.kind {
	case recTombstone:
		victim := uint64(s.data)
		t.mu.RLock()
		keep := t.extents[victim] != nil && victim != e.num
		t.mu.RUnlock()
		if !keep {
			return nil, nil
		}
		r := newRecord(recTombstone, s.id, s.length, nil)
		r.hdr.data, r.hdr.created, r.copied = s.data, s.created, true
		r.sealBody()
		return r, nil
	case recChunk:
		at, err := t.lookup(s.id)
		if err == ErrNotFound || err == nil && at != s.loc(e.num, false) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if err := pace.wait(ctx, s.length); err != nil {
			return nil, err
		}
		r, err := t.move(ctx, h, s, at)
		if errors.Is(err, ErrCorrupt) {
			if t.cfg.Events.Corrupt != nil {
				t.cfg.Events.Corrupt(s.id, e.num, err)
			}
			return nil, nil
		}
		return r, err
	}
	return nil, nil
}

// move copies a chunk: a short one comes back as a record to commit, a long
// one is committed.
func (t *Target) move(ctx context.Context, h *handle, s *scanned, at loc) (*record, error) {
	hdr, head, err := t.header(&found{loc: at}, s.id, h)
	if err != nil {
		return nil, err
	}
	table := head[recordFixed : recordFixed+8*hdr.units()]
	meta := head[recordFixed+len(table):][:hdr.metaLen]
	if at.length <= MaxInline {
		data := make([]byte, at.length)
		if _, err := h.file.ReadAt(data, at.data); err != nil {
			return nil, readError(err)
		}
		r := newRecord(recChunk, s.id, at.length, meta)
		if copy(r.head[recordFixed:], table); !verifyEncoded(maskOf(s.id), 0, data, table) {
			r.free()
			return nil, ErrCorrupt
		}
		r.data, r.was, r.hdr.created = data, &at, at.created
		r.sealBody()
		return r, nil
	}
	w, err := t.newWriter(s.id, at.length, true)
	if err != nil {
		return nil, err
	}
	buf := scratch(1 << 20)
	defer unscratch(buf)
	for off := int64(0); off < at.length; {
		p := (*buf)[:min(int64(len(*buf)), at.length-off)]
		if _, err = h.file.ReadAt(p, at.data+off); err != nil {
			err = readError(err)
		} else if !verifyEncoded(w.m, int(off/unit), p, table[8*(off/unit):]) {
			err = ErrCorrupt
		} else {
			err = w.WriteAt(ctx, p, off, nil)
		}
		if err != nil {
			w.discard()
			return nil, err
		}
		off += int64(len(p))
	}
	if err := w.commit(meta, &at); err != nil && !errors.Is(err, errMoved) {
		return nil, err
	}
	return nil, nil
}

// bury removes doomed extents once the index no longer needs them: only after
// that may a crash find them missing.
func (t *Target) bury() (int64, error) {
	t.mu.RLock()
	n := len(t.doomed)
	t.mu.RUnlock()
	if n == 0 {
		return 0, nil
	}
	if err := t.checkpoint(); err != nil {
		return 0, err
	}
	t.mu.RLock()
	nums := make([]uint64, 0, n)
	for num := range t.doomed {
		nums = append(nums, num)
	}
	t.mu.RUnlock()
	slices.Sort(nums)
	var total int64
	for _, num := range nums {
		if err := t.guard(); err != nil {
			return total, err
		}
		if err := t.fs.Remove(extentName(num, false)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return total, fmt.Errorf("remove extent %d: %w", num, err)
		}
		t.files.drop(num) // now that no reader opens it again
		if err := t.fs.SyncDir(extentsDir); err != nil {
			return total, err
		}
		t.mu.Lock()
		e := t.extents[num]
		delete(t.extents, num)
		delete(t.doomed, num)
		t.dropped = append(t.dropped, num)
		t.mu.Unlock()
		total += e.durable
		if t.cfg.Events.Compacted != nil {
			t.cfg.Events.Compacted(num, e.durable)
		}
	}
	return total, nil
}

// pacer spreads bytes over time.
type pacer struct {
	rate  int64 // bytes per second
	start time.Time
	bytes int64
}

func (p *pacer) wait(ctx context.Context, n int64) error {
	if p.rate <= 0 {
		return ctx.Err()
	}
	p.bytes += n
	due := time.Duration(float64(p.bytes) / float64(p.rate) * float64(time.Second))
	ahead := due - time.Since(p.start)
	if ahead < 10*time.Millisecond {
		return ctx.Err() // not worth a timer
	}
	return pause.For(ctx, ahead)
}
