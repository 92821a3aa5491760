package node

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/weftstore/weft/node/extent"
	"github.com/weftstore/weft/rdma"
)

// kind separates the failures of reads from those of writes: a file system that
// went read-only still reads.
type kind uint8

const (
	kindRead kind = iota
	kindWrite
	kinds
)

// fullFor is how long a target counts as full after a write found no room.
const fullFor = 10 * time.Second

// target is one directory that the service answers for. It is served while it
// has a session.
type target struct {
	svc  *Service
	dir  string
	opts AddOptions
	uuid TargetUUID

	cur     atomic.Pointer[session]
	stalled atomic.Bool     // a check takes too long
	kick    chan struct{}   // asks for a check now
	ctx     context.Context // ends with the service, or when the target is removed
	stop    context.CancelFunc
	busy    sync.Mutex // held by whoever opens, checks or closes

	health     health     // what was found when
	compacting sync.Mutex // held by who compacts

	// share is of the bytes of memory that the fabric lends to transfers.
	share *semaphore.Weighted

	fails                 [kinds]atomic.Uint64 // I/O errors in a row
	tried                 [kinds]atomic.Int64  // ns: when failing, the last try
	fullUntil             atomic.Int64         // ns
	ioErrors, corrupt     atomic.Uint64
	reads, readBytes      atomic.Uint64
	writes, bytesAccepted atomic.Uint64
}

// session is one opening of a target. use is read-locked by requests under way,
// and locked for good before the backend is closed.
type session struct {
	b   Backend
	use sync.RWMutex
	ctx context.Context // ends with the session, before the requests under way do
	end context.CancelFunc
}

func newTarget(s *Service, dir string, o AddOptions) *target {
	t := &target{svc: s, dir: dir, opts: o, uuid: o.Expect, kick: make(chan struct{}, 1)}
	t.share = semaphore.NewWeighted(int64(max(s.cfg.Staging/4, rdma.MaxBulk)))
	t.ctx, t.stop = context.WithCancel(s.ctx)
	t.health.set(Offline, "not opened yet", s.cfg.Now())
	return t
}

// enter begins a request. On success the caller calls leave.
func (t *target) enter(op opcode) (*session, error) {
	x := t.cur.Load()
	if x == nil || t.stalled.Load() || t.svc.closed.Load() {
		return nil, t.unserved()
	}
	k := kindOf(op)
	if t.fails[k].Load() >= uint64(t.svc.cfg.FailAfter) && !untried(op) && !t.mayTry(k) {
		return nil, fmt.Errorf("%w: not tried, it failed %d times in a row", ErrIO, t.fails[k].Load())
	}
	if !x.use.TryRLock() {
		return nil, t.unserved() // being closed
	}
	return x, nil
}

// mayTry lets one request per CheckEvery through to a failing target.
func (t *target) mayTry(k kind) bool {
	now := t.svc.cfg.Now().UnixNano()
	last := t.tried[k].Load()
	return (now < last || now-last >= int64(t.svc.cfg.CheckEvery)) && // the clock may go back
		t.tried[k].CompareAndSwap(last, now)
}

// unserved is why the target does not answer.
func (t *target) unserved() error {
	state, text := t.health.get()
	switch {
	case t.svc.closed.Load():
		return fmt.Errorf("%w: node is shutting down", extent.ErrOffline)
	case t.stalled.Load():
		return fmt.Errorf("%w: it hangs", extent.ErrOffline)
	case state == Fenced:
		return fmt.Errorf("%w: %s", extent.ErrFenced, text)
	}
	return fmt.Errorf("%w: %s", extent.ErrOffline, text)
}

// leave ends a request that the backend answered with err.
func (t *target) leave(x *session, op opcode, err error) {
	x.use.RUnlock()
	k := kindOf(op)
	if err == nil {
		if t.fails[k].Load() != 0 && reachesDisk(op) {
			t.recovered(k)
		}
		return
	}
	switch statusOf(err) {
	case statusIO:
		t.failed(k, err)
	case statusCorrupt:
		t.corrupt.Add(1)
	case statusFull:
		t.fullUntil.Store(t.svc.cfg.Now().Add(fullFor).UnixNano())
	case statusFenced, statusOffline:
		t.checkSoon()
	}
}

func (t *target) failed(k kind, err error) {
	t.ioErrors.Add(1)
	if t.fails[k].Add(1) == uint64(t.svc.cfg.FailAfter) {
		t.tried[k].Store(t.svc.cfg.Now().UnixNano())
		t.svc.cfg.Logger.Error("target is failing: look at its disk and file system; it is tried at a low rate",
			"target", t.uuid, "dir", t.dir, "kind", k, "err", err)
	}
	t.health.failed(err)
	t.checkSoon()
}

func (t *target) recovered(k kind) {
	if t.fails[k].Swap(0) >= uint64(t.svc.cfg.FailAfter) {
		t.svc.cfg.Logger.Info("target works again", "target", t.uuid, "dir", t.dir, "kind", k)
	}
}

// String names a kind in logs.
func (k kind) String() string {
	if k == kindRead {
		return "read"
	}
	return "write"
}

func (t *target) checkSoon() {
	select {
	case t.kick <- struct{}{}:
	default: // asked for already
	}
}

// serve begins a session.
func (t *target) serve(b Backend) {
	t.health.set(Online, "", t.svc.cfg.Now())
	t.refreshUsage(b)
	x := &session{b: b}
	x.ctx, x.end = context.WithCancel(t.ctx)
	t.cur.Store(x)
}

// drop ends the session: no request begins from now on. The caller closes it.
func (t *target) drop() *session { return t.cur.Swap(nil) }

// close waits for the requests under way, aborts the session's writers and
// closes the backend.
func (x *session) close(w *writers) error {
	x.end()
	x.use.Lock() // for good
	w.abortSession(x)
	return x.b.Close()
}

func (t *target) close(w *writers) error {
	t.busy.Lock() // waits for a check under way
	defer t.busy.Unlock()
	x := t.drop()
	if x == nil {
		return nil
	}
	if err := x.close(w); err != nil {
		return fmt.Errorf("close target %s in %s: %w", t.uuid, t.dir, err)
	}
	return nil
}

func (t *target) refreshUsage(b Backend) {
	if u, err := b.Usage(); err == nil {
		t.health.setUsage(u)
	}
}

// status is what Status tells of the target.
func (t *target) status(w *writers) TargetStatus {
	s := t.health.status()
	s.ID, s.Dir, s.WasMount = t.uuid, t.dir, t.opts.WasMount
	s.IOErrors, s.CorruptFound = t.ioErrors.Load(), t.corrupt.Load()
	s.ConsecutiveIOErrors = max(t.fails[kindRead].Load(), t.fails[kindWrite].Load())
	s.Reads, s.ReadBytes = t.reads.Load(), t.readBytes.Load()
	s.Writes, s.WrittenBytes = t.writes.Load(), t.bytesAccepted.Load()
	s.Writers = w.count(t)
	full := time.Duration(t.fullUntil.Load() - t.svc.cfg.Now().UnixNano())
	switch {
	case s.State != Online:
	case t.stalled.Load():
		s.State, s.Error = Offline, "it hangs: a check of "+t.dir+" does not come back"
	case s.ConsecutiveIOErrors >= uint64(t.svc.cfg.FailAfter):
		s.State, s.Error = Failing, "I/O errors in a row, the last: "+t.health.lastError()
	case full > 0 && full <= fullFor: // longer when the clock went back
		s.State, s.Error = Full, "no room left: delete, compact or add a target"
	}
	return s
}

// health is what checks found.
type health struct {
	mu      sync.Mutex
	state   State
	text    string
	last    string // last I/O error
	since   time.Time
	checked time.Time
	usage   extent.Usage
}

// set enters a state and says whether it is another than before, or the first that is found.
func (h *health) set(s State, text string, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.text = text
	if h.state == s && !h.checked.IsZero() {
		return false
	}
	h.state, h.since = s, now
	return true
}

func (h *health) get() (State, string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state, h.text
}

func (h *health) failed(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = truncate(err.Error(), maxMessage/2)
}

func (h *health) lastError() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last
}

func (h *health) setUsage(u extent.Usage) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.usage = u
}

func (h *health) setChecked(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checked = now
}

func (h *health) status() TargetStatus {
	h.mu.Lock()
	defer h.mu.Unlock()
	return TargetStatus{State: h.state, Error: h.text, Since: h.since, Checked: h.checked, Usage: h.usage}
}

// ended says whether ctx is over, for errors that are the caller's and not the target's.
func ended(ctx context.Context) bool { return ctx.Err() != nil }
