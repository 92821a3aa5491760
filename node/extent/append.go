package extent

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/weftstore/weft/internal/checksum"
	"github.com/weftstore/weft/internal/tracing"
)

// spanSync is in traces the time that a chunk takes to become durable: waiting for its
// turn in a group commit, writing and fdatasync.
const spanSync = "fsync"

// claim keeps a chunk id for one writer: ErrExists when it is stored, or being
// written by somebody else.
func (t *Target) claim(id ID) error {
	if err := t.indexRoom(); err != nil {
		return err
	}
	t.mu.Lock()
	_, busy := t.pending[id]
	if !busy {
		t.pending[id] = struct{}{}
	}
	t.mu.Unlock()
	if busy {
		return fmt.Errorf("another writer has it: %w", ErrExists)
	}
	_, err := t.lookup(id)
	switch err {
	case ErrNotFound:
		return nil
	case nil:
		err = ErrExists
	}
	t.unclaim(id)
	return err
}

func (t *Target) unclaim(id ID) {
	t.mu.Lock()
	delete(t.pending, id)
	t.mu.Unlock()
}

// sealUnits checks the CRCs that came with the data from unit first on, and
// writes them into an encoded table, masked. nil crcs: computed.
func sealUnits(m mask, first int, p []byte, crcs []uint64, table []byte) error {
	if crcs != nil && len(crcs) != unitsOf(int64(len(p))) {
		return fmt.Errorf("%d checksums for %d bytes: %w", len(crcs), len(p), ErrInvalid)
	}
	for i := 0; len(p) > 0; i++ {
		n := min(len(p), unit)
		crc := checksum.CRC64(p[:n])
		if crcs != nil && crcs[i] != crc {
			return fmt.Errorf("unit %d: %w", first+i, ErrCorrupt)
		}
		binary.LittleEndian.PutUint64(table[8*i:], crc^m.unit(first+i))
		p = p[n:]
	}
	return nil
}

// Append stores a whole chunk of at most MaxInline bytes with at most MaxMeta
// bytes of metadata, durable when it returns nil. crcs are those of the units,
// or nil. It keeps no slice; it does not return before the commit that has the
// chunk, even when ctx ends. Errors: ErrInvalid, ErrExists, ErrCorrupt (data
// does not match crcs), ErrFull, ErrOffline, ErrFenced.
func (t *Target) Append(ctx context.Context, id ID, meta, data []byte, crcs []uint64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := t.writable(); err != nil {
		return err
	}
	if len(data) > MaxInline || len(meta) > MaxMeta {
		return fmt.Errorf("append chunk: %d bytes, %d of metadata: %w", len(data), len(meta), ErrInvalid)
	}
	r := newRecord(recChunk, id, int64(len(data)), meta)
	defer r.free()
	if err := sealUnits(maskOf(id), 0, data, crcs, r.head[recordFixed:]); err != nil {
		return fmt.Errorf("append chunk: %w", err)
	}
	if err := t.claim(id); err != nil {
		return fmt.Errorf("append chunk: %w", err)
	}
	r.data = data
	r.hdr.created = t.cfg.Now().UnixNano()
	r.sealBody()
	_, span := tracing.Start(ctx, spanSync)
	t.submit(r)
	span.End()
	t.unclaim(id)
	if r.err != nil {
		return fmt.Errorf("append chunk: %w", r.err)
	}
	return nil
}

// sealBody sums up what follows the fixed part.
func (r *record) sealBody() {
	end := recordFixed + 8*r.hdr.units() + int(r.hdr.metaLen)
	r.hdr.bodyCRC = checksum.CRC64(r.head[recordFixed:end])
}

// Delete removes chunks; those that do not exist are no error. The deletion is
// durable when it returns nil. On an error some may be deleted.
func (t *Target) Delete(ctx context.Context, ids []ID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := t.writable(); err != nil {
		return err
	}
	var graves []*record
	own := make(map[ID]loc)
	var firstErr error
	for _, id := range ids {
		at, err := t.lookup(id)
		switch {
		case err == ErrNotFound:
		case err != nil:
			firstErr = err
		case at.own:
			own[id] = at
		default:
			graves = append(graves, newRecord(recTombstone, id, 0, nil))
		}
	}
	// The look at the index may have hung, and the chunks been stored anew since.
	if err := ctx.Err(); err != nil {
		for _, r := range graves {
			r.free()
		}
		return err
	}
	if len(graves) > 0 {
		for _, r := range graves {
			r.hdr.created = t.cfg.Now().UnixNano()
			r.sealBody()
		}
		t.submit(graves...)
		for _, r := range graves {
			if r.err != nil && r.err != ErrNotFound && firstErr == nil {
				firstErr = r.err
			}
			r.free()
		}
	}
	if err := t.unlinkOwn(own); err != nil && firstErr == nil {
		firstErr = err
	}
	if firstErr != nil {
		return fmt.Errorf("delete chunks: %w", firstErr)
	}
	return nil
}
