package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/weftstore/weft/cmd/weft/internal/fabric"
	"github.com/weftstore/weft/rdma"
)

// Config says what to measure: every combination of Verbs, Blocks, Depths and Lanes.
type Config struct {
	Verbs  []Verb
	Blocks []int // bytes
	Depths []int // transfers under way on each lane
	Lanes  []int // calls at once; the connection must have as many lanes
	// Transfers of each lane; 0: as many as fit in Time.
	Transfers uint64
	Time      time.Duration
}

// MaxMemory bounds what is registered for a run.
const MaxMemory = 2 << 30

// Validate lists every problem.
func (c *Config) Validate() error {
	var errs []error
	within := func(what string, values []int, low, high int) {
		if len(values) == 0 {
			errs = append(errs, fmt.Errorf("%s: none given", what))
		}
		for _, v := range values {
			if v < low || v > high {
				errs = append(errs, fmt.Errorf("%s %d is not in %d to %d", what, v, low, high))
			}
		}
	}
	within("size", c.Blocks, MinBlock, rdma.MaxBulk)
	within("depth", c.Depths, 1, MaxDepth)
	within("lanes", c.Lanes, 1, MaxRuns)
	if c.Transfers == 0 && (c.Time <= 0 || c.Time > MaxTime) {
		errs = append(errs, fmt.Errorf("time %s is not in 0 to %s", c.Time, MaxTime))
	}
	if errs == nil && c.memory() > MaxMemory {
		errs = append(errs, fmt.Errorf("%d bytes of memory are needed, more than %d: lower size, depth or lanes", c.memory(), MaxMemory))
	}
	return errors.Join(errs...)
}

func (c *Config) memory() int {
	return slices.Max(c.Blocks) * slices.Max(c.Depths) * slices.Max(c.Lanes)
}

// Result is one line of the table.
type Result struct {
	Op         string          `json:"op"` // "push", "pull" or "chunks"
	Block      int             `json:"block"`
	Depth      int             `json:"depth"`
	Lanes      int             `json:"lanes"`
	Transfers  uint64          `json:"transfers"`
	Bytes      uint64          `json:"bytes"`
	Seconds    float64         `json:"seconds"`
	MiBps      float64         `json:"mib_per_second"`
	Mismatches uint64          `json:"mismatches"`      // transfers whose stamps are not there
	Wires      []string        `json:"wires"`           // over which the calls went, and so the bytes
	Here       fabric.Counters `json:"counters_here"`   // what moved at this end
	There      fabric.Counters `json:"counters_there"`  // and at the other, where it tells
	Error      string          `json:"error,omitempty"` // the rest is zero then
}

func (r *Result) finish(m moved) {
	r.Transfers, r.Bytes, r.Seconds, r.Mismatches = m.transfers, m.bytes, m.time.Seconds(), m.mismatches
	if r.Seconds > 0 {
		r.MiBps = float64(r.Bytes) / r.Seconds / (1 << 20)
	}
}

// Bench measures over one connection of a transport.
type Bench struct {
	Conn      rdma.Conn
	Transport rdma.Transport        // that made it: memory is registered there
	Wires     func() []rdma.Counted // whose counters are shown
	Each      func(*Result)         // told of each result; may be nil
	root      string
}

// Run measures every case. It ends at the first that fails.
func (b *Bench) Run(ctx context.Context, cfg Config) ([]Result, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	region, err := b.Transport.Register(cfg.memory())
	if err != nil {
		return nil, fmt.Errorf("register %d bytes: %w", cfg.memory(), err)
	}
	defer region.Close()
	var all []Result
	for _, verb := range cfg.Verbs {
		for _, c := range cfg.cases() {
			c.Op = verb.String()
			err := b.measure(ctx, &c, func() (moved, error) { return b.move(ctx, region, verb, &c, &cfg) })
			if err != nil {
				return all, fmt.Errorf("%s of %d bytes, depth %d, %d lanes: %w", verb, c.Block, c.Depth, c.Lanes, err)
			}
			all = append(all, c)
		}
	}
	return all, nil
}

// cases are all but the verb.
func (c *Config) cases() []Result {
	var out []Result
	for _, block := range c.Blocks {
		for _, depth := range c.Depths {
			for _, lanes := range c.Lanes {
				out = append(out, Result{Block: block, Depth: depth, Lanes: lanes})
			}
		}
	}
	return out
}

// measure runs f between two readings of the counters.
func (b *Bench) measure(ctx context.Context, r *Result, f func() (moved, error)) error {
	here, there := b.here(), b.there(ctx)
	m, err := f()
	if err != nil {
		return err
	}
	r.finish(m)
	r.Here = b.here().Since(here)
	for _, w := range b.Wires() {
		if r.Here[w.Name()+" Calls"] > 0 {
			r.Wires = append(r.Wires, w.Name())
		}
	}
	if there != nil {
		r.There = b.there(ctx).Since(there)
	}
	if b.Each != nil {
		b.Each(r)
	}
	return nil
}

func (b *Bench) here() fabric.Counters {
	root := b.root
	if root == "" {
		root = "/"
	}
	return Counters(b.Wires(), root)
}

// there asks the other end; nil when it does not tell.
func (b *Bench) there(ctx context.Context) fabric.Counters {
	told := fabric.Counters{}
	if ask(ctx, b.Conn, opCounters, &told) != nil {
		return nil
	}
	out := fabric.Counters{}
	for name, v := range told {
		out[printable(name)] = v
	}
	return out
}

// Rails asks the other end for its interfaces that carry RDMA. ErrRefused when it is a
// storage node.
func Rails(ctx context.Context, conn rdma.Conn) ([]fabric.Rail, error) {
	var rails []fabric.Rail
	if err := ask(ctx, conn, opRails, &rails); err != nil {
		return nil, fmt.Errorf("ask for the interfaces of the other end: %w", err)
	}
	for i := range rails {
		r := &rails[i]
		r.Port, r.Netdev, r.Protocol = printable(r.Port), printable(r.Netdev), printable(r.Protocol)
	}
	return rails, nil
}

// spare is how much longer than the run a call may take.
const spare = 15 * time.Second

// move runs one case: a call on each lane, each with memory of its own.
func (b *Bench) move(ctx context.Context, region rdma.Region, verb Verb, c *Result, cfg *Config) (moved, error) {
	limit := cfg.Time
	if cfg.Transfers > 0 {
		limit = MaxTime
	}
	ctx, cancel := context.WithTimeout(ctx, limit+spare)
	defer cancel()
	share := c.Depth * c.Block
	results, errs := make([]moved, c.Lanes), make([]error, c.Lanes)
	begin := time.Now()
	var calls sync.WaitGroup
	for lane := range c.Lanes {
		calls.Go(func() {
			r := run{
				verb: verb, depth: c.Depth, block: c.Block, transfers: cfg.Transfers, time: cfg.Time,
				seed: rand.Uint64(), memory: region.Remote(lane*share, share),
			}
			results[lane], errs[lane] = b.call(ctx, &r, region.Bytes()[lane*share:(lane+1)*share])
		})
	}
	calls.Wait()
	total := moved{time: time.Since(begin)}
	for _, m := range results {
		total.transfers += m.transfers
		total.bytes += m.bytes
		total.mismatches += m.mismatches
	}
	return total, errors.Join(errs...)
}

// call has r done, and checks what it left in memory.
func (b *Bench) call(ctx context.Context, r *run, memory []byte) (m moved, err error) {
	for i := range r.depth {
		stamp(memory[i*r.block:(i+1)*r.block], r.stamp(i, 0))
	}
	var req [runSize]byte
	rep := make([]byte, headSize+maxText)
	n, err := b.Conn.Call(ctx, req[:r.encode(req[:])], rep)
	if err != nil {
		return m, err
	}
	if err := answer(rep[:n], opRun); err != nil {
		return m, err
	}
	if err := m.decode(rep[:n]); err != nil {
		return m, err
	}
	switch {
	case r.transfers > 0 && m.transfers < r.transfers:
		return m, fmt.Errorf("%d of %d transfers were made in %s: ask for fewer", m.transfers, r.transfers, MaxTime)
	case m.bytes != m.transfers*uint64(r.block):
		return m, fmt.Errorf("%w: %d transfers of %d bytes are not %d bytes", ErrRefused, m.transfers, r.block, m.bytes)
	}
	m.mismatches += r.check(memory, &m)
	return m, nil
}

// check counts the transfers of which memory shows that they did not happen as told:
// slots whose two stamps differ, and the difference between what the slots were
// numbered to and what the other end says.
func (r *run) check(memory []byte, m *moved) uint64 {
	told := m.transfers
	if r.verb == Pull {
		told = 0 // the other end counted mismatches; nothing may have been written
	}
	var torn, seen uint64
	for i := range r.depth {
		v, whole := stamped(memory[i*r.block : (i+1)*r.block])
		n := v - r.stamp(i, 0)
		if !whole || n > told {
			torn++
			continue
		}
		seen += n
	}
	return max(torn, told-min(told, seen), seen-min(told, seen))
}
