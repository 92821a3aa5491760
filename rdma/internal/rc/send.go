package rc

import (
	"errors"
	"fmt"
	"sync"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/internal/verbs"
	"github.com/weftstore/weft/rdma/internal/wire"
)

// recvID marks the ids of receives; the rest is the index of the buffer. Ids of
// sends are numbers that count them.
const recvID = uint64(1) << 62

// backlogRings bounds what waits for a peer that posts no receives, in rings. A peer that
// keeps to the protocol has not even one: its calls, cancellations and transfers.
const backlogRings = 4

var errUnread = errors.New("it asks for more without taking the answers")

// sender keeps account of a send queue.
type sender struct {
	l *lane

	mu      sync.Mutex
	over    error // the queue pair is gone
	posted  uint64
	done    uint64     // work requests that have completed, with those before them
	plain   int        // unsignaled ones since the last that was signaled
	ring    []request  // of the work requests, by number
	buffers []uint32   // offsets of free send buffers
	backlog []*pending // what found no room, in order
}

// request is what hangs on a work request.
type request struct {
	op     *op    // nil for messages
	buffer uint32 // offset of its send buffer, 0 for none
}

// pending waits for room.
type pending struct {
	wr   verbs.SendWR
	op   *op
	text []byte // of a message
}

// op is a READ or WRITE.
type op struct {
	done chan error // has room for its end
}

func (s *sender) init(l *lane, sends, buffers, recvs int) {
	s.l = l
	s.ring = make([]request, sends)
	for i := range buffers {
		s.buffers = append(s.buffers, uint32(inlineSize+(recvs+i)*messageSize))
	}
}

// message sends a header and a body, or puts a copy into the backlog.
func (s *sender) message(h *wire.Header, body []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != nil {
		return s.over
	}
	if len(s.backlog) == 0 {
		if at, ok := s.roomLocked(wire.HeaderSize + len(body)); ok {
			text := s.l.memory[at : int(at)+wire.HeaderSize+len(body)]
			h.Encode(text)
			copy(text[wire.HeaderSize:], body)
			return s.textLocked(at, len(text))
		}
	}
	if len(s.backlog) >= backlogRings*len(s.ring) {
		s.l.fail(errUnread)
		return s.l.broken()
	}
	text := make([]byte, wire.HeaderSize+len(body))
	h.Encode(text)
	copy(text[wire.HeaderSize:], body)
	s.backlog = append(s.backlog, &pending{text: text})
	return nil
}

// roomLocked finds memory for a message, at offset 0 when it can be sent inline.
func (s *sender) roomLocked(n int) (at uint32, ok bool) {
	if s.posted-s.done >= uint64(len(s.ring)) {
		return 0, false
	}
	if n <= s.l.qp.MaxInline() && n <= inlineSize {
		return 0, true
	}
	if len(s.buffers) == 0 {
		return 0, false
	}
	top := len(s.buffers) - 1
	at = s.buffers[top]
	s.buffers = s.buffers[:top]
	return at, true
}

// textLocked posts the message that stands at an offset of the lane's memory.
func (s *sender) textLocked(at uint32, n int) error {
	l := s.l
	wr := verbs.SendWR{Op: verbs.OpSend, Addr: l.mr.Addr() + uint64(at), Len: uint32(n), LKey: l.mr.LKey()}
	if at != 0 || s.plain+1 >= signalEvery {
		wr.Flags = verbs.FlagSignaled
	}
	return s.postLocked(wr, request{buffer: at})
}

// postLocked posts one work request for which there is room.
func (s *sender) postLocked(wr verbs.SendWR, r request) error {
	wr.ID = s.posted
	s.ring[s.posted%uint64(len(s.ring))] = r
	if wr.Flags&verbs.FlagSignaled != 0 {
		s.plain = 0
	} else {
		s.plain++
	}
	s.posted++
	one := [1]verbs.SendWR{wr}
	if n, err := s.l.qp.PostSend(one[:]); n != 1 {
		s.posted--
		if err == nil {
			err = errors.New("the device did not take a work request")
		}
		s.returnLocked(r)
		if r.op != nil {
			r.op.done <- fmt.Errorf("%w: %w", rdma.ErrPeer, err)
		}
		s.l.fail(err)
		return s.l.broken()
	}
	return nil
}

func (s *sender) returnLocked(r request) {
	if r.buffer != 0 {
		s.buffers = append(s.buffers, r.buffer)
	}
}

// transfer posts a READ or WRITE.
func (s *sender) transfer(wr verbs.SendWR, o *op) error {
	wr.Flags = verbs.FlagSignaled
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != nil {
		return s.over
	}
	if len(s.backlog) > 0 || s.posted-s.done >= uint64(len(s.ring)) {
		s.backlog = append(s.backlog, &pending{wr: wr, op: o})
		return nil
	}
	_ = s.postLocked(wr, request{op: o}) // the op is told
	return nil
}

// completed takes the completion of work request number id and of all before it.
func (s *sender) completed(id uint64, status verbs.Status) {
	if status != verbs.Success {
		s.l.fail(status)
	}
	s.mu.Lock()
	for s.done <= id && s.done < s.posted {
		r := &s.ring[s.done%uint64(len(s.ring))]
		s.returnLocked(*r)
		if r.op != nil {
			r.op.done <- s.l.transferError(status)
		}
		*r = request{}
		s.done++
	}
	s.drainLocked()
	s.mu.Unlock()
}

// transferError is what a status means for a READ or WRITE.
func (l *lane) transferError(status verbs.Status) error {
	switch status {
	case verbs.Success:
		return nil
	case verbs.RemoteAccess, verbs.RemoteInvalid:
		return fmt.Errorf("%w: %w", rdma.ErrRemote, status)
	case verbs.Flushed:
		return l.broken()
	}
	return fmt.Errorf("%w: %w", rdma.ErrPeer, status)
}

// drainLocked posts what found no room before.
func (s *sender) drainLocked() {
	for len(s.backlog) > 0 && s.over == nil {
		p := s.backlog[0]
		if p.op != nil {
			if s.posted-s.done >= uint64(len(s.ring)) {
				return
			}
			_ = s.postLocked(p.wr, request{op: p.op})
		} else {
			at, ok := s.roomLocked(len(p.text))
			if !ok {
				return
			}
			copy(s.l.memory[at:], p.text)
			if s.textLocked(at, len(p.text)) != nil {
				return
			}
		}
		s.backlog[0] = nil
		s.backlog = s.backlog[1:]
	}
}

// end is called when the queue pair is gone: whatever is left has not been done.
func (s *sender) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = err
	for ; s.done < s.posted; s.done++ {
		if r := &s.ring[s.done%uint64(len(s.ring))]; r.op != nil {
			r.op.done <- err
		}
	}
	for _, p := range s.backlog {
		if p.op != nil {
			p.op.done <- err
		}
	}
	s.backlog = nil
}
