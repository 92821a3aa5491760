package s3load

import (
	"math/bits"
	"time"
)

const (
	subBits = 6 // 64 sub-buckets a power of two: a value is known to 1.6 %
	subs    = 1 << subBits
	// maxExp bounds values at 2^43 ns, about 2.4 hours; longer ones land in the last bucket.
	maxExp  = 43
	buckets = (maxExp - subBits + 1) * subs
)

// Histogram counts durations in logarithmic buckets of 1.6 % width, exact below 64 ns. The zero value
// is empty and ready. Not safe for concurrent use: keep one a worker and Merge them.
type Histogram struct {
	counts [buckets]uint64
	n      uint64
	sum    time.Duration
	max    time.Duration
}

func bucketOf(v uint64) int {
	if v < subs {
		return int(v)
	}
	exp := bits.Len64(v) - 1 - subBits // v>>exp is in [subs, 2*subs)
	return min((exp+1)*subs+int(v>>exp)-subs, buckets-1)
}

// upperOf is the largest value that falls into bucket i.
func upperOf(i int) uint64 {
	if i < subs {
		return uint64(i)
	}
	exp := i/subs - 1
	return (uint64(i%subs+subs)+1)<<exp - 1
}

// Record counts d; a negative d counts as zero.
func (h *Histogram) Record(d time.Duration) {
	d = max(d, 0)
	h.counts[bucketOf(uint64(d))]++
	h.n++
	h.sum += d
	h.max = max(h.max, d)
}

// Merge adds the counts of o.
func (h *Histogram) Merge(o *Histogram) {
	for i, c := range o.counts {
		h.counts[i] += c
	}
	h.n += o.n
	h.sum += o.sum
	h.max = max(h.max, o.max)
}

// Count returns how many durations were recorded.
func (h *Histogram) Count() uint64 { return h.n }

// Max returns the longest duration recorded, exactly; 0 when empty.
func (h *Histogram) Max() time.Duration { return h.max }

// Mean returns the exact mean; 0 when empty.
func (h *Histogram) Mean() time.Duration {
	if h.n == 0 {
		return 0
	}
	return h.sum / time.Duration(h.n)
}

// Quantile returns the upper end of the bucket in which the q-th part of the values ends, q in [0,1],
// never above Max; 0 when empty.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.n == 0 {
		return 0
	}
	rank := max(uint64(q*float64(h.n)+0.5), 1)
	var seen uint64
	for i, c := range h.counts {
		if seen += c; seen >= rank {
			return min(time.Duration(upperOf(i)), h.max)
		}
	}
	return h.max
}
