package store

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/node"
	"github.com/weftstore/weft/node/extent"
	"github.com/weftstore/weft/rdma"
)

// Back-off of a target that fails, doubled with each failure in a row.
const (
	minDown = time.Second
	maxDown = 30 * time.Second
	// maxLates reads in a row that had to be hedged, none answered since, count as
	// a failure: what is sent to a hung target holds its memory until it returns.
	maxLates = 4
	// downAfter is how many errors in a row make a target be left alone. One bad
	// sector must not cost every write its redundancy for a second.
	downAfter = 3
	// fullFor is how long a target that said ErrFull is not asked again.
	fullFor = 5 * time.Second
)

// target is a Target and what is known of its health.
type target struct {
	id     metadata.TargetID
	uuid   [16]byte
	name   string
	domain string // failure domain; "" is its own
	drains bool   // nothing new goes there

	api       atomic.Pointer[Target] // nil while it is away
	inflight  atomic.Int32
	fails     atomic.Int32 // in a row
	lates     atomic.Int32 // reads overtaken by a hedge in a row
	downUntil deadline
	fullUntil deadline
	free      atomic.Int64 // bytes; 0 when not known
	total     atomic.Int64 // bytes of the file system, as free
	readTime  atomic.Int64 // smoothed nanoseconds of a read
	readDev   atomic.Int64 // smoothed deviation from it
	asking    atomic.Bool  // a question for its usage is under way
}

// deadline is a time that may be to come. It keeps the reading of the monotonic clock: setting
// that of the wall must not put it off.
type deadline struct{ at atomic.Pointer[time.Time] }

func (d *deadline) set(at time.Time)         { d.at.Store(&at) }
func (d *deadline) clear()                   { d.at.Store(nil) }
func (d *deadline) ahead(now time.Time) bool { at := d.at.Load(); return at != nil && now.Before(*at) }

func newTarget(c TargetConfig) *target {
	t := &target{id: c.ID, uuid: c.UUID, name: c.Name, domain: c.Domain, drains: c.Draining}
	t.free.Store(c.Free)
	t.total.Store(c.Total)
	if c.Target != nil {
		t.api.Store(&c.Target)
	}
	return t
}

// get returns the Target, or nil while it is away. A nil target is one that was removed
// since it was looked at.
func (t *target) get() Target {
	if t == nil {
		return nil
	}
	if p := t.api.Load(); p != nil {
		return *p
	}
	return nil
}

// usable says whether work should be sent there while others can do it. A target
// that failed gets one operation at a time when its back-off is over, until one
// succeeds; a hung one, whose operations never end, gets none.
func (t *target) usable(now time.Time) bool {
	if t.api.Load() == nil || t.downUntil.ahead(now) {
		return false
	}
	return t.fails.Load() < downAfter || t.inflight.Load() == 0
}

func (t *target) full(now time.Time) bool { return t.fullUntil.ahead(now) }

// chunkFault says that err is about one chunk and not about the target.
func chunkFault(err error) bool {
	return errors.Is(err, extent.ErrNotFound) || errors.Is(err, extent.ErrCorrupt) ||
		errors.Is(err, extent.ErrExists) || errors.Is(err, extent.ErrInvalid)
}

// failed notes an error of an operation.
func (t *target) failed(now time.Time, err error) {
	switch {
	case chunkFault(err), errors.Is(err, node.ErrBusy):
	case errors.Is(err, extent.ErrFull):
		t.fullUntil.set(now.Add(fullFor))
	default:
		n := t.fails.Add(1)
		if gone(err) && n < downAfter {
			n = downAfter
			t.fails.Store(n)
		}
		if n >= downAfter {
			d := min(minDown<<min(n-downAfter, 16), maxDown)
			t.downUntil.set(now.Add(d))
		}
	}
}

// gone says that err leaves no doubt about the target.
func gone(err error) bool {
	for _, e := range []error{
		errTimeout, extent.ErrOffline, extent.ErrFenced, node.ErrUnknownTarget, rdma.ErrPeer, rdma.ErrClosed,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (t *target) worked() {
	if t.lates.Load() != 0 {
		t.lates.Store(0)
	}
	if t.fails.Load() != 0 {
		t.fails.Store(0)
		t.downUntil.clear()
	}
}

// observe feeds the time of a good read into the estimate, as TCP does for its
// retransmission timer (RFC 6298). Races lose a sample and do no harm.
func (t *target) observe(d time.Duration) {
	mean, dev := t.readTime.Load(), t.readDev.Load()
	diff := int64(d) - mean
	t.readTime.Store(mean + diff/8)
	t.readDev.Store(dev + (max(diff, -diff)-dev)/4)
}

// late is the time after which a read is worth trying elsewhere: three times
// what nearly all reads take.
func (t *target) late(floor time.Duration) time.Duration {
	return max(floor, 3*time.Duration(t.readTime.Load()+2*t.readDev.Load()))
}

// load orders targets for reading: fewer operations under way first.
func (t *target) load() int64 { return int64(t.inflight.Load()) }
