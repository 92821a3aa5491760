package extent

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

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
	keep []scanned // chunks and tombstones
	torn []scanned // chunks that were not acknowledged and are not whole
	end  int64     // where the last kept record ends
	seq  uint64    // highest seen
}

// scanTail reads the tail from covered on. A record proves by its durable
// offset that those before that were synced: they are kept as they are, so that
// later damage shows as ErrCorrupt. What no record vouches for may be a commit
// that the crash cut: header and data reach the disk in any order, so a chunk
// is kept only when its data verifies.
func scanTail(h *handle, seed uint64, covered, size int64) (tailScan, error) {
	ts := tailScan{end: covered}
	durable := covered
	var all []scanned
	err := scan(h.file, seed, covered, size, func(s scanned) error {
		ts.seq = max(ts.seq, s.seq)
		durable = max(durable, s.durable)
		if s.kind != recReserve {
			all = append(all, s)
		}
		return nil
	})
	if err != nil {
		return ts, err
	}
	for _, s := range all {
		if s.off >= durable && s.kind == recChunk {
			ok, err := s.intact(h)
			if err != nil {
				return ts, err
			}
			if !ok {
				ts.torn = append(ts.torn, s)
				continue
			}
		}
		ts.keep = append(ts.keep, s)
		ts.end = max(ts.end, s.end(s.off))
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
