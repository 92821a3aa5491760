package network

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/internal/region"
	"github.com/weftstore/weft/rdma/internal/wire"
)

// The fake wire joins transports of one process, so that a whole fabric runs in a
// synctest bubble, where time passes only when all wait. Its faults: nobody answers
// (down), or not even that is told (lost), messages vanish (mute), transfers do not end (stuck), and a lane that lies
// about the end of a call (hasty).

// cables are the fake network that lanes are dialed over.
type cables struct {
	mu        sync.Mutex
	listeners map[string]*fakeListener
	ports     int
	down      atomic.Bool // dials fail
	lost      atomic.Bool // dials end with their contexts
	mute      atomic.Bool // no message arrives
	stuck     atomic.Bool // transfers go on until the lane breaks
	hasty     atomic.Bool // a call is answered while its transfers run
}

func newCables() *cables { return &cables{listeners: map[string]*fakeListener{}} }

// fakeNet implements wire.Network.
type fakeNet struct {
	*cables
	name    string
	cfg     wire.Config
	regions region.Table
}

// fakeTransport is a transport over fake wires, the preferred one first.
func fakeTransport(t *testing.T, o rdma.Options, over ...*cables) *Transport {
	t.Helper()
	tr := open(t, TCP, o)
	tr.nets = nil
	session := newSession()
	for i, c := range over {
		counters := &wire.Counters{}
		n := &fakeNet{cables: c, name: fmt.Sprintf("fake%d", i), cfg: wire.Config{Options: tr.o, Session: session, Counters: counters}}
		tr.nets = append(tr.nets, &network{n, tr, counters})
	}
	return tr
}

func (n *fakeNet) Name() string       { return n.name }
func (n *fakeNet) Describe() string   { return "fake" }
func (n *fakeNet) Gauges(*rdma.Stats) {}
func (n *fakeNet) Close() error       { return nil }

type fakeMemory struct{ e *region.Entry }

func (m fakeMemory) Close() error {
	if m.e != nil {
		m.e.Remove()
	}
	return nil
}

func (n *fakeNet) Register(key uint32, mem []byte) (wire.Memory, error) {
	if key == 0 {
		return fakeMemory{}, nil
	}
	return fakeMemory{n.regions.Add(key, mem)}, nil
}

type fakeListener struct {
	n      *fakeNet
	addr   string
	accept func(wire.Lane)
}

func (l *fakeListener) Addr() string { return l.addr }

func (l *fakeListener) Close() error {
	l.n.mu.Lock()
	defer l.n.mu.Unlock()
	delete(l.n.listeners, l.addr)
	return nil
}

func (n *fakeNet) Listen(addr string, _ wire.Memory, accept func(wire.Lane)) (wire.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if addr == "127.0.0.1:0" {
		n.ports++
		addr = fmt.Sprintf("127.0.0.1:%d", n.ports)
	}
	if n.listeners[addr] != nil {
		return nil, errors.New("in use")
	}
	l := &fakeListener{n, addr, accept}
	n.listeners[addr] = l
	return l, nil
}

func (n *fakeNet) Dial(ctx context.Context, addr string) (wire.Lane, error) {
	if n.lost.Load() {
		<-ctx.Done()
		return nil, fmt.Errorf("%w: %w", rdma.ErrPeer, ctx.Err())
	}
	n.mu.Lock()
	l := n.listeners[addr]
	n.mu.Unlock()
	if l == nil || n.down.Load() {
		return nil, fmt.Errorf("%w: nobody at %s", rdma.ErrPeer, addr)
	}
	p := &fakePair{}
	near, far := newFakeLane(n, p), newFakeLane(l.n, p)
	near.peer, far.peer, far.answers = far, near, true
	slots := min(n.cfg.Slots, l.n.cfg.Slots)
	near.info = wire.Info{Session: l.n.cfg.Session, Slots: slots, Peer: addr}
	far.info = wire.Info{Session: n.cfg.Session, Slots: slots, Peer: "caller"}
	l.accept(far)
	return near, nil
}

// fakePair is what the two ends of a lane have in common.
type fakePair struct {
	once      sync.Once
	ended     atomic.Bool
	transfers sync.WaitGroup
	mu        sync.Mutex
	cause     error
}

// fakeLane implements wire.Lane.
type fakeLane struct {
	n       *fakeNet
	pair    *fakePair
	peer    *fakeLane
	answers bool
	info    wire.Info
	to      wire.Receiver
	inbox   chan wire.Message
	gone    chan struct{} // closed when the pair breaks
	told    chan struct{} // closed when Broken was told

	// Of a hasty lane, with pair.mu: calls that came, and those answered already.
	calls []uint64
	lied  map[uint64]bool
}

func newFakeLane(n *fakeNet, p *fakePair) *fakeLane {
	return &fakeLane{n: n, pair: p, inbox: make(chan wire.Message, 1<<14), lied: map[uint64]bool{}, gone: make(chan struct{}), told: make(chan struct{})}
}

func (l *fakeLane) Info() wire.Info { return l.info }

func (l *fakeLane) Start(to wire.Receiver) {
	l.to = to
	go func() {
		for {
			select {
			case m := <-l.inbox:
				if work := to.Receive(m); work != nil {
					go work.Run()
				}
			case <-l.gone:
				l.pair.transfers.Wait()
				to.Broken(l.pair.cause)
				close(l.told)
				return
			}
		}
	}()
}

func (l *fakeLane) Spin(func() bool) {}

type noHold struct{}

func (noHold) Release() {}

func (l *fakeLane) Send(m wire.Message) error {
	if l.pair.ended.Load() {
		return rdma.ErrPeer
	}
	if l.n.mute.Load() {
		return nil
	}
	m.Body = bytes.Clone(m.Body)
	if m.Kind == wire.Call {
		m.Hold = noHold{}
	}
	if l.n.hasty.Load() && l.lies(m) {
		return nil
	}
	l.peer.inbox <- m
	return nil
}

// lie answers the call that came first, of which a transfer may just begin.
func (l *fakeLane) lie() {
	l.pair.mu.Lock()
	defer l.pair.mu.Unlock()
	if len(l.calls) == 0 {
		return
	}
	id := l.calls[0]
	l.calls = l.calls[1:]
	l.lied[id] = true
	l.peer.inbox <- wire.Message{Kind: wire.Reply, ID: id, Body: []byte("done")}
}

// lies notes calls, and says whether m is an answer that was given already.
func (l *fakeLane) lies(m wire.Message) bool {
	l.pair.mu.Lock()
	defer l.pair.mu.Unlock()
	if m.Kind == wire.Call {
		l.peer.calls = append(l.peer.calls, m.ID)
	}
	return m.Kind == wire.Reply && l.lied[m.ID]
}

func (l *fakeLane) Break(cause error) {
	l.fail(cause)
	if l.to != nil {
		<-l.told
	}
}

func (l *fakeLane) fail(cause error) {
	l.pair.once.Do(func() {
		l.pair.cause = fmt.Errorf("%w: %w", rdma.ErrPeer, cause)
		l.pair.mu.Lock() // no transfer begins any more
		l.pair.ended.Store(true)
		l.pair.mu.Unlock()
		close(l.gone)
		close(l.peer.gone)
	})
}

func (l *fakeLane) Pull(ctx context.Context, key uint32, addr uint64, p []byte) error {
	return l.move(ctx, rdma.Remote{RKey: key, Addr: addr, Len: uint32(len(p))}, func(mem []byte, a, b int) { copy(p[a:b], mem[a:b]) })
}

func (l *fakeLane) Push(ctx context.Context, key uint32, addr uint64, p []byte) error {
	return l.move(ctx, rdma.Remote{RKey: key, Addr: addr, Len: uint32(len(p))}, func(mem []byte, a, b int) { copy(mem[a:b], p[a:b]) })
}

// move takes a millisecond for each of four pieces.
func (l *fakeLane) move(ctx context.Context, r rdma.Remote, piece func(mem []byte, a, b int)) error {
	l.pair.mu.Lock()
	if l.pair.ended.Load() {
		l.pair.mu.Unlock()
		return rdma.ErrPeer
	}
	l.pair.transfers.Add(1)
	l.pair.mu.Unlock()
	defer l.pair.transfers.Done()
	e, mem, err := l.peer.n.regions.Window(r)
	if err != nil {
		return err
	}
	defer e.Leave()
	if l.n.hasty.Load() {
		l.lie()
	}
	grace := context.AfterFunc(ctx, func() {
		if !l.n.stuck.Load() {
			return
		}
		select {
		case <-time.After(l.n.cfg.Grace):
			l.fail(errors.New("a transfer did not end"))
		case <-l.gone:
		}
	})
	defer grace()
	for i := 0; i < 4 || l.n.stuck.Load(); i++ {
		select {
		case <-time.After(time.Millisecond):
		case <-l.gone:
			return l.pair.cause
		}
		if ctx.Err() != nil && !l.n.stuck.Load() {
			return ctx.Err()
		}
		at := i % 4 * len(mem) / 4
		piece(mem, at, (i%4+1)*len(mem)/4)
	}
	return nil
}
