package extent

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/weftstore/weft/internal/tracing"
)

// Writer stores one chunk whose blocks come one by one. WriteAt is safe for
// concurrent use; Commit and Abort come after the last WriteAt returned. One
// of the two must be called.
type Writer struct {
	t      *Target
	id     ID
	length int64
	data   int64 // offset of the data in the extent
	rec    int64 // offset of the record header, of an own file
	heads  int64 // room kept for the header in a shared extent
	num    uint64
	own    bool
	seed   uint64
	e      *extent // shared
	h      *handle
	m      mask

	mu      sync.Mutex
	head    *record
	have    []uint64 // bit per unit that was written
	missing int
	err     error // a write failed: nothing can be committed
	over    bool
}

// Create begins a chunk of length bytes, 1 to MaxChunk, and reserves its room.
// Errors: ErrInvalid, ErrExists (also while another writer has the id),
// ErrFull, ErrOffline, ErrFenced.
func (t *Target) Create(ctx context.Context, id ID, length int64) (*Writer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := t.writable(); err != nil {
		return nil, err
	}
	if length < 1 || length > MaxChunk {
		return nil, fmt.Errorf("create chunk: %d bytes: %w", length, ErrInvalid)
	}
	if err := t.claim(id); err != nil {
		return nil, fmt.Errorf("create chunk: %w", err)
	}
	w, err := t.newWriter(id, length, false)
	if err != nil {
		t.unclaim(id)
		return nil, fmt.Errorf("create chunk: %w", err)
	}
	return w, nil
}

// newWriter reserves room. urgent: compaction, which frees more than it takes, and moves
// chunks of shared extents only, whatever their length.
func (t *Target) newWriter(id ID, length int64, urgent bool) (*Writer, error) {
	units := unitsOf(length)
	w := &Writer{
		t: t, id: id, length: length, own: length >= t.cfg.OwnFile && !urgent, m: maskOf(id),
		have: make([]uint64, (units+63)/64), missing: units,
		heads: headerSize(length, MaxMeta),
	}
	var err error
	if w.own {
		err = w.reserveOwn()
	} else {
		err = w.reserveShared(urgent)
	}
	if err != nil {
		return nil, err
	}
	// The metadata comes with Commit; the table grows in place until then.
	w.head = newRecord(recChunk, id, length, nil)
	return w, nil
}

func (w *Writer) reserveShared(urgent bool) error {
	t := w.t
	t.alloc.Lock()
	defer t.alloc.Unlock()
	// At most regionAlign is lost between the marker and the region.
	const marker = 2 * recordAlign
	e, err := t.room(marker+regionAlign+align(w.length, recordAlign), w.heads, urgent)
	if err != nil {
		return err
	}
	at := e.tail
	w.data = align(at+marker, regionAlign)
	// The marker spares recovery reading through the data. It is not synced by
	// itself and may get lost.
	r := newRecord(recReserve, w.id, w.length, nil)
	r.hdr.data = w.data
	r.hdr.seq = t.seq.Add(1)
	r.sealBody()
	r.hdr.put(r.head, e.seed, at)
	_, err = e.h.file.WriteAt(r.head, at)
	r.free()
	if err != nil {
		return fmt.Errorf("reserve in extent %d: %w", e.num, asFull(err))
	}
	if w.h, err = t.files.acquire(e.num, false); err != nil {
		return err
	}
	e.tail = w.data + align(w.length, recordAlign)
	e.heads += w.heads
	e.writers++
	w.e, w.num, w.seed = e, e.num, e.seed
	return nil
}

func (w *Writer) reserveOwn() error {
	t := w.t
	w.rec = headerBlock + align(w.length, regionAlign)
	size := w.rec + w.heads
	if err := t.spaceFor(size); err != nil {
		return err
	}
	t.alloc.Lock()
	t.nextExtent++
	w.num = t.nextExtent
	t.alloc.Unlock()
	hdr := extentHeader{
		identity: t.sb.Identity, kind: kindOwn, number: w.num, created: t.cfg.Now().UnixNano(), length: w.length,
	}
	rand.Read(hdr.salt[:])
	h, err := t.createFile(w.num, true, &hdr)
	if err != nil {
		return err
	}
	if err := h.file.Allocate(headerBlock, size-headerBlock); err != nil {
		t.files.release(h)
		t.files.drop(w.num)
		_ = t.fs.Remove(extentName(w.num, true))
		return fmt.Errorf("reserve extent %d: %w", w.num, asFull(err))
	}
	w.h, w.data, w.seed = h, headerBlock, hdr.seed()
	return nil
}

// WriteAt stores p at off, a multiple of erasure.Unit; off+len(p) is one too
// or the end. Blocks come in any order, each byte once. crcs are those of the
// units, or nil. Errors: ErrInvalid, ErrCorrupt (p does not match crcs; may be
// written again). After any other error the chunk cannot be committed.
func (w *Writer) WriteAt(ctx context.Context, p []byte, off int64, crcs []uint64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := w.t.writable(); err != nil {
		return err
	}
	f := found{loc: loc{length: w.length}}
	if err := f.span(off, int64(len(p))); err != nil {
		return fmt.Errorf("write chunk: %w", err)
	}
	first, n := int(off/unit), unitsOf(int64(len(p)))
	// Each unit has its own place in the table: no lock needed.
	if err := sealUnits(w.m, first, p, crcs, w.head.head[recordFixed+8*first:]); err != nil {
		return fmt.Errorf("write chunk: %w", err)
	}
	_, err := w.h.file.WriteAt(p, w.data+off)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		err = fmt.Errorf("write chunk to extent %d: %w", w.num, asFull(err))
		w.err = err
		return err
	}
	w.h.file.StartWriteback(w.data+off, int64(len(p)))
	for i := first; i < first+n; i++ {
		if bit := uint64(1) << (i % 64); w.have[i/64]&bit == 0 {
			w.have[i/64] |= bit
			w.missing--
		}
	}
	return nil
}

// Commit makes the chunk durable and visible. It is ErrInvalid when bytes are
// missing. After an error the chunk does not exist.
func (w *Writer) Commit(ctx context.Context, meta []byte) error {
	w.mu.Lock()
	over := w.over
	w.mu.Unlock()
	if over {
		return fmt.Errorf("commit chunk: writer is finished: %w", ErrInvalid)
	}
	err := w.ready(ctx, meta)
	if err == nil {
		_, span := tracing.Start(ctx, spanSync)
		err = w.commit(meta, nil)
		span.End()
	} else {
		w.discard()
	}
	w.t.unclaim(w.id)
	if err != nil {
		return fmt.Errorf("commit chunk: %w", err)
	}
	return nil
}

func (w *Writer) ready(ctx context.Context, meta []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case w.err != nil:
		return w.err
	case w.missing > 0:
		return fmt.Errorf("%d of %d units are missing: %w", w.missing, unitsOf(w.length), ErrInvalid)
	case len(meta) > MaxMeta:
		return fmt.Errorf("%d bytes of metadata: %w", len(meta), ErrInvalid)
	}
	return w.t.writable()
}

// commit writes the record. was: only as a move of the chunk from there.
func (w *Writer) commit(meta []byte, was *loc) error {
	r := newRecord(recChunk, w.id, w.length, meta)
	copy(r.head[recordFixed:], w.head.head[recordFixed:recordFixed+8*r.hdr.units()])
	r.hdr.data = w.data
	r.hdr.created = w.t.cfg.Now().UnixNano()
	if was != nil {
		r.hdr.created = was.created
	}
	r.sealBody()
	if w.own {
		err := w.commitOwn(r)
		r.free()
		if err != nil {
			w.discard()
			return err
		}
		w.finish()
		return nil
	}
	r.w, r.was = w.e, was
	w.t.submit(r)
	err := r.err
	r.free()
	w.finish()
	return err
}

// commitOwn syncs the data before the header is written, so that a header on
// disk means that the data is; then the header, then the name.
func (w *Writer) commitOwn(r *record) error {
	t := w.t
	r.hdr.seq = t.seq.Add(1)
	r.hdr.durable = headerBlock
	r.hdr.put(r.head, w.seed, w.rec)
	err := w.h.file.SyncData()
	if err == nil {
		_, err = w.h.file.WriteAt(r.head, w.rec)
	}
	if err == nil {
		err = w.h.file.Truncate(w.rec + int64(len(r.head)))
	}
	if err == nil {
		err = w.h.file.SyncData()
	}
	if err == nil {
		err = t.fs.SyncDir(extentsDir)
	}
	if err != nil {
		err = fmt.Errorf("commit extent %d: %w", w.num, asFull(err))
		if t.cfg.Events.SyncFailed != nil {
			t.cfg.Events.SyncFailed(w.num, err)
		}
		return err
	}
	if err := t.guard(); err != nil {
		return err
	}
	t.mu.Lock()
	t.insert(w.id, loc{
		extent: w.num, own: true, rec: w.rec, data: w.data, length: w.length,
		seq: r.hdr.seq, created: r.hdr.created, head: r.hdr.size,
	}, nil)
	t.mu.Unlock()
	t.syncs.Add(1)
	t.commits.Add(1)
	t.checkpointIfDue(t.cfg.CheckpointEntries)
	return nil
}

// Abort gives the chunk up. After Commit it does nothing.
func (w *Writer) Abort() {
	w.mu.Lock()
	over := w.over
	w.mu.Unlock()
	if !over {
		w.discard()
		w.t.unclaim(w.id)
	}
}

// discard drops what was written. In a shared extent that is dead space now.
func (w *Writer) discard() {
	w.mu.Lock()
	over := w.over
	w.mu.Unlock()
	if over {
		return
	}
	w.finish()
	if w.own {
		w.t.files.drop(w.num)
		// Without a record the file is removed by the next Open at the latest.
		_ = w.t.fs.Remove(extentName(w.num, true))
	}
}

// finish gives back what the writer held, once.
func (w *Writer) finish() {
	w.mu.Lock()
	if w.over {
		w.mu.Unlock()
		return
	}
	w.over = true
	w.mu.Unlock()
	t := w.t
	t.files.release(w.h)
	if e := w.e; e != nil {
		t.alloc.Lock()
		e.heads -= w.heads
		e.writers--
		t.letGo(e)
		t.alloc.Unlock()
	}
	w.head.free()
}

// unlinkOwn deletes chunks that have files. They stay in the index until the files are
// gone for good, so that a deletion that failed can be tried again.
func (t *Target) unlinkOwn(own map[ID]loc) error {
	if len(own) == 0 {
		return nil
	}
	if err := t.guard(); err != nil {
		return err
	}
	var first error
	for id, at := range own {
		if err := t.fs.Remove(extentName(at.extent, true)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			delete(own, id)
			if first == nil {
				first = fmt.Errorf("remove extent %d: %w", at.extent, err)
			}
		}
		t.files.drop(at.extent) // now that no reader opens it again
	}
	if err := t.fs.SyncDir(extentsDir); err != nil {
		return err
	}
	t.erasing.Lock()
	defer t.erasing.Unlock()
	for id, at := range own {
		// Another deletion may have been faster, and the chunk stored anew since.
		now, err := t.lookup(id)
		if err == nil && now == at {
			t.mu.Lock()
			t.erase(id, at)
			t.mu.Unlock()
		} else if err != nil && err != ErrNotFound && first == nil {
			first = err
		}
	}
	return first
}
