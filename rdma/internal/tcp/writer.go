package tcp

import (
	"errors"
	"net"
	"sync"

	"github.com/weftstore/weft/rdma"
)

const (
	// maxBatch is how many small frames one system call writes.
	maxBatch = 16
	// maxTogether bounds the bytes of their bodies.
	maxTogether = 64 << 10
	// maxQueue bounds what waits for a peer that does not read. A peer that keeps to
	// the protocol has fewer under way: its calls, cancellations and transfers.
	maxQueue = 4 * maxAsked
)

var errUnread = errors.New("it asks for more without reading the answers")

// frame is something to write.
type frame struct {
	head [headSize]byte
	body []byte
	// copied: the body is the sender's again when push returns.
	copied bool
	// after, if not nil, is called once when the body was written or never will be.
	after func()
}

func (f *frame) end() {
	if f.after != nil {
		f.after()
	}
}

// writer sends frames in order. One goroutine at a time writes: the sender, for one
// try without waiting, or drain.
type writer struct {
	l *lane

	mu      sync.Mutex
	queue   []frame
	spare   []frame // memory for the next queue
	copies  int     // bytes of copied bodies in queue
	busy    bool    // somebody writes
	stopped bool
}

func (w *writer) init(l *lane) { w.l = l }

// push sends f now, or leaves it to drain what the socket does not take. An error means
// that the lane breaks; after has been called, or will be.
func (w *writer) push(f frame) error {
	w.mu.Lock()
	if w.stopped {
		w.mu.Unlock()
		f.end()
		return w.l.broken()
	}
	if w.busy {
		full := !w.roomLocked(&f)
		if !full {
			w.queue = append(w.queue, f.own())
		}
		w.mu.Unlock()
		if full {
			f.end()
			w.l.fail(errUnread)
			return w.l.broken()
		}
		return nil
	}
	w.busy = true
	w.mu.Unlock()
	sent := 0
	if w.l.plain != nil { // over TLS there are only whole writes
		var err error
		if sent, err = w.l.plain.write([][]byte{f.head[:], f.body}, false); err != nil {
			f.end()
			w.l.fail(err)
			w.release()
			return w.l.broken()
		}
	}
	left := headSize + len(f.body) - sent
	if left == 0 {
		f.end()
		w.release()
		return nil
	}
	w.start(f.own(), sent)
	return nil
}

// roomLocked says whether f may wait, and counts its copy. A peer that keeps to the
// protocol has no more messages with bodies under way than slots.
func (w *writer) roomLocked(f *frame) bool {
	if len(w.queue) >= maxQueue {
		return false
	}
	if f.copied {
		w.copies += len(f.body)
	}
	return w.copies <= 2*w.l.info.Slots*rdma.MaxMessage
}

// own is the frame with a body of its own where the sender takes it back.
func (f frame) own() frame {
	if f.copied {
		f.body = append([]byte(nil), f.body...)
	}
	return f
}

// release ends a turn of writing; what was queued meanwhile goes to drain.
func (w *writer) release() {
	w.mu.Lock()
	if len(w.queue) == 0 || w.stopped {
		w.busy = false
		w.mu.Unlock()
		return
	}
	w.mu.Unlock()
	w.start(frame{}, -1)
}

// start makes a goroutine write: what is left of first from sent on, if that is not
// negative, and then the queue. The caller has the turn.
func (w *writer) start(first frame, sent int) {
	w.mu.Lock()
	if w.stopped {
		w.busy = false
		w.mu.Unlock()
		if sent >= 0 {
			first.end()
		}
		return
	}
	w.l.running.Add(1)
	w.mu.Unlock()
	go w.drain(first, sent)
}

func (w *writer) drain(first frame, sent int) {
	defer w.l.running.Done()
	good := sent < 0 || w.write([]frame{first}, sent)
	for {
		w.mu.Lock()
		if len(w.queue) == 0 || w.stopped {
			w.busy = false
			w.mu.Unlock()
			return
		}
		queue := w.queue
		w.queue, w.spare, w.copies = w.spare, nil, 0
		w.mu.Unlock()
		for rest := queue; len(rest) > 0; {
			batch := rest[:together(rest)]
			rest = rest[len(batch):]
			if good {
				good = w.write(batch, 0)
				continue
			}
			for i := range batch {
				batch[i].end()
			}
		}
		clear(queue) // lets go of the bodies
		w.mu.Lock()
		w.spare = queue[:0]
		w.mu.Unlock()
	}
}

// together is how many frames from the first on are written at once. All of them end after
// the last, so that bulk bodies go alone: whoever waits for one has the next ready while
// others are written.
func together(queue []frame) int {
	n, size := 1, len(queue[0].body)
	for n < min(len(queue), maxBatch) && size+len(queue[n].body) <= maxTogether {
		size += len(queue[n].body)
		n++
	}
	return n
}

// write writes frames, but for the first skip bytes, and ends them.
func (w *writer) write(batch []frame, skip int) bool {
	list := make(net.Buffers, 0, 2*len(batch))
	for i := range batch {
		for _, p := range [][]byte{batch[i].head[:], batch[i].body} {
			cut := min(skip, len(p))
			skip -= cut
			if len(p) > cut {
				list = append(list, p[cut:])
			}
		}
	}
	var err error
	if w.l.plain != nil {
		_, err = w.l.plain.write(list, true)
	} else {
		_, err = list.WriteTo(w.l.conn)
	}
	for i := range batch {
		batch[i].end()
	}
	if err != nil {
		w.l.fail(err)
	}
	return err == nil
}

// stop takes no more frames. What is queued is ended by drop.
func (w *writer) stop() {
	w.mu.Lock()
	w.stopped = true
	w.mu.Unlock()
}

// drop ends what was queued, when nobody writes any more.
func (w *writer) drop() {
	w.mu.Lock()
	queue := w.queue
	w.queue = nil
	w.mu.Unlock()
	for i := range queue {
		queue[i].end()
	}
}
