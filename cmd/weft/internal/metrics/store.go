package metrics

import (
	"context"
	"math/bits"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/store"
)

// StatusEvery is the least time between two questions to a store for its status,
// which walks its queues.
const StatusEvery = 15 * time.Second

// StatusStore is a store that can be asked; *store.Store is one.
type StatusStore interface {
	Status(ctx context.Context) (*store.Status, error)
	Health() []store.TargetHealth
}

// statusFields are those of store.Status.
var statusFields = []field[store.Status]{
	gauge("weft_store_survivable_losses", "Targets that may be lost without losing data, by the layout.",
		func(s *store.Status) float64 { return float64(s.Survives) }),
	gauge("weft_store_damaged_sets", "Parts with missing or corrupt shards that wait for repair.",
		func(s *store.Status) float64 { return float64(s.DamagedSets) }),
	gauge("weft_store_garbage_sets", "Deleted parts whose chunks wait to be collected.",
		func(s *store.Status) float64 { return float64(s.GarbageSets) }),
	counter("weft_store_repaired_parts_total", "Parts restored to full redundancy.",
		func(s *store.Status) float64 { return float64(s.Repaired) }),
	gauge("weft_store_unrepairable_parts", "Parts that the last round of repairs could not mend.",
		func(s *store.Status) float64 { return float64(s.Waiting) }),
	gauge("weft_store_last_snapshot_timestamp_seconds", "When the metadata was last copied to the targets; 0 never.",
		func(s *store.Status) float64 { return unixSeconds(s.LastSnapshot) }),
	gauge("weft_store_last_scrub_timestamp_seconds", "When every chunk had last been verified; 0 not in this process.",
		func(s *store.Status) float64 { return unixSeconds(s.LastScrub) }),
}

// healthFields are those of store.TargetHealth: what the data path thinks.
var healthFields = []field[store.TargetHealth]{
	gauge("weft_store_target_usable", "Whether the data path sends work to the target by choice.",
		func(t *store.TargetHealth) float64 { return bool01(t.Usable) }, "id", "name"),
	gauge("weft_store_target_in_flight", "Operations under way on the target.",
		func(t *store.TargetHealth) float64 { return float64(t.InFlight) }, "id", "name"),
	gauge("weft_store_target_consecutive_failures", "Failed operations in a row.",
		func(t *store.TargetHealth) float64 { return float64(t.Failures) }, "id", "name"),
	gauge("weft_store_target_read_seconds", "Running estimate of the time that a read takes; reads later than this are tried elsewhere.",
		func(t *store.TargetHealth) float64 { return t.ReadTime.Seconds() }, "id", "name"),
}

// Store shows the state and the queues of a store.
func (s *Set) Store(st StatusStore) {
	s.reg.MustRegister(&storeCollector{store: st, now: s.now, up: upDesc("store")})
}

type storeCollector struct {
	store StatusStore
	now   func() time.Time
	up    *prometheus.Desc

	mu     sync.Mutex
	asked  time.Time
	status *store.Status
	err    error
}

func (c *storeCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.up
	describe(ch, statusFields)
	describe(ch, healthFields)
}

func (c *storeCollector) Collect(ch chan<- prometheus.Metric) {
	for _, h := range c.store.Health() {
		emit(ch, healthFields, &h, strconv.Itoa(int(h.ID)), validUTF8(h.Name))
	}
	status, err := c.ask()
	ch <- upMetric(c.up, err)
	if err == nil {
		emit(ch, statusFields, status)
	}
}

// ask remembers the answer, also when it is an error.
func (c *storeCollector) ask() (*store.Status, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); c.asked.IsZero() || now.Sub(c.asked) >= StatusEvery {
		ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
		defer cancel()
		c.asked = now
		c.status, c.err = c.store.Status(ctx)
	}
	return c.status, c.err
}

// storeOps are what store.Events calls an operation of a target.
var storeOps = []string{"append", "write", "commit", "read", "delete"}

// other stands for a name that is not in a table.
const other = "other"

// StoreEvents counts what a store tells, and passes it on to next.
func (s *Set) StoreEvents(next store.Events) store.Events {
	errs := s.counterVec("weft_store_target_errors_total", "Operations of targets that failed, by operation.", "op")
	byOp := map[string]prometheus.Counter{other: errs.WithLabelValues(other)}
	for _, op := range storeOps {
		byOp[op] = errs.WithLabelValues(op)
	}
	writes := s.counter("weft_store_degraded_writes_total", "Parts stored with shards missing.")
	lost := s.counter("weft_store_degraded_write_shards_total", "Shards missing in those parts.")
	reads := s.counterVec("weft_store_degraded_reads_total",
		"Ranges served from other shards than their own; hedged: because one was late, not lost.", "hedged")
	late, gone := reads.WithLabelValues("true"), reads.WithLabelValues("false")
	damaged := s.counter("weft_store_damaged_shards_total", "Shards found missing or corrupt.")
	collected := s.counter("weft_store_collected_sets_total", "Deleted chunk sets removed from the targets.")
	return store.Events{
		TargetError: func(target, op string, err error) {
			c := byOp[op]
			if c == nil {
				c = byOp[other]
			}
			c.Inc()
			if next.TargetError != nil {
				next.TargetError(target, op, err)
			}
		},
		DegradedWrite: func(n int) {
			writes.Inc()
			lost.Add(float64(max(n, 0)))
			if next.DegradedWrite != nil {
				next.DegradedWrite(n)
			}
		},
		DegradedRead: func(hedged bool) {
			if hedged {
				late.Inc()
			} else {
				gone.Inc()
			}
			if next.DegradedRead != nil {
				next.DegradedRead(hedged)
			}
		},
		Damaged: func(set metadata.SetID, shards uint64) {
			damaged.Add(float64(bits.OnesCount64(shards)))
			if next.Damaged != nil {
				next.Damaged(set, shards)
			}
		},
		Collected: func(sets int) {
			collected.Add(float64(max(sets, 0)))
			if next.Collected != nil {
				next.Collected(sets)
			}
		},
	}
}

func (s *Set) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	s.reg.MustRegister(c)
	return c
}

func (s *Set) counterVec(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	s.reg.MustRegister(c)
	return c
}

// validUTF8: labels must be, and paths need not be.
func validUTF8(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
