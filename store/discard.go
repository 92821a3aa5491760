package store

import (
	"context"
	"errors"
	"time"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/node"
	"github.com/weftstore/weft/node/extent"
)

// targetIDs are the ids of targets, 0 for nil.
func targetIDs(list []*target) []metadata.TargetID {
	ids := make([]metadata.TargetID, len(list))
	for i, t := range list {
		if t != nil {
			ids[i] = t.id
		}
	}
	return ids
}

// discard deletes the chunks of a set that nothing refers to, in the background
// and right away; what cannot be deleted now goes to the garbage queue. A crash
// before that leaves chunks for the consistency check to find.
func (s *Store) discard(set metadata.SetID, targets []metadata.TargetID) {
	some := false
	for _, id := range targets {
		some = some || id != 0
	}
	if !some {
		return
	}
	s.work.Go(func() {
		left := metadata.Garbage{Set: set, Targets: make([]metadata.TargetID, len(targets)), Since: s.now()}
		failed := false
		for shard, id := range targets {
			if id != 0 && !s.tryDelete(s.target(id), chunkID(set, shard)) {
				left.Targets[shard], failed = id, true
			}
		}
		if failed {
			s.addGarbage(left)
		}
	})
}

// mayExist says whether a chunk may be on a target whose append or commit ended
// with err: unless the target is known to have refused, it may.
func mayExist(err error) bool {
	for _, refused := range []error{
		extent.ErrFull, extent.ErrInvalid, extent.ErrExists, extent.ErrOffline, extent.ErrFenced,
		extent.ErrNotFound, extent.ErrCorrupt, node.ErrUnknownTarget, node.ErrBusy, errNoTarget,
	} {
		if errors.Is(err, refused) {
			return false
		}
	}
	return true
}

// deleteChunk is discard for one chunk of a set, which a write gave up. The others may well be
// referred to.
func (s *Store) deleteChunk(t *target, id extent.ID) {
	s.work.Go(func() {
		if !s.deleteLone(context.Background(), t, id) {
			s.addGarbage(s.loneGarbage(t, id))
		}
	})
}

// loneGarbage is the entry of the garbage queue for one chunk of a set.
func (s *Store) loneGarbage(t *target, id extent.ID) metadata.Garbage {
	targets := make([]metadata.TargetID, max(int(id.Index)+1, 2)) // so that lone knows it
	targets[id.Index] = t.id
	return metadata.Garbage{Set: metadata.SetID(id.Set), Targets: targets, Since: s.now()}
}

// lone is the shard of an entry of the garbage queue that has one chunk of several, else -1.
func lone(g *metadata.Garbage) int {
	shard := -1
	for i, id := range g.Targets {
		if id != 0 && shard >= 0 {
			return -1
		}
		if id != 0 {
			shard = i
		}
	}
	if len(g.Targets) < 2 {
		return -1
	}
	return shard
}

// deleteLone deletes one chunk of a set, unless a repair has put the shard there since. False
// when that cannot be done or told now.
func (s *Store) deleteLone(ctx context.Context, t *target, id extent.ID) bool {
	if t == nil || !t.usable(s.now()) {
		return false
	}
	api := t.get()
	if api == nil {
		return false
	}
	// Before the lock, so that a target that hangs keeps no repair waiting.
	if _, err := s.stat(ctx, api, id); err != nil && !errors.Is(err, extent.ErrCorrupt) {
		s.note(t, "read", err)
		return errors.Is(err, extent.ErrNotFound)
	}
	s.upkeep.placing.Lock()
	defer s.upkeep.placing.Unlock()
	call, cancel := context.WithTimeout(ctx, s.cfg.OpTimeout)
	defer cancel()
	_, meta, err := api.Meta(call, id)
	if err != nil && !errors.Is(err, extent.ErrCorrupt) {
		return errors.Is(err, extent.ErrNotFound)
	}
	if d, err := decodeDescriptor(meta); err == nil {
		if refers, err := s.refersTo(call, d, t, id); refers || err != nil {
			return err == nil
		}
	}
	return s.tryDelete(t, id)
}

func (s *Store) tryDelete(t *target, id extent.ID) bool {
	if t == nil {
		return false
	}
	api := t.get()
	if api == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.OpTimeout)
	defer cancel()
	err := api.Delete(ctx, []extent.ID{id})
	s.note(t, "delete", err)
	return err == nil
}

// addGarbage queues chunks of a set for deletion.
func (s *Store) addGarbage(list ...metadata.Garbage) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if err := s.meta.AddGarbage(ctx, list); err != nil {
		s.log.Error("chunks are left over, the consistency check will find them", "set", list[0].Set, "error", err)
		return
	}
	s.kickGC()
}
