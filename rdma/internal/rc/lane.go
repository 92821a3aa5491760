package rc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/internal/gate"
	"github.com/weftstore/weft/rdma/internal/region"
	"github.com/weftstore/weft/rdma/internal/verbs"
	"github.com/weftstore/weft/rdma/internal/wire"
)

const (
	// messageSize is the memory for one message, in whole cache lines.
	messageSize = (wire.HeaderSize + rdma.MaxMessage + 63) / 64 * 64
	// spareRecvs are for pings or pongs (at most six in the time after which a silent
	// lane is given up), for what the wire itself sends, and some to spare.
	spareRecvs = 12
	// maxTransfers bounds the READs and WRITEs under way on a lane. 3FS has 128 work
	// requests a queue pair.
	maxTransfers = 64
	// inlineSize is what a message may have to be sent inline.
	inlineSize = 256
	// signalEvery is after how many unsignaled work requests one is signaled.
	signalEvery = 16
	// drainTimeout is how long a device may take to flush a queue pair.
	drainTimeout = 10 * time.Second
)

// lane implements wire.Lane.
type lane struct {
	n       *Network
	id      *verbs.ID
	dev     *verbs.Device
	cq      *verbs.CQ
	qp      *verbs.QP
	answer  bool // the answering end
	info    wire.Info
	staging *verbs.MR // of the answering end

	memory []byte // inline scratch, receive buffers, send buffers
	mr     *verbs.MR
	recvs  []recv
	held   gate.Gate // receive buffers that calls hold

	to        wire.Receiver
	watch     context.CancelFunc // of the connection's events
	watching  sync.WaitGroup
	keys      keys
	transfers chan struct{} // a place for each

	send sender
	poll poller

	once  sync.Once
	why   sync.Mutex
	cause error
	down  chan struct{} // closed when the lane begins to break
	done  chan struct{} // closed when it is broken
}

// recv is a receive buffer. It implements wire.Hold.
type recv struct {
	l     *lane
	wr    verbs.RecvWR
	bytes []byte
}

// newLane makes a queue pair for id, with receives posted. id is the lane's when it
// succeeds; Break closes it.
func newLane(n *Network, id *verbs.ID, slots int, answer bool, staging *memory) (*lane, error) {
	dev, err := n.device(id.DeviceName())
	if err != nil {
		return nil, err
	}
	l := &lane{
		n: n, id: id, dev: dev, answer: answer, transfers: make(chan struct{}, maxTransfers),
		down: make(chan struct{}), done: make(chan struct{}),
		info: wire.Info{Slots: slots, Peer: id.RemoteAddr().String()},
	}
	if staging != nil {
		l.staging = staging.mrs[dev]
	}
	l.keys.init()
	recvs := slots + spareRecvs
	if answer {
		recvs += 2 * slots // cancellations, and requests whose handlers outlive their calls
	}
	buffers := 2*slots + spareRecvs
	sends := buffers + maxTransfers + signalEvery
	if err := l.allocate(recvs, buffers); err != nil {
		return nil, err
	}
	if l.cq, err = dev.NewCQ(recvs+sends+4, 0); err == nil {
		l.qp, err = id.NewQP(dev, l.cq, verbs.QPConfig{Send: sends, Recv: recvs, Inline: inlineSize})
	}
	if err != nil {
		return nil, errors.Join(err, l.free())
	}
	n.qps[qpConnected].Add(1)
	l.send.init(l, sends, buffers, recvs)
	l.poll.init(l)
	if err := l.postAll(); err != nil {
		l.fail(err)
		<-l.done
		return nil, err
	}
	return l, nil
}

// allocate maps and registers memory for messages.
func (l *lane) allocate(recvs, buffers int) error {
	var err error
	l.memory, err = region.Map(inlineSize+(recvs+buffers)*messageSize, false, nil)
	if err != nil {
		return err
	}
	if l.mr, err = l.dev.Register(l.memory, verbs.LocalWrite); err != nil {
		return errors.Join(err, l.free())
	}
	l.recvs = make([]recv, recvs)
	for i := range l.recvs {
		off := inlineSize + i*messageSize
		l.recvs[i] = recv{l: l, bytes: l.memory[off : off+messageSize], wr: verbs.RecvWR{
			ID: recvID | uint64(i), Addr: l.mr.Addr() + uint64(off), Len: messageSize, LKey: l.mr.LKey()}}
	}
	return nil
}

// free gives up what a lane has that came to nothing.
func (l *lane) free() error {
	var errs []error
	if l.cq != nil {
		errs = append(errs, l.cq.Close())
	}
	if l.mr != nil {
		errs = append(errs, l.mr.Close())
	}
	return errors.Join(append(errs, region.Unmap(l.memory))...)
}

func (l *lane) postAll() error {
	wrs := make([]verbs.RecvWR, len(l.recvs))
	for i := range l.recvs {
		wrs[i] = l.recvs[i].wr
	}
	_, err := l.qp.PostRecv(wrs)
	return err
}

// post gives a receive buffer to the device. When that fails the lane is breaking.
func (r *recv) post() {
	wr := [1]verbs.RecvWR{r.wr}
	if _, err := r.l.qp.PostRecv(wr[:]); err != nil && !errors.Is(err, verbs.ErrClosed) {
		r.l.fail(err)
	}
}

// Release implements wire.Hold.
func (r *recv) Release() {
	r.post()
	r.l.held.Leave()
}

// Info implements wire.Lane.
func (l *lane) Info() wire.Info { return l.info }

// Start implements wire.Lane.
func (l *lane) Start(to wire.Receiver) {
	if !l.begin(to) {
		<-l.done
		to.Broken(l.broken())
		return
	}
	if l.answer {
		l.poll.serve()
	}
}

// begin is false when the lane breaks already and finish knows no Receiver.
func (l *lane) begin(to wire.Receiver) bool {
	l.why.Lock()
	defer l.why.Unlock()
	select {
	case <-l.down:
		return false
	default:
	}
	l.to = to
	ctx, cancel := context.WithCancel(context.Background())
	l.watch = cancel
	l.watching.Go(func() { l.watchConnection(ctx) })
	return true
}

// watchConnection waits for the end that rdma_cm tells of.
func (l *lane) watchConnection(ctx context.Context) {
	for {
		e, err := l.id.NextEvent(ctx)
		switch {
		case ctx.Err() != nil || errors.Is(err, verbs.ErrClosed):
			return
		case err != nil:
			l.fail(err)
			return
		case e.Type == verbs.CMDisconnected:
			l.fail(errors.New("the other end hung up"))
			return
		case e.Type == verbs.CMDeviceRemoval:
			l.fail(errors.New("the RDMA device was removed"))
			return
		}
	}
}

// Break implements wire.Lane.
func (l *lane) Break(cause error) {
	l.fail(cause)
	<-l.done
}

func (l *lane) fail(cause error) {
	l.why.Lock()
	// That work was flushed tells that the queue pair failed, not why.
	if l.cause == nil || (errors.Is(l.cause, verbs.Flushed) && !errors.Is(cause, verbs.Flushed)) {
		l.cause = cause
	}
	l.why.Unlock()
	l.once.Do(func() {
		close(l.down)
		go l.finish()
	})
}

// finish takes the lane down and tells everybody.
func (l *lane) finish() {
	l.why.Lock() // after a begin that is under way; no other sets it
	to := l.to
	l.why.Unlock()
	l.n.qps[qpConnected].Add(-1)
	l.n.qps[qpError].Add(1)
	l.poll.flush()
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	err := l.qp.Drain(ctx)
	cancel()
	_ = l.id.Disconnect() // tells the other end; it may have gone
	if l.watch != nil {
		l.watch()
		l.watching.Wait()
	}
	if err == nil {
		err = l.qp.Close()
	}
	if err != nil {
		l.n.cfg.Log.Error("a queue pair was not flushed in time and is destroyed as it is", "peer", l.info.Peer, "err", err)
		l.qp.Abandon()
	}
	l.n.qps[qpError].Add(-1)
	errs := []error{l.cq.Close()}
	l.poll.wait()
	errs = append(errs, l.mr.Close(), l.id.Close())
	if err := errors.Join(errs...); err != nil {
		l.n.cfg.Log.Error("a lane could not be closed wholly", "peer", l.info.Peer, "err", err)
	}
	broken := l.broken()
	l.send.end(broken)
	if to != nil {
		to.Broken(broken)
	}
	close(l.done)
	l.held.Shut() // handlers may still read their requests
	if err := region.Unmap(l.memory); err != nil {
		l.n.cfg.Log.Error("memory of a lane is lost", "err", err)
	}
}

// broken is why the lane is, once it began to.
func (l *lane) broken() error {
	l.why.Lock()
	cause := l.cause
	l.why.Unlock()
	if errors.Is(cause, rdma.ErrPeer) {
		return cause
	}
	return fmt.Errorf("%w: lane to %s: %w", rdma.ErrPeer, l.info.Peer, cause)
}

// received handles a message and says whether its buffer is to be posted again.
func (l *lane) received(r *recv, n int) (work wire.Work, again bool) {
	var h wire.Header
	err := h.Decode(r.bytes[:n])
	if err == nil && int(h.Length) != n-wire.HeaderSize {
		err = fmt.Errorf("message of %d bytes says that it has %d", n-wire.HeaderSize, h.Length)
	}
	if err != nil {
		l.fail(err)
		return nil, true
	}
	body := r.bytes[wire.HeaderSize:n]
	if l.to == nil {
		return nil, true // it never started and breaks
	}
	if h.Kind >= wire.Own {
		if err := l.own(&h, body); err != nil {
			l.fail(err)
		}
		return nil, true
	}
	m := wire.Message{Kind: h.Kind, ID: h.ID, Value: h.Value, Body: body}
	switch h.Kind {
	case wire.Call:
		if !l.held.Enter() {
			return nil, true
		}
		m.Hold = r
	case wire.Reply:
		l.poll.awaited.Add(-1)
	case wire.Pong:
		if l.poll.pings.Add(-1) < 0 { // it would stand for an answer that nobody polls for then
			l.fail(errors.New("pong without a ping"))
			return nil, true
		}
		l.poll.awaited.Add(-1)
	case wire.Refuse:
		if h.ID != 0 {
			l.poll.awaited.Add(-1)
		}
	}
	return l.to.Receive(m), m.Hold == nil
}

// Spin implements wire.Lane.
func (l *lane) Spin(done func() bool) { l.poll.spin(done) }

// Send implements wire.Lane.
func (l *lane) Send(m wire.Message) error {
	h := wire.Header{Kind: m.Kind, Length: uint32(len(m.Body)), ID: m.ID, Value: m.Value}
	switch m.Kind {
	case wire.Call:
		l.poll.awaited.Add(1)
	case wire.Ping:
		l.poll.pings.Add(1)
		l.poll.awaited.Add(1)
		defer l.poll.kick()
	}
	return l.send.message(&h, m.Body)
}
