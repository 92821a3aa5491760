package metasize

import (
	"context"

	"github.com/weftstore/weft/metadata"
)

// group is a KV that runs the transactions which wait at the same time as one, so that an
// engine is filled faster than its commits are one by one. One that fails fails all.
type group struct {
	metadata.KV
	waiting chan *waiter
	most    int // transactions in one
}

type waiter struct {
	fn   func(metadata.Txn) error
	done chan error
}

// newGroup commits until ctx ends.
func newGroup(ctx context.Context, kv metadata.KV, most int) *group {
	g := &group{KV: kv, waiting: make(chan *waiter, most), most: most}
	go g.run(ctx)
	return g
}

// Update implements metadata.KV.
func (g *group) Update(ctx context.Context, fn func(metadata.Txn) error) error {
	w := &waiter{fn, make(chan error, 1)}
	select {
	case g.waiting <- w:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *group) run(ctx context.Context) {
	for {
		var list []*waiter
		select {
		case w := <-g.waiting:
			list = append(list, w)
		case <-ctx.Done():
			return
		}
		for len(g.waiting) > 0 && len(list) < g.most {
			list = append(list, <-g.waiting)
		}
		err := g.KV.Update(ctx, func(t metadata.Txn) error {
			for _, w := range list {
				if err := w.fn(t); err != nil {
					return err
				}
			}
			return nil
		})
		for _, w := range list {
			w.done <- err
		}
	}
}
