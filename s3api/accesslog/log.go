package accesslog

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"sync"
	"time"
)

const (
	// MaxObject is how many bytes of lines become an object at once.
	MaxObject = 1 << 20
	// MaxWaiting bounds the bytes of all lines that wait.
	MaxWaiting = 16 << 20
	// putFor bounds the delivery of one object.
	putFor = 15 * time.Second
)

// ErrRefused is what Options.Put returns when it is no use to try again: the target is
// not there, or does not let the logging service write.
var ErrRefused = errors.New("the target bucket refuses access logs")

// Config is where the logs of a bucket go.
type Config struct {
	Target string `json:"target"`
	Prefix string `json:"prefix,omitempty"`
	// Partitioned names objects by account, region, bucket and day of the source.
	Partitioned bool `json:"partitioned,omitempty"`
	// EventTime: the day is that of the requests, and not of the delivery.
	EventTime bool `json:"eventTime,omitempty"`
	// Grants are for Options.Put, who else may do what with the objects.
	Grants string `json:"grants,omitempty"`
}

// Source is a bucket whose requests are logged.
type Source struct {
	Account string // of its owner
	Bucket  string
	Config
}

// Object is a piece of log to deliver.
type Object struct {
	Source
	Key  string
	Body []byte
}

// Options of a Log.
type Options struct {
	Region string
	// Every is the longest that a line waits.
	Every time.Duration
	// Put stores an object. It takes no longer than its context.
	Put    func(ctx context.Context, o *Object) error
	Now    func() time.Time
	Logger *slog.Logger
}

// Log gathers lines. See the package comment.
type Log struct {
	o     Options
	kick  chan struct{} // an object's worth waits
	flush sync.Mutex    // held by who delivers

	mu      sync.Mutex
	batches map[batchKey][]byte
	waiting int            // bytes
	of      map[string]int // those of a target
	lost    int            // lines since it was last told
	total   int64
}

// batchKey is what the lines of an object have in common.
type batchKey struct {
	Source
	day string // of the requests, when the name has it
}

// New makes a Log. Nothing is delivered but by Run and Flush.
func New(o Options) *Log {
	return &Log{o: o, kick: make(chan struct{}, 1), batches: map[batchKey][]byte{}, of: map[string]int{}}
}

// Add takes a line, or drops it when too much waits.
func (l *Log) Add(s Source, r *Record) {
	key := batchKey{Source: s}
	if s.Partitioned && s.EventTime {
		key.day = r.Time.UTC().Format(time.DateOnly)
	}
	line := r.appendLine(make([]byte, 0, 512))
	l.mu.Lock()
	defer l.mu.Unlock()
	// No target has more than what is left, lest one that takes nothing cost all others their lines.
	if l.of[s.Target]+len(line) > MaxWaiting-l.waiting {
		l.lost++
		l.total++
		return
	}
	l.waiting += len(line)
	l.of[s.Target] += len(line)
	l.batches[key] = append(l.batches[key], line...)
	if len(l.batches[key]) >= MaxObject {
		select {
		case l.kick <- struct{}{}:
		default:
		}
	}
}

// Lost counts the lines that were lost or refused.
func (l *Log) Lost() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

// Run delivers until ctx ends. What waits then is for Flush.
func (l *Log) Run(ctx context.Context) {
	tick := time.NewTicker(l.o.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.kick:
			l.deliver(ctx, MaxObject)
		case <-tick.C:
			l.deliver(ctx, 1)
		}
	}
}

// Flush delivers all that waits, until ctx ends.
func (l *Log) Flush(ctx context.Context) { l.deliver(ctx, 1) }

// deliver puts the batches of at least least bytes.
func (l *Log) deliver(ctx context.Context, least int) {
	l.flush.Lock()
	defer l.flush.Unlock()
	l.mu.Lock()
	lost := l.lost
	l.lost = 0
	due := map[batchKey][]byte{}
	for key, lines := range l.batches {
		if len(lines) >= least {
			due[key] = lines
			delete(l.batches, key)
		}
	}
	l.mu.Unlock()
	if lost > 0 {
		l.o.Logger.Warn("lines of access logs were lost: they came faster than they could be delivered", "lines", lost)
	}
	for key, lines := range due {
		l.deliverOne(ctx, key, lines)
	}
}

func (l *Log) deliverOne(ctx context.Context, key batchKey, lines []byte) {
	put, cancel := context.WithTimeout(ctx, putFor)
	defer cancel()
	err := l.o.Put(put, &Object{Source: key.Source, Key: l.name(key), Body: lines})
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors.Is(err, ErrRefused) {
		l.total += int64(bytes.Count(lines, []byte("\n")))
	}
	if err == nil || errors.Is(err, ErrRefused) {
		l.waiting -= len(lines)
		if l.of[key.Target] -= len(lines); l.of[key.Target] == 0 {
			delete(l.of, key.Target)
		}
	} else {
		l.batches[key] = append(lines, l.batches[key]...) // for the next time
	}
	if err != nil {
		l.o.Logger.Warn("access log not delivered", "bucket", key.Bucket, "target", key.Target, "again", !errors.Is(err, ErrRefused), "err", err)
	}
}

// name is the key of a new object; no two are the same.
func (l *Log) name(b batchKey) string {
	now := l.o.Now().UTC()
	at := now.Format("2006-01-02-15-04-05")
	if b.day != "" {
		now, _ = time.Parse(time.DateOnly, b.day) // as Add wrote it
		at = b.day + "-00-00-00"
	}
	var unique [8]byte
	_, _ = rand.Read(unique[:]) // never fails since Go 1.24
	at += "-" + hex.EncodeToString(unique[:])
	if !b.Partitioned {
		return b.Prefix + at
	}
	return b.Prefix + b.Account + "/" + l.o.Region + "/" + b.Bucket + "/" + now.Format("2006/01/02") + "/" + at
}
