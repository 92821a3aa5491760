package node

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/weftstore/weft/node/extent"
	"github.com/weftstore/weft/rdma"
)

// abortTimeout bounds how long Abort tries.
const abortTimeout = 2 * time.Second

// List is at most limit chunks in the order of their ids, those behind after,
// from the first when after is nil. Fewer than limit means there are no more. The
// slice is the caller's.
func (t *Target) List(ctx context.Context, after *extent.ID, limit int) ([]extent.Info, error) {
	x := t.c.exchanges.Get().(*exchange)
	defer t.c.exchanges.Put(x)
	var infos []extent.Info
	var body []byte
	if after != nil {
		body = make([]byte, idSize)
		putID(body, *after)
	}
	for len(infos) < limit {
		x.q = request{op: opList, target: t.uuid, value: uint64(limit - len(infos))}
		if err := t.c.call(ctx, x, nil, body); err != nil {
			return nil, err
		}
		if x.r.count > limit-len(infos) || len(x.r.body) != infoSize*x.r.count || (x.r.more && x.r.count == 0) {
			return nil, fmt.Errorf("list: %w", protocolError("%d chunks in %d bytes", x.r.count, len(x.r.body)))
		}
		for i := range x.r.count {
			info, err := getInfo(x.r.body[i*infoSize:])
			if err != nil {
				return nil, fmt.Errorf("list: %w", err)
			}
			infos = append(infos, info)
		}
		if !x.r.more {
			break
		}
		body = make([]byte, idSize)
		putID(body, infos[len(infos)-1].ID)
	}
	return infos, nil
}

// Verify reads a chunk and checks every byte. ErrCorrupt of package extent.
func (t *Target) Verify(ctx context.Context, id extent.ID) error {
	return t.c.do(ctx, request{op: opVerify, target: t.uuid, id: id}, nil, nil)
}

// Compact gives dead space back, reading and writing at most bytesPerSec; 0 is
// without limit, and tells how many bytes that were. It takes as long as it takes.
func (t *Target) Compact(ctx context.Context, bytesPerSec int64) (int64, error) {
	x := t.c.exchanges.Get().(*exchange)
	defer t.c.exchanges.Put(x)
	x.q = request{op: opCompact, target: t.uuid, value: uint64(max(bytesPerSec, 0))}
	if err := t.c.call(ctx, x, nil, nil); err != nil {
		return 0, err
	}
	if len(x.r.body) != 8 {
		return 0, fmt.Errorf("compact: %w", protocolError("reply of %d bytes", len(x.r.body)))
	}
	return int64(binary.LittleEndian.Uint64(x.r.body) &^ (1 << 63)), nil
}

// Format makes the target anew if the node knows it and its directory is empty,
// and has the node look at it in any case. It says whether it formatted.
// ErrOffline of package extent when the directory was a mount point and is none.
func (t *Target) Format(ctx context.Context) (bool, error) {
	x := t.c.exchanges.Get().(*exchange)
	defer t.c.exchanges.Put(x)
	x.q = request{op: opFormat, target: t.uuid}
	if err := t.c.call(ctx, x, nil, nil); err != nil {
		return false, err
	}
	if len(x.r.body) != 1 || x.r.body[0] > 1 {
		return false, fmt.Errorf("format: %w", protocolError("reply of %d bytes", len(x.r.body)))
	}
	return x.r.body[0] == 1, nil
}

// Usage of the target.
func (t *Target) Usage(ctx context.Context) (extent.Usage, error) {
	x := t.c.exchanges.Get().(*exchange)
	defer t.c.exchanges.Put(x)
	x.q = request{op: opUsage, target: t.uuid}
	if err := t.c.call(ctx, x, nil, nil); err != nil {
		return extent.Usage{}, err
	}
	if len(x.r.body) != usageSize {
		return extent.Usage{}, fmt.Errorf("usage: %w", protocolError("reply of %d bytes", len(x.r.body)))
	}
	return getUsage(x.r.body), nil
}

// Checkpoint makes the target's index durable, so that opening it is quick.
func (t *Target) Checkpoint(ctx context.Context) error {
	return t.c.do(ctx, request{op: opCheckpoint, target: t.uuid}, nil, nil)
}

// Writer fills a chunk that Create began. Pieces may be written concurrently and
// in any order; Commit and Abort end it.
type Writer interface {
	// Write stores a piece at off, a multiple of erasure.Unit. src is a multiple of
	// it too, at most rdma.MaxBulk, unless it ends the chunk. crcs as in Append. A piece
	// without bytes only tells the node that the writer is still wanted.
	Write(ctx context.Context, off int64, src rdma.Remote, crcs []uint64) error
	// Commit makes the chunk durable and visible.
	Commit(ctx context.Context, meta []byte) error
	// Abort drops it. It tries its best within a short time, and the node drops
	// what it did not hear of. A no-op after Commit.
	Abort()
}

type writer struct {
	t         *Target
	handle    uint64
	committed atomic.Bool
}

func (w *writer) Write(ctx context.Context, off int64, src rdma.Remote, crcs []uint64) error {
	if off < 0 {
		return fmt.Errorf("write at %d: %w", off, extent.ErrInvalid)
	}
	return w.t.c.do(ctx, request{op: opWrite, target: w.t.uuid, off: off, remote: src, value: w.handle}, crcs, nil)
}

func (w *writer) Commit(ctx context.Context, meta []byte) error {
	err := w.t.c.do(ctx, request{op: opCommit, target: w.t.uuid, value: w.handle}, nil, meta)
	if err == nil {
		w.committed.Store(true)
	}
	return err
}

func (w *writer) Abort() {
	if w.committed.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), abortTimeout)
	defer cancel()
	_ = w.t.c.do(ctx, request{op: opAbort, target: w.t.uuid, value: w.handle}, nil, nil)
}
