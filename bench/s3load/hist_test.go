package s3load

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestBucketBounds(t *testing.T) {
	last := -1
	for v := uint64(0); v < 1<<44; v += max(v/97, 1) {
		b := bucketOf(v)
		if b < last || b >= buckets {
			t.Fatalf("bucket %d for %d after %d", b, v, last)
		}
		last = b
		if b == buckets-1 {
			continue
		}
		if up := upperOf(b); up < v || float64(up-v) > float64(v)/subs {
			t.Fatalf("value %d in a bucket up to %d", v, up)
		}
		if bucketOf(upperOf(b)+1) != b+1 {
			t.Fatalf("bucket %d is not followed by the next at %d", b, upperOf(b)+1)
		}
	}
}

func TestQuantilesAgainstSorting(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var a, b Histogram
	var all []time.Duration
	for i := range 20000 {
		d := time.Duration(rng.ExpFloat64() * 1e6)
		all = append(all, d)
		if i%2 == 0 {
			a.Record(d)
		} else {
			b.Record(d)
		}
	}
	a.Merge(&b)
	slices.Sort(all)
	for _, q := range []float64{0, .01, .5, .9, .99, .999, 1} {
		want := all[max(int(q*float64(len(all))+.5), 1)-1]
		if got := a.Quantile(q); got < want || float64(got-want) > float64(want)/subs {
			t.Errorf("quantile %g: %v, want %v", q, got, want)
		}
	}
	if a.Count() != 20000 || a.Max() != all[len(all)-1] {
		t.Errorf("count %d, max %v", a.Count(), a.Max())
	}
}

func TestHistogramEdges(t *testing.T) {
	var h Histogram
	if h.Quantile(.5) != 0 || h.Mean() != 0 || h.Max() != 0 {
		t.Error("an empty histogram is not all zero")
	}
	h.Record(-time.Second)
	h.Record(100 * time.Hour)
	if h.Quantile(0) != 0 || h.Quantile(1) > h.Max() || h.Max() != 100*time.Hour || h.Mean() != 50*time.Hour {
		t.Errorf("q0 %v, q1 %v, max %v, mean %v", h.Quantile(0), h.Quantile(1), h.Max(), h.Mean())
	}
}
