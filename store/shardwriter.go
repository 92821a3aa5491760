package store

import (
	"errors"
	"slices"
	"time"

	"github.com/weftstore/weft/node/extent"
	"github.com/weftstore/weft/rdma"
)

// run does the jobs in order until the commit is done or the shard is lost.
func (sh *shardWriter) run() {
	defer sh.cancel()
	for {
		j, ok := sh.next()
		if !ok {
			break
		}
		err := sh.do(&j)
		if j.block != nil {
			if err == nil && sh.sw.jobs == 2 {
				sh.hold = &j
			} else {
				j.block.letGo()
			}
		}
		if sh.finish(err, j.block == nil) {
			break
		}
	}
	if sh.hold != nil {
		sh.hold.block.letGo()
	}
	if sh.w != nil {
		sh.w.Abort() // nothing after a commit
	}
}

// next waits for a job; false when the shard is lost.
func (sh *shardWriter) next() (job, bool) {
	sh.sw.mu.Lock()
	defer sh.sw.mu.Unlock()
	for len(sh.queue) == 0 && !sh.lost {
		sh.wait()
	}
	if sh.lost {
		return job{}, false
	}
	j := sh.queue[0]
	sh.queue = slices.Delete(sh.queue, 0, 1)
	sh.started = time.Now()
	return j, true
}

// keepEvery is how often a node is told that a chunk is still being written, by a client
// that is slow: after its HandleTTL it would drop it.
const keepEvery = 30 * time.Second

// wait waits for a change of the queue, and keeps the writer meanwhile. Under sw.mu.
func (sh *shardWriter) wait() {
	if sh.w == nil {
		sh.more.Wait()
		return
	}
	if sh.keep == nil {
		sh.keep = time.AfterFunc(keepEvery, func() {
			sh.sw.mu.Lock()
			sh.idle = true
			sh.sw.mu.Unlock()
			sh.more.Signal()
		})
	} else {
		sh.idle = false
		sh.keep.Reset(keepEvery)
	}
	sh.more.Wait()
	sh.keep.Stop()
	if !sh.idle || sh.lost || len(sh.queue) > 0 {
		return
	}
	sh.started = time.Now()
	sh.sw.mu.Unlock()
	_ = sh.w.Write(sh.ctx, 0, rdma.Remote{}, nil) // what is wrong with it shows with the next job
	sh.sw.mu.Lock()
	sh.started = time.Time{}
}

// finish records the outcome of a job and says whether the shard is through.
func (sh *shardWriter) finish(err error, commit bool) bool {
	sw := sh.sw
	sw.mu.Lock()
	sh.started = time.Time{}
	t, late := sh.t, sh.lost
	switch {
	case late:
	case err != nil:
		sw.drop(sh, err)
	default:
		sh.done++
		sw.signal()
	}
	sw.mu.Unlock()
	if late && commit && mayExist(err) {
		sw.s.deleteChunk(t, chunkID(sw.set, sh.index)) // nothing refers to it
	}
	return late || commit || err != nil
}

// do does a job. When its target fails and all bytes of the chunk so far are in
// hand, another target takes the shard.
func (sh *shardWriter) do(j *job) error {
	for {
		err := sh.try(j)
		if errors.Is(err, errTimeout) || sh.ctx.Err() != nil {
			return err
		}
		op := "write"
		if j.block == nil {
			op = "commit"
		}
		sh.sw.s.note(sh.t, op, err)
		if err == nil {
			return nil
		}
		if j.block == nil && mayExist(err) {
			sh.sw.s.deleteChunk(sh.t, chunkID(sh.sw.set, sh.index))
		}
		whole := sh.hold != nil || (j.block != nil && j.off == 0)
		if !whole || !sh.move() {
			return err
		}
	}
}

// try does a job once, on the target that the shard is on, from the beginning of
// the chunk if need be.
func (sh *shardWriter) try(j *job) error {
	api := sh.t.get()
	if api == nil {
		return extent.ErrOffline
	}
	sh.t.inflight.Add(1)
	defer sh.t.inflight.Add(-1)
	if sh.w == nil {
		w, err := api.Create(sh.ctx, chunkID(sh.sw.set, sh.index), sh.sw.length)
		if err != nil {
			return err
		}
		sh.w = w
		if sh.hold != nil {
			if err := sh.write(sh.hold); err != nil {
				return err
			}
		}
	}
	if j.block == nil {
		return sh.w.Commit(sh.ctx, j.meta)
	}
	return sh.write(j)
}

func (sh *shardWriter) write(j *job) error {
	return sh.w.Write(sh.ctx, j.off, j.block.Remote(0, j.n), j.crcs)
}

// move puts the shard on another target; false when there is none or the shard is lost.
func (sh *shardWriter) move() bool {
	if sh.w != nil {
		sh.w.Abort()
		sh.w = nil
	}
	sw := sh.sw
	sw.mu.Lock()
	defer sw.mu.Unlock()
	if sh.lost {
		return false
	}
	t := sw.s.replacement(sw.layout, sw.holders(sh), sw.used, sw.s.now())
	if t == nil {
		return false
	}
	sw.used = append(sw.used, t)
	sh.t, sh.started = t, time.Now()
	return true
}
