package store

import (
	"context"
	"fmt"
	"io"

	"github.com/weftstore/weft/metadata"
)

// Read-ahead and how much of a multipart object's table is held at once.
const (
	readAhead  = 2
	partWindow = 4 << 30 // bytes of the object whose parts are looked up in one go
)

// Stream is a byte range of an object. Its first bytes were read and verified by
// Object.Read; later ones may fail. Not safe for concurrent use. Close it.
type Stream struct {
	o      *Object
	ctx    context.Context
	cancel context.CancelFunc

	cur   *segment // in memory, nil when it is used up
	at    int      // bytes of cur that were handed out
	ahead []*segmentLoad
	err   error

	// The next byte that no segment was planned for, and the end; offsets in the object.
	next, end int64
	spans     []metadata.PartSpan // parts from next on
	looked    int64               // where spans end
	one       [1]metadata.PartSpan
	pinned    []metadata.SetID // of a multipart object's parts
}

// segmentLoad is a segment that is being read ahead.
type segmentLoad struct {
	seg  *segment
	done chan struct{}
	err  error
}

// Read opens the n bytes from off for reading; 0 <= off, n and off+n <= Size.
// The first of them are in memory and verified when it returns. ErrBusy,
// ErrUnavailable, ErrDamaged, and ctx's error; ctx governs the whole stream.
func (o *Object) Read(ctx context.Context, off, n int64) (*Stream, error) {
	if off < 0 || n < 0 || off+n > o.Version.Size || off+n < off {
		return nil, fmt.Errorf("read %d bytes at %d of %d: range outside the object", n, off, o.Version.Size)
	}
	st := &Stream{o: o, next: off, end: off + n}
	st.ctx, st.cancel = context.WithCancel(ctx)
	if n == 0 {
		return st, nil
	}
	if err := st.advance(); err != nil {
		st.Close()
		return nil, err
	}
	return st, nil
}

// WriteTo writes what is left of the range to w, straight from registered blocks.
func (st *Stream) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for {
		if st.cur == nil {
			if err := st.advance(); err == io.EOF {
				return total, nil
			} else if err != nil {
				return total, err
			}
		}
		st.prefetch()
		n, err := st.cur.writeTo(w, st.at)
		total += n
		if err != nil {
			st.err = err
			return total, err
		}
		st.drop()
	}
}

// Read copies; WriteTo does not.
func (st *Stream) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if st.cur == nil {
		if err := st.advance(); err != nil {
			return 0, err
		}
	}
	st.prefetch()
	n := st.cur.copyTo(p, st.at)
	if st.at += n; st.at == st.cur.size() {
		st.drop()
	}
	return n, nil
}

// Close lets go of the memory. Reads that are under way end by themselves.
func (st *Stream) Close() error {
	st.cancel()
	if st.err == nil {
		st.err = ErrClosed
	}
	st.drop()
	for _, l := range st.ahead {
		<-l.done // soon: the context has ended
		l.seg.release()
	}
	st.ahead = nil
	for _, set := range st.pinned {
		st.o.s.pins.unpin(set)
	}
	st.pinned = nil
	return nil
}

func (st *Stream) drop() {
	if st.cur != nil {
		st.cur.release()
		st.cur, st.at = nil, 0
	}
}

// advance makes the next segment current. io.EOF at the end. Errors stay.
func (st *Stream) advance() error {
	if st.err != nil {
		return st.err
	}
	st.err = st.advanceOnce()
	return st.err
}

func (st *Stream) advanceOnce() error {
	if len(st.ahead) > 0 {
		l := st.ahead[0]
		st.ahead = st.ahead[1:]
		<-l.done
		if l.err != nil {
			return l.err
		}
		st.cur = l.seg
		return nil
	}
	if st.next >= st.end {
		return io.EOF
	}
	part, err := st.part()
	if err != nil {
		return err
	}
	// Nothing is held here, so waiting for memory blocks nobody.
	s := st.o.s
	seg, end := st.plan(part)
	blocks, err := s.acquire(st.ctx, s.poolFor(seg.longest()), len(seg.pieces))
	if err != nil {
		return err
	}
	st.next = end
	if err := s.load(st.ctx, &part.Part, st.o.ref(&part.Part), seg, blocks); err != nil {
		return err
	}
	st.cur = seg
	return nil
}

// prefetch starts reads of the next segments while there is memory to spare.
func (st *Stream) prefetch() {
	for len(st.ahead) < readAhead && st.next < st.end {
		part, err := st.part()
		if err != nil {
			return // advance meets it again
		}
		seg, end := st.plan(part)
		s := st.o.s
		blocks, ok := s.poolFor(seg.longest()).TryAcquire(len(seg.pieces))
		if !ok {
			return
		}
		st.next = end
		l := &segmentLoad{seg: seg, done: make(chan struct{})}
		st.ahead = append(st.ahead, l)
		p := part.Part
		s.work.Go(func() {
			defer close(l.done)
			l.err = s.load(st.ctx, &p, st.o.ref(&p), seg, blocks)
		})
	}
}

// plan is the next segment, within the part and the stream.
func (st *Stream) plan(part *metadata.PartSpan) (*segment, int64) {
	from := st.next - part.Start
	to := min(st.end-part.Start, part.Part.Size)
	seg, end := plan(geometry(&part.Part), from, to, st.o.s.pool.BlockSize())
	return seg, part.Start + end
}

// part finds the part that has the byte at next.
func (st *Stream) part() (*metadata.PartSpan, error) {
	for {
		for len(st.spans) > 0 {
			p := &st.spans[0]
			if st.next < p.Start+p.Part.Size {
				return p, nil
			}
			st.spans = st.spans[1:]
		}
		if st.looked > st.next {
			return nil, fmt.Errorf("no part has byte %d: %w", st.next, metadata.ErrCorrupt)
		}
		if err := st.look(); err != nil {
			return nil, err
		}
	}
}

// look reads the parts from next on.
func (st *Stream) look() error {
	v := st.o.Version
	if v.Upload == (metadata.UploadID{}) {
		if v.Inline == nil {
			return fmt.Errorf("version without a part: %w", metadata.ErrCorrupt)
		}
		if err := geometry(v.Inline).Validate(); err != nil || v.Inline.Size != v.Size {
			return fmt.Errorf("part of %d bytes: %w", v.Inline.Size, metadata.ErrCorrupt)
		}
		st.o.s.know(st.ctx, v.Inline)
		st.one[0] = metadata.PartSpan{Part: *v.Inline}
		st.spans, st.looked = st.one[:], v.Size
		return nil
	}
	n := min(st.end-st.next, partWindow)
	defer st.o.s.pins.enter().Done()
	spans, err := st.o.s.meta.PartsFor(st.ctx, v, st.next, n)
	if err != nil {
		return err
	}
	for i := range spans {
		st.o.s.pins.pin(spans[i].Part.Set)
		st.pinned = append(st.pinned, spans[i].Part.Set)
	}
	for i := range spans {
		st.o.s.know(st.ctx, &spans[i].Part)
		if err := geometry(&spans[i].Part).Validate(); err != nil {
			return fmt.Errorf("part %d: %w: %w", spans[i].Part.Number, metadata.ErrCorrupt, err)
		}
	}
	st.spans, st.looked = spans, st.next+n
	return nil
}
