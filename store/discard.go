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

// deleteChunk is discard for one chunk that was written late.
func (s *Store) deleteChunk(t *target, id extent.ID) {
	targets := make([]metadata.TargetID, int(id.Index)+1)
	targets[id.Index] = t.id
	s.discard(metadata.SetID(id.Set), targets)
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

// addGarbage queues a set for deletion.
func (s *Store) addGarbage(g metadata.Garbage) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if err := s.meta.AddGarbage(ctx, []metadata.Garbage{g}); err != nil {
		s.log.Error("chunks are left over, the consistency check will find them", "set", g.Set, "error", err)
		return
	}
	s.kickGC()
}
