package extent

import (
	"errors"
	"fmt"
	"maps"
)

// lookup finds a chunk: ErrNotFound when there is none.
func (t *Target) lookup(id ID) (loc, error) {
	t.mu.RLock()
	e, ok := t.delta[id]
	if !ok {
		e, ok = t.frozen[id]
	}
	t.mu.RUnlock()
	if ok {
		if e.gone {
			return loc{}, ErrNotFound
		}
		return e.loc, nil
	}
	// What moves from the maps into the index meanwhile is only newer.
	l, ok, err := t.base.get(id)
	switch {
	case err != nil:
		return loc{}, t.indexError(err)
	case !ok:
		return loc{}, ErrNotFound
	}
	return l, nil
}

// indexError takes the target down when its index is damaged: what it says
// can no longer be told from what it forgot. Opening it again makes a new one.
func (t *Target) indexError(err error) error {
	if errors.Is(err, errIndex) {
		t.badIndex.Store(true)
		err = fmt.Errorf("%w: open the target again to rebuild its index (%w)", ErrOffline, err)
		t.setDown(err)
	}
	return err
}

// maxChanges bounds the index changes in memory, as a multiple of CheckpointEntries: commits
// wait for a checkpoint that is slow, and new chunks are refused while none can be written.
const maxChanges = 8

// indexRoom is why no new chunk is taken: the index could not be written for so long that
// its changes would fill the memory. Deletions go on, as they may be what makes room.
func (t *Target) indexRoom() error {
	t.mu.RLock()
	err := t.unwritten
	few := len(t.frozen)+len(t.delta) < maxChanges*t.cfg.CheckpointEntries
	t.mu.RUnlock()
	if err == nil || few {
		return nil
	}
	t.checkpointIfDue(0)
	return fmt.Errorf("index cannot be written, look at the state directory: %w", err)
}

// checkpointIfDue starts one beside the commits when enough has changed, and
// waits for it only when changes pile up.
func (t *Target) checkpointIfDue(enough int) {
	t.mu.Lock()
	n := len(t.delta)
	due := n >= enough && !t.tooMany && !t.closed.Load() // Close writes the last one
	if due {
		t.tooMany = true
		t.loops.Go(func() {
			_ = t.checkpoint() // reported by the event; tried again later
			t.mu.Lock()
			t.tooMany = false
			t.mu.Unlock()
		})
	}
	t.mu.Unlock()
	if !due && n >= maxChanges*t.cfg.CheckpointEntries {
		t.ckpt.Lock()   // wait for the one that runs
		t.ckpt.Unlock() //nolint:staticcheck // nothing to do inside
	}
}

// Checkpoint writes the index changes since the last one, so that the next
// Open has nothing to replay. Commits do not need it to be durable.
func (t *Target) Checkpoint() error {
	if err := t.writable(); err != nil {
		return err
	}
	return t.checkpoint()
}

func (t *Target) checkpoint() error {
	t.ckpt.Lock()
	defer t.ckpt.Unlock()
	return t.checkpointLocked()
}

// checkpointLocked is checkpoint with ckpt held.
func (t *Target) checkpointLocked() error {
	if t.badIndex.Load() {
		return fmt.Errorf("checkpoint: %w", errIndex)
	}
	start := t.cfg.Now()
	t.alloc.Lock()
	nextExtent := t.nextExtent
	t.alloc.Unlock()
	t.mu.Lock()
	c := t.freeze()
	c.head.nextExtent = nextExtent
	t.mu.Unlock()

	err := t.base.apply(c)
	t.mu.Lock()
	t.unwritten = err
	if err == nil {
		t.frozen = nil
	} else {
		for num := range c.extents {
			if e := t.extents[num]; e != nil {
				e.dirty = true
			}
		}
		t.dropped = append(t.dropped, c.dropped...)
	}
	t.mu.Unlock()
	if t.cfg.Events.Checkpoint != nil {
		t.cfg.Events.Checkpoint(len(c.entries), t.cfg.Now().Sub(start), err)
	}
	if err != nil {
		return fmt.Errorf("checkpoint: %w", t.indexError(err))
	}
	return nil
}

// freeze takes what a checkpoint will write. mu is held. The extents are taken
// in the same moment as the entries, so that what they call covered is in them.
func (t *Target) freeze() *indexChange {
	if t.frozen == nil {
		t.frozen = t.delta
	} else {
		maps.Copy(t.frozen, t.delta) // the last one failed
	}
	t.delta = make(map[ID]entry)
	c := &indexChange{
		head: indexHead{
			identity: t.sb.Identity, seq: t.seq.Load(), chunks: t.chunks, live: t.live,
		},
		entries: t.frozen,
		extents: make(map[uint64]extentState),
		dropped: t.dropped,
	}
	t.dropped = nil
	for num, e := range t.extents {
		if e.dirty {
			e.dirty = false
			c.extents[num] = extentState{
				salt: e.salt, covered: e.durable, live: e.live, doomed: t.doomed[num], tombs: maps.Clone(e.tombs),
			}
		}
	}
	return c
}
