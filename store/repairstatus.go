package store

import (
	"context"
	"math/bits"
	"sync"
	"time"

	"github.com/weftstore/weft/metadata"
)

// RepairStatus is what waits for repair, and how the repair that runs gets on.
type RepairStatus struct {
	// Waiting counts the parts in the queue by how many shards each has lost: the
	// first number is of those that have lost one.
	Waiting []int64 `json:"waiting"`
	// Running: this process repairs, and the rest is about that.
	Running bool          `json:"running"`
	Began   time.Time     `json:"began,omitzero"`
	Total   int64         `json:"total"` // parts that were queued when it began
	Done    int64         `json:"done"`  // of them, looked at
	Bytes   int64         `json:"bytes"` // written
	Rate    float64       `json:"rate"`  // bytes a second since it began
	Left    time.Duration `json:"left_ns"`
}

// repairRun is the repair under way.
type repairRun struct {
	mu          sync.Mutex
	running     bool
	began       time.Time
	total, done int64
	bytes       int64
}

func (r *repairRun) begin(now time.Time, total int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running, r.began, r.total, r.done, r.bytes = total > 0, now, total, 0, 0
}

func (r *repairRun) add(bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done++
	r.bytes += bytes
}

func (r *repairRun) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running = false
}

func (r *repairRun) fill(st *RepairStatus, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.running {
		return
	}
	st.Running, st.Began, st.Total, st.Done, st.Bytes = true, r.began, r.total, r.done, r.bytes
	took := now.Sub(r.began)
	if took > 0 {
		st.Rate = float64(r.bytes) / took.Seconds()
	}
	if r.done > 0 {
		st.Left = time.Duration(float64(took) / float64(r.done) * float64(max(r.total-r.done, 0)))
	}
}

// RepairStatus looks at the queue and at the repair that runs.
func (s *Store) RepairStatus(ctx context.Context) (*RepairStatus, error) {
	st := &RepairStatus{Waiting: []int64{}} // none is [] in JSON
	err := s.eachDamage(ctx, func(d *metadata.Damage) error {
		n := max(bits.OnesCount64(d.Shards), 1)
		for len(st.Waiting) < n {
			st.Waiting = append(st.Waiting, 0)
		}
		st.Waiting[n-1]++
		return nil
	})
	s.upkeep.run.fill(st, s.now())
	return st, err
}
