package s3api

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

// response is the ResponseWriter of a call: it counts, and demands that clients
// take what is written. Blocks of the store go through it as they are.
type response struct {
	http.ResponseWriter
	rc     *http.ResponseController
	limits *Limits
	now    func() time.Time
	status int
	sent   int64
	began  time.Time       // when the first of the body was written; zero without one
	gone   bool            // a write failed: the client left, or took nothing for too long
	moved  *call           // counts what was written; nil: nobody does
	body   *progressReader // of the request, over HTTP/1; nil otherwise
}

func (w *response) init(inner http.ResponseWriter, cfg *Config) {
	w.ResponseWriter, w.limits, w.now = inner, &cfg.Limits, cfg.Now
	w.rc = http.NewResponseController(inner)
}

// WriteHeader sends the status. Informational ones are not used here.
func (w *response) WriteHeader(status int) {
	if w.status != 0 {
		return
	}
	w.status = status
	w.allow(0)
	if w.body != nil && !w.body.done && !w.body.abandoned {
		// Else net/http reads the rest of the body first, for as long as the client likes.
		w.Header()["Connection"] = []string{"close"}
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write gives the client one window, and one more for each ProgressBytes of p.
func (w *response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	} else if w.sent > 0 || int64(len(p)) > w.limits.ProgressBytes {
		w.allow(int64(len(p))) // the deadline of WriteHeader is for the first bytes
	}
	if w.began.IsZero() {
		w.began = w.now()
	}
	n, err := w.ResponseWriter.Write(p)
	w.sent += int64(n)
	w.gone = w.gone || err != nil
	if err == nil && w.moved != nil {
		err = w.moved.moved(n)
	}
	return n, err
}

// Unwrap lets http.ResponseController find the connection.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *response) allow(n int64) {
	windows := 1 + n/w.limits.ProgressBytes
	// Writers without deadlines (tests) have nothing to be guarded.
	_ = w.rc.SetWriteDeadline(time.Now().Add(time.Duration(windows) * w.limits.ProgressWindow))
}

// progressReader is a request's body that must keep coming: ProgressBytes in
// each window. It copies nothing.
type progressReader struct {
	src interface {
		Read([]byte) (int, error)
		Close() error
	}
	w      *response
	limits *Limits
	left   int64 // bytes until the deadline moves
	n      int64
	ended  time.Time // when the last of it came; zero before, and without a body
	armed  bool
	done   bool
	// abandoned: whoever reads on has only a moment.
	abandoned bool
	moved     *call // counts what was read; nil: nobody does
}

func (p *progressReader) init(src interface {
	Read([]byte) (int, error)
	Close() error
}, w *response) {
	if src == nil {
		src = http.NoBody
	}
	p.src, p.w, p.limits = src, w, w.limits
	p.done = src == http.NoBody
}

// Read fails with errRequestTimeout when the client is too slow.
func (p *progressReader) Read(b []byte) (int, error) {
	if p.left <= 0 && !p.done {
		deadline := time.Now().Add(p.limits.ProgressWindow)
		_ = p.w.rc.SetReadDeadline(deadline)
		if !p.armed {
			// The first read sends 100 Continue; an earlier request's deadline for
			// writing may have passed.
			_ = p.w.rc.SetWriteDeadline(deadline)
			p.armed = true
		}
		p.left = p.limits.ProgressBytes
	}
	n, err := p.src.Read(b)
	p.n += int64(n)
	p.left -= int64(n)
	if p.moved != nil && n > 0 {
		if err := p.moved.moved(n); err != nil {
			return n, err
		}
		if p.moved.turn.metred {
			p.left = 0 // the time that it waited is not the client's
		}
	}
	if err == nil {
		return n, nil
	}
	p.done = true
	if errors.Is(err, io.EOF) {
		p.ended = p.w.now()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		p.w.Header()["Connection"] = []string{"close"}
		return n, errRequestTimeout
	}
	if p.armed {
		// net/http reads ahead to notice clients that leave; the deadline must not
		// end a request whose work takes longer.
		_ = p.w.rc.SetReadDeadline(time.Time{})
	}
	return n, err
}

// Close leaves the body to net/http, which drains a little or closes.
func (p *progressReader) Close() error { return nil }

// abandon bounds the time that net/http spends on draining an unread body: before it
// sends an error, and after a response.
func (p *progressReader) abandon() {
	if !p.done {
		p.abandoned = true
		_ = p.w.rc.SetReadDeadline(time.Now().Add(min(p.limits.ProgressWindow, 5*time.Second)))
	}
}
