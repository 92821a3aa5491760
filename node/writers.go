package node

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weftstore/weft/node/extent"
)

// writers are the open writer handles.
type writers struct {
	cfg   Config
	begun time.Time // somebody may set the clock: the time since this is the monotonic one's

	mu   sync.Mutex
	open map[uint64]*openWriter
	held map[uint64]int // handles of each peer
}

// openWriter is one handle. use is read-locked by writes under way and locked by
// who ends it, who has taken it out of the table before.
type openWriter struct {
	w    ChunkWriter
	t    *target
	x    *session
	peer uint64
	use  sync.RWMutex
	last atomic.Int64 // ns after begun: when it was last used
}

func newWriters(cfg Config) *writers {
	return &writers{cfg: cfg, begun: cfg.Now(), open: map[uint64]*openWriter{}, held: map[uint64]int{}}
}

func (ws *writers) now() int64 { return int64(ws.cfg.Now().Sub(ws.begun)) }

// room is ErrBusy when no handle may be added for the peer.
func (ws *writers) room(peer uint64) error {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	return ws.roomLocked(peer)
}

func (ws *writers) roomLocked(peer uint64) error {
	if len(ws.open) >= ws.cfg.MaxHandles {
		return fmt.Errorf("%w: %d writers are open", ErrBusy, len(ws.open))
	}
	if ws.held[peer] >= ws.cfg.MaxSessionHandles {
		return fmt.Errorf("%w: %d writers of this gateway are open", ErrBusy, ws.held[peer])
	}
	return nil
}

// remove takes a handle out of the table. Under mu.
func (ws *writers) remove(h uint64, o *openWriter) {
	delete(ws.open, h)
	if ws.held[o.peer]--; ws.held[o.peer] == 0 {
		delete(ws.held, o.peer)
	}
}

// add gives a writer a handle; ErrBusy when there are too many.
func (ws *writers) add(o *openWriter) (uint64, error) {
	o.last.Store(ws.now())
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if err := ws.roomLocked(o.peer); err != nil {
		return 0, err
	}
	for {
		var b [8]byte
		_, _ = rand.Read(b[:]) // never fails since Go 1.24
		h := binary.LittleEndian.Uint64(b[:])
		if h != 0 && ws.open[h] == nil {
			ws.open[h] = o
			ws.held[o.peer]++
			return h, nil
		}
	}
}

// find is the writer behind a handle for a request of this peer to this target.
// With take it is out of the table, and the caller must end it.
func (ws *writers) find(h uint64, t *target, peer uint64, take bool) (*openWriter, error) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	o := ws.open[h]
	if o == nil || o.t != t || o.peer != peer {
		return nil, errNoWriter()
	}
	if take {
		ws.remove(h, o)
	} else if !o.use.TryRLock() {
		return nil, errNoWriter()
	}
	return o, nil
}

func errNoWriter() error {
	return fmt.Errorf("%w: no such writer here (any more)", extent.ErrInvalid)
}

// release ends a write that find began.
func (ws *writers) release(o *openWriter) {
	o.last.Store(ws.now())
	o.use.RUnlock()
}

// abort ends a writer that is out of the table.
func (o *openWriter) abort() {
	o.use.Lock() // waits for writes under way
	defer o.use.Unlock()
	o.w.Abort()
}

// abortSession ends the writers of a session that is closed.
func (ws *writers) abortSession(x *session) {
	for _, o := range ws.takeIf(func(o *openWriter) bool { return o.x == x }) {
		o.abort()
	}
}

func (ws *writers) takeIf(cond func(o *openWriter) bool) []*openWriter {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	var taken []*openWriter
	for h, o := range ws.open {
		if cond(o) {
			ws.remove(h, o)
			taken = append(taken, o)
		}
	}
	return taken
}

// count is how many writers are open on t.
func (ws *writers) count(t *target) uint64 {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	var n uint64
	for _, o := range ws.open {
		if o.t == t {
			n++
		}
	}
	return n
}

// sweep aborts idle writers until ctx ends.
func (ws *writers) sweep(ctx context.Context) {
	tick := time.NewTicker(max(ws.cfg.HandleTTL/4, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		ws.sweepOnce()
	}
}

// sweepOnce begins to abort the writers that nobody used for HandleTTL, and gives what ends
// with that. Each target has its own turn: one whose disk hangs must not keep the writers of
// the others open.
func (ws *writers) sweepOnce() *sync.WaitGroup {
	limit := ws.now() - int64(ws.cfg.HandleTTL)
	idle := map[*target][]*openWriter{}
	for _, o := range ws.takeIf(func(o *openWriter) bool {
		if o.last.Load() > limit || !o.use.TryLock() {
			return false // used, or in use now
		}
		o.use.Unlock()
		return o.x.use.TryRLock() // a session that is closing aborts its own
	}) {
		idle[o.t] = append(idle[o.t], o)
	}
	var all sync.WaitGroup
	for t, list := range idle {
		all.Go(func() {
			for _, o := range list {
				ws.cfg.Logger.Warn("idle writer aborted", "target", t.uuid, "ttl", ws.cfg.HandleTTL)
				o.abort()
				o.x.use.RUnlock()
			}
		})
	}
	return &all
}
