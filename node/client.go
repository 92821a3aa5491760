package node

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/weftstore/weft/erasure"
	"github.com/weftstore/weft/internal/tracing"
	"github.com/weftstore/weft/node/extent"
	"github.com/weftstore/weft/rdma"
)

// Client asks a node over one connection. Safe for concurrent use. The
// connection stays the caller's to close.
type Client struct {
	conn      rdma.Conn
	exchanges sync.Pool   // *exchange
	untraced  atomic.Bool // the node knows no trace contexts
}

// NewClient makes a client of a connection.
func NewClient(conn rdma.Conn) *Client {
	return &Client{conn: conn, exchanges: sync.Pool{New: func() any { return new(exchange) }}}
}

// exchange is the memory of a call, reused.
type exchange struct {
	q        request
	r        reply
	req, rep [rdma.MaxMessage]byte
}

// call sends x.q and leaves the answer in x.r. The error names the operation.
func (c *Client) call(ctx context.Context, x *exchange, crcs []uint64, body []byte) (err error) {
	var span tracing.Span
	switch x.q.op {
	case opRead, opWrite:
		ctx, span = tracing.CallRepeated(ctx, spanNames[x.q.op])
	default:
		ctx, span = tracing.Call(ctx, spanNames[x.q.op])
	}
	if !span.Recorded() {
		return c.send(ctx, x, crcs, body)
	}
	defer func() { endSpan(span, &x.q, err) }()
	if !c.untraced.Load() {
		x.q.trace = span.Context()
		if err := c.send(ctx, x, crcs, body); !errors.Is(err, ErrProtocol) {
			return err
		}
		c.untraced.Store(true)
		x.q.trace = tracing.Context{}
	}
	return c.send(ctx, x, crcs, body)
}

// endSpan ends the span of a request at either end.
func endSpan(span tracing.Span, q *request, err error) {
	if !q.target.IsZero() {
		span.String("weft.target", q.target.String())
	}
	if q.remote.Len > 0 {
		span.Int("weft.bytes", int64(q.remote.Len))
	}
	if err != nil {
		span.Fail(statusOf(err).sentinel().Error())
	}
	span.End()
}

func (c *Client) send(ctx context.Context, x *exchange, crcs []uint64, body []byte) error {
	n, err := x.q.encode(x.req[:], crcs, body)
	if err != nil {
		return err
	}
	n, err = c.conn.Call(ctx, x.req[:n], x.rep[:])
	if err != nil {
		return fmt.Errorf("%s: %w", x.q.op, err)
	}
	if err := x.r.decode(x.rep[:n]); err != nil {
		return fmt.Errorf("%s: %w", x.q.op, err)
	}
	if x.r.status != statusOK {
		return remoteError(x.q.op, x.r.status, x.r.body)
	}
	return nil
}

// do is call for replies without a body.
func (c *Client) do(ctx context.Context, q request, crcs []uint64, body []byte) error {
	x := c.exchanges.Get().(*exchange)
	defer c.exchanges.Put(x)
	x.q = q
	return c.call(ctx, x, crcs, body)
}

// Status is the state of all targets of the node, in the order they were added.
// The slice is the caller's.
func (c *Client) Status(ctx context.Context) ([]TargetStatus, error) {
	x := c.exchanges.Get().(*exchange)
	defer c.exchanges.Put(x)
	var all []TargetStatus
	for more := true; more; more = x.r.more {
		x.q = request{op: opStatus, value: uint64(len(all))}
		if err := c.call(ctx, x, nil, nil); err != nil {
			return nil, err
		}
		p := x.r.body
		for range x.r.count {
			var s TargetStatus
			n, err := s.get(p)
			if err != nil {
				return nil, fmt.Errorf("status: %w", err)
			}
			all, p = append(all, s), p[n:]
		}
		if x.r.more && (x.r.count == 0 || len(all) > maxTargets) {
			return nil, fmt.Errorf("status: %w", protocolError("no end of targets"))
		}
	}
	return all, nil
}

// Identify tells which node of which store answers.
func (c *Client) Identify(ctx context.Context) (Identity, error) {
	x := c.exchanges.Get().(*exchange)
	defer c.exchanges.Put(x)
	x.q = request{op: opIdentify}
	if err := c.call(ctx, x, nil, nil); err != nil {
		return Identity{}, err
	}
	var id Identity
	if n := len(x.r.body) - len(id.Deployment); n < 0 || n > maxName || x.r.more || x.r.count != 0 {
		return Identity{}, fmt.Errorf("identify: %w", protocolError("reply of %d bytes", len(x.r.body)))
	}
	copy(id.Deployment[:], x.r.body)
	id.Name = string(x.r.body[len(id.Deployment):])
	return id, nil
}

// Target is one target of the node. Whether the node has it shows with the first
// operation: ErrUnknownTarget.
func (c *Client) Target(id TargetUUID) *Target { return &Target{c: c, uuid: id} }

// Target is a target of a node. Safe for concurrent use. Slices passed in are
// the caller's again when a method returns.
type Target struct {
	c    *Client
	uuid TargetUUID
}

// ID is the target's name.
func (t *Target) ID() TargetUUID { return t.uuid }

// Append stores a chunk of at most extent.MaxInline bytes and returns when it is
// durable. The node pulls data and checks it: crcs has the CRC-64/NVME of each
// erasure.Unit bytes, the last may cover less. meta is at most extent.MaxMeta.
func (t *Target) Append(ctx context.Context, id extent.ID, meta []byte, data rdma.Remote, crcs []uint64) error {
	return t.c.do(ctx, request{op: opAppend, target: t.uuid, id: id, remote: data}, crcs, meta)
}

// Create begins a chunk of length bytes that is written in pieces. The node
// aborts it when nothing happens for its HandleTTL.
func (t *Target) Create(ctx context.Context, id extent.ID, length int64) (Writer, error) {
	if length < 0 {
		return nil, fmt.Errorf("create: length %d: %w", length, extent.ErrInvalid)
	}
	x := t.c.exchanges.Get().(*exchange)
	defer t.c.exchanges.Put(x)
	x.q = request{op: opCreate, target: t.uuid, id: id, value: uint64(length)}
	if err := t.c.call(ctx, x, nil, nil); err != nil {
		return nil, err
	}
	if len(x.r.body) != 8 {
		return nil, fmt.Errorf("create: %w", protocolError("handle of %d bytes", len(x.r.body)))
	}
	return &writer{t: t, handle: binary.LittleEndian.Uint64(x.r.body)}, nil
}

// Read fills dst with the chunk's bytes from off, which is a multiple of
// erasure.Unit; dst must not reach beyond the chunk. The bytes were verified.
// After an error the content of dst is undefined.
func (t *Target) Read(ctx context.Context, id extent.ID, off int64, dst rdma.Remote) error {
	if off < 0 {
		return fmt.Errorf("read at %d: %w", off, extent.ErrInvalid)
	}
	return t.c.do(ctx, request{op: opRead, target: t.uuid, id: id, off: off, remote: dst}, nil, nil)
}

// CRCs are the checksums of the units in [off, off+n); off is a multiple of
// erasure.Unit. The slice is the caller's.
func (t *Target) CRCs(ctx context.Context, id extent.ID, off, n int64) ([]uint64, error) {
	if off < 0 || n < 0 || n > extent.MaxChunk {
		return nil, fmt.Errorf("crcs of %d bytes at %d: %w", n, off, extent.ErrInvalid)
	}
	const batch = maxReplyCRCs * erasure.Unit
	x := t.c.exchanges.Get().(*exchange)
	defer t.c.exchanges.Put(x)
	crcs := make([]uint64, 0, erasure.Units(n))
	for {
		piece := min(n, batch)
		x.q = request{op: opCRCs, target: t.uuid, id: id, off: off, value: uint64(piece)}
		if err := t.c.call(ctx, x, nil, nil); err != nil {
			return nil, err
		}
		if x.r.count != erasure.Units(piece) || len(x.r.body) != 8*x.r.count {
			return nil, fmt.Errorf("crcs: %w", protocolError("%d checksums of %d bytes", x.r.count, piece))
		}
		for i := range x.r.count {
			crcs = append(crcs, binary.LittleEndian.Uint64(x.r.body[8*i:]))
		}
		off, n = off+piece, n-piece
		if n == 0 {
			return crcs, nil
		}
	}
}

// Stat is what the target knows of a chunk.
func (t *Target) Stat(ctx context.Context, id extent.ID) (extent.Info, error) {
	info, _, err := t.info(ctx, opStat, id)
	return info, err
}

// Meta is a chunk's self-description. The slice is the caller's.
func (t *Target) Meta(ctx context.Context, id extent.ID) (extent.Info, []byte, error) {
	return t.info(ctx, opMeta, id)
}

func (t *Target) info(ctx context.Context, op opcode, id extent.ID) (extent.Info, []byte, error) {
	x := t.c.exchanges.Get().(*exchange)
	defer t.c.exchanges.Put(x)
	x.q = request{op: op, target: t.uuid, id: id}
	if err := t.c.call(ctx, x, nil, nil); err != nil {
		return extent.Info{}, nil, err
	}
	if len(x.r.body) < infoSize || (op == opStat && len(x.r.body) != infoSize) {
		return extent.Info{}, nil, fmt.Errorf("%s: %w", op, protocolError("reply of %d bytes", len(x.r.body)))
	}
	info, err := getInfo(x.r.body)
	if err != nil {
		return extent.Info{}, nil, fmt.Errorf("%s: %w", op, err)
	}
	return info, append([]byte(nil), x.r.body[infoSize:]...), nil
}

// Delete removes chunks; those that are not there are no error. After an error
// some may be gone.
func (t *Target) Delete(ctx context.Context, ids []extent.ID) error {
	var body []byte
	for len(ids) > 0 {
		batch := ids[:min(len(ids), maxDeleteIDs)]
		ids = ids[len(batch):]
		body = append(body[:0], make([]byte, idSize*len(batch))...)
		for i, id := range batch {
			putID(body[i*idSize:], id)
		}
		if err := t.c.do(ctx, request{op: opDelete, target: t.uuid}, nil, body); err != nil {
			return err
		}
	}
	return nil
}
