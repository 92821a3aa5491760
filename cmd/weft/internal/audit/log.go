package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weftstore/weft/s3api"
)

// line is what is written of a request.
type line struct {
	Time      time.Time `json:"time"`
	ID        string    `json:"id"`
	Operation string    `json:"operation,omitempty"`
	Method    string    `json:"method"`
	Remote    string    `json:"remote"`
	Account   string    `json:"account,omitempty"`
	Principal string    `json:"principal,omitempty"`
	AccessKey string    `json:"access_key,omitempty"`
	Bucket    string    `json:"bucket,omitempty"`
	Key       string    `json:"key,omitempty"`
	Source    string    `json:"source,omitempty"`
	Status    int       `json:"status"`
	Code      string    `json:"code,omitempty"`
	Sent      int64     `json:"sent"`
	Received  int64     `json:"received"`
	Micros    int64     `json:"us"`
}

// sink is where lines go. Its methods are called by one goroutine.
type sink interface {
	io.Writer
	// Flush is called after a run of lines, and at least now and then. What it cannot write is kept for the next.
	Flush() error
	// Close counts the lines that it could not write.
	Close() (lost int, err error)
}

// Log is an audit log.
type Log struct {
	log   *slog.Logger
	lines chan []byte
	lost  atomic.Int64
	done  chan struct{}
	once  sync.Once
	stop  chan struct{}
	end   sync.RWMutex // locked while stop is closed: no line is queued after the last look at lines
}

func newLog(s sink, log *slog.Logger) *Log {
	l := &Log{log: log, lines: make(chan []byte, queueLines), done: make(chan struct{}), stop: make(chan struct{})}
	go l.run(s)
	return l
}

// Access writes a line of a request.
func (l *Log) Access(a s3api.Access) {
	b, err := json.Marshal(line{time.Now().UTC(), a.RequestID, a.Operation, a.Method, a.Remote, a.Account, a.Principal, a.AccessKey, //nolint:gosec // the key's id, no secret
		a.Bucket, a.Key, a.Source, a.Status, a.Code, a.Sent, a.Received, a.Duration.Microseconds()})
	if err != nil {
		return // it has no type that fails
	}
	b = append(b, '\n')
	l.end.RLock()
	defer l.end.RUnlock()
	select {
	case <-l.stop:
		l.lost.Add(1)
		return
	default:
	}
	select {
	case l.lines <- b:
		return
	default:
	}
	t := time.NewTimer(waitAtMost)
	defer t.Stop()
	select {
	case l.lines <- b:
	case <-t.C:
		l.lost.Add(1)
	}
}

// Lost counts lines that were not written.
func (l *Log) Lost() int64 { return l.lost.Load() }

// Close writes what is queued and ends. Requests that come later are lost.
func (l *Log) Close() error {
	l.once.Do(func() {
		l.end.Lock()
		defer l.end.Unlock()
		close(l.stop)
	})
	<-l.done
	return nil
}

func (l *Log) run(s sink) {
	defer close(l.done)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	var told int64
	for open := true; open; {
		select {
		case b := <-l.lines:
			l.write(s, b)
			continue
		case <-tick.C:
		case <-l.stop:
			for more := true; more; {
				select {
				case b := <-l.lines:
					l.write(s, b)
				default:
					more, open = false, false
				}
			}
		}
		err := s.Flush()
		if !open {
			n, cerr := s.Close()
			l.lost.Add(int64(n))
			err = errors.Join(err, cerr)
		}
		if err != nil {
			l.log.Warn("audit log", "err", err)
		}
		if n := l.lost.Load(); n > told {
			l.log.Error("lines of the audit log are lost", "lines", n-told)
			told = n
		}
	}
}

func (l *Log) write(s sink, b []byte) {
	if _, err := s.Write(b); err != nil {
		l.lost.Add(1)
	}
}

// ToFile opens an audit log in a file.
func ToFile(path string, log *slog.Logger) (*Log, error) {
	f := &file{path: path}
	if err := f.reopen(); err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	return newLog(f, log), nil
}
