package extent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
)

// noContext is for reads that nobody waits to cancel.
var noContext = context.Background()

// recover brings the index up to what the extents hold.
func (t *Target) recover() error {
	st, ok, err := t.openIndex()
	if err != nil {
		return err
	}
	err = t.recoverFrom(st, ok)
	if ok && errors.Is(err, errIndex) {
		if err := t.discardIndex(err); err != nil {
			return err
		}
		t.files.closeAll()
		err = t.recoverFrom(indexState{}, false)
	}
	return err
}

// openIndex opens the index and loads its state; ok is false when it is new.
func (t *Target) openIndex() (st indexState, ok bool, err error) {
	if t.cfg.IndexPath == "" || t.cfg.ReadOnly {
		t.base = &memIndex{m: make(map[ID]loc)}
		return st, false, nil
	}
	x, err := openBolt(t.cfg.IndexPath)
	if err == nil {
		t.base = x
		if st, ok, err = x.load(); err == nil && ok && st.identity != t.sb.Identity {
			err = fmt.Errorf("it is of %v: %w", st.identity, errIndex)
		}
	}
	if errors.Is(err, errIndex) {
		return indexState{}, false, t.discardIndex(err)
	}
	return st, ok, err
}

// discardIndex begins an empty one.
func (t *Target) discardIndex(reason error) error {
	if t.cfg.Events.Rebuild != nil {
		t.cfg.Events.Rebuild(reason)
	}
	if t.base != nil {
		_ = t.base.close() // it is damaged, and goes
	}
	if err := removeIndex(t.cfg.IndexPath); err != nil {
		return fmt.Errorf("discard index: %w", err)
	}
	x, err := openBolt(t.cfg.IndexPath)
	if err != nil {
		return err
	}
	t.base = x
	return nil
}

// recovery is the work of one recoverFrom.
type recovery struct {
	t       *Target
	st      indexState
	known   bool // st is an index's
	shared  []uint64
	own     []uint64
	done    int
	records uint64
	changed bool // something was found that the index did not have
}

func (t *Target) recoverFrom(st indexState, known bool) error {
	t.delta, t.frozen = make(map[ID]entry), nil
	t.extents, t.doomed = make(map[uint64]*extent), make(map[uint64]bool)
	t.dropped, t.active = nil, nil
	t.chunks, t.live, t.ownings = st.chunks, st.live, len(st.own)
	t.nextExtent = st.nextExtent
	t.seq.Store(st.seq)
	r := &recovery{t: t, st: st, known: known}
	if err := r.list(); err != nil {
		return err
	}
	if n := len(r.shared) + len(r.own); !known && n > 0 && t.cfg.IndexPath != "" && t.cfg.Events.Rebuild != nil {
		t.cfg.Events.Rebuild(errors.New("the index is empty"))
	}
	// Ascending order matters: a tombstone is never in an extent before the one
	// of its victim.
	for _, num := range r.shared {
		if err := r.openShared(num); err != nil {
			return fmt.Errorf("extent %d: %w", num, err)
		}
		if err := r.progress(); err != nil {
			return err
		}
	}
	for _, num := range r.own {
		if _, ok := st.own[num]; !ok {
			if err := r.openOwn(num); err != nil {
				return fmt.Errorf("extent %d: %w", num, err)
			}
		}
		if err := r.progress(); err != nil {
			return err
		}
	}
	if err := r.lostOwn(); err != nil {
		return err
	}
	if t.cfg.ReadOnly {
		return nil
	}
	return r.finish()
}

// list sorts the files, and compares them with what the index knows.
func (r *recovery) list() error {
	t := r.t
	names, err := t.fs.List(extentsDir)
	if err != nil {
		return fmt.Errorf("list extents: %w", err)
	}
	here := make(map[uint64]bool)
	for _, name := range names {
		num, own, ok := parseExtentName(name)
		if !ok {
			continue
		}
		t.nextExtent = max(t.nextExtent, num)
		if own {
			r.own = append(r.own, num)
			continue
		}
		here[num] = true
		r.shared = append(r.shared, num)
	}
	slices.Sort(r.shared)
	for num, e := range r.st.extents {
		switch {
		case here[num]:
		case e.doomed:
			t.dropped = append(t.dropped, num)
			r.changed = true
		default:
			return fmt.Errorf("extent %d is missing: %w", num, errIndex)
		}
	}
	return nil
}

// progress reports, and keeps memory bounded while an index is rebuilt.
func (r *recovery) progress() error {
	t := r.t
	r.done++
	if t.cfg.Events.Scanned != nil {
		t.cfg.Events.Scanned(r.done, len(r.shared)+len(r.own), r.records)
	}
	return r.saveIfDue()
}

// saveIfDue is a checkpoint when much was found since the last.
func (r *recovery) saveIfDue() error {
	t := r.t
	if len(t.delta) < 4*t.cfg.CheckpointEntries {
		return nil
	}
	if err := r.syncNames(); err != nil {
		return err
	}
	return t.checkpoint()
}

// syncNames is due before a checkpoint: names, too, may be as a process left them that died
// without its host, and an extent that the index forgets must not come back.
func (r *recovery) syncNames() error {
	if r.t.cfg.ReadOnly {
		return nil
	}
	for _, dir := range []string{".", extentsDir} {
		if err := r.t.fs.SyncDir(dir); err != nil {
			return fmt.Errorf("sync names: %w", err)
		}
	}
	return nil
}

// blank tells an extent file that a crash left before its header was synced
// from one whose header is damaged. Data of an own file may be on disk before that,
// of a shared extent nothing is.
func blank(h *handle) (bool, error) {
	b := make([]byte, scanWindow)
	if h.own {
		b = b[:headerBlock]
	}
	for off := int64(0); ; off += int64(len(b)) {
		n, err := h.file.ReadAt(b, off)
		if err != nil && !errors.Is(err, io.EOF) {
			return false, err
		}
		if n > 0 && slices.Max(b[:n]) > 0 {
			return false, nil
		}
		if err != nil || h.own {
			return true, nil
		}
	}
}

// strange deals with a file whose header cannot be used: it is removed when
// nothing was ever stored in it, and else left alone.
func (r *recovery) strange(h *handle, reason error) error {
	t := r.t
	empty, err := blank(h)
	if err != nil {
		return err
	}
	if empty {
		return r.remove(h)
	}
	if t.cfg.Events.Corrupt != nil {
		t.cfg.Events.Corrupt(ID{}, h.num, reason)
	}
	return nil
}

func (r *recovery) remove(h *handle) error {
	if r.t.cfg.ReadOnly {
		return nil
	}
	r.t.files.drop(h.num)
	r.changed = true
	return r.t.fs.Remove(extentName(h.num, h.own))
}

func (r *recovery) openShared(num uint64) error {
	t := r.t
	h, err := t.files.acquire(num, false)
	if err != nil {
		return err
	}
	defer t.files.release(h)
	old, known := r.st.extents[num]
	if old.doomed {
		t.dropped = append(t.dropped, num)
		return r.remove(h)
	}
	hdr, err := headerOf(h.file)
	switch {
	case err == nil && hdr.identity != t.sb.Identity, err == nil && (hdr.number != num || hdr.kind != kindShared):
		err = fmt.Errorf("it is extent %d of %v: %w", hdr.number, hdr.identity, ErrCorrupt)
	case err == nil && known && hdr.salt != old.salt:
		return fmt.Errorf("another extent than the index knows: %w", errIndex)
	case err != nil && !known && !errors.Is(err, ErrCorrupt):
		return err
	}
	if err != nil {
		if !known {
			return r.strange(h, err)
		}
		// The index has all that the header has, but may get lost: nothing more goes in here.
		hdr = extentHeader{number: num, salt: old.salt}
		if t.cfg.Events.Corrupt != nil {
			t.cfg.Events.Corrupt(ID{}, num, err)
		}
	}
	e := &extent{
		num: num, salt: hdr.salt, seed: hdr.seed(), sealed: true, failed: err != nil, dirty: !known,
		tail: headerBlock, durable: headerBlock, tombs: make(map[uint64]int64),
	}
	if known {
		e.tail, e.durable, e.live, e.tombs = old.covered, old.covered, old.live, maps.Clone(old.tombs)
	}
	t.extents[num] = e
	return r.replay(e, h)
}

// replay enters what the index does not cover of an extent.
func (r *recovery) replay(e *extent, h *handle) error {
	t := r.t
	size, err := h.file.Size()
	if err != nil {
		return err
	}
	e.allocated = e.tail
	switch {
	case size == e.tail:
		return nil
	case size < e.tail && e.dirty:
		return r.strange(h, fmt.Errorf("%d bytes long: %w", size, ErrCorrupt))
	case size < e.tail:
		return fmt.Errorf("extent has %d bytes, the index knows %d: %w", size, e.tail, errIndex)
	}
	ts, err := scanTail(h, e.seed, e.tail, size, func(s *scanned, synced bool) error {
		r.seen(s.seq)
		if err := r.apply(e, s); err != nil || !synced {
			return err
		}
		e.durable, e.dirty = s.end(s.off), true
		return r.saveIfDue() // an extent may have millions of records
	})
	if err != nil {
		return err
	}
	if !t.cfg.ReadOnly {
		if err := ts.mend(h.file, size); err != nil {
			return err
		}
		r.changed = true
	}
	r.seen(ts.seq)
	for i := range ts.torn {
		if t.cfg.Events.Torn != nil {
			t.cfg.Events.Torn(ts.torn[i].id, e.num)
		}
	}
	e.tail, e.allocated, e.durable, e.dirty = ts.end, ts.end, ts.end, true
	return nil
}

func (r *recovery) seen(seq uint64) {
	if seq > r.t.seq.Load() {
		r.t.seq.Store(seq)
	}
}

// apply enters one record unless a later one is known. e is nil for an
// own-file extent's record.
func (r *recovery) apply(e *extent, s *scanned) error {
	t := r.t
	r.records++
	at, err := t.lookup(s.id)
	exists := err == nil
	if err != nil && err != ErrNotFound {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.kind == recTombstone {
		e.tombs[uint64(s.data)] += int64(s.size)
		if exists && at.seq <= uint64(s.length) {
			t.erase(s.id, at)
		}
		return nil
	}
	var was *loc
	if exists {
		if at.seq >= s.seq {
			return nil
		}
		was = &at
	}
	t.insert(s.id, s.loc(e.num, e.own), was)
	return nil
}

// openOwn enters an own-file extent that the index does not know.
func (r *recovery) openOwn(num uint64) error {
	t := r.t
	h, err := t.files.acquire(num, true)
	if err != nil {
		return err
	}
	defer t.files.release(h)
	hdr, err := headerOf(h.file)
	if err == nil && (hdr.identity != t.sb.Identity || hdr.number != num || hdr.kind != kindOwn) {
		err = fmt.Errorf("it is extent %d of %v: %w", hdr.number, hdr.identity, ErrCorrupt)
	}
	if errors.Is(err, ErrCorrupt) {
		return r.strange(h, err)
	}
	if err != nil {
		return err
	}
	off := headerBlock + align(hdr.length, regionAlign)
	b := make([]byte, recordFixed)
	if _, err := h.file.ReadAt(b, off); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	rec, ok := decodeRecord(b, hdr.seed(), off)
	if !ok || rec.kind != recChunk {
		if slices.Max(b) == 0 {
			return r.remove(h) // never committed
		}
		return r.badOwn(h, ID{})
	}
	s := scanned{rec, off}
	// The header was written after the data was synced, but the crash may have
	// torn the header itself.
	whole := make([]byte, rec.size)
	if _, err := h.file.ReadAt(whole, off); errors.Is(err, io.EOF) {
		return r.remove(h)
	} else if err != nil {
		return err
	}
	if !rec.bodyOK(whole) {
		return r.badOwn(h, rec.id)
	}
	if !t.cfg.ReadOnly {
		if err := h.file.SyncData(); err != nil {
			return err
		}
	}
	r.changed = true
	r.seen(rec.seq)
	return r.apply(&extent{num: num, own: true}, &s)
}

// badOwn deals with an own file whose record is not whole. One that was made since the last
// checkpoint was cut by the crash, as far as can be told; others are damaged.
func (r *recovery) badOwn(h *handle, id ID) error {
	events := &r.t.cfg.Events
	if r.known && h.num > r.st.nextExtent {
		if events.Torn != nil {
			events.Torn(id, h.num)
		}
		return r.remove(h)
	}
	if events.Corrupt != nil {
		events.Corrupt(id, h.num, fmt.Errorf("record header: %w", ErrCorrupt))
	}
	return nil
}

// lostOwn forgets chunks whose own file was removed before the crash.
func (r *recovery) lostOwn() error {
	t := r.t
	for _, num := range r.own {
		delete(r.st.own, num)
	}
	for num, id := range r.st.own {
		at, err := t.lookup(id)
		if err != nil && err != ErrNotFound {
			return err
		}
		t.mu.Lock()
		if err == nil && at.own && at.extent == num {
			t.erase(id, at)
		} else {
			t.ownings--
		}
		t.mu.Unlock()
		r.changed = true
	}
	return nil
}

// finish makes durable what recovery did and chooses where to write.
func (r *recovery) finish() error {
	t := r.t
	if err := r.syncNames(); err != nil {
		return err
	}
	if r.changed {
		if err := t.checkpoint(); err != nil {
			return err
		}
	}
	if len(r.shared) == 0 || t.sb.Epoch > 0 { // an owner before may still write to them
		return nil
	}
	e := t.extents[r.shared[len(r.shared)-1]]
	if e == nil || e.failed || e.tail+2*t.slack() > t.cfg.ExtentSize {
		return nil
	}
	h, err := t.files.acquire(e.num, false)
	if err != nil {
		return err
	}
	e.h, e.sealed = h, false
	t.active = e
	return nil
}
