package tcp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/internal/wire"
)

const (
	// readBuffer holds heads and small messages. Payload goes past it, but for what
	// came in the same read as the head before it.
	readBuffer = 4 << 10
	// maxAsked bounds the transfers that an answerer may have under way.
	maxAsked = 4096
)

// lane implements wire.Lane.
type lane struct {
	n      *Network
	conn   net.Conn
	socket net.Conn // beneath conn
	plain  *stream  // conn, when that is a socket; nil with TLS
	info   wire.Info
	answer bool // the answering end
	out    writer
	asked  atomic.Int32 // transfers of the peer whose answers are not written yet

	mu        sync.Mutex
	to        wire.Receiver
	over      bool // finish is past the point where it looks for a Receiver
	transfers map[uint64]*transfer
	next      uint64

	once    sync.Once
	cause   error
	running sync.WaitGroup // the receiving goroutine and the writing one
	done    chan struct{}
}

// transfer is one that this end asked for.
type transfer struct {
	p    []byte // of a pull: where the bytes go
	push bool
	left atomic.Int32 // what must come to its end: the answer and, of a push, the writing
	err  error        // of the answer
	done chan error   // has room for its end
}

// end ends one part of the transfer, and with the last one the whole. A peer may
// answer a push before it has taken the bytes: they still lie in p then.
func (t *transfer) end() {
	if t.left.Add(-1) == 0 {
		t.done <- t.err
	}
}

func (t *transfer) answered(err error) {
	t.err = err
	t.end()
}

func newLane(n *Network, a *agreed, answer bool) *lane {
	l := &lane{
		n: n, conn: a.conn, socket: a.socket, answer: answer, transfers: map[uint64]*transfer{}, done: make(chan struct{}),
		info: wire.Info{Session: a.session, Slots: a.slots, Peer: a.conn.RemoteAddr().String()},
	}
	if t, ok := a.conn.(*net.TCPConn); ok {
		l.plain = newStream(t)
	}
	l.out.init(l)
	return l
}

// Info implements wire.Lane.
func (l *lane) Info() wire.Info { return l.info }

// Start implements wire.Lane.
func (l *lane) Start(to wire.Receiver) {
	l.mu.Lock()
	over := l.over
	if !over {
		l.to = to
		l.running.Add(1)
		go l.receive()
	}
	l.mu.Unlock()
	if over {
		to.Broken(l.broken())
	}
}

// Spin implements wire.Lane: sockets are not polled.
func (l *lane) Spin(func() bool) {}

// Send implements wire.Lane.
func (l *lane) Send(m wire.Message) error {
	f := frame{body: m.Body, copied: true}
	h := head{Header: wire.Header{Kind: m.Kind, Length: uint32(len(m.Body)), ID: m.ID, Value: m.Value}}
	h.encode(f.head[:])
	return l.out.push(f)
}

// Break implements wire.Lane.
func (l *lane) Break(cause error) {
	l.fail(cause)
	<-l.done
}

func (l *lane) fail(cause error) {
	l.once.Do(func() {
		l.cause = cause
		l.out.stop()
		l.socket.Close() // TLS would first wait for a peer that does not read
		go l.finish()
	})
}

// finish waits until nothing moves any more and tells everybody.
func (l *lane) finish() {
	l.mu.Lock() // no Start any more, or its goroutine is counted
	to := l.to
	l.over = true
	l.mu.Unlock()
	l.running.Wait()
	l.out.drop()
	err := l.broken()
	l.mu.Lock()
	for _, t := range l.transfers {
		t.answered(err)
	}
	l.transfers = nil
	l.mu.Unlock()
	if to != nil {
		to.Broken(err)
	}
	close(l.done)
}

func (l *lane) broken() error {
	if errors.Is(l.cause, rdma.ErrPeer) {
		return l.cause
	}
	if errors.Is(l.cause, io.EOF) {
		return fmt.Errorf("%w: %s hung up", rdma.ErrPeer, l.info.Peer)
	}
	return fmt.Errorf("%w: lane to %s: %w", rdma.ErrPeer, l.info.Peer, l.cause)
}

// receive reads frames until the connection ends.
func (l *lane) receive() {
	defer l.running.Done()
	from := io.Reader(l.conn)
	if l.plain != nil {
		from = l.plain
	}
	in := bufio.NewReaderSize(from, readBuffer)
	var raw [headSize]byte
	for {
		if _, err := io.ReadFull(in, raw[:]); err != nil {
			l.fail(err)
			return
		}
		var h head
		err := h.decode(raw[:])
		if err == nil {
			err = l.take(in, &h)
		}
		if err != nil {
			l.fail(err)
			return
		}
	}
}

// take handles the rest of a frame.
func (l *lane) take(in *bufio.Reader, h *head) error {
	switch h.Kind {
	case kindPull, kindPush:
		if l.answer {
			return errors.New("the caller asked for a transfer")
		}
		defer l.to.Heard()
		if h.Kind == kindPull {
			return l.pulled(h)
		}
		return l.pushed(in, h)
	case kindPulled, kindPushed:
		defer l.to.Heard()
		return l.ended(in, h)
	}
	m := wire.Message{Kind: h.Kind, ID: h.ID, Value: h.Value}
	switch {
	case h.Kind == wire.Call:
		b := bodies.Get().(*body)
		m.Body, m.Hold = b.bytes[:h.Length], b
	case h.Length > 0:
		b := bodies.Get().(*body)
		defer b.Release()
		m.Body = b.bytes[:h.Length]
	}
	if _, err := io.ReadFull(in, m.Body); err != nil {
		if m.Hold != nil {
			m.Hold.Release()
		}
		return err
	}
	if work := l.to.Receive(m); work != nil {
		go work.Run()
	}
	return nil
}

// body is memory for a received message.
type body struct{ bytes [rdma.MaxMessage]byte }

var bodies = sync.Pool{New: func() any { return new(body) }}

// Release implements wire.Hold.
func (b *body) Release() { bodies.Put(b) }

// Pull implements wire.Lane.
func (l *lane) Pull(ctx context.Context, key uint32, addr uint64, p []byte) error {
	return l.transfer(ctx, &transfer{p: p}, head{
		Header: wire.Header{Kind: kindPull, Length: uint32(len(p)), Value: addr}, key: key}, nil)
}

// Push implements wire.Lane.
func (l *lane) Push(ctx context.Context, key uint32, addr uint64, p []byte) error {
	return l.transfer(ctx, &transfer{push: true}, head{
		Header: wire.Header{Kind: kindPush, Length: uint32(len(p)), Value: addr}, key: key}, p)
}

func (l *lane) transfer(ctx context.Context, t *transfer, h head, p []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t.done = make(chan error, 1)
	f := frame{body: p}
	t.left.Store(1)
	if t.push {
		t.left.Store(2)
		f.after = t.end
	}
	l.mu.Lock()
	if l.transfers == nil {
		l.mu.Unlock()
		return l.broken()
	}
	l.next++
	h.ID = l.next
	l.transfers[h.ID] = t
	l.mu.Unlock()
	h.encode(f.head[:])
	_ = l.out.push(f) // when it fails the lane breaks, and that ends the transfer
	select {
	case err := <-t.done:
		return err
	case <-ctx.Done():
	}
	grace := time.NewTimer(l.n.cfg.Grace)
	defer grace.Stop()
	select {
	case err := <-t.done:
		return err
	case <-grace.C:
		l.fail(fmt.Errorf("a transfer was not over %s after its end: %w", l.n.cfg.Grace, ctx.Err()))
		if err := <-t.done; err == nil { // at the last moment
			return nil
		}
		return ctx.Err()
	}
}

// ended takes the answer to a transfer of this end.
func (l *lane) ended(in *bufio.Reader, h *head) error {
	l.mu.Lock()
	t := l.transfers[h.ID]
	delete(l.transfers, h.ID)
	l.mu.Unlock()
	if t == nil || t.push != (h.Kind == kindPushed) {
		if t != nil {
			t.answered(l.unexpected())
		}
		return errors.New("answer to no transfer")
	}
	if h.Status != statusOK {
		t.answered(rdma.ErrRemote)
		return nil
	}
	if int(h.Length) != len(t.p) {
		t.answered(l.unexpected())
		return fmt.Errorf("%d bytes for a transfer of %d", h.Length, len(t.p))
	}
	if _, err := io.ReadFull(in, t.p); err != nil {
		t.answered(fmt.Errorf("%w: %w", rdma.ErrPeer, err))
		return err
	}
	t.answered(nil)
	if len(t.p) > 0 {
		// Whoever waited for the bytes asks for the next now, before this goroutine goes on to read.
		runtime.Gosched()
	}
	return nil
}

func (l *lane) unexpected() error {
	return fmt.Errorf("%w: %s answers what was not asked", rdma.ErrPeer, l.info.Peer)
}

// pulled sends memory of this end that the peer wants.
func (l *lane) pulled(h *head) error {
	if l.asked.Add(1) > maxAsked {
		return errors.New("too many transfers at once")
	}
	a := head{Header: wire.Header{Kind: kindPulled, Status: statusRemote, ID: h.ID}}
	f := frame{after: func() { l.asked.Add(-1) }}
	if e, p, err := l.n.regions.Window(h.remote()); err == nil {
		a.Status, a.Length = statusOK, h.Length
		f.body = p
		f.after = func() {
			l.asked.Add(-1)
			e.Leave()
		}
		l.n.cfg.Counters.PulledBytes.Add(uint64(h.Length))
	}
	a.encode(f.head[:])
	return l.out.push(f)
}

// pushed receives into memory of this end.
func (l *lane) pushed(in *bufio.Reader, h *head) error {
	if l.asked.Add(1) > maxAsked {
		return errors.New("too many transfers at once")
	}
	a := head{Header: wire.Header{Kind: kindPushed, Status: statusRemote, ID: h.ID}}
	if e, p, err := l.n.regions.Window(h.remote()); err != nil {
		if _, err := in.Discard(int(h.Length)); err != nil {
			return err
		}
	} else {
		_, err := io.ReadFull(in, p)
		e.Leave()
		if err != nil {
			return err
		}
		a.Status = statusOK
		l.n.cfg.Counters.PushedBytes.Add(uint64(h.Length))
	}
	f := frame{after: func() { l.asked.Add(-1) }}
	a.encode(f.head[:])
	return l.out.push(f)
}
