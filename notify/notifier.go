package notify

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weftstore/weft/metadata"
)

// MaxQueue is how many events may wait for a destination. What is written within
// countEvery may come on top.
const MaxQueue = 100_000

const (
	batch       = 100
	countEvery  = time.Second
	sendTimeout = 30 * time.Second
	minPause    = 200 * time.Millisecond
	maxPause    = 30 * time.Second
	maxConfigs  = 1000 // decoded ones that are kept
)

// Event is one that is to be delivered.
type Event struct {
	Key  string // bucket/key
	Data []byte // JSON
}

// Sender is a destination.
type Sender interface {
	// Send delivers events in their order and returns how many of them arrived for sure.
	Send(ctx context.Context, events []Event) (int, error)
	Close() error
}

// Queues keeps events; *metadata.DB does.
type Queues interface {
	Notes(ctx context.Context, queue string, limit int) ([]metadata.Note, error)
	CountNotes(ctx context.Context, queue string, limit int) (int, error)
	NotesDone(ctx context.Context, notes []metadata.Note) error
}

// Notifier makes events of changes and delivers them.
type Notifier struct {
	queues Queues
	log    *slog.Logger
	now    func() time.Time
	dests  map[string]*destination // by name

	mu      sync.RWMutex
	configs map[string]*Config // decoded, by their text
}

type destination struct {
	name    string
	sender  Sender
	waiting atomic.Int64 // events in the queue, as counted last
	kick    chan struct{}
}

// New makes a Notifier of destinations by their names.
func New(queues Queues, senders map[string]Sender, log *slog.Logger) *Notifier {
	n := &Notifier{queues: queues, log: log, now: time.Now, dests: map[string]*destination{}, configs: map[string]*Config{}}
	for name, s := range senders {
		n.dests[name] = &destination{name: name, sender: s, kick: make(chan struct{}, 1)}
	}
	return n
}

// Check says whether ARN names a destination. ErrUnknown.
func (n *Notifier) Check(arn string) error {
	name, ok := strings.CutPrefix(arn, arnPrefix)
	if _, known := n.dests[name]; !ok || !known {
		return fmt.Errorf("%q: %w", arn, ErrUnknown)
	}
	return nil
}

func (n *Notifier) config(text string) (*Config, error) {
	n.mu.RLock()
	c := n.configs[text]
	n.mu.RUnlock()
	if c != nil {
		return c, nil
	}
	c, err := Decode(text)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.configs) >= maxConfigs {
		clear(n.configs)
	}
	n.configs[text] = c
	return c, nil
}

// Outbox is the metadata's.
func (n *Notifier) Outbox(c metadata.Change) ([]metadata.Note, error) {
	text := c.Bucket.Configs[ConfigName]
	if text == "" {
		return nil, nil
	}
	cfg, err := n.config(text)
	if err != nil {
		return nil, err
	}
	origin, _ := c.Origin.(*Origin)
	if origin == nil {
		origin = new(Origin)
	}
	name := eventName(&c, origin)
	var notes []metadata.Note
	for i := range cfg.Rules {
		r := &cfg.Rules[i]
		d := n.dests[strings.TrimPrefix(r.ARN, arnPrefix)]
		if d == nil || !r.wants(name, c.Version.Key) { // taken out of the server's configuration since
			continue
		}
		if d.waiting.Load() >= MaxQueue {
			return nil, fmt.Errorf("events for %s: %w", d.name, metadata.ErrOutboxFull)
		}
		data, err := encode(&c, origin, name, r.ID, n.now())
		if err != nil {
			return nil, err
		}
		notes = append(notes, metadata.Note{Queue: d.name, Data: append([]byte(c.Bucket.Name+"/"+c.Version.Key+"\x00"), data...)})
		select {
		case d.kick <- struct{}{}: // the commit comes soon
		default:
		}
	}
	return notes, nil
}

// Count looks at the length of the queues until ctx ends; every process that makes
// changes does.
func (n *Notifier) Count(ctx context.Context) {
	t := time.NewTicker(countEvery)
	defer t.Stop()
	for {
		for _, d := range n.dests {
			if k, err := n.queues.CountNotes(ctx, d.name, MaxQueue); err == nil {
				d.waiting.Store(int64(k))
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// Run delivers until ctx ends. One process of those over the same metadata does.
func (n *Notifier) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, d := range n.dests {
		wg.Go(func() { n.deliver(ctx, d) })
	}
	wg.Wait()
}

// Close ends the destinations.
func (n *Notifier) Close() error {
	var first error
	for _, d := range n.dests {
		if err := d.sender.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// deliver empties the queue of a destination, in order: what fails is tried again before
// anything that comes after it.
func (n *Notifier) deliver(ctx context.Context, d *destination) {
	pause := minPause
	for ctx.Err() == nil {
		sent, err := n.once(ctx, d)
		switch {
		case err != nil && ctx.Err() == nil:
			if pause == minPause {
				n.log.Warn("events are not delivered; they wait", "destination", d.name, "err", err)
			}
			wait(ctx, pause, nil)
			pause = min(2*pause, maxPause)
			continue
		case sent == 0:
			wait(ctx, countEvery, d.kick) // another gateway kicks nobody here
		case pause > minPause:
			n.log.Info("events are delivered again", "destination", d.name)
		}
		pause = minPause
	}
}

func wait(ctx context.Context, d time.Duration, kick <-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-kick:
	}
}

// once delivers the head of the queue.
func (n *Notifier) once(ctx context.Context, d *destination) (int, error) {
	notes, err := n.queues.Notes(ctx, d.name, batch)
	if err != nil || len(notes) == 0 {
		return 0, err
	}
	list := make([]Event, len(notes))
	for i := range notes {
		key, data, _ := strings.Cut(string(notes[i].Data), "\x00")
		list[i] = Event{Key: key, Data: []byte(data)}
	}
	call, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	sent, err := d.sender.Send(call, list)
	if sent > 0 {
		// At a stop too: what arrived need not be sent again.
		done, cancel := context.WithTimeout(context.WithoutCancel(ctx), sendTimeout)
		defer cancel()
		if derr := n.queues.NotesDone(done, notes[:sent]); derr != nil {
			return 0, derr // they will be sent again
		}
	}
	return sent, err
}
