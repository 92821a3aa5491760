package s3load

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

const (
	// inLen is the read buffer: large enough that a MiB costs few system calls, small enough to stay
	// in the second-level cache.
	inLen = 128 << 10
	// pieceLen is how much of a request body is generated and written at a time.
	pieceLen = 128 << 10
	// maxErrBody is how much of an error answer is kept for the report.
	maxErrBody = 2 << 10
	// maxLine bounds chunk-size and trailer lines.
	maxLine = 4 << 10
)

// errShort tells of a body that ended before its announced length.
var errShort = errors.New("response body ended early")

// sink takes a response body piece by piece; p is only valid during the call. An error is remembered by
// the caller's own means or ends the request.
type sink interface {
	piece(p []byte) error
}

// answer is what came back for one request.
type answer struct {
	status int
	etag   string
	ttfb   time.Duration // from the first byte sent to the first byte received
	total  time.Duration // to the last byte received
}

// StatusError is an answer whose status says that the operation failed.
type StatusError struct {
	Status int
	Body   string // up to 2 KiB of the answer
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("status %d: %.300s", e.Status, e.Body)
}

// conn is one kept-alive HTTP/1.1 connection to a target, used by one worker. The request head is built
// in a reused buffer and goes out in one write with a small body; the response is parsed in place in
// the read buffer. Nothing is allocated a request on the usual path.
type conn struct {
	t      *target
	sign   *signer
	nc     net.Conn
	served int    // requests answered on nc
	dials  int    // connections opened
	server string // Server header of the first answer

	out  []byte
	in   []byte
	r, w int
}

func newConn(t *target) *conn {
	return &conn{
		t: t, sign: newSigner(&t.ep, t.region),
		out: make([]byte, 0, pieceLen+8<<10), in: make([]byte, inLen),
	}
}

// open connects unless connected.
func (c *conn) open(ctx context.Context) error {
	if c.nc != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.t.timeout)
	defer cancel()
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", c.t.addr)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if c.t.tls != nil {
		tc := tls.Client(nc, c.t.tls)
		if err := tc.HandshakeContext(ctx); err != nil {
			_ = nc.Close() // the handshake error says more
			return fmt.Errorf("tls handshake: %w", err)
		}
		nc = tc
	}
	c.nc, c.served, c.r, c.w = nc, 0, 0, 0
	c.dials++
	return nil
}

// close drops the connection; the conn may be used again and then reconnects.
func (c *conn) close() {
	if c.nc != nil {
		_ = c.nc.Close() // nothing is lost: every answer was read or given up
		c.nc = nil
	}
}

// do sends r and passes the body of a 2xx answer to s (nil: dropped). Other statuses return a
// *StatusError. A request that a server dropped together with an idle connection, before it answered a
// byte, is sent once more on a new one.
func (c *conn) do(ctx context.Context, r *request, s sink) (answer, error) {
	for attempt := 0; ; attempt++ {
		if err := c.open(ctx); err != nil {
			return answer{}, err
		}
		reused := c.served > 0
		a, started, err := c.once(r, s)
		if err == nil {
			c.served++
			return a, nil
		}
		var status *StatusError
		if errors.As(err, &status) {
			c.served++
			return a, err
		}
		c.close()
		var timeout net.Error
		stale := reused && !started && !(errors.As(err, &timeout) && timeout.Timeout())
		if !stale || attempt > 0 {
			return a, err
		}
	}
}

// once is one exchange. started tells whether a byte of an answer arrived.
func (c *conn) once(r *request, s sink) (a answer, started bool, err error) {
	begin := time.Now()
	if err := c.nc.SetDeadline(begin.Add(c.t.timeout)); err != nil {
		return a, false, err
	}
	writeErr := c.send(r, begin)
	h, n, err := c.readHead()
	if err != nil {
		if writeErr != nil {
			err = writeErr
		}
		return a, c.w > c.r, err
	}
	a.ttfb = time.Since(begin)
	a.status = h.status
	if len(h.etag) > 0 && r.method != "GET" {
		a.etag = string(h.etag)
	}
	if c.server == "" {
		c.server = string(h.server)
	}
	c.r += n
	if h.status/100 != 2 {
		var kept errBody
		err = c.readBody(r, h, &kept)
		if err == nil {
			err = &StatusError{Status: h.status, Body: string(kept)}
		}
	} else {
		err = c.readBody(r, h, s)
	}
	if err == nil && writeErr != nil {
		err = writeErr
	}
	a.total = time.Since(begin)
	if h.close || writeErr != nil {
		c.close()
	}
	return a, true, err
}

// send writes the head and the body.
func (c *conn) send(r *request, now time.Time) error {
	size := r.body.len()
	o := append(append(c.out[:0], r.method...), ' ')
	o = append(o, r.path...)
	if r.query != "" {
		o = append(append(o, '?'), r.query...)
	}
	o = append(o, " HTTP/1.1\r\n"...)
	if size > 0 || r.method == "PUT" || r.method == "POST" {
		o = strconv.AppendInt(append(o, "content-length: "...), size, 10)
		o = append(o, "\r\n"...)
	}
	o = append(c.sign.appendHeaders(o, r, c.t.host, now), "\r\n"...)
	for off := int64(0); ; {
		n := int(min(size-off, int64(cap(o)-len(o))))
		o = o[:len(o)+n]
		r.body.read(o[len(o)-n:], off)
		if _, err := c.nc.Write(o); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		off += int64(n)
		o = o[:0]
		if off == size {
			c.out = o
			return nil
		}
	}
}

// readHead reads until a final response head is complete and returns it with its length at c.r.
func (c *conn) readHead() (respHead, int, error) {
	for {
		h, n, err := parseHead(c.in[c.r:c.w])
		if err != nil {
			return h, 0, err
		}
		if n > 0 && h.status/100 == 1 { // informational: the real one follows
			c.r += n
			continue
		}
		if n > 0 {
			return h, n, nil
		}
		if err := c.more(); err != nil {
			return h, 0, fmt.Errorf("read response: %w", err)
		}
	}
}

// more reads at least one further byte into the buffer.
func (c *conn) more() error {
	if c.r == c.w {
		c.r, c.w = 0, 0
	} else if c.w == len(c.in) {
		c.w = copy(c.in, c.in[c.r:c.w])
		c.r = 0
	}
	n, err := c.nc.Read(c.in[c.w:])
	c.w += n
	if n > 0 {
		return nil
	}
	return err
}

// readBody reads the body that h announces for the answer to r.
func (c *conn) readBody(r *request, h respHead, s sink) error {
	switch {
	case r.method == "HEAD" || h.status == 204 || h.status == 304:
		return nil
	case h.chunked:
		return c.readChunked(s)
	case h.length >= 0:
		return c.readN(h.length, s)
	}
	defer c.close() // the end of the connection is the end of the body
	for {
		if err := c.deliver(c.w-c.r, s); err != nil {
			return err
		}
		if err := c.more(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// deliver hands n buffered bytes to s.
func (c *conn) deliver(n int, s sink) error {
	p := c.in[c.r : c.r+n]
	c.r += n
	if s == nil || n == 0 {
		return nil
	}
	return s.piece(p)
}

func (c *conn) readN(n int64, s sink) error {
	for {
		have := int(min(n, int64(c.w-c.r)))
		if err := c.deliver(have, s); err != nil {
			return err
		}
		if n -= int64(have); n == 0 {
			return nil
		}
		if err := c.more(); errors.Is(err, io.EOF) {
			return fmt.Errorf("%w: %d bytes missing", errShort, n)
		} else if err != nil {
			return err
		}
	}
}

func (c *conn) readChunked(s sink) error {
	for {
		line, err := c.readLine()
		if err != nil {
			return err
		}
		n, err := parseChunkLine(line)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		if err := c.readN(n, s); err != nil {
			return err
		}
		if line, err = c.readLine(); err != nil || len(line) != 0 {
			return fmt.Errorf("%w: no end of chunk: %v", errChunk, err)
		}
	}
	for { // trailers
		line, err := c.readLine()
		if err != nil || len(line) == 0 {
			return err
		}
	}
}

// readLine returns the next line without its CRLF; valid until the next read.
func (c *conn) readLine() ([]byte, error) {
	for {
		buf := c.in[c.r:c.w]
		if i := bytes.Index(buf, []byte("\r\n")); i >= 0 {
			c.r += i + 2
			return buf[:i], nil
		}
		if len(buf) > maxLine {
			return nil, fmt.Errorf("%w: line too long", errChunk)
		}
		if err := c.more(); errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%w: in chunk framing", errShort)
		} else if err != nil {
			return nil, err
		}
	}
}

// errBody keeps the beginning of an error answer.
type errBody []byte

func (e *errBody) piece(p []byte) error {
	*e = append(*e, p[:min(len(p), maxErrBody-len(*e))]...)
	return nil
}

// xmlBody keeps a whole answer, up to maxXML.
type xmlBody []byte

func (x *xmlBody) piece(p []byte) error {
	if len(*x)+len(p) > maxXML {
		return fmt.Errorf("answer longer than %d bytes", maxXML)
	}
	*x = append(*x, p...)
	return nil
}
