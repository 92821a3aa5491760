package node

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/weftstore/weft/erasure"
	"github.com/weftstore/weft/internal/tracing"
	"github.com/weftstore/weft/node/extent"
	"github.com/weftstore/weft/rdma"
)

// op is a request being answered. The struct is reused, and its callbacks with
// it, so that the data path allocates nothing.
type op struct {
	s    *Service
	ctx  context.Context
	peer rdma.Peer
	q    request
	t    *target
	x    *session
	w    *openWriter
	err  error // of the target, as opposed to the fabric
	crcs [maxUnits]uint64
	ncrc int
	// shared is what the transfer has of the target's share.
	shared int64
	// span is of the request, moving of its transfer.
	span, moving tracing.Span

	fillRead, useAppend, useWrite func(p []byte) error
}

func newOp(s *Service) *op {
	o := &op{s: s}
	o.fillRead = func(p []byte) error {
		ctx, span := tracing.Start(o.ctx, "read")
		o.err = o.x.b.ReadAt(ctx, o.q.id, p, o.q.off)
		span.End()
		_, o.moving = tracing.Start(o.ctx, "push")
		return o.err
	}
	o.useAppend = func(p []byte) error {
		o.moving.End()
		ctx, span := tracing.Start(o.ctx, "write")
		o.err = o.x.b.Append(ctx, o.q.id, o.q.body, p, o.crcs[:o.ncrc])
		span.End()
		return o.err
	}
	o.useWrite = func(p []byte) error {
		o.moving.End()
		ctx, span := tracing.Start(o.ctx, "write")
		o.err = o.w.w.WriteAt(ctx, p, o.q.off, o.crcs[:o.ncrc])
		span.End()
		return o.err
	}
	return o
}

// Handler answers the protocol, for rdma.Transport.Serve.
func (s *Service) Handler() rdma.Handler { return s.handle }

// Prompt is for rdma.Options: these requests ask for what is in memory.
func Prompt(req []byte) bool {
	return len(req) >= requestSize && req[1] == wireVersion && (opcode(req[0]) == opStatus || opcode(req[0]) == opIdentify)
}

func (s *Service) handle(ctx context.Context, p rdma.Peer, req, rep []byte) int {
	o := s.ops.Get().(*op)
	o.ctx, o.peer = ctx, p
	n, err := o.answer(req, rep)
	if err != nil {
		n = putError(rep, err)
	}
	if o.span.Recorded() {
		o.moving.End()
		endSpan(o.span, &o.q, err)
		o.span, o.moving = tracing.Span{}, tracing.Span{}
	}
	o.ctx, o.peer, o.t, o.x, o.w, o.err = nil, nil, nil, nil, nil, nil
	o.q = request{}
	s.ops.Put(o)
	return n
}

func (o *op) answer(req, rep []byte) (int, error) {
	if err := o.q.decode(req); err != nil {
		return 0, err
	}
	putReply(rep, statusOK, 0, false)
	if o.q.trace.Valid() {
		o.ctx, o.span = o.s.cfg.Tracer.Join(o.ctx, spanNames[o.q.op], o.q.trace)
	}
	switch o.q.op {
	case opStatus:
		return o.status(rep)
	case opIdentify:
		return o.identify(rep), nil
	}
	if o.t = o.s.targets.Load().byID[o.q.target]; o.t == nil {
		return 0, fmt.Errorf("%w: %s", ErrUnknownTarget, o.q.target)
	}
	if o.q.op == opFormat {
		return o.format(rep)
	}
	x, err := o.t.enter(o.q.op)
	if err != nil {
		return 0, err
	}
	o.x = x
	n, err := o.dispatch(rep)
	o.t.leave(x, o.q.op, o.blame(err))
	return n, err
}

// blame is the part of err that says something about the target: an error of the
// fabric does not, nor does anything after the caller has gone.
func (o *op) blame(err error) error {
	if err != nil && ended(o.ctx) && statusOf(err) == statusIO {
		return o.ctx.Err()
	}
	return err
}

func kindOf(op opcode) kind {
	switch op {
	case opAppend, opCreate, opWrite, opCommit, opAbort, opDelete, opCompact, opCheckpoint:
		return kindWrite
	}
	return kindRead
}

// untried says that op need not wait for its turn to try a failing target: it does not reach
// the disk, or belongs to a put that had its turn.
func untried(op opcode) bool { return op == opCommit || op != opCreate && !reachesDisk(op) }

// reachesDisk says that op succeeds only if the disk works. Others are done in memory, or by
// the file system's cache: on a disk that fails they succeed between those that do not.
func reachesDisk(op opcode) bool {
	switch op {
	case opCreate, opWrite, opAbort, opStat, opList, opUsage:
		return false
	}
	return true
}

func (o *op) dispatch(rep []byte) (int, error) {
	switch o.q.op {
	case opAppend:
		return replySize, o.append()
	case opCreate:
		return o.create(rep)
	case opWrite:
		return replySize, o.write()
	case opCommit:
		return replySize, o.commit()
	case opAbort:
		return replySize, o.abort()
	case opRead:
		return replySize, o.read()
	case opCRCs:
		return o.checksums(rep)
	case opStat, opMeta:
		return o.info(rep)
	case opList:
		return o.list(rep)
	case opDelete:
		return replySize, o.delete()
	case opVerify:
		return replySize, o.x.b.Verify(o.ctx, o.q.id)
	case opCompact:
		n, err := o.t.compact(o.ctx, o.x, int64(min(o.q.value, 1<<62)))
		binary.LittleEndian.PutUint64(rep[replySize:], uint64(max(n, 0)))
		return replySize + 8, err
	case opUsage:
		u, err := o.x.b.Usage()
		putUsage(rep[replySize:], u)
		return replySize + usageSize, err
	case opCheckpoint:
		return replySize, o.x.b.Checkpoint()
	}
	return 0, protocolError("operation %d", o.q.op)
}

// fabric is the error of a Pull or Push: the target's own, or one of the fabric,
// for which the target is not to blame.
func (o *op) fabric(err error) error {
	switch {
	case err == nil || o.err != nil:
		return o.err
	case ended(o.ctx):
		return o.ctx.Err()
	case statusOf(err) == statusTransfer:
		return err
	}
	return fmt.Errorf("%w: %w", rdma.ErrRemote, err)
}

func (o *op) read() error {
	if o.q.off%erasure.Unit != 0 || o.q.remote.Len == 0 {
		return invalid("read of %d bytes at %d", o.q.remote.Len, o.q.off)
	}
	if err := o.takeShare(); err != nil {
		return err
	}
	defer o.giveShare()
	if err := o.fabric(o.peer.Push(o.ctx, o.q.remote, o.fillRead)); err != nil {
		return err
	}
	o.t.reads.Add(1)
	o.t.readBytes.Add(uint64(o.q.remote.Len))
	return nil
}

func (o *op) append() error {
	if o.q.remote.Len > extent.MaxInline {
		return invalid("append of %d bytes", o.q.remote.Len)
	}
	if err := o.takeCRCs(); err != nil {
		return err
	}
	var err error
	if o.q.remote.Len == 0 {
		err = o.useAppend(nil)
	} else {
		err = o.fabric(o.pull(o.useAppend))
	}
	if err == nil {
		o.wrote()
	}
	return err
}

// pull reads the caller's memory, for use.
func (o *op) pull(use func(p []byte) error) error {
	if err := o.takeShare(); err != nil {
		return err
	}
	defer o.giveShare()
	_, o.moving = tracing.Start(o.ctx, "pull")
	return o.peer.Pull(o.ctx, o.q.remote, use)
}

// takeShare waits until the transfer may have memory of the fabric.
func (o *op) takeShare() error {
	o.shared = 0
	if o.s.cfg.Staging == 0 || len(o.s.targets.Load().order) < 2 {
		return nil
	}
	n := int64(min(o.q.remote.Len, rdma.MaxBulk)) // more is refused by the fabric
	if !o.t.share.TryAcquire(n) {
		ctx, cancel := context.WithCancel(o.ctx)
		defer cancel()
		defer context.AfterFunc(o.x.ctx, cancel)()
		if err := o.t.share.Acquire(ctx, n); err != nil {
			if o.ctx.Err() == nil {
				err = fmt.Errorf("%w: it is being closed", extent.ErrOffline)
			}
			o.err = err // not of the fabric
			return err
		}
	}
	o.shared = n
	return nil
}

func (o *op) giveShare() {
	if o.shared > 0 {
		o.t.share.Release(o.shared)
	}
}

func (o *op) wrote() {
	o.t.writes.Add(1)
	o.t.bytesAccepted.Add(uint64(o.q.remote.Len))
}

// takeCRCs decodes the checksums and compares their number to the data's length.
func (o *op) takeCRCs() error {
	o.ncrc = len(o.q.crcs) / 8
	if o.ncrc != erasure.Units(int64(o.q.remote.Len)) {
		return invalid("%d checksums for %d bytes", o.ncrc, o.q.remote.Len)
	}
	for i := range o.ncrc {
		o.crcs[i] = binary.LittleEndian.Uint64(o.q.crcs[8*i:])
	}
	return nil
}

func (o *op) create(rep []byte) (int, error) {
	if o.q.value == 0 || o.q.value > extent.MaxChunk {
		return 0, invalid("create of %d bytes", o.q.value)
	}
	if err := o.s.writers.room(o.peer.Session()); err != nil {
		return 0, err
	}
	w, err := o.x.b.Create(o.ctx, o.q.id, int64(o.q.value))
	if err != nil {
		return 0, err
	}
	h, err := o.s.writers.add(&openWriter{w: w, t: o.t, x: o.x, peer: o.peer.Session()})
	if err != nil {
		w.Abort()
		return 0, err
	}
	binary.LittleEndian.PutUint64(rep[replySize:], h)
	return replySize + 8, nil
}

func (o *op) write() error {
	if o.q.off%erasure.Unit != 0 {
		return invalid("write of %d bytes at %d", o.q.remote.Len, o.q.off)
	}
	if err := o.takeCRCs(); err != nil {
		return err
	}
	w, err := o.s.writers.find(o.q.value, o.t, o.peer.Session(), false)
	if err != nil {
		return err
	}
	defer o.s.writers.release(w)
	if w.x != o.x {
		return errNoWriter() // the target was reopened
	}
	if o.q.remote.Len == 0 {
		return nil // it only keeps the writer
	}
	o.w = w
	if err := o.fabric(o.pull(o.useWrite)); err != nil {
		return err
	}
	o.wrote()
	return nil
}

func (o *op) commit() error {
	w, err := o.s.writers.find(o.q.value, o.t, o.peer.Session(), true)
	if err != nil {
		return err
	}
	w.use.Lock() // waits for writes under way
	defer w.use.Unlock()
	if w.x != o.x {
		return errNoWriter()
	}
	if err := w.w.Commit(o.ctx, o.q.body); err != nil {
		w.w.Abort()
		return err
	}
	return nil
}

func (o *op) abort() error {
	w, err := o.s.writers.find(o.q.value, o.t, o.peer.Session(), true)
	if err != nil {
		return err
	}
	w.abort()
	return nil
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", extent.ErrInvalid, fmt.Sprintf(format, args...))
}
