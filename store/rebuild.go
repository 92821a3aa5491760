package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/node/extent"
	"github.com/weftstore/weft/rdma"
)

// RebuildConfig is what Rebuild works on.
type RebuildConfig struct {
	// Meta is a database on KV, which must be empty.
	Meta *metadata.DB
	KV   metadata.KV
	// Pool and Small are memory to read snapshots and manifests in, as for a Store.
	Pool, Small *rdma.Pool
	// Targets are all targets that can be had. UUID and Name must be set; ID is
	// not looked at, as it is found by Rebuild.
	Targets []TargetConfig
	Logger  *slog.Logger // nil discards
}

// RebuildResult counts what was brought back.
type RebuildResult struct {
	Snapshot bool     `json:"snapshot"` // one was restored
	Chunks   int64    `json:"chunks"`   // seen on the targets
	Buckets  int64    `json:"buckets"`  // made for versions that came back
	Versions int64    `json:"versions"` // imported beside the snapshot
	Uploads  int64    `json:"uploads"`  // unfinished ones seen whose parts are left to the collector
	Damaged  int64    `json:"damaged"`  // parts with shards missing, queued for repair
	Lost     int64    `json:"lost"`     // parts with fewer shards than needed
	Dropped  int64    `json:"dropped"`  // versions newer than the snapshot that are not imported for that; the sweep deletes what is there of them
	Locks    int64    `json:"locks"`    // changes of locks that the snapshot did not have
	Ignored  int64    `json:"ignored"`  // chunk sets older than the snapshot, deleted or replaced since, and manifests of what was renamed since
	Missing  []string `json:"missing"`  // targets that the snapshot knows and that are not given
	Problems []string `json:"problems,omitempty"`
}

// snapshotMargin is how long before a snapshot began a version may have got its id
// and still be missing there though it was acknowledged: longer than a manifest takes,
// commitTimeout, and finding out what became of the commit together.
const snapshotMargin = 2 * time.Minute

// Rebuild makes metadata from what is on the targets: the newest snapshot that can
// be read, and then the versions that are newer. It cannot know of deletes since the
// snapshot whose chunks are still there, of delete markers, and of changes to tags
// and buckets. A write that was never acknowledged may appear. It holds about 150
// bytes for each chunk set in memory. Parts that came out damaged are queued for
// repair.
func Rebuild(ctx context.Context, c RebuildConfig, report Report) (*RebuildResult, error) {
	rb := &rebuild{c: c, r: &RebuildResult{Missing: []string{}}, sets: make(map[metadata.SetID]*foundSet), s: bare(c)}
	defer rb.s.work.Wait()
	defer rb.s.cancel()
	for _, step := range []func(context.Context) error{
		func(ctx context.Context) error { return rb.scan(ctx, newProgress(report, "scan")) },
		rb.restore, rb.targets, rb.mark, rb.versions, rb.locks, rb.parts, rb.keepSnapshots, rb.place,
	} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("rebuild metadata: %w", err)
		}
	}
	return rb.r, nil
}

// bare is a store that reads, with no work in the background: its targets have the
// numbers of their places in the configuration, not those of the metadata.
func bare(c RebuildConfig) *Store {
	cfg := DefaultConfig()
	cfg.Meta, cfg.Pool, cfg.Small, cfg.Now, cfg.Logger = c.Meta, c.Pool, c.Small, time.Now, c.Logger
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Store{cfg: cfg, meta: c.Meta, pool: c.Pool, small: c.Small, log: cfg.Logger, gcKick: make(chan struct{}, 1)}
	list := make([]*target, len(c.Targets))
	for i, t := range c.Targets {
		t.ID = metadata.TargetID(i + 1)
		list[i] = newTarget(t)
	}
	s.topology.Store(newTopology(list))
	s.pins.init()
	s.damage.init()
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

type rebuild struct {
	c     RebuildConfig
	s     *Store
	r     *RebuildResult
	sets  map[metadata.SetID]*foundSet
	ids   []metadata.TargetID // in the metadata, by place in the configuration
	begin int64               // of the snapshot, Unix nanoseconds
	twice []spareChunk
}

// spareChunk is a chunk that is also where foundSet says.
type spareChunk struct {
	set   metadata.SetID
	shard int
	place metadata.TargetID // as in where
}

// foundSet is a chunk set as it was found.
type foundSet struct {
	kind     descriptorKind
	snapshot snapshotPiece
	made     int64               // of a version's id, Unix nanoseconds
	where    []metadata.TargetID // by shard: place in the configuration + 1, 0 is nowhere
	known    bool                // the metadata has it
	claimed  bool                // a manifest that is imported, or will be, has it
}

func (rb *rebuild) scan(ctx context.Context, p *progress) error {
	for i, t := range rb.c.Targets {
		if t.Target == nil {
			continue
		}
		var after *extent.ID
		for {
			page, err := t.Target.List(ctx, after, listPage)
			if err != nil {
				return fmt.Errorf("list target %s: %w", t.Name, err)
			}
			for j := range page {
				if err := rb.chunk(ctx, i, page[j].ID); err != nil {
					return err
				}
			}
			p.add(int64(len(page)), 0)
			if len(page) < listPage {
				break
			}
			after = &page[len(page)-1].ID
		}
	}
	return nil
}

// over is why a rebuild cannot go on after err: what is on a target that went away would be
// missing, and be taken for orphans.
func over(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case gone(err):
		return err
	}
	return nil
}

func (rb *rebuild) chunk(ctx context.Context, place int, id extent.ID) error {
	rb.r.Chunks++
	_, raw, err := rb.c.Targets[place].Target.Meta(ctx, id)
	if err := over(ctx, err); err != nil {
		return fmt.Errorf("target %s: %w", rb.c.Targets[place].Name, err)
	}
	var d *descriptor
	if err == nil {
		d, err = decodeDescriptor(raw)
	}
	if err != nil || int(id.Index) >= len(d.part.Targets) {
		problem(&rb.r.Problems, "target %s: chunk %x/%d does not say what it is: %v", rb.c.Targets[place].Name, id.Set, id.Index, err)
		return nil
	}
	f := rb.sets[metadata.SetID(id.Set)]
	if f == nil {
		f = &foundSet{kind: d.kind, snapshot: d.snapshot, where: make([]metadata.TargetID, len(d.part.Targets))}
		switch {
		case d.version != nil && d.kind != kindLock:
			f.made = int64(^binary.BigEndian.Uint64(d.version.ID[:]))
		default:
			f.made = d.part.Modified.UnixNano()
		}
		rb.sets[metadata.SetID(id.Set)] = f
	}
	if int(id.Index) >= len(f.where) {
		return nil
	}
	if other := f.where[id.Index]; other != 0 {
		// One of them is taken for an orphan: not the whole one for one that is damaged.
		if whole, err := rb.whole(ctx, place, id); err != nil || !whole {
			return err
		}
		whole, err := rb.whole(ctx, int(other-1), id)
		if err != nil {
			return err
		}
		if whole {
			rb.twice = append(rb.twice, spareChunk{metadata.SetID(id.Set), int(id.Index), other})
		}
	}
	f.where[id.Index] = metadata.TargetID(place + 1)
	return nil
}

// whole says whether all of a chunk can be read.
func (rb *rebuild) whole(ctx context.Context, place int, id extent.ID) (bool, error) {
	err := rb.c.Targets[place].Target.Verify(ctx, id)
	if err := over(ctx, err); err != nil {
		return false, fmt.Errorf("target %s: %w", rb.c.Targets[place].Name, err)
	}
	return err == nil, nil
}

// describe reads a set's descriptor again; its part has the places as Targets.
func (rb *rebuild) describe(ctx context.Context, set metadata.SetID, f *foundSet) (*descriptor, error) {
	failed := error(extent.ErrNotFound)
	for i, place := range f.where {
		if place == 0 {
			continue
		}
		_, raw, err := rb.c.Targets[place-1].Target.Meta(ctx, chunkID(set, i))
		var d *descriptor
		if err == nil {
			d, err = decodeDescriptor(raw)
		}
		if err == nil {
			d.part.Targets = slices.Clone(f.where)
			return d, nil
		}
		failed = errors.Join(failed, err)
	}
	return nil, failed
}

// read gets the bytes of a small part by places.
func (rb *rebuild) read(ctx context.Context, p *metadata.Part) ([]byte, error) {
	if p.Size > 64<<20 {
		return nil, fmt.Errorf("%d bytes: %w", p.Size, ErrDescriptor)
	}
	var buf bytes.Buffer
	for off := int64(0); off < p.Size; {
		seg, end := plan(geometry(p), off, p.Size, rb.s.pool.BlockSize())
		blocks, err := rb.s.acquire(ctx, rb.s.poolFor(seg.longest()), len(seg.pieces))
		if err != nil {
			return nil, err
		}
		if err := rb.s.load(ctx, p, metadata.PartRef{}, seg, blocks); err != nil {
			return nil, err
		}
		_, _ = seg.writeTo(&buf, 0) // to memory
		seg.release()
		off = end
	}
	return buf.Bytes(), nil
}

// restore brings back the newest snapshot of which every piece can be read.
func (rb *rebuild) restore(ctx context.Context) error {
	pieces := make(map[uint64]map[uint32]metadata.SetID)
	last := make(map[uint64]uint32)
	for set, f := range rb.sets {
		if f.kind != kindSnapshot {
			continue
		}
		sn := f.snapshot
		if pieces[sn.seq] == nil {
			pieces[sn.seq] = make(map[uint32]metadata.SetID)
		}
		pieces[sn.seq][sn.piece] = set
		if sn.last {
			last[sn.seq] = sn.piece + 1
		}
	}
	seqs := slices.Sorted(maps.Keys(last))
	slices.Reverse(seqs)
	for _, seq := range seqs {
		r := &snapshotReader{rb: rb, ctx: ctx, sets: pieces[seq], n: last[seq]}
		if _, err := io.Copy(io.Discard, r); err != nil { // all of it first: the engine must stay empty otherwise
			if err := over(ctx, err); err != nil {
				return err
			}
			problem(&rb.r.Problems, "snapshot of %v cannot be read: %v", time.Unix(0, int64(seq)).UTC(), err)
			continue
		}
		r = &snapshotReader{rb: rb, ctx: ctx, sets: pieces[seq], n: last[seq]}
		if err := metadata.Restore(ctx, r, rb.c.KV); err != nil {
			return fmt.Errorf("restore snapshot: %w", err)
		}
		rb.r.Snapshot, rb.begin = true, int64(seq)
		return nil
	}
	return nil
}

// snapshotReader reads the pieces of a snapshot one after the other.
type snapshotReader struct {
	rb   *rebuild
	ctx  context.Context
	sets map[uint32]metadata.SetID
	n, i uint32
	buf  []byte
}

// Read is an io.Reader's.
func (r *snapshotReader) Read(p []byte) (int, error) {
	for len(r.buf) == 0 {
		if r.i == r.n {
			return 0, io.EOF
		}
		set, ok := r.sets[r.i]
		if !ok {
			return 0, fmt.Errorf("piece %d: %w", r.i, extent.ErrNotFound)
		}
		d, err := r.rb.describe(r.ctx, set, r.rb.sets[set])
		if err == nil {
			r.buf, err = r.rb.read(r.ctx, d.part)
		}
		if err != nil {
			return 0, fmt.Errorf("piece %d: %w", r.i, err)
		}
		r.i++
	}
	n := copy(p, r.buf)
	r.buf = r.buf[n:]
	return n, nil
}
