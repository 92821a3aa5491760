package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/weftstore/weft/internal/pause"
	"github.com/weftstore/weft/metadata"
)

// Metadata is what a Worker reads and changes; *metadata.DB is it.
type Metadata interface {
	Buckets(ctx context.Context) ([]metadata.Bucket, error)
	Bucket(ctx context.Context, name string) (*metadata.Bucket, error)
	ListVersions(ctx context.Context, bucket string, q metadata.ListQuery) (*metadata.ListPage, error)
	Get(ctx context.Context, bucket, key, versionID string) (*metadata.Version, *metadata.Bucket, error)
	DeleteMany(ctx context.Context, bucket string, items []metadata.DeleteItem) ([]metadata.DeleteResult, error)
	ListUploads(ctx context.Context, bucket, prefix, delimiter, keyMarker, uploadMarker string, limit int) (*metadata.UploadPage, error)
	Abort(ctx context.Context, bucket, key string, id metadata.UploadID) error
	Places
}

// Places keeps the worker's place.
type Places interface {
	ViewEntities(ctx context.Context, fn func(metadata.EntityReader) error) error
	UpdateEntities(ctx context.Context, fn func(metadata.EntityTxn) error) error
}

const (
	// DefaultRate is how many versions and uploads are looked at in a second.
	DefaultRate = 5000
	// maxEvery is the time between the beginnings of cycles; a shorter Day makes it a
	// quarter of that.
	maxEvery = 6 * time.Hour
	// page is how many records are read in one transaction, batch how many removed.
	page  = metadata.MaxListPage
	batch = 100
)

// Worker applies the rules of all buckets. Meta must be set.
type Worker struct {
	Meta Metadata
	Day  time.Duration    // 0: 24 h. For tests
	Rate int              // records in a second; 0: DefaultRate
	Now  func() time.Time // nil: time.Now
	Log  *slog.Logger     // nil discards
}

// place is how far a cycle has come. What is before Key in Bucket, and all buckets before
// it by name, are done.
type place struct {
	Version int       `json:"version"`
	Started time.Time `json:"started"`
	Bucket  string    `json:"bucket,omitempty"`
	Key     string    `json:"key,omitempty"`
	Done    bool      `json:"done"`
}

const (
	placeKind = 'L'
	placeName = "place"
)

// Run applies the rules until ctx ends.
func (w *Worker) Run(ctx context.Context) {
	again := time.Minute // after a failure, longer each time
	for ctx.Err() == nil {
		wait, err := w.Step(ctx)
		if err != nil && ctx.Err() == nil {
			w.log().Warn("lifecycle rules were not all applied", "err", err)
		}
		if err != nil {
			wait = min(w.every(), again)
			again = min(2*again, maxEvery)
		} else {
			again = time.Minute
		}
		_ = pause.For(ctx, wait) // the loop looks at ctx
	}
}

// Step goes on with the cycle under way, or begins the next when it is time, and returns
// how long there is nothing to do.
func (w *Worker) Step(ctx context.Context) (time.Duration, error) {
	p, err := w.load(ctx)
	if err != nil {
		return 0, err
	}
	now := w.now()
	if p.Done {
		if wait := p.Started.Add(w.every()).Sub(now); wait > 0 && wait <= w.every() {
			return wait, nil
		}
		p = place{}
	}
	if p.Started.IsZero() {
		p = place{Version: 1, Started: now}
	}
	if err := w.cycle(ctx, &p); err != nil {
		return 0, err
	}
	p.Done, p.Bucket, p.Key = true, "", ""
	return max(p.Started.Add(w.every()).Sub(w.now()), 0), w.save(ctx, &p)
}

func (w *Worker) cycle(ctx context.Context, p *place) error {
	buckets, err := w.Meta.Buckets(ctx)
	if err != nil {
		return err
	}
	slices.SortFunc(buckets, func(a, b metadata.Bucket) int { return strings.Compare(a.Name, b.Name) })
	var errs []error
	for i := range buckets {
		b := &buckets[i]
		if b.Name < p.Bucket || b.Configs[ConfigName] == "" {
			continue
		}
		if b.Name > p.Bucket {
			p.Bucket, p.Key = b.Name, ""
		}
		if err := w.bucket(ctx, b, p); err != nil {
			if ctx.Err() != nil {
				return err
			}
			errs = append(errs, fmt.Errorf("bucket %s: %w", b.Name, err)) // the others are not its fault
		}
	}
	if len(errs) == 0 {
		return nil
	}
	// The cycle is not done until none fails, and buckets before the place must not wait for that.
	p.Bucket, p.Key = "", ""
	return errors.Join(append(errs, w.save(ctx, p))...)
}

func (w *Worker) bucket(ctx context.Context, b *metadata.Bucket, p *place) error {
	// The list of buckets may be hours old.
	b, err := w.Meta.Bucket(ctx, b.Name)
	if err != nil {
		return ignore(err, metadata.ErrNoSuchBucket)
	}
	if b.Configs[ConfigName] == "" {
		return nil
	}
	rules, err := Parse(b.Configs[ConfigName])
	if err != nil {
		return err
	}
	rules = slices.DeleteFunc(rules, func(r Rule) bool { return r.Disabled })
	if err := w.uploads(ctx, b, rules); err != nil {
		return err
	}
	s := &scan{w: w, of: b, bucket: b.Name, rules: rules, now: w.now(), place: p}
	err = s.run(ctx)
	if s.removed > 0 {
		w.log().Info("lifecycle rules applied", "bucket", b.Name, "removed", s.removed)
	}
	if errors.Is(err, metadata.ErrNoSuchBucket) {
		return nil
	}
	return err
}

// changed says that a bucket has other rules by now than those that were read. The next cycle
// applies them.
func (w *Worker) changed(ctx context.Context, b *metadata.Bucket) (bool, error) {
	now, err := w.Meta.Bucket(ctx, b.Name)
	if err != nil {
		return errors.Is(err, metadata.ErrNoSuchBucket), ignore(err, metadata.ErrNoSuchBucket)
	}
	return now.ID != b.ID || now.Configs[ConfigName] != b.Configs[ConfigName], nil
}

// uploads aborts those that are due.
func (w *Worker) uploads(ctx context.Context, b *metadata.Bucket, rules Config) error {
	rules = slices.DeleteFunc(slices.Clone(rules), func(r Rule) bool { return r.AbortDays == 0 })
	prefix, some := rules.prefix()
	if !some {
		return nil
	}
	now, cal := w.now(), w.calendar()
	key, upload := "", ""
	for {
		if other, err := w.changed(ctx, b); other || err != nil {
			return err
		}
		begun := time.Now()
		list, err := w.Meta.ListUploads(ctx, b.Name, prefix, "", key, upload, page)
		if err != nil {
			return ignore(err, metadata.ErrNoSuchBucket)
		}
		for i := range list.Entries {
			u := list.Entries[i].Upload
			if r, at := rules.aborts(u.Key, u.Initiated, cal); r == nil || now.Before(at) {
				continue
			}
			if err := w.Meta.Abort(ctx, b.Name, u.Key, u.ID); ignore(err, metadata.ErrNoSuchUpload, metadata.ErrNoSuchBucket) != nil {
				return err
			}
		}
		if !list.Truncated {
			return nil
		}
		key, upload = list.NextKey, list.NextUpload
		if err := w.throttle(ctx, len(list.Entries), begun); err != nil {
			return err
		}
	}
}

// ignore is err unless it is one of those.
func ignore(err error, those ...error) error {
	for _, e := range those {
		if errors.Is(err, e) {
			return nil
		}
	}
	return err
}

// throttle waits until n records may have taken as long as they did.
func (w *Worker) throttle(ctx context.Context, n int, begun time.Time) error {
	rate := w.Rate
	if rate <= 0 {
		rate = DefaultRate
	}
	return pause.For(ctx, time.Duration(n)*time.Second/time.Duration(rate)-time.Since(begun))
}

func (w *Worker) load(ctx context.Context) (p place, err error) {
	var raw []byte
	err = w.Meta.ViewEntities(ctx, func(r metadata.EntityReader) (err error) {
		raw, err = r.Get(placeKind, "", placeName)
		return err
	})
	if err != nil || raw == nil {
		return p, err
	}
	if json.Unmarshal(raw, &p) != nil || p.Version != 1 {
		return place{}, nil // a cycle from the beginning is always right
	}
	return p, nil
}

func (w *Worker) save(ctx context.Context, p *place) error {
	raw, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return w.Meta.UpdateEntities(ctx, func(t metadata.EntityTxn) error { return t.Put(placeKind, "", placeName, raw) })
}

func (w *Worker) now() time.Time {
	if w.Now == nil {
		return time.Now()
	}
	return w.Now()
}

func (w *Worker) log() *slog.Logger {
	if w.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return w.Log
}

func (w *Worker) calendar() calendar { return calendar{w.Day} }

func (w *Worker) every() time.Duration {
	if w.Day > 0 {
		return min(w.Day/4, maxEvery)
	}
	return maxEvery
}
