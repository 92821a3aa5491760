package extent

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"

	"github.com/weftstore/weft/internal/checksum"
)

// keepTable is the longest checksum table that the cache keeps: 512 units,
// 16 MiB of data.
const keepTable = 512

var scratchPool = sync.Pool{New: func() any { return new([]byte) }}

// scratch is n bytes until the returned pointer is put back.
func scratch(n int) *[]byte {
	b := scratchPool.Get().(*[]byte)
	if cap(*b) < n {
		*b = make([]byte, n)
	}
	*b = (*b)[:n]
	return b
}

func unscratch(b *[]byte) {
	if cap(*b) <= 1<<20 {
		scratchPool.Put(b)
	}
}

// find gets the place of a chunk, from the cache where it can.
func (t *Target) find(id ID) (*found, error) {
	if f := t.cache.get(id); f != nil {
		return f, nil
	}
	t.mu.RLock()
	changes := t.changes
	t.mu.RUnlock()
	at, err := t.lookup(id)
	if err != nil {
		return nil, err
	}
	f := &found{loc: at}
	if n := unitsOf(at.length); n <= keepTable {
		h, err := t.files.acquire(at.extent, at.own)
		if err != nil {
			return nil, openError(err)
		}
		f.crcs = make([]uint64, n)
		err = readTable(h, &at, 0, f.crcs)
		t.files.release(h)
		if err != nil {
			return nil, err
		}
	}
	t.mu.RLock()
	// A chunk that was deleted or moved since the look-up must not enter.
	if t.changes == changes {
		t.cache.add(id, f)
	}
	t.mu.RUnlock()
	return f, nil
}

// openError: an extent that is not there any more.
func openError(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errMoved
	}
	return fmt.Errorf("open extent: %w", err)
}

// readError: a file that ends too early is damage, not trouble of the target.
func readError(err error) error {
	if errors.Is(err, io.EOF) {
		return ErrCorrupt
	}
	return err
}

// readTable reads stored table entries from unit first on.
func readTable(h *handle, at *loc, first int, crcs []uint64) error {
	if len(crcs) == 0 {
		return nil
	}
	b := scratch(8 * len(crcs))
	defer unscratch(b)
	if _, err := h.file.ReadAt(*b, at.table()+8*int64(first)); err != nil {
		return readError(err)
	}
	for i := range crcs {
		crcs[i] = binary.LittleEndian.Uint64((*b)[8*i:])
	}
	return nil
}

// tries is how often a read that finds a chunk moved looks again.
const tries = 4

// withChunk calls fn with the place of a chunk and its extent open, again when
// the chunk was moved meanwhile.
func (t *Target) withChunk(ctx context.Context, op string, id ID, fn func(f *found, h *handle) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := t.up(); err != nil {
		return err
	}
	var err error
	for range tries {
		var f *found
		if f, err = t.find(id); err == nil {
			var h *handle
			if h, err = t.files.acquire(f.extent, f.own); err != nil {
				err = openError(err)
			} else {
				err = fn(f, h)
				t.files.release(h)
			}
		}
		if err == nil || !errors.Is(err, errMoved) && !errors.Is(err, ErrCorrupt) {
			break
		}
		if at, lerr := t.lookup(id); lerr != nil || f != nil && at == f.loc {
			if errors.Is(err, errMoved) {
				err = ErrNotFound
			}
			if lerr != nil {
				err = lerr
			}
			break
		}
		t.cache.remove(id)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errMoved):
		err = ErrNotFound // its file is gone without our doing
	}
	return fmt.Errorf("%s %v/%d: %w", op, id.Set, id.Index, err)
}

// ReadAt fills p with the chunk's bytes from off on, verified. off is a
// multiple of erasure.Unit, and so is off+len(p) unless it is the chunk's end;
// else ErrInvalid. ErrNotFound, ErrCorrupt (p has garbage then).
func (t *Target) ReadAt(ctx context.Context, id ID, p []byte, off int64) error {
	if f := t.cache.get(id); f != nil && f.crcs != nil && t.up() == nil && ctx.Err() == nil {
		// The common case without the closure of withChunk; it repeats whatever
		// goes wrong.
		if h, err := t.files.acquire(f.extent, f.own); err == nil {
			err = f.readInto(id, h, p, off)
			t.files.release(h)
			if err == nil {
				return nil
			}
		}
	}
	return t.withChunk(ctx, "read chunk", id, func(f *found, h *handle) error {
		return f.readInto(id, h, p, off)
	})
}

// span checks that [off, off+n) is made of whole units.
func (f *found) span(off, n int64) error {
	if off < 0 || n < 0 || off > f.length || n > f.length-off || off%unit != 0 || (off+n)%unit != 0 && off+n != f.length {
		return fmt.Errorf("range %d+%d of %d: %w", off, n, f.length, ErrInvalid)
	}
	return nil
}

func (f *found) readInto(id ID, h *handle, p []byte, off int64) error {
	if err := f.span(off, int64(len(p))); err != nil {
		return err
	}
	if len(p) == 0 {
		return nil
	}
	if _, err := h.file.ReadAt(p, f.data+off); err != nil {
		return readError(err)
	}
	first := int(off / unit)
	crcs := f.crcs
	if crcs != nil {
		crcs = crcs[first:]
	} else {
		crcs = make([]uint64, unitsOf(int64(len(p))))
		if err := readTable(h, &f.loc, first, crcs); err != nil {
			return err
		}
	}
	if !verifyUnits(maskOf(id), first, crcs, p) {
		return ErrCorrupt
	}
	return nil
}

// CRCs are the checksums of the units of [off, off+n), with ReadAt's rules.
// They are not verified against the data; damage in the table cannot be told
// from damage in the data without reading that.
func (t *Target) CRCs(ctx context.Context, id ID, off, n int64) ([]uint64, error) {
	var crcs []uint64
	err := t.withChunk(ctx, "read checksums", id, func(f *found, h *handle) error {
		if err := f.span(off, n); err != nil {
			return err
		}
		first := int(off / unit)
		crcs = make([]uint64, unitsOf(n))
		if f.crcs != nil {
			copy(crcs, f.crcs[first:])
		} else if err := readTable(h, &f.loc, first, crcs); err != nil {
			return err
		}
		m := maskOf(id)
		for i := range crcs {
			crcs[i] ^= m.unit(first + i)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return crcs, nil
}

// Stat tells what the index knows; nothing is read from the extent.
func (t *Target) Stat(id ID) (Info, error) {
	if err := t.up(); err != nil {
		return Info{}, err
	}
	if f := t.cache.get(id); f != nil {
		return f.info(id), nil
	}
	at, err := t.lookup(id)
	if err != nil {
		return Info{}, fmt.Errorf("stat chunk %v/%d: %w", id.Set, id.Index, err)
	}
	return at.info(id), nil
}

func (l *loc) info(id ID) Info {
	return Info{ID: id, Length: l.length, Created: time.Unix(0, l.created)}
}

// header reads a chunk's record header whole and verifies it. The bytes are
// the caller's.
func (t *Target) header(f *found, id ID, h *handle) (recordHeader, []byte, error) {
	var r recordHeader
	b := make([]byte, f.head)
	if _, err := h.file.ReadAt(b, f.rec); err != nil {
		return r, nil, readError(err)
	}
	seed, err := t.seedOf(f, h)
	if err != nil {
		return r, nil, err
	}
	r, ok := decodeRecord(b, seed, f.rec)
	if !ok || !r.bodyOK(b) || r.kind != recChunk || r.id != id || r.length != f.length || r.data != f.data || r.size != f.head {
		return r, nil, ErrCorrupt
	}
	return r, b, nil
}

// bodyOK checks the table and metadata of a whole header.
func (r *recordHeader) bodyOK(b []byte) bool {
	end := recordFixed + 8*r.units() + int(r.metaLen)
	return int64(len(b)) >= int64(r.size) && end <= len(b) && checksum.CRC64(b[recordFixed:end]) == r.bodyCRC
}

func (t *Target) seedOf(f *found, h *handle) (uint64, error) {
	if !f.own {
		t.mu.RLock()
		e := t.extents[f.extent]
		t.mu.RUnlock()
		if e == nil {
			return 0, errMoved
		}
		return e.seed, nil
	}
	hdr, err := headerOf(h.file)
	if err != nil {
		return 0, err
	}
	return hdr.seed(), nil
}

// Meta reads the chunk's self-description and verifies its record header. The
// slice is the caller's.
func (t *Target) Meta(ctx context.Context, id ID) (Info, []byte, error) {
	var info Info
	var meta []byte
	err := t.withChunk(ctx, "read metadata of chunk", id, func(f *found, h *handle) error {
		r, b, err := t.header(f, id, h)
		if err != nil {
			return err
		}
		body := recordFixed + 8*r.units()
		meta, info = b[body:body+int(r.metaLen)], f.info(id)
		return nil
	})
	return info, meta, err
}

// Verify reads the whole chunk, header included, and checks every checksum.
func (t *Target) Verify(ctx context.Context, id ID) error {
	return t.withChunk(ctx, "verify chunk", id, func(f *found, h *handle) error {
		_, b, err := t.header(f, id, h)
		if err != nil {
			return err
		}
		return verifyData(ctx, id, h, f.data, f.length, b[recordFixed:])
	})
}

// verifyData reads length bytes at off and checks them against an encoded table.
func verifyData(ctx context.Context, id ID, h *handle, off, length int64, table []byte) error {
	buf := scratch(int(min(length, 1<<20)))
	defer unscratch(buf)
	m := maskOf(id)
	for at := int64(0); at < length; {
		if err := ctx.Err(); err != nil {
			return err
		}
		p := (*buf)[:min(int64(len(*buf)), length-at)]
		if _, err := h.file.ReadAt(p, off+at); err != nil {
			return readError(err)
		}
		if !verifyEncoded(m, int(at/unit), p, table[8*(at/unit):]) {
			return ErrCorrupt
		}
		at += int64(len(p))
	}
	return nil
}
