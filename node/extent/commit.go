package extent

import (
	"errors"
	"fmt"
	"sync"
)

// record waits for a group commit. From submit to its answer it belongs to the
// committer.
type record struct {
	hdr  recordHeader
	head []byte  // hdr.size bytes with table and metadata in place
	data []byte  // inline data
	w    *extent // extent that has the data already; nil: the active one
	was  *loc    // a move: only if the chunk is still there
	// copied: a tombstone that compaction moves, aimed already.
	copied bool
	off    int64   // where the header goes
	ext    *extent // where it went
	err    error
	done   chan struct{} // capacity 1
}

var recordPool = sync.Pool{New: func() any { return &record{done: make(chan struct{}, 1)} }}

// newRecord has room for the header of a record; the fixed part is zero.
func newRecord(kind uint8, id ID, length int64, meta []byte) *record {
	r := recordPool.Get().(*record)
	size := int64(2 * recordAlign)
	if kind == recChunk {
		size = headerSize(length, len(meta))
	}
	r.hdr = recordHeader{kind: kind, id: id, length: length, size: uint32(size), metaLen: uint32(len(meta))}
	if int64(cap(r.head)) < size {
		r.head = make([]byte, size)
	}
	r.head = r.head[:size]
	body := recordFixed + 8*r.hdr.units()
	copy(r.head[body:], meta)
	clear(r.head[body+len(meta):])
	r.data, r.w, r.was, r.ext, r.err, r.off, r.copied = nil, nil, nil, nil, nil, 0, false
	return r
}

func (r *record) free() {
	r.data, r.w, r.ext, r.was = nil, nil, nil, nil
	if cap(r.head) <= 64<<10 {
		recordPool.Put(r)
	}
}

// size in the extent, without data that is there already.
func (r *record) size() int64 {
	return int64(r.hdr.size) + align(int64(len(r.data)), recordAlign)
}

// queue gathers records while a commit runs.
type queue struct {
	mu      sync.Mutex
	waiting []*record
	spare   []*record
	shut    bool
	wake    chan struct{}
}

func (q *queue) init() { q.wake = make(chan struct{}, 1) }

func (q *queue) put(rs ...*record) bool {
	q.mu.Lock()
	if q.shut {
		q.mu.Unlock()
		return false
	}
	q.waiting = append(q.waiting, rs...)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return true
}

// take waits for records; nil when the queue is closed and empty. The slice is
// good until the next take.
func (q *queue) take() []*record {
	for {
		q.mu.Lock()
		if len(q.waiting) > 0 {
			rs := q.waiting
			q.waiting, q.spare = q.spare[:0], rs
			q.mu.Unlock()
			return rs
		}
		shut := q.shut
		q.mu.Unlock()
		if shut {
			return nil
		}
		<-q.wake
	}
}

func (q *queue) close() {
	q.mu.Lock()
	q.shut = true
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// submit commits records and waits; their errors are in them. It cannot be
// left early: the committer reads the caller's memory.
func (t *Target) submit(rs ...*record) {
	if !t.queue.put(rs...) {
		for _, r := range rs {
			r.err = errClosed
		}
		return
	}
	for _, r := range rs {
		<-r.done
	}
}

// run is a stretch of records in one extent, written by one call.
type run struct {
	ext  *extent
	h    *handle
	off  int64
	end  int64
	recs []*record
}

// committer is the state of the commit loop, kept to save allocations.
type committer struct {
	t    *Target
	runs []run
	bufs [][]byte
	gone map[ID]struct{} // chunks deleted in this batch
}

var zeros [recordAlign]byte

// maxBatch bounds one write; what is more waits for the next.
const maxBatch = 1024

func (t *Target) commitLoop() {
	c := &committer{t: t, gone: make(map[ID]struct{})}
	for {
		batch := t.queue.take()
		if batch == nil {
			return
		}
		for len(batch) > 0 {
			n := min(len(batch), maxBatch)
			c.commit(batch[:n])
			batch = batch[n:]
		}
	}
}

// commit makes a batch durable and answers it.
func (c *committer) commit(batch []*record) {
	t := c.t
	err := t.up()
	if errors.Is(err, errClosed) {
		err = nil // Close waits for what was submitted before it
	}
	if err != nil {
		for _, r := range batch {
			r.err = err
		}
	} else {
		c.place(batch)
		for i := range c.runs {
			c.write(&c.runs[i])
		}
		c.publish(batch)
		c.leave()
	}
	for _, r := range batch {
		r.done <- struct{}{}
	}
	t.checkpointIfDue(t.cfg.CheckpointEntries)
}

// place gives every record its offset, and groups them into runs.
func (c *committer) place(batch []*record) {
	t := c.t
	clear(c.gone)
	for i := range c.runs {
		clear(c.runs[i].recs)
		c.runs[i].recs = c.runs[i].recs[:0]
	}
	c.runs = c.runs[:0]
	for _, r := range batch {
		if r.hdr.kind == recTombstone && !r.copied {
			c.aim(r)
		}
	}
	t.alloc.Lock()
	defer t.alloc.Unlock()
	for _, r := range batch {
		if r.err == nil {
			r.err = c.placeOne(r)
		}
	}
}

// aim fills in what a tombstone deletes: where the chunk is now, which may not
// be where its caller saw it.
func (c *committer) aim(r *record) {
	at, err := c.t.lookup(r.hdr.id)
	switch {
	case err != nil:
		r.err = err
	case at.own:
		r.err = ErrNotFound
	default:
		r.hdr.data, r.hdr.length = int64(at.extent), int64(at.seq)
		r.was = &at
		c.gone[r.hdr.id] = struct{}{}
	}
}

var errMoved = errors.New("chunk moved")

func (c *committer) placeOne(r *record) error {
	t := c.t
	urgent := r.hdr.kind == recTombstone || r.was != nil
	if r.was != nil && r.hdr.kind == recChunk {
		// A copy must not outlive the deletion of its chunk: the copy's sequence
		// number would be the higher one.
		if _, deleted := c.gone[r.hdr.id]; deleted {
			return errMoved
		}
		if at, err := t.lookup(r.hdr.id); err != nil || at != *r.was {
			return errMoved
		}
	}
	e := r.w
	if e == nil {
		var err error
		if e, err = t.room(r.size(), 0, urgent); err != nil {
			return err
		}
	} else if e.failed {
		return fmt.Errorf("extent %d failed earlier: %w", e.num, errExtentFailed)
	} else if err := t.grow(e, e.tail+r.size(), true); err != nil {
		return err
	}
	r.ext, r.off = e, e.tail
	if r.data != nil || r.hdr.kind == recChunk && r.w == nil {
		r.hdr.data = r.off + int64(r.hdr.size)
	}
	r.hdr.seq = t.seq.Add(1)
	e.tail += r.size()
	last := len(c.runs) - 1
	for last >= 0 && (c.runs[last].ext != e || c.runs[last].end != r.off) {
		last--
	}
	if last < 0 {
		c.runs = append(c.runs, run{ext: e, off: r.off})
		last = len(c.runs) - 1
		h, err := t.files.acquire(e.num, false)
		if err != nil {
			c.runs = c.runs[:last]
			e.tail = r.off
			r.ext = nil
			return err
		}
		c.runs[last].h = h
		// Sealed meanwhile, the extent is still not compaction's: what is under
		// way would look dead.
		e.writers++
	}
	c.runs[last].recs = append(c.runs[last].recs, r)
	c.runs[last].end = e.tail
	return nil
}

var errExtentFailed = errors.New("extent takes no more writes")

// write makes one run durable.
func (c *committer) write(w *run) {
	t, e := c.t, w.ext
	defer t.files.release(w.h)
	clear(c.bufs)
	c.bufs = c.bufs[:0]
	for _, r := range w.recs {
		r.hdr.durable = e.durable // only changed by this goroutine
		r.hdr.put(r.head, e.seed, r.off)
		c.bufs = append(c.bufs, r.head)
		if len(r.data) > 0 {
			c.bufs = append(c.bufs, r.data)
			if pad := align(int64(len(r.data)), recordAlign) - int64(len(r.data)); pad > 0 {
				c.bufs = append(c.bufs, zeros[:pad])
			}
		}
	}
	err := w.h.file.Writev(c.bufs, w.off)
	if err == nil {
		err = w.h.file.SyncData()
	}
	if err != nil {
		err = fmt.Errorf("commit to extent %d: %w", e.num, asFull(err))
		t.fail(e, err)
		for _, r := range w.recs {
			r.err = err
		}
		return
	}
	t.syncs.Add(1)
	if err := t.guard(); err != nil {
		for _, r := range w.recs {
			r.err = err
		}
	}
}

// leave ends what placeOne announced.
func (c *committer) leave() {
	t := c.t
	t.alloc.Lock()
	defer t.alloc.Unlock()
	for _, w := range c.runs {
		w.ext.writers--
		t.letGo(w.ext)
	}
}

// publish enters what is durable into the index, in one step for readers.
func (c *committer) publish(batch []*record) {
	t := c.t
	t.mu.Lock()
	for _, w := range c.runs {
		if w.recs[0].err == nil {
			w.ext.durable = max(w.ext.durable, w.end)
			w.ext.dirty = true
		}
	}
	for _, r := range batch {
		if r.err != nil {
			continue
		}
		switch {
		case r.hdr.kind == recChunk:
			at := loc{
				extent: r.ext.num, rec: r.off, data: r.hdr.data, length: r.hdr.length,
				seq: r.hdr.seq, created: r.hdr.created, head: r.hdr.size,
			}
			t.insert(r.hdr.id, at, r.was)
			t.commits.Add(1)
		default:
			r.ext.tombs[uint64(r.hdr.data)] += r.size()
			if !r.copied {
				t.erase(r.hdr.id, *r.was)
			}
		}
	}
	t.mu.Unlock()
}

// insert makes a chunk visible, at a new place if it was somewhere. mu is held.
func (t *Target) insert(id ID, at loc, was *loc) {
	if was != nil {
		t.unaccount(*was)
		t.changes++
		t.cache.remove(id)
	} else {
		t.chunks++
	}
	t.delta[id] = entry{loc: at}
	t.account(at, 1)
}

// erase makes a chunk invisible. mu is held. The chunk may be gone already,
// when two callers delete it at once.
func (t *Target) erase(id ID, at loc) {
	e, ok := t.delta[id]
	if !ok {
		e, ok = t.frozen[id]
	}
	if ok && (e.gone || e.loc != at) {
		return
	}
	t.delta[id] = entry{loc: at, gone: true}
	t.chunks--
	t.unaccount(at)
	t.changes++
	t.cache.remove(id)
}

func (t *Target) unaccount(at loc) { t.account(at, -1) }

// account adds a chunk to the sums, or takes it out. mu is held.
func (t *Target) account(at loc, sign int64) {
	n := sign * at.footprint()
	t.live += n
	if at.own {
		t.ownings += int(sign)
		return
	}
	if e := t.extents[at.extent]; e != nil {
		e.live += n
		e.dirty = true
	}
}
