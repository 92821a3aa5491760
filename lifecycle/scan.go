package lifecycle

import (
	"context"
	"errors"
	"time"

	"github.com/weftstore/weft/metadata"
)

// scan goes through the versions of one bucket, which come by key and newest first.
type scan struct {
	w      *Worker
	of     *metadata.Bucket // as it was when rules were read
	bucket string
	rules  Config
	now    time.Time
	place  *place

	// Of the key under way:
	key        string
	newer      time.Time // when the version before was made: since then the next is noncurrent
	noncurrent int       // versions seen
	marker     *metadata.ListEntry

	items   []metadata.DeleteItem
	removed int
}

func (s *scan) run(ctx context.Context) error {
	prefix, some := s.rules.prefix()
	if !some {
		return nil
	}
	q := metadata.ListQuery{Prefix: prefix, After: s.place.Key, Limit: page}
	for {
		if other, err := s.w.changed(ctx, s.of); other || err != nil {
			return err
		}
		begun := time.Now()
		list, err := s.w.Meta.ListVersions(ctx, s.bucket, q)
		if err != nil {
			return err
		}
		for i := range list.Entries {
			if err := s.version(ctx, &list.Entries[i]); err != nil {
				return err
			}
		}
		if !list.Truncated {
			s.soleMarker()
			return s.flush(ctx)
		}
		if err := s.flush(ctx); err != nil {
			return err
		}
		if err := s.keepPlace(ctx, q.After); err != nil {
			return err
		}
		q.After, q.AfterVersion = list.Next, list.NextVersion
		if err := s.w.throttle(ctx, len(list.Entries), begun); err != nil {
			return err
		}
	}
}

// keepPlace saves the last key that is wholly done.
func (s *scan) keepPlace(ctx context.Context, before string) error {
	// The key under way may go on in the next page.
	if before == "" || s.key == before || s.place.Key == before {
		return nil
	}
	s.place.Key = before
	return s.w.save(ctx, s.place)
}

func (s *scan) version(ctx context.Context, e *metadata.ListEntry) error {
	if e.Key != s.key || e.Latest {
		s.soleMarker()
		s.key, s.noncurrent = e.Key, 0
	} else {
		s.marker = nil // something is beneath it
	}
	defer func() { s.newer = e.Modified }()
	switch {
	case !e.Latest:
		return s.old(ctx, e)
	case e.DeleteMarker:
		own := *e
		s.marker = &own
		return nil
	}
	return s.current(ctx, e)
}

// due says whether any rule for the version is, when asking the rule gives a time.
func (s *scan) due(ctx context.Context, e *metadata.ListEntry, when func(*Rule) (time.Time, bool)) (bool, error) {
	o := &object{key: e.Key, size: e.Size, tags: func() (map[string]string, error) {
		if e.DeleteMarker {
			return nil, nil
		}
		v, _, err := s.w.Meta.Get(ctx, s.bucket, e.Key, e.VersionID())
		if err != nil || v.ID != e.ID {
			return nil, ignore(err, metadata.ErrNoSuchVersion, metadata.ErrNoSuchKey)
		}
		return v.Tags, nil
	}}
	for i := range s.rules {
		r := &s.rules[i]
		at, ok := when(r)
		if !ok || s.now.Before(at) {
			continue
		}
		if ok, err := r.Filter.matches(o); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

func (s *scan) current(ctx context.Context, e *metadata.ListEntry) error {
	due, err := s.due(ctx, e, func(r *Rule) (time.Time, bool) { return r.expires(e.Modified, s.w.calendar()) })
	if err != nil || !due {
		return err
	}
	return s.remove(ctx, e, "")
}

func (s *scan) old(ctx context.Context, e *metadata.ListEntry) error {
	before := s.noncurrent
	s.noncurrent++
	due, err := s.due(ctx, e, func(r *Rule) (time.Time, bool) {
		return s.w.calendar().after(s.newer, r.NoncurrentDays), r.NoncurrentDays > 0 && before >= r.NewerNoncurrent
	})
	if err != nil || !due {
		return err
	}
	return s.remove(ctx, e, e.VersionID())
}

// soleMarker removes the marker of the key that ended, if nothing is beneath it.
func (s *scan) soleMarker() {
	m := s.marker
	if s.marker = nil; m == nil {
		return
	}
	for i := range s.rules {
		r := &s.rules[i]
		at, ok := r.expires(m.Modified, s.w.calendar())
		if !r.ExpiredMarker && (!ok || s.now.Before(at)) {
			continue
		}
		if ok, _ := r.Filter.matches(&object{key: m.Key, tags: func() (map[string]string, error) { return nil, nil }}); ok {
			s.items = append(s.items, metadata.DeleteItem{Key: m.Key, VersionID: m.VersionID(), Cond: metadata.Condition{ID: m.ID}})
			return
		}
	}
}

// remove queues the removal of just this version, and of a noncurrent one only while it
// is that.
func (s *scan) remove(ctx context.Context, e *metadata.ListEntry, id string) error {
	s.items = append(s.items, metadata.DeleteItem{Key: e.Key, VersionID: id, Cond: metadata.Condition{ID: e.ID, Noncurrent: id != ""}})
	if len(s.items) < batch {
		return nil
	}
	return s.flush(ctx)
}

func (s *scan) flush(ctx context.Context) error {
	for len(s.items) > 0 {
		n := min(len(s.items), batch)
		results, err := s.w.Meta.DeleteMany(ctx, s.bucket, s.items[:n])
		if err != nil {
			return err
		}
		s.items = s.items[n:]
		var errs []error
		for i := range results {
			switch err := results[i].Err; {
			case err == nil:
				s.removed++
			default:
				// Locked, replaced or gone: the next cycle looks again.
				errs = append(errs, ignore(err, metadata.ErrLocked, metadata.ErrPrecondition, metadata.ErrNoSuchKey))
			}
		}
		if err := errors.Join(errs...); err != nil {
			return err
		}
	}
	return nil
}
