package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weftstore/weft/lifecycle"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/metadata/memkv"
)

const day = 24 * time.Hour

// rig is a bucket b with rules, a clock, and a worker.
type rig struct {
	*metadata.DB
	t   *testing.T
	now time.Time
	w   *lifecycle.Worker
	n   byte
}

func newRig(t *testing.T, versioned bool, rules ...lifecycle.Rule) *rig {
	r := &rig{t: t, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	var err error
	if r.DB, err = metadata.New(memkv.New(), metadata.Options{Now: func() time.Time { return r.now }}); err != nil {
		t.Fatal(err)
	}
	b := metadata.Bucket{Name: "b"}
	if versioned {
		b.Versioning = metadata.VersioningEnabled
	}
	if _, err := r.MakeBucket(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	r.rules("b", rules...)
	r.w = &lifecycle.Worker{Meta: r.DB, Rate: 1 << 30, Now: func() time.Time { return r.now }}
	return r
}

func (r *rig) rules(bucket string, rules ...lifecycle.Rule) {
	r.t.Helper()
	text, err := lifecycle.Config(rules).Encode()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.SetBucketConfig(r.t.Context(), bucket, lifecycle.ConfigName, text); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) put(key string, edit ...func(*metadata.Version)) string {
	r.t.Helper()
	r.n++
	v := &metadata.Version{Key: key, ID: r.NewVersionID(), Size: 1, MD5: [16]byte{r.n}, Modified: r.now}
	for _, f := range edit {
		f(v)
	}
	res, err := r.Put(r.t.Context(), "b", v, metadata.Condition{})
	if err != nil {
		r.t.Fatal(err)
	}
	return res.VersionID
}

func (r *rig) remove(key string) {
	r.t.Helper()
	if _, err := r.Delete(r.t.Context(), "b", key, "", metadata.Condition{}); err != nil {
		r.t.Fatal(err)
	}
}

// later moves the clock and lets the worker do what there is.
func (r *rig) later(d time.Duration) {
	r.t.Helper()
	r.now = r.now.Add(d)
	for {
		wait, err := r.w.Step(r.t.Context())
		if err != nil {
			r.t.Fatal(err)
		}
		if wait > 0 {
			return
		}
	}
}

// have lists keys: with * for each version, and - for each marker.
func (r *rig) have() string {
	r.t.Helper()
	page, err := r.ListVersions(r.t.Context(), "b", metadata.ListQuery{Limit: 1000})
	if err != nil {
		r.t.Fatal(err)
	}
	var out []string
	last := ""
	for _, e := range page.Entries {
		if e.Key != last {
			out = append(out, e.Key)
			last = e.Key
		}
		if e.DeleteMarker {
			out[len(out)-1] += "-"
		} else {
			out[len(out)-1] += "*"
		}
	}
	return strings.Join(out, " ")
}

func (r *rig) want(want string) {
	r.t.Helper()
	if got := r.have(); got != want {
		r.t.Fatalf("at %v: %q, want %q", r.now, got, want)
	}
}

func tag(k, v string) func(*metadata.Version) {
	return func(x *metadata.Version) { x.Tags = map[string]string{k: v} }
}

func TestExpiration(t *testing.T) {
	r := newRig(t, false,
		lifecycle.Rule{ID: "1", Filter: lifecycle.Filter{Prefix: "one/"}, Days: 1},
		lifecycle.Rule{ID: "2", Filter: lifecycle.Filter{Tags: map[string]string{"a": "b"}}, Days: 2},
		lifecycle.Rule{ID: "3", Filter: lifecycle.Filter{Prefix: "date/"}, Date: time.Date(2026, 1, 4, 0, 0, 0, 0, time.UTC)},
		lifecycle.Rule{ID: "4", Filter: lifecycle.Filter{Prefix: "off/"}, Days: 1, Disabled: true})
	for _, k := range []string{"date/x", "off/x", "one/x", "one/y"} {
		r.put(k)
	}
	r.put("tag", tag("a", "b"))
	r.put("tag2", tag("a", "c"))
	r.later(23 * time.Hour)
	r.want("date/x* off/x* one/x* one/y* tag* tag2*")
	r.put("one/y") // begins anew
	r.later(7 * time.Hour)
	r.want("date/x* off/x* one/y* tag* tag2*")
	r.later(day)
	r.want("date/x* off/x* tag2*")
	r.later(day)
	r.want("off/x* tag2*")
}

func TestVersioned(t *testing.T) {
	r := newRig(t, true,
		lifecycle.Rule{ID: "1", Filter: lifecycle.Filter{Prefix: "a"}, Days: 2, NoncurrentDays: 3},
		lifecycle.Rule{ID: "2", Filter: lifecycle.Filter{Prefix: "n"}, NoncurrentDays: 1, NewerNoncurrent: 2},
		lifecycle.Rule{ID: "3", Filter: lifecycle.Filter{Prefix: "m"}, ExpiredMarker: true})
	r.put("a")
	for range 5 {
		r.put("n")
	}
	r.remove("m0")
	r.put("m1")
	r.remove("m1")
	r.remove("x") // no rule
	r.later(time.Hour)
	r.want("a* m1-* n***** x-")
	r.later(day)
	r.want("a* m1-* n*** x-")
	r.later(day)
	r.want("a-* m1-* n*** x-") // a expired on day 2
	r.later(3 * day)
	r.want("a-* m1-* n*** x-")
	r.later(2 * day)
	r.want("a- m1-* n*** x-")
	r.later(6 * time.Hour)
	r.want("m1-* n*** x-") // nothing was beneath the marker any more, and its days were over
}

// A locked version stays, and goes when its lock is over.
func TestLocked(t *testing.T) {
	r := newRig(t, true, lifecycle.Rule{ID: "1", Days: 1, NoncurrentDays: 1, ExpiredMarker: true})
	r.put("held", func(v *metadata.Version) { v.Lock.Hold = metadata.HoldOn })
	r.put("kept", func(v *metadata.Version) {
		v.Lock = metadata.Lock{Mode: metadata.LockGovernance, Until: r.now.Add(10 * day)}
	})
	r.put("free")
	r.later(day)
	r.want("free-* held-* kept-*")
	r.later(5 * day)
	r.later(6 * time.Hour)
	r.want("held-* kept-*")
	r.later(5 * day)
	r.later(6 * time.Hour)
	r.want("held-*")
}

func TestUploads(t *testing.T) {
	r := newRig(t, false, lifecycle.Rule{ID: "1", Filter: lifecycle.Filter{Prefix: "a/"}, AbortDays: 2})
	for _, k := range []string{"a/x", "b/x"} {
		if err := r.CreateUpload(t.Context(), "b", &metadata.Upload{Key: k}); err != nil {
			t.Fatal(err)
		}
	}
	uploads := func() int {
		page, err := r.ListUploads(t.Context(), "b", "", "", "", "", 10)
		if err != nil {
			t.Fatal(err)
		}
		return len(page.Entries)
	}
	r.later(day)
	if n := uploads(); n != 2 {
		t.Fatalf("%d uploads", n)
	}
	r.later(day)
	if n := uploads(); n != 1 {
		t.Fatalf("%d uploads", n)
	}
}

// stubborn changes the metadata between what the worker reads and what it removes.
type stubborn struct {
	*metadata.DB
	before func()
	fail   int // of the calls of DeleteMany from now on, this one fails; 0 none
}

var errPlanted = errors.New("planted")

func (s *stubborn) DeleteMany(ctx context.Context, bucket string, items []metadata.DeleteItem) ([]metadata.DeleteResult, error) {
	if s.before != nil {
		s.before()
	}
	if s.fail--; s.fail == 0 {
		return nil, errPlanted
	}
	return s.DB.DeleteMany(ctx, bucket, items)
}

// What changed since it was looked at is not removed.
func TestRaces(t *testing.T) {
	for _, versioned := range []bool{false, true} {
		r := newRig(t, versioned, lifecycle.Rule{ID: "1", Days: 1, NoncurrentDays: 1})
		r.put("k")
		r.w.Meta = &stubborn{DB: r.DB, before: func() { r.put("k") }}
		r.later(2 * day)
		if got := r.have(); got != map[bool]string{false: "k*", true: "k**"}[versioned] {
			t.Errorf("versioned %v: %q", versioned, got)
		}
	}
	// The current version is removed, and the one that was to be removed is current.
	r := newRig(t, true, lifecycle.Rule{ID: "1", NoncurrentDays: 1})
	r.put("k")
	newest := r.put("k")
	r.w.Meta = &stubborn{DB: r.DB, before: func() {
		if _, err := r.Delete(t.Context(), "b", "k", newest, metadata.Condition{}); err != nil {
			t.Fatal(err)
		}
	}}
	r.later(2 * day)
	r.want("k*")
}

// Fault model: the process ends at any call that removes something, and another one goes
// on from the place that was kept. In the end the same is gone as without faults, and what
// was done before is not looked at again.
func TestResume(t *testing.T) {
	for fail := 1; ; fail++ {
		r := newRig(t, true, lifecycle.Rule{ID: "1", Filter: lifecycle.Filter{Prefix: "k"}, NoncurrentDays: 1})
		for i := range 12 {
			for range 100 {
				r.put(fmt.Sprintf("k%02d", i))
			}
		}
		r.now = r.now.Add(2 * day)
		s := &stubborn{DB: r.DB, fail: fail}
		r.w.Meta = s
		_, err := r.w.Step(t.Context())
		failed := err != nil
		if failed && !errors.Is(err, errPlanted) {
			t.Fatal(err)
		}
		again := &lifecycle.Worker{Meta: &stubborn{DB: r.DB}, Rate: 1 << 30, Now: func() time.Time { return r.now }}
		if wait, err := again.Step(t.Context()); err != nil || wait <= 0 {
			t.Fatalf("fail %d: %v, %v", fail, wait, err)
		}
		var want []string
		for i := range 12 {
			want = append(want, fmt.Sprintf("k%02d*", i))
		}
		r.want(strings.Join(want, " "))
		if !failed {
			if fail < 12 {
				t.Errorf("%d removals; the test means to have more", fail)
			}
			return
		}
	}
}

// Random operations beside a model that knows the rules only by their words.
func TestModel(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		const days, noncurrent, newer = 3, 2, 1
		r := newRig(t, true, lifecycle.Rule{ID: "1", Days: days, NoncurrentDays: noncurrent, NewerNoncurrent: newer, ExpiredMarker: false})
		for range 60 {
			k := fmt.Sprint("k", rnd.IntN(4))
			switch rnd.IntN(4) {
			case 0:
				r.remove(k)
			case 1:
				r.later(time.Duration(rnd.IntN(40)) * time.Hour)
			default:
				r.put(k)
			}
		}
		r.later(6 * time.Hour) // a cycle is due
		checkModel(t, r, seed, days, noncurrent, newer)
	}
}

func checkModel(t *testing.T, r *rig, seed uint64, days, noncurrent, newer int) {
	page, err := r.ListVersions(t.Context(), "b", metadata.ListQuery{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	over := func(since time.Time, n int) bool {
		midnight := since.AddDate(0, 0, n).Truncate(day)
		if !midnight.Equal(since.AddDate(0, 0, n)) {
			midnight = midnight.AddDate(0, 0, 1)
		}
		return !r.now.Before(midnight)
	}
	byKey := map[string][]metadata.ListEntry{}
	for _, e := range page.Entries {
		byKey[e.Key] = append(byKey[e.Key], e)
	}
	for key, list := range byKey {
		if e := list[0]; !e.DeleteMarker && over(e.Modified, days) {
			t.Errorf("seed %d: %s is current since %v at %v", seed, key, e.Modified, r.now)
		}
		if len(list) == 1 && list[0].DeleteMarker && over(list[0].Modified, days) && r.now.Sub(list[0].Modified) > time.Duration(days+2)*day {
			t.Errorf("seed %d: %s is nothing but a marker since %v at %v", seed, key, list[0].Modified, r.now)
		}
		for i := 1; i < len(list); i++ {
			if i > newer && over(list[i-1].Modified, noncurrent) {
				t.Errorf("seed %d: %s has a version that is noncurrent since %v at %v", seed, key, list[i-1].Modified, r.now)
			}
		}
	}
}

// The worker lets nobody wait when it is stopped, and keeps to its rate.
func TestStop(t *testing.T) {
	r := newRig(t, false, lifecycle.Rule{ID: "1", Days: 1})
	for i := range 1100 {
		r.put(fmt.Sprint("k", i))
	}
	r.now = r.now.Add(5 * day)
	ctx, cancel := context.WithCancel(t.Context())
	w := &lifecycle.Worker{Meta: &stubborn{DB: r.DB, before: cancel}, Rate: 1, Now: func() time.Time { return r.now }}
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.Run(ctx)
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("the worker did not stop")
	}
	page, err := r.List(t.Context(), "b", metadata.ListQuery{Limit: 1000})
	if err != nil || len(page.Entries) == 0 {
		t.Errorf("the rate was not kept: %d are left, %v", len(page.Entries), err)
	}
	if !slices.IsSortedFunc(page.Entries, func(a, b metadata.ListEntry) int { return strings.Compare(a.Key, b.Key) }) {
		t.Error("listing out of order")
	}
}

// TestRulesTakenBack: a cycle takes hours, and removes nothing by rules that were taken back
// meanwhile: of the bucket under way from the next page on, of others at all.
func TestRulesTakenBack(t *testing.T) {
	r := newRig(t, false, lifecycle.Rule{Days: 1})
	for i := range metadata.MaxListPage + 500 {
		r.put(fmt.Sprintf("%05d", i))
	}
	if _, err := r.MakeBucket(t.Context(), metadata.Bucket{Name: "c"}); err != nil {
		t.Fatal(err)
	}
	r.rules("c", lifecycle.Rule{Days: 1})
	if _, err := r.Put(t.Context(), "c", &metadata.Version{Key: "k", ID: r.NewVersionID(), Modified: r.now}, metadata.Condition{}); err != nil {
		t.Fatal(err)
	}
	r.w.Meta = &stubborn{DB: r.DB, before: func() {
		for _, bucket := range []string{"b", "c"} {
			if err := r.SetBucketConfig(t.Context(), bucket, lifecycle.ConfigName, ""); err != nil {
				t.Error(err)
			}
		}
	}}
	r.later(3 * day)
	page, err := r.List(t.Context(), "b", metadata.ListQuery{Limit: metadata.MaxListPage})
	if err != nil || len(page.Entries) != 500 {
		t.Errorf("%d objects are left, %v", len(page.Entries), err)
	}
	if _, _, err := r.Get(t.Context(), "c", "k", ""); err != nil {
		t.Errorf("the other bucket's: %v", err)
	}
}

// TestBrokenBucketIsPassed: a bucket that fails for ever, of which much was done before it
// failed, does not keep the rules from buckets that come before it by name.
func TestBrokenBucketIsPassed(t *testing.T) {
	r := newRig(t, false, lifecycle.Rule{ID: "r", Days: 1})
	for i := range 2*metadata.MaxListPage + 1 {
		r.put(fmt.Sprintf("keep/%04d", i), func(v *metadata.Version) { v.Modified = r.now.Add(100 * day) })
	}
	r.put("last")
	if _, err := r.MakeBucket(t.Context(), metadata.Bucket{Name: "a"}); err != nil {
		t.Fatal(err)
	}
	r.rules("a", lifecycle.Rule{ID: "r", Days: 1})
	r.w.Meta = &brokenBucket{r.DB}
	for i := range 3 {
		key := fmt.Sprint("k", i)
		if _, err := r.Put(t.Context(), "a", &metadata.Version{Key: key, ID: r.NewVersionID(), Modified: r.now}, metadata.Condition{}); err != nil {
			t.Fatal(err)
		}
		r.now = r.now.Add(3 * day)
		if _, err := r.w.Step(t.Context()); !errors.Is(err, errPlanted) {
			t.Fatal(err)
		}
		if _, _, err := r.Get(t.Context(), "a", key, ""); !errors.Is(err, metadata.ErrNoSuchKey) {
			t.Fatalf("%s is there after step %d: %v", key, i, err)
		}
	}
}

// brokenBucket removes nothing from bucket b.
type brokenBucket struct{ *metadata.DB }

func (m *brokenBucket) DeleteMany(ctx context.Context, bucket string, items []metadata.DeleteItem) ([]metadata.DeleteResult, error) {
	if bucket == "b" {
		return nil, errPlanted
	}
	return m.DB.DeleteMany(ctx, bucket, items)
}

// counting counts cycles.
type counting struct {
	*metadata.DB
	n int
}

func (c *counting) Buckets(ctx context.Context) ([]metadata.Bucket, error) {
	c.n++
	return c.DB.Buckets(ctx)
}

// TestBrokenBucket: a bucket that fails for ever does not have all others looked at each minute.
func TestBrokenBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, false, lifecycle.Rule{ID: "r", Days: 1})
		if err := r.SetBucketConfig(t.Context(), "b", lifecycle.ConfigName, "broken"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 6*time.Hour)
		defer cancel()
		c := &counting{DB: r.DB}
		w := &lifecycle.Worker{Meta: c}
		w.Run(ctx)
		if c.n < 3 || c.n > 20 {
			t.Errorf("%d cycles in six hours", c.n)
		}
	})
}
