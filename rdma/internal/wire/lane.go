package wire

import (
	"context"
	"io"
	"log/slog"

	"github.com/weftstore/weft/rdma"
)

// Config is what the networks of one transport share.
type Config struct {
	rdma.Options        // complete: see Options.Complete
	Session      uint64 // of this transport, never 0
	Counters     *Counters
	Log          *slog.Logger // never nil; says which wire speaks
}

// Network makes lanes over one kind of wire. Safe for concurrent use.
type Network interface {
	// Name is "tcp" or "verbs".
	Name() string
	// Describe tells an operator what it runs on, in one line.
	Describe() string
	// Dial makes one lane: connected, both ends authenticated. addr is HOST:PORT. The
	// lane's Start follows, or its Break. ErrPeer when there is nobody or it refuses.
	Dial(ctx context.Context, addr string) (Lane, error)
	// Listen takes lanes at addr, HOST:PORT with 0 for any port. accept is called
	// for each that has authenticated, from a goroutine of its own, and owns it.
	// Pull and Push of these lanes use memory inside staging.
	Listen(addr string, staging Memory, accept func(Lane)) (Listener, error)
	// Register makes mem known under key: peers may read and write it through lanes
	// of this network. Key 0 is memory for staging, which no peer may name. mem is
	// page-aligned, mapped outside of the Go heap, and stays so until Close of what is
	// returned, which revokes the key and waits until no transfer touches mem.
	Register(key uint32, mem []byte) (Memory, error)
	// Gauges adds what only the wire knows, such as states of queue pairs.
	Gauges(s *rdma.Stats)
	// Close is called after all lanes and listeners are closed. Memory may still be
	// registered and is closed by its owners later.
	Close() error
}

// Memory is a registration of memory with a Network. Close is idempotent.
type Memory interface{ io.Closer }

// Listener takes lanes until Close, which ends handshakes under way and returns
// when accept is called no more.
type Listener interface {
	Addr() string // HOST:PORT
	Close() error
}

// Info of a lane.
type Info struct {
	Session uint64 // of the transport at the other end
	Slots   int    // calls that may be under way
	Peer    string // the other end's address, for people
}

// Lane is one connection. Safe for concurrent use.
type Lane interface {
	// Info is what the ends agreed on.
	Info() Info
	// Start begins to receive. It is called once, before Send, Pull and Push.
	Start(to Receiver)
	// Send sends m. It never waits for the other end. m is not kept. The body must
	// stay as it is until the answer has come or the lane is broken when m is a
	// Call; otherwise it is the sender's again when Send returns. The error says that
	// the lane is broken or breaking: Broken follows.
	Send(m Message) error
	// Spin is called by one who has sent a Call and is about to sleep until it is
	// answered: a wire that can poll may do so for a short time, until done says true.
	Spin(done func() bool)
	// Pull reads len(p) bytes from addr of the peer's region key into p, and Push
	// writes p there. p lies inside the staging memory of the Listener. They return
	// when nothing touches p any more and nothing of this transfer will touch the
	// peer's memory. A transfer that is not over some time (Options.Grace) after ctx
	// has ended breaks the lane. ErrRemote when the peer has no such memory.
	Pull(ctx context.Context, key uint32, addr uint64, p []byte) error
	Push(ctx context.Context, key uint32, addr uint64, p []byte) error
	// Break ends the lane and returns when no transfer touches memory of this end
	// any more and the Receiver has been told Broken (with the first cause). Not to
	// be called from Receive or Broken. Idempotent.
	Break(cause error)
}

// Receiver is told what arrives on a lane.
type Receiver interface {
	// Receive gets messages in the order in which they were sent. It does not block.
	// When it returns work, that is to be run by a goroutine that may block, while
	// receiving goes on.
	Receive(m Message) (work Work)
	// Heard says that part of a transfer came, where the wire sees it: a sign of life as
	// a message is, which may wait behind many transfers. It does not block.
	Heard()
	// Broken comes once and last. Nothing of the lane touches this end's registered
	// memory any more. err wraps rdma.ErrPeer.
	Broken(err error)
}

// Work is something that may block.
type Work interface{ Run() }
