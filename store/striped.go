package store

import (
	"context"
	"fmt"

	"github.com/weftstore/weft/internal/tracing"
	"github.com/weftstore/weft/rdma"
)

// window is how many stripes of one part are under way at once, memory permitting.
const window = 3

// storeStriped stores a part stripe by stripe: while some are written, the next
// is read and encoded.
func (w *partJob) storeStriped(ctx context.Context) error {
	sw := newSetWriter(ctx, w)
	err := w.writeStripes(ctx, sw)
	var meta []byte
	if err == nil {
		// Shards that went elsewhere by now are described where they are; those that
		// move later are found where they are by whoever rebuilds the metadata.
		w.setTargets(sw.placement())
		meta, err = w.seal()
	}
	if err != nil {
		sw.abandon()
		return err
	}
	_, span := tracing.Start(ctx, "store.commit")
	placed, err := sw.commit(meta)
	endSpan(span, err)
	if err != nil {
		return err
	}
	return w.placed(placed)
}

func (w *partJob) writeStripes(ctx context.Context, sw *setWriter) error {
	k, n := int(w.g.Layout.K), w.g.Layout.Shards()
	held := n
	if k == 1 {
		held = 1 // copies share the block
	}
	for st := range w.g.Stripes() {
		if err := sw.await(ctx, func() bool { return sw.slowest() > int(st)-window }); err != nil {
			return err
		}
		if err := w.body.wait(); err != nil {
			return err
		}
		_, span := tracing.StartRepeated(ctx, "store.stripe")
		raw, err := w.stripeBlocks(ctx, sw, held, int(st))
		if err != nil {
			endSpan(span, err)
			return err
		}
		blocks := make([]*sharedBlock, held)
		for i, b := range raw {
			blocks[i] = newShared(b, 1)
		}
		crcs, err := w.fillStripe(blocks, st)
		endSpan(span, err)
		if err == nil {
			for i := range n {
				from := min(i, held-1)
				sw.enqueue(i, job{off: st * int64(w.g.Block), n: w.g.BlockLen(st), block: blocks[from], crcs: crcs[from]})
			}
		}
		for _, b := range blocks {
			b.letGo()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// stripeBlocks gets the memory of a whole stripe at once. Only a request that has
// nothing under way waits in the queue for memory, so that those who hold some
// never wait for each other.
func (w *partJob) stripeBlocks(ctx context.Context, sw *setWriter, n, st int) ([]*rdma.Block, error) {
	for {
		if blocks, ok := w.s.pool.TryAcquire(n); ok {
			return blocks, nil
		}
		idle := sw.idleFrom()
		if idle >= st {
			return w.s.acquire(ctx, w.s.pool, n)
		}
		if err := sw.await(ctx, func() bool { return sw.slowest() > idle }); err != nil {
			return nil, fmt.Errorf("wait for a stripe to be written: %w", err)
		}
	}
}
