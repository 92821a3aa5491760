package wire

import (
	"log/slog"
	"sync"
	"time"
)

// refusalEvery is the least time between two lines about refused callers.
const refusalEvery = time.Second

// Refusals tells the log of callers that were refused. Anybody can have himself refused, as
// fast as he likes, so most of them are only counted. Safe for concurrent use.
type Refusals struct {
	mu   sync.Mutex
	next time.Time
	more int // since the last line
}

// Note tells of one.
func (r *Refusals) Note(log *slog.Logger, addr string, err error) {
	r.mu.Lock()
	now := time.Now()
	if now.Before(r.next) {
		r.more++
		r.mu.Unlock()
		return
	}
	more := r.more
	r.next, r.more = now.Add(refusalEvery), 0
	r.mu.Unlock()
	log.Warn("a caller was refused", "addr", addr, "err", err, "others", more)
}
