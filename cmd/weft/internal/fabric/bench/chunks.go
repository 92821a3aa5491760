package bench

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weftstore/weft/erasure"
	"github.com/weftstore/weft/internal/checksum"
	"github.com/weftstore/weft/node"
	"github.com/weftstore/weft/node/extent"
	"github.com/weftstore/weft/rdma"
)

const (
	// warmBytes is how much of a node is read: it stays in the page cache.
	warmBytes = 256 << 20
	// maxListed bounds the chunks that are looked at on a target.
	maxListed = 10_000
	// warmPiece is what one read of the first pass takes.
	warmPiece = 1 << 20
)

// chunk is one that is read.
type chunk struct {
	target *node.Target
	id     extent.ID
	length int64
}

// RunChunks measures reads of chunks of a storage node. The chunks, at most 256 MiB of
// the largest, are read once before, when this end compares every byte with the
// checksums that the node tells; so what is measured comes out of its page cache, and
// the node verifies each read. target picks one by its UUID or a part of it; "" means
// all. Verbs of cfg are not used; sizes below erasure.Unit cost the node a whole unit.
func (b *Bench) RunChunks(ctx context.Context, cfg Config, target string) ([]Result, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	region, err := b.Transport.Register(max(cfg.memory(), warmPiece))
	if err != nil {
		return nil, fmt.Errorf("register memory: %w", err)
	}
	defer region.Close()
	chunks, err := findChunks(ctx, node.NewClient(b.Conn), target)
	if err != nil {
		return nil, err
	}
	for _, c := range chunks {
		if err := c.warm(ctx, region); err != nil {
			return nil, fmt.Errorf("first read of chunk %s on target %s: %w", chunkName(c.id), c.target.ID(), err)
		}
	}
	var all []Result
	for _, c := range cfg.cases() {
		c.Op = "chunks"
		fit := chunks[:0:0]
		for _, k := range chunks {
			if k.length >= int64(c.Block) {
				fit = append(fit, k)
			}
		}
		if len(fit) == 0 {
			return all, fmt.Errorf("no chunk has %d bytes: put larger objects, or measure smaller --size", c.Block)
		}
		if err := b.measure(ctx, &c, func() (moved, error) { return readChunks(ctx, region, fit, &c, &cfg) }); err != nil {
			return all, fmt.Errorf("reads of %d bytes, depth %d, %d lanes: %w", c.Block, c.Depth, c.Lanes, err)
		}
		all = append(all, c)
	}
	return all, nil
}

// findChunks picks the largest of the targets that serve.
func findChunks(ctx context.Context, client *node.Client, target string) ([]chunk, error) {
	targets, err := client.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask the node for its targets: %w", err)
	}
	var found []chunk
	for _, s := range targets {
		if s.State != node.Online && s.State != node.Full || target != "" && !matches(s.ID, target) {
			continue
		}
		t := client.Target(s.ID)
		infos, err := t.List(ctx, nil, maxListed)
		if err != nil {
			return nil, fmt.Errorf("list the chunks of target %s: %w", s.ID, err)
		}
		for _, i := range infos {
			found = append(found, chunk{t, i.ID, i.Length})
		}
	}
	slices.SortStableFunc(found, func(a, b chunk) int { return cmp.Compare(b.length, a.length) })
	sum := int64(0)
	for i, c := range found {
		if sum += c.length; sum > warmBytes && i > 0 {
			return found[:i], nil
		}
	}
	if sum == 0 {
		return nil, errors.New("no chunks on the targets that serve: put some objects first")
	}
	return found, nil
}

func matches(id node.TargetUUID, part string) bool {
	s := id.String()
	return len(part) >= 4 && len(part) <= len(s) && s[:len(part)] == part
}

func chunkName(id extent.ID) string {
	return fmt.Sprintf("%s.%d", hex.EncodeToString(id.Set[:]), id.Index)
}

// warm reads a chunk whole and compares it with its checksums.
func (c *chunk) warm(ctx context.Context, region rdma.Region) error {
	for off := int64(0); off < c.length; off += warmPiece {
		n := min(c.length-off, warmPiece)
		if err := c.target.Read(ctx, c.id, off, region.Remote(0, int(n))); err != nil {
			return err
		}
		crcs, err := c.target.CRCs(ctx, c.id, off, n)
		if err != nil {
			return err
		}
		i := 0
		for unit := range slices.Chunk(region.Bytes()[:n], erasure.Unit) {
			if checksum.CRC64(unit) != crcs[i] {
				return fmt.Errorf("%w: unit at %d came with other bytes than the node sent", extent.ErrCorrupt, off+int64(i)*erasure.Unit)
			}
			i++
		}
	}
	return nil
}

// readChunks keeps depth x lanes reads under way, each in a slot of its own.
func readChunks(ctx context.Context, region rdma.Region, chunks []chunk, c *Result, cfg *Config) (moved, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var started, done atomic.Uint64
	var over atomic.Bool
	if cfg.Transfers == 0 {
		timer := time.AfterFunc(cfg.Time, func() { over.Store(true) })
		defer timer.Stop()
	}
	limit := cfg.Transfers * uint64(c.Lanes)
	begin := time.Now()
	var slots sync.WaitGroup
	for i := range c.Depth * c.Lanes {
		slots.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 1))
			memory := region.Remote(i*c.Block, c.Block)
			for !over.Load() && (limit == 0 || started.Add(1) <= limit) {
				k := &chunks[rng.IntN(len(chunks))]
				units := (k.length-int64(c.Block))/erasure.Unit + 1
				if err := k.target.Read(ctx, k.id, rng.Int64N(units)*erasure.Unit, memory); err != nil {
					stop(err)
					return
				}
				done.Add(1)
			}
		})
	}
	slots.Wait()
	if err := context.Cause(ctx); err != nil {
		return moved{}, err
	}
	n := done.Load()
	return moved{transfers: n, bytes: n * uint64(c.Block), time: time.Since(begin)}, nil
}
