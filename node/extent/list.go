package extent

import (
	"context"
	"fmt"
	"slices"
)

// List is up to limit chunks in id order, those after the given id, nil from
// the start. Chunks that come or go meanwhile may be in it or not.
func (t *Target) List(ctx context.Context, after *ID, limit int) ([]Info, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := t.up(); err != nil {
		return nil, err
	}
	if limit <= 0 {
		return nil, nil
	}
	changed, over := t.changed(after)
	infos := make([]Info, 0, min(limit, 4096))
	next := 0
	// add puts in the changed ones up to id, and says whether there is room.
	add := func(until *ID) bool {
		for next < len(changed) && len(infos) < limit {
			id := changed[next]
			if until != nil && compareID(id, *until) >= 0 {
				break
			}
			if e := over[id]; !e.gone {
				infos = append(infos, e.info(id))
			}
			next++
		}
		return len(infos) < limit
	}
	err := t.base.ascend(after, func(id ID, at loc) bool {
		if !add(&id) {
			return false
		}
		if _, ok := over[id]; !ok {
			infos = append(infos, at.info(id))
		}
		return len(infos) < limit && ctx.Err() == nil
	})
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("list chunks: %w", t.indexError(err))
	}
	add(nil)
	return infos, nil
}

// changed is what the index does not know yet, and its ids in order.
func (t *Target) changed(after *ID) ([]ID, map[ID]entry) {
	over := make(map[ID]entry)
	t.mu.RLock()
	for _, m := range []map[ID]entry{t.frozen, t.delta} {
		for id, e := range m {
			if after == nil || compareID(id, *after) > 0 {
				over[id] = e
			}
		}
	}
	t.mu.RUnlock()
	ids := make([]ID, 0, len(over))
	for id := range over {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, compareID)
	return ids, over
}
