package s3load

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// ErrWrongBytes tells that a server returned other bytes, or other keys, than were written.
var ErrWrongBytes = errors.New("wrong bytes")

// maxStreak is how many failures in a row end a worker's slice: the server is gone, not busy.
const maxStreak = 50

// worker issues operations one after the other on a connection of its own and counts.
type worker struct {
	*conn
	ctx   context.Context
	id    int
	rng   *rand.Rand
	req   request
	key   []byte
	check checker
	xml   xmlBody
	reads int // reads so far, for the choice of those to compare

	stat
	own   []string // keys this worker wrote and that still exist
	fresh keySet   // keys this worker writes in this slice
	made  int      // how many of them were written
}

// stat is what a worker counts in one slice.
type stat struct {
	lat, ttfb Histogram
	kinds     map[Op]*Histogram // latency per operation, OpMixed only
	ops       int64
	bytes     int64
	keys      int64
	checked   int64 // operations whose bytes or keys were compared
	errors    int64
	wrong     int64
	firstErrs []string
}

func (s *stat) merge(o *stat) {
	s.lat.Merge(&o.lat)
	s.ttfb.Merge(&o.ttfb)
	for op, h := range o.kinds {
		if s.kinds == nil {
			s.kinds = map[Op]*Histogram{}
		}
		if s.kinds[op] == nil {
			s.kinds[op] = &Histogram{}
		}
		s.kinds[op].Merge(h)
	}
	s.ops += o.ops
	s.bytes += o.bytes
	s.keys += o.keys
	s.checked += o.checked
	s.errors += o.errors
	s.wrong += o.wrong
	s.firstErrs = append(s.firstErrs, o.firstErrs...)
	s.firstErrs = s.firstErrs[:min(len(s.firstErrs), maxFirstErrs)]
}

// maxFirstErrs is how many error texts are kept.
const maxFirstErrs = 3

func (s *stat) fail(err error) {
	s.errors++
	if errors.Is(err, ErrWrongBytes) {
		s.wrong++
	}
	if len(s.firstErrs) < maxFirstErrs {
		s.firstErrs = append(s.firstErrs, err.Error())
	}
}

// done counts one successful operation.
func (s *stat) done(op Op, a answer, n int64) {
	s.ops++
	s.bytes += n
	s.lat.Record(a.total)
	s.ttfb.Record(a.ttfb)
	if s.kinds != nil {
		if s.kinds[op] == nil {
			s.kinds[op] = &Histogram{}
		}
		s.kinds[op].Record(a.total)
	}
}

func newWorker(ctx context.Context, t *target, id int, seed uint64) *worker {
	return &worker{conn: newConn(t), ctx: ctx, id: id, rng: rand.New(rand.NewPCG(seed, uint64(id)))}
}

// prepareRequest empties the request for a new use.
func (w *worker) prepareRequest(method, query string) {
	w.req.method, w.req.query = method, query
	w.req.path = append(w.req.path[:0], w.t.bucket...)
	w.req.ranged, w.req.contentMD5, w.req.payloadHash = false, "", emptySHA256
	w.req.body = payload{}
}

// setKey appends w.key to the path. Keys of this tool need no escaping, others get it.
func (w *worker) setKey() {
	w.req.path = appendEscaped(append(w.req.path, '/'), string(w.key), true)
}

// setBody sets generated content as the body.
func (w *worker) setBody(seed uint64, base, size int64) {
	w.req.body = payload{gen: w.t.gen, seed: seed, base: base, size: size}
	w.req.payloadHash = unsignedPayload
	if w.t.cfg.SignPayload {
		w.req.payloadHash = w.req.body.sha256(w.in)
	}
}

// setXML sets a small body that is kept by the caller until the answer.
func (w *worker) setXML(b []byte) {
	w.req.body = payload{raw: b}
	sum := sha256.Sum256(b)
	w.req.payloadHash = hex.EncodeToString(sum[:])
}

// checker counts the bytes of an object as they arrive and compares them when told to.
type checker struct {
	gen     *content
	seed    uint64
	off     int64
	n       int64
	compare bool
	wrongAt int64 // offset of the first wrong block, -1: none
}

func (c *checker) piece(p []byte) error {
	if c.compare && c.wrongAt < 0 {
		if i := c.gen.check(p, c.seed, c.off+c.n); i >= 0 {
			c.wrongAt = c.off + c.n + int64(i)
		}
	}
	c.n += int64(len(p))
	return nil
}

// read gets [off, off+n) of the object named w.key; whole: all of it, without a Range header.
func (w *worker) read(off, n int64, whole, compare bool) (answer, error) {
	w.prepareRequest("GET", "")
	w.setKey()
	if !whole {
		w.req.ranged, w.req.first, w.req.last = true, off, off+n-1
	}
	w.check = checker{gen: w.t.gen, seed: seedOf(w.key), off: off, compare: compare, wrongAt: -1}
	a, err := w.do(w.ctx, &w.req, &w.check)
	switch {
	case err != nil:
		return a, fmt.Errorf("get %s: %w", w.key, err)
	case !whole && a.status != 206:
		return a, fmt.Errorf("get %s: status %d for a range: %w", w.key, a.status, ErrWrongBytes)
	case w.check.n != n:
		return a, fmt.Errorf("get %s: %d bytes, want %d: %w", w.key, w.check.n, n, ErrWrongBytes)
	case w.check.wrongAt >= 0:
		return a, fmt.Errorf("get %s: near offset %d: %w", w.key, w.check.wrongAt, ErrWrongBytes)
	}
	return a, nil
}

// sampled tells whether the next read is one whose bytes are compared.
func (w *worker) sampled() bool {
	w.reads++
	if v := w.t.cfg.Verify; v == 0 || w.reads%v != 0 {
		return false
	}
	w.checked++
	return true
}

// put writes the object named w.key.
func (w *worker) put(size int64) (answer, error) {
	w.prepareRequest("PUT", "")
	w.setKey()
	w.setBody(seedOf(w.key), 0, size)
	a, err := w.do(w.ctx, &w.req, nil)
	if err != nil {
		return a, fmt.Errorf("put %s: %w", w.key, err)
	}
	return a, nil
}

// simple sends a request without a body for w.key.
func (w *worker) simple(method string) (answer, error) {
	w.prepareRequest(method, "")
	w.setKey()
	a, err := w.do(w.ctx, &w.req, nil)
	if err != nil {
		return a, fmt.Errorf("%s %s: %w", method, w.key, err)
	}
	return a, nil
}

// loop runs step until the deadline, a cancelled context, errNoMore, or too many failures in a row.
func (w *worker) loop(deadline time.Time, step func() error) {
	streak := 0
	for w.ctx.Err() == nil && time.Now().Before(deadline) {
		err := step()
		if err == nil {
			streak = 0
			continue
		}
		if errors.Is(err, errNoMore) || w.ctx.Err() != nil {
			return
		}
		w.fail(err)
		if streak++; streak >= maxStreak {
			return
		}
		select {
		case <-w.ctx.Done():
		case <-time.After(min(time.Duration(streak)*5*time.Millisecond, time.Until(deadline))):
		}
	}
}

// errNoMore ends a slice early: nothing is left to work on.
var errNoMore = errors.New("no more objects")
