package s3load

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Events tells what goes on. Nil functions are not called.
type Events struct {
	Progress func(text string) // one line, called from several goroutines
}

// maxFresh is how many bytes of new objects may lie about on one endpoint before they are deleted
// between rounds; otherwise that waits for the end of the case, where it disturbs no measurement.
const maxFresh = 8 << 30

// runner is the state of one Run.
type runner struct {
	cfg       *Config
	ev        Events
	endpoints []*endpoint
	run       string // unique to the run, part of new keys
	slices    int
}

// endpoint is a target with its workers.
type endpoint struct {
	t       *target
	workers []*worker
	fresh   int64 // bytes of new objects not yet deleted
}

func (r *runner) progress(format string, args ...any) {
	if r.ev.Progress != nil {
		r.ev.Progress(fmt.Sprintf(format, args...))
	}
}

// Run measures what cfg says. The document is returned with an error, too, as far as it got, when something
// was measured. Errors: those of Config.Validate; failed preparation or cleanup; ErrWrongBytes when any
// answer was wrong; an error naming the endpoint when one answered no request of a case at all.
func Run(ctx context.Context, cfg Config, ev Events) (*Document, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	now := time.Now()
	r := &runner{cfg: &cfg, ev: ev, run: strconv.FormatInt(now.UnixNano(), 36)}
	doc := &Document{
		Version: DocumentVersion, Started: now.UTC(), Environment: readEnvironment(),
		Settings: Settings{
			Concurrency: cfg.Concurrency, SliceSeconds: cfg.Duration.Seconds(), Rounds: cfg.Rounds, Objects: cfg.Objects,
			PartSize: cfg.PartSize, Verify: cfg.Verify, SignPayload: cfg.SignPayload, SyncBefore: cfg.Sync, Seed: cfg.Seed,
		},
	}
	doc.Environment.Go = runtime.Version()
	doc.Environment.Commit, doc.Environment.Note = cfg.Commit, cfg.Note
	gen := newContent()
	for i := range cfg.Endpoints {
		t, err := newTarget(&cfg, cfg.Endpoints[i], gen)
		if err != nil {
			return nil, err
		}
		e := &endpoint{t: t}
		for id := range cfg.Concurrency {
			e.workers = append(e.workers, newWorker(ctx, t, id, cfg.Seed))
		}
		r.endpoints = append(r.endpoints, e)
	}
	err := r.all(ctx, doc)
	return doc, errors.Join(err, r.finish(ctx))
}

// all runs every case.
func (r *runner) all(ctx context.Context, doc *Document) error {
	for _, e := range r.endpoints {
		if err := e.workers[0].ensureBucket(); err != nil {
			return fmt.Errorf("%s: %w", e.t.ep.Name, err)
		}
	}
	var errs []error
	for _, op := range r.cfg.Ops {
		sizes := r.cfg.Sizes
		if op == OpList {
			sizes = []int64{listKeySize}
		}
		for _, size := range sizes {
			c := r.newCase(op, size)
			err := r.runCase(ctx, &c)
			c.summarise()
			doc.Cases = append(doc.Cases, c)
			if err != nil {
				return errors.Join(append(errs, err)...)
			}
			errs = append(errs, c.verdict())
		}
	}
	return errors.Join(errs...)
}

// finish closes all connections and removes what was written, also when ctx is cancelled.
func (r *runner) finish(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Minute)
	defer cancel()
	var errs []error
	for _, e := range r.endpoints {
		var err error
		if r.cfg.Keep {
			err = r.purge(ctx, e, root+"new-")
		} else {
			err = r.cleanup(ctx, e)
		}
		if err != nil && statusOf(err) != 404 { // 404: the bucket was never made
			errs = append(errs, fmt.Errorf("%s: clean up: %w", e.t.ep.Name, err))
		}
		e.disconnect()
	}
	return errors.Join(errs...)
}

func (e *endpoint) disconnect() {
	for _, w := range e.workers {
		w.close()
	}
}

func (r *runner) newCase(op Op, size int64) CaseResult {
	c := CaseResult{Op: op, Size: size, Name: fmt.Sprintf("%s %s", op, FormatSize(size))}
	switch op {
	case OpRange:
		c.RangeSize = r.cfg.RangeSize
		c.Name = fmt.Sprintf("range %s of %s", FormatSize(c.RangeSize), FormatSize(size))
	case OpList:
		c.Keys, c.Elsewhere = r.cfg.Keys, r.cfg.Elsewhere
		c.Name = fmt.Sprintf("list %d keys", c.Keys)
		if c.Elsewhere > 0 {
			c.Name += fmt.Sprintf(" beside %d", c.Elsewhere)
		}
	}
	for _, e := range r.endpoints {
		c.Endpoints = append(c.Endpoints, EndpointResult{Name: e.t.ep.Name, URL: e.t.ep.URL})
	}
	return c
}

// verdict is the error that a finished case deserves.
func (c *CaseResult) verdict() error {
	var errs []error
	for _, e := range c.Endpoints {
		if e.Median.Wrong > 0 {
			errs = append(errs, fmt.Errorf("%s, %s: %d answers: %w", c.Name, e.Name, e.Median.Wrong, ErrWrongBytes))
		}
		for _, r := range e.Rounds {
			if r.Ops == 0 {
				errs = append(errs, fmt.Errorf("%s, %s: a round without a single success", c.Name, e.Name))
				break
			}
		}
	}
	return errors.Join(errs...)
}

// runCase prepares, warms up and runs the rounds; every other round goes through the endpoints backwards.
func (r *runner) runCase(ctx context.Context, c *CaseResult) error {
	for _, e := range r.endpoints {
		if err := r.prepareCase(ctx, e, c); err != nil {
			return fmt.Errorf("%s: %w", e.t.ep.Name, err)
		}
	}
	for _, e := range r.endpoints {
		if r.cfg.Warmup > 0 && c.Op != OpDelete && c.Op != OpList {
			r.progress("%s: %s: warm-up", c.Name, e.t.ep.Name)
			if _, err := r.slice(ctx, e, c, r.cfg.Warmup); err != nil {
				return err
			}
		}
	}
	for round := range r.cfg.Rounds {
		for k := range r.endpoints {
			i := k
			if round%2 == 1 {
				i = len(r.endpoints) - 1 - k
			}
			e := r.endpoints[i]
			res, err := r.slice(ctx, e, c, r.cfg.Duration)
			if err != nil {
				return err
			}
			c.Endpoints[i].Rounds = append(c.Endpoints[i].Rounds, res)
			c.Endpoints[i].Server = e.workers[0].server
			r.progress("%s: round %d of %d: %s: %.0f/s, %.1f MiB/s, p50 %.0f us, %d errors", c.Name, round+1, r.cfg.Rounds,
				e.t.ep.Name, res.OpsPerSec, res.MiBPerSec, res.P50Us, res.Errors)
		}
		for _, e := range r.endpoints {
			if e.fresh > maxFresh || round == r.cfg.Rounds-1 && e.fresh > 0 {
				if err := r.purge(ctx, e, root+"new-"); err != nil {
					return fmt.Errorf("%s: %w", e.t.ep.Name, err)
				}
				e.fresh = 0
			}
			e.disconnect()
		}
	}
	return nil
}

func (r *runner) prepareCase(ctx context.Context, e *endpoint, c *CaseResult) error {
	switch c.Op {
	case OpPut, OpDelete, OpMultipart:
		return nil
	case OpList:
		if err := r.ensureKeys(ctx, e, listKeys(r.cfg)); err != nil {
			return err
		}
		return r.ensureKeys(ctx, e, elsewhereKeys(r.cfg))
	}
	return r.ensureKeys(ctx, e, dataKeys(r.cfg, c.Size))
}

// slice runs one case on one endpoint for d.
func (r *runner) slice(ctx context.Context, e *endpoint, c *CaseResult, d time.Duration) (Round, error) {
	r.slices++
	s := &slice{op: c.Op, size: c.Size, data: dataKeys(r.cfg, c.Size)}
	s.prefix = fmt.Sprintf("%snew-%s-%d/", root, r.run, r.slices)
	switch c.Op {
	case OpList:
		s.data = listKeys(r.cfg)
	case OpDelete:
		s.data.prefix = s.prefix
		e.fresh++ // what the slice leaves over is deleted with the rest
		if err := r.ensureKeys(ctx, e, s.data); err != nil {
			return Round{}, fmt.Errorf("%s: %w", e.t.ep.Name, err)
		}
	}
	var u usage
	if r.cfg.Sync {
		begin := time.Now()
		syscall.Sync()
		u.sync = time.Since(begin)
	}
	total, err := r.drive(ctx, e, s, d, &u)
	if err != nil {
		return Round{}, err
	}
	if c.Op == OpPut || c.Op == OpMultipart || c.Op == OpMixed {
		e.fresh += total.bytes + 1
		r.readBack(ctx, e, s, total)
	}
	for _, w := range e.workers {
		w.own = nil
	}
	return newRound(total, u), ctx.Err()
}

// drive lets all workers run for d and returns the sum of what they counted.
func (r *runner) drive(ctx context.Context, e *endpoint, s *slice, d time.Duration, u *usage) (*stat, error) {
	var ready, done sync.WaitGroup
	start := make(chan time.Time)
	for _, w := range e.workers {
		w.ctx, w.stat = ctx, stat{}
		step := w.step(s)
		ready.Add(1)
		done.Go(func() {
			if err := w.open(ctx); err != nil { // the loop will meet it again and count it
				w.close()
			}
			ready.Done()
			w.loop(<-start, step)
		})
	}
	ready.Wait()
	for _, w := range e.workers {
		w.dials = 0
	}
	u.peakOfSlice = resetPeak(e.t.ep.PIDs)
	before, err := cpuTime(e.t.ep.PIDs)
	own := ownCPU()
	begin := time.Now()
	for range e.workers {
		start <- begin.Add(d)
	}
	done.Wait()
	u.elapsed = time.Since(begin)
	u.client = ownCPU() - own
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.t.ep.Name, err)
	}
	after, err := cpuTime(e.t.ep.PIDs)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.t.ep.Name, err)
	}
	u.server, u.peak = after-before, peakRSS(e.t.ep.PIDs)
	total := &stat{}
	for _, w := range e.workers {
		total.merge(&w.stat)
		u.reconnects += int64(w.dials)
	}
	return total, nil
}

// readBack compares a sample of the objects that a slice wrote, outside the measured time. 16 objects
// are enough to notice a server that loses or swaps bytes as a habit; the soak tests look for rare cases.
func (r *runner) readBack(ctx context.Context, e *endpoint, s *slice, total *stat) {
	if r.cfg.Verify == 0 {
		return
	}
	reader := e.workers[0]
	left := 16
	for _, w := range e.workers {
		n := min(len(w.own), max(1, 16/len(e.workers)), left)
		left -= n
		for _, key := range w.own[len(w.own)-n:] {
			if ctx.Err() != nil {
				return
			}
			reader.key = append(reader.key[:0], key...)
			total.checked++
			if _, err := reader.read(0, s.size, true, true); err != nil {
				total.fail(fmt.Errorf("read back: %w", err))
			}
		}
	}
}
