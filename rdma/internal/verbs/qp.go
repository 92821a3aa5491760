package verbs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
)

// marker is the bit of a work request's ID that Drain uses: marker | serial of the QP << 1 | queue.
const marker = uint64(1) << 63

const (
	sendQueue uint64 = 0
	recvQueue uint64 = 1
)

// QPConfig sizes a queue pair, in work requests.
type QPConfig struct {
	Send   int // outstanding on the send queue
	Recv   int // posted receives
	Inline int // bytes up to which a SEND or WRITE is copied when it is posted; less when the device has less
}

// QPState is the state of a queue pair.
type QPState int

// States of a queue pair, named ibv_qp_state in libibverbs.
const (
	QPReset       QPState = 0
	QPInit        QPState = 1 // not connected: receives may be posted
	QPReadyToRecv QPState = 2 // half connected: what a connection that is given up meanwhile may leave
	QPReadyToSend QPState = 3 // connected
	QPError       QPState = 6
)

// QP is a reliable-connected queue pair. Both its queues complete on one CQ.
type QP struct {
	guard
	id     *ID
	cq     *CQ
	qp     handle
	caps   qpCaps
	serial uint64
	used   atomic.Bool // something was posted

	drainOnce sync.Once
	drainErr  error
	done      chan struct{} // both queues have completed everything
	open      atomic.Int32  // queues that have not; closes done at 0
}

// NewQP makes the queue pair of an identifier that has been resolved or has come from a Listener. dev must be the device
// that the identifier is on.
func (id *ID) NewQP(dev *Device, cq *CQ, cfg QPConfig) (*QP, error) {
	q := &QP{id: id, cq: cq, done: make(chan struct{})}
	q.open.Store(2)
	// One more each for Drain.
	q.caps = qpCaps{send: uint32(cfg.Send + 1), recv: uint32(cfg.Recv + 1), inline: uint32(cfg.Inline)}
	create := func() error {
		if id.qp.Load() != nil {
			return used("create queue pair for", id.String(), errors.New("it has one"))
		}
		want := q.caps
		qp, rc := cQPCreate(id.id, dev.pd, cq.cq, &q.caps)
		if rc == -int(syscall.EINVAL) && cfg.Inline > 0 { // more inline than the device has
			q.caps = want
			q.caps.inline = 0
			qp, rc = cQPCreate(id.id, dev.pd, cq.cq, &q.caps)
		}
		if rc < 0 {
			return failed(rc, "create queue pair on", dev.info.Name, fmt.Sprintf(
				"asked for %d sends and %d receives, the device allows %d", cfg.Send+1, cfg.Recv+1, dev.info.MaxQPWR))
		}
		q.qp = qp
		q.serial = cq.add(q)
		id.qp.Store(q)
		id.reads = min(dev.info.MaxReads, dev.info.MaxInitReads)
		return nil
	}
	err := dev.adopt(func() error { return cq.adopt(func() error { return id.adopt(create) }) })
	if err != nil {
		return nil, err
	}
	return q, nil
}

// Num is the number of the queue pair, QPN in completions and device events.
func (q *QP) Num() uint32 { return q.caps.qpn }

// MaxInline is how many bytes a SEND or WRITE may have to be copied when it is posted.
func (q *QP) MaxInline() int { return int(q.caps.inline) }

// PostSend posts work requests in order and returns how many the device took, also when it returns an error. Those
// of up to MaxInline bytes are sent inline: their memory is free when PostSend returns.
func (q *QP) PostSend(wrs []SendWR) (int, error) {
	if len(wrs) == 0 {
		return 0, nil
	}
	for i := range wrs {
		if wrs[i].ID&marker != 0 {
			return 0, errReserved
		}
	}
	if err := q.enter(); err != nil {
		return 0, err
	}
	defer q.leave()
	q.use()
	n, rc := cPostSend(q.qp, wrs, q.caps.inline)
	return n, failed(rc, "post to the send queue of", q.id.String(), postHint(rc))
}

// PostRecv posts receives in order and returns how many the device took, also when it returns an error.
func (q *QP) PostRecv(wrs []RecvWR) (int, error) {
	if len(wrs) == 0 {
		return 0, nil
	}
	for i := range wrs {
		if wrs[i].ID&marker != 0 {
			return 0, errReserved
		}
	}
	if err := q.enter(); err != nil {
		return 0, err
	}
	defer q.leave()
	q.use()
	n, rc := cPostRecv(q.qp, wrs)
	return n, failed(rc, "post to the receive queue of", q.id.String(), postHint(rc))
}

var errReserved = errors.New("verbs: IDs of work requests are below 1<<63")

func postHint(rc int) string {
	if rc == -int(syscall.ENOMEM) {
		return "the queue is full"
	}
	return ""
}

func (q *QP) use() {
	if !q.used.Load() {
		q.used.Store(true)
	}
}

// State asks the device for the state.
func (q *QP) State() (QPState, error) {
	q.mu.RLock()
	defer q.mu.RUnlock()
	if q.gone() {
		return 0, ErrClosed
	}
	rc := cQPState(q.qp)
	return QPState(max(rc, 0)), failed(rc, "query queue pair of", q.id.String(), "")
}

// gone: the queue pair was destroyed. It may still exist when closed is set, that only keeps others from posting.
func (q *QP) gone() bool { return q.id.qp.Load() != q }

// Fail takes the queue pair to the error state: everything outstanding completes, with Flushed unless it was done
// before. More may be posted and is flushed too.
func (q *QP) Fail() error {
	if err := q.enter(); err != nil {
		return err
	}
	defer q.leave()
	return q.fail()
}

func (q *QP) fail() error {
	return failed(cQPFail(q.qp), "take to the error state the queue pair of", q.id.String(), "")
}

// Drain takes the queue pair to the error state and waits until all it had outstanding has been polled from its CQ,
// by someone else. Nothing can be posted from its start on. It may be called again after ctx has ended.
func (q *QP) Drain(ctx context.Context) error {
	q.drainOnce.Do(q.startDrain)
	if q.drainErr != nil {
		return q.drainErr
	}
	select {
	case <-q.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// startDrain posts the last work request of each queue and then fails the queue pair. The order matters: some devices
// look at what was posted in the error state only when the state is set. A WRITE of no bytes touches no memory.
func (q *QP) startDrain() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.gone() {
		q.drainErr = ErrClosed
		return
	}
	q.closed = true // nobody else posts
	if !q.used.Load() {
		q.drained(sendQueue)
		q.drained(recvQueue)
		q.drainErr = q.fail()
		return
	}
	id := marker | q.serial<<1
	_, rrc := cPostRecv(q.qp, []RecvWR{{ID: id | recvQueue}})
	_, src := cPostSend(q.qp, []SendWR{{ID: id | sendQueue, Op: OpWrite, Flags: FlagSignaled}}, 0)
	if state := cQPState(q.qp); src == -int(syscall.EINVAL) && state >= 0 && state < int(QPReadyToSend) {
		q.drained(sendQueue) // never connected, or given up while it was: nothing was sent
		src = 0
	}
	q.drainErr = errors.Join(
		failed(rrc, "drain the receive queue of", q.id.String(), postHint(rrc)),
		failed(src, "drain the send queue of", q.id.String(), postHint(src)),
		q.fail())
}

// drained is told by the CQ that a queue has completed its last work request.
func (q *QP) drained(uint64) {
	if q.open.Add(-1) == 0 {
		close(q.done)
	}
}

// Close destroys the queue pair. ErrBusy unless it was drained or has never been used. If draining fails because the
// device is gone, Abandon is the way out.
func (q *QP) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.gone() && q.used.Load() && q.open.Load() > 0 {
		return used("close queue pair of", q.id.String(), ErrBusy)
	}
	q.destroy()
	return nil
}

// Abandon destroys a queue pair that could not be drained. The device stops touching memory for it, but completions that
// were not polled may still come or be lost.
func (q *QP) Abandon() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.destroy()
}

func (q *QP) destroy() {
	q.closed = true
	if q.gone() {
		return
	}
	q.id.destroyQP()
	q.cq.remove(q)
	q.id.release()
	q.cq.release()
	q.cq.dev.release()
}
