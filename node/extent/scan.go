package extent

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/weftstore/weft/internal/vfs"
)

// scanWindow is what a scan reads at once.
const scanWindow = 64 << 10

// scanned is a record that a scan found.
type scanned struct {
	recordHeader
	off int64
}

// scan walks the records in [from, size) of an extent. Where no valid header
// stands it goes on at the next multiple of recordAlign. Only the fixed part of
// headers is checked. An error of fn ends it.
func scan(f vfs.File, seed uint64, from, size int64, fn func(scanned) error) error {
	buf := make([]byte, scanWindow)
	var start int64 // of what buf has
	var have []byte
	for off := align(from, recordAlign); off+recordFixed <= size; {
		if rest := off - start; have == nil || rest < 0 || rest+recordFixed > int64(len(have)) {
			n, err := f.ReadAt(buf[:min(int64(len(buf)), size-off)], off)
			if err != nil && !errors.Is(err, io.EOF) {
				return fmt.Errorf("scan at %d: %w", off, err)
			}
			if n < recordFixed {
				return nil
			}
			start, have = off, buf[:n]
		}
		b := have[off-start:]
		if binary.LittleEndian.Uint32(b) != recordMagic {
			off += recordAlign
			continue
		}
		r, ok := decodeRecord(b, seed, off)
		if !ok {
			off += recordAlign
			continue
		}
		if err := fn(scanned{r, off}); err != nil {
			return err
		}
		off = r.end(off)
	}
	return nil
}

// intact reads a chunk's record and data whole and says whether it is all there.
func (s *scanned) intact(h *handle) (bool, error) {
	b := make([]byte, s.size)
	if _, err := h.file.ReadAt(b, s.off); err != nil {
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		return false, err
	}
	if !s.bodyOK(b) {
		return false, nil
	}
	err := verifyData(noContext, s.id, h, s.data, s.length, b[recordFixed:])
	if errors.Is(err, ErrCorrupt) {
		return false, nil
	}
	return err == nil, err
}

// loc of a chunk's record.
func (s *scanned) loc(extent uint64, own bool) loc {
	return loc{
		extent: extent, own: own, rec: s.off, data: s.data, length: s.length,
		seq: s.seq, created: s.created, head: s.size,
	}
}

// tailScan is what the part of an extent holds that the index does not cover.
type tailScan struct {
	torn []scanned // chunks that were not acknowledged and are not whole
	end  int64     // where the last kept record ends
	seq  uint64    // highest seen
}

// scanTail reads the tail from covered on and calls keep for chunks and tombstones, in order. A
// record proves by its durable offset that those before that were synced: they are kept as they
// are, so that later damage shows as ErrCorrupt. What no record vouches for, one or two commits
// at the end, may have been cut by the crash: header and data reach the disk in any order, so a
// chunk is kept only when its data verifies.
func scanTail(h *handle, seed uint64, covered, size int64, keep func(s *scanned, synced bool) error) (tailScan, error) {
	ts := tailScan{end: covered}
	durable := covered
	var open []scanned // not vouched for yet
	add := func(s *scanned, synced bool) error {
		ts.end = max(ts.end, s.end(s.off))
		return keep(s, synced)
	}
	err := scan(h.file, seed, covered, size, func(s scanned) error {
		ts.seq = max(ts.seq, s.seq)
		if s.durable > durable {
			durable = s.durable
			n := 0
			for ; n < len(open) && open[n].off < durable; n++ {
				if err := add(&open[n], true); err != nil {
					return err
				}
			}
			open = slices.Delete(open, 0, n)
		}
		if s.kind != recReserve {
			open = append(open, s)
		}
		return nil
	})
	if err != nil {
		return ts, err
	}
	for i := range open {
		s := &open[i]
		if s.kind == recChunk {
			ok, err := s.intact(h)
			if err != nil {
				return ts, err
			}
			if !ok {
				ts.torn = append(ts.torn, *s)
				continue
			}
		}
		if err := add(s, false); err != nil {
			return ts, err
		}
	}
	return ts, nil
}

// mend makes the extent hold nothing that scanTail did not keep: torn records
// lose their headers, before later records vouch for them, and the rest is cut
// off. Kept records may be in the page cache only (the process died, not the
// host), hence the sync.
func (ts *tailScan) mend(f vfs.File, size int64) error {
	var blank [recordAlign]byte
	for _, s := range ts.torn {
		if s.off < ts.end {
			if _, err := f.WriteAt(blank[:], s.off); err != nil {
				return err
			}
		}
	}
	if size > ts.end {
		if err := f.Truncate(ts.end); err != nil {
			return err
		}
	}
	return f.SyncData()
}
