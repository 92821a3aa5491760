package store

import (
	"cmp"
	"fmt"
	"slices"
)

// elsewhere gets the bytes of failed and late shards from others: it asks as many
// as are missing to K, and rebuilds once K have answered. done says that the
// segment is whole.
func (f *fetch) elsewhere() (done bool, err error) {
	k := int(f.g.Layout.K)
	have, coming := 0, 0
	for i := range f.shards {
		sh := &f.shards[i]
		switch {
		case sh.have != nil && sh.got.covers(f.all):
			have++
		case sh.busy > 0 && !sh.late && (sh.wide || f.fullRead(i)):
			coming++
		}
	}
	if have >= k {
		return f.rebuild()
	}
	for _, i := range f.rank() {
		if have+coming >= k {
			break
		}
		sh := &f.shards[i]
		if sh.wide || sh.late || (sh.have != nil && sh.got.covers(f.all)) || (sh.busy > 0 && f.fullRead(i)) {
			continue
		}
		t := f.s.target(f.target(i))
		if t == nil {
			continue
		}
		if err := f.need(1); err != nil {
			return false, err
		}
		block := f.spare[len(f.spare)-1]
		f.spare = f.spare[:len(f.spare)-1]
		sh.wide = true
		f.start(t, i, f.all, block)
		coming++
	}
	return false, nil
}

// fullRead says whether the first read of a shard brings all that rebuilding needs.
func (f *fetch) fullRead(shard int) bool {
	for i := range f.seg.pieces {
		if p := &f.seg.pieces[i]; p.shard == shard {
			return p.chunk.covers(f.all)
		}
	}
	return false
}

// need makes sure of n spare blocks without waiting.
func (f *fetch) need(n int) error {
	pool := f.s.poolFor(f.all.n)
	if n -= len(f.spare); n <= 0 {
		return nil
	}
	blocks, ok := pool.TryAcquire(n)
	if !ok {
		return errNarrow
	}
	f.spare = append(f.spare, blocks...)
	return nil
}

// rank orders the shards that did not fail: those on targets that are well and
// have little to do first, data before parity among equals.
func (f *fetch) rank() []int {
	type place struct {
		shard int
		bad   int
		load  int64
	}
	now := f.s.now()
	var list []place
	for i := range f.shards {
		t := f.s.target(f.target(i))
		if t == nil || t.get() == nil || f.shards[i].err != nil {
			continue
		}
		p := place{shard: i, load: t.load()}
		if !t.usable(now) {
			p.bad = 1
		}
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b place) int {
		return cmp.Or(a.bad-b.bad, cmp.Compare(a.load, b.load), a.shard-b.shard)
	})
	order := make([]int, len(list))
	for i, p := range list {
		order[i] = p.shard
	}
	return order
}

// rebuild makes the missing shards of the segment from those that were read.
func (f *fetch) rebuild() (done bool, err error) {
	n := f.g.Layout.Shards()
	blocks, present, want := make([][]byte, n), make([]bool, n), make([]bool, n)
	var missing []int
	for i := range f.shards {
		sh := &f.shards[i]
		if sh.have != nil && sh.got.covers(f.all) {
			at := int(f.all.off - sh.got.off)
			blocks[i], present[i] = sh.have.Bytes()[at:at+f.all.n], true
		}
	}
	for i := range f.seg.pieces {
		p := &f.seg.pieces[i]
		sh := &f.shards[p.shard]
		if want[p.shard] || (sh.have != nil && sh.got.covers(p.chunk)) {
			continue
		}
		want[p.shard] = true
		missing = append(missing, p.shard)
	}
	if f.g.Layout.K == 1 {
		return f.takeCopy(present)
	}
	if err := f.need(len(missing)); err != nil {
		return false, err
	}
	codec, err := f.s.codec(f.g.Layout)
	if err != nil {
		return false, err
	}
	for _, i := range missing {
		block := f.spare[len(f.spare)-1]
		f.spare = f.spare[:len(f.spare)-1]
		f.shards[i].have, f.shards[i].got = block, f.all
		blocks[i] = block.Bytes()[:f.all.n]
	}
	if err := codec.Rebuild(blocks, present, want); err != nil {
		return false, fmt.Errorf("read set %x: %w", f.part.Set, err)
	}
	f.finishElsewhere()
	return true, nil
}

// takeCopy serves a replicated part from the copy that was read.
func (f *fetch) takeCopy(present []bool) (bool, error) {
	from := slices.Index(present, true)
	for i := range f.seg.pieces {
		f.seg.pieces[i].shard = from
	}
	f.finishElsewhere()
	return true, nil
}

func (f *fetch) finishElsewhere() {
	f.deliver()
	if e := f.s.cfg.Events.DegradedRead; e != nil {
		e(!f.hit)
	}
}
