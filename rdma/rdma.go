package rdma

import (
	"context"
	"errors"
)

// Limits of the message protocol.
const (
	// MaxMessage bounds a request or a reply in bytes.
	MaxMessage = 16 << 10
	// MaxBulk bounds one Pull or Push in bytes.
	MaxBulk = 4 << 20
)

// Errors of a transport. What a handler answers is not an error here.
var (
	// ErrClosed: the connection, region or transport was closed at this end.
	ErrClosed = errors.New("fabric closed")
	// ErrPeer: the other end is gone or refused. Dialing again may help.
	ErrPeer = errors.New("fabric peer unreachable")
	// ErrRemote: the Remote names memory that is not registered (any more), or a
	// range beyond it.
	ErrRemote = errors.New("remote memory not accessible")
	// ErrTooLarge: a message beyond MaxMessage or a transfer beyond MaxBulk.
	ErrTooLarge = errors.New("fabric message too large")
	// ErrNoMemory: the pool cannot give the blocks in time.
	ErrNoMemory = errors.New("no registered memory left")
)

// Remote names Len bytes of registered memory at the other end.
type Remote struct {
	Addr uint64
	RKey uint32
	Len  uint32
}

// RemoteSize is the encoded size of a Remote.
const RemoteSize = 16

// Region is registered memory: page-aligned, outside the Go heap.
type Region interface {
	// Bytes is the memory, valid until Close.
	Bytes() []byte
	// Remote names n bytes from off for the other end. It panics when the range
	// is outside the region, as slicing does.
	Remote(off, n int) Remote
	// Close revokes the key, waits until no transfer touches the memory, and
	// unmaps it. Idempotent.
	Close() error
}

// Transport moves messages and bytes.
type Transport interface {
	// Name is "mem", "tcp" or "verbs".
	Name() string
	// Register maps and registers n bytes, rounded up to the page size, zeroed.
	Register(n int) (Region, error)
	// Dial connects to a server. The address is the transport's own notation.
	Dial(ctx context.Context, addr string) (Conn, error)
	// Serve answers requests at addr until the Server is closed.
	Serve(addr string, h Handler) (Server, error)
	// Stats counts since the transport was made.
	Stats() Stats
	// Close ends all connections and servers. Regions are closed by their owners.
	Close() error
}

// Conn is the calling end of a connection.
type Conn interface {
	// Call sends req and waits for the answer, which it copies into rep; it
	// returns the answer's length. Both are the caller's again when it returns,
	// and no transfer into or out of memory named in req is under way then, also
	// when it returns an error. The errors are those of this package or ctx's.
	Call(ctx context.Context, req, rep []byte) (int, error)
	Close() error
}

// Server is the answering end.
type Server interface {
	Addr() string
	// Close stops accepting, waits for handlers under way and closes.
	Close() error
}

// Handler answers one request: it writes the answer to rep (MaxMessage bytes
// long) and returns its length. req and rep are the transport's again when it
// returns. Calls run concurrently. ctx ends when the peer is gone or the call's
// deadline has passed.
type Handler func(ctx context.Context, p Peer, req, rep []byte) int

// Peer is the caller of a request, as its handler sees it. It may be used until
// the handler returns.
type Peer interface {
	// Session numbers the calling end: what is given to one session may be used in
	// no other. mem counts connections; wires number the calling Transport, so that
	// all lanes and reconnects of one client have the same. Never 0.
	Session() uint64
	// Pull reads src.Len bytes from the peer and lends them, read-only, to use.
	// The error is the transport's or use's.
	Pull(ctx context.Context, src Remote, use func(p []byte) error) error
	// Push lends fill a slice of dst.Len bytes to fill and writes it to the peer.
	// Nothing is written when fill fails, except that where memory is shared fill
	// writes in place: after an error the content of dst is undefined.
	Push(ctx context.Context, dst Remote, fill func(p []byte) error) error
}
