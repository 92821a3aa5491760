package s3api

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// net/http has a buffer of 4 KiB for what it writes to a connection. The head of a response
// and the beginning of its body fill it, so that a small object costs two system calls and
// wakes the client twice. A joining connection keeps the first write of such a response
// back until the second or the response's end.

// Listen lets responses to requests that come from l be written in fewer pieces. It is
// for a server of NewServer, over plain TCP.
func Listen(l net.Listener) net.Listener { return listener{l} }

type listener struct{ net.Listener }

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c}, nil
}

// conn joins writes.
type conn struct {
	net.Conn
	mu   sync.Mutex // the server may close it while a request is at work
	join bool       // the next write may wait for the one after it
	held []byte     // what waits, of kept
}

const joinMost = 8 << 10 // bytes that are kept or copied together

var kept = sync.Pool{New: func() any { return new([joinMost]byte) }}

// Write keeps p or writes it, together with what was kept.
func (c *conn) Write(p []byte) (int, error) {
	join, held := c.take(p)
	switch {
	case join:
		return len(p), nil
	case held == nil:
		return c.Conn.Write(p)
	}
	defer kept.Put((*[joinMost]byte)(held[:joinMost]))
	n, err := int64(0), error(nil)
	if len(held)+len(p) <= joinMost {
		var short int
		short, err = c.Conn.Write(append(held, p...))
		n = int64(short)
	} else {
		n, err = (&net.Buffers{held, p}).WriteTo(c.Conn)
	}
	return max(int(n)-len(held), 0), err
}

// take keeps p if it may wait, or gives out what was kept.
func (c *conn) take(p []byte) (join bool, held []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	join, held = c.join && c.held == nil && len(p) <= joinMost, c.held
	c.join, c.held = false, nil
	if join {
		c.held = append(kept.Get().(*[joinMost]byte)[:0], p...)
	}
	return join, held
}

// release writes what was kept. An error shows at the connection's next use.
func (c *conn) release() {
	c.mu.Lock()
	some := c.held != nil
	c.join = false
	c.mu.Unlock()
	if some {
		_, _ = c.Write(nil)
	}
}

// Close and CloseWrite are the end of what was kept, too.
func (c *conn) Close() error {
	c.release()
	return c.Conn.Close()
}

// CloseWrite is asked for by net/http when a response ends its connection.
func (c *conn) CloseWrite() error {
	c.release()
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

type connKey struct{}

// joined makes a server know its connections.
func joined(s *http.Server) *http.Server {
	s.ConnContext = func(ctx context.Context, nc net.Conn) context.Context {
		if c, ok := nc.(*conn); ok {
			return context.WithValue(ctx, connKey{}, c)
		}
		return ctx
	}
	s.ConnState = func(nc net.Conn, state http.ConnState) {
		if c, ok := nc.(*conn); ok && state == http.StateIdle {
			c.release()
		}
	}
	return s
}

// joinWrites lets the first write of the response wait for the second. Only for responses
// whose body follows at once.
func joinWrites(r *http.Request) {
	if c, ok := r.Context().Value(connKey{}).(*conn); ok && r.ProtoMajor == 1 {
		c.mu.Lock()
		c.join = true
		c.mu.Unlock()
	}
}
