package s3load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// marker is an object that says that this tool created the bucket and so may remove it.
const marker = root + "created-by-weft-bench"

// progressEvery is how often long preparations tell how far they are.
const progressEvery = 2 * time.Second

func statusOf(err error) int {
	var s *StatusError
	if errors.As(err, &s) {
		return s.Status
	}
	return 0
}

// ensureBucket creates the bucket unless it is there.
func (w *worker) ensureBucket() error {
	w.prepareRequest("HEAD", "")
	_, err := w.do(w.ctx, &w.req, nil)
	if err == nil {
		return nil
	}
	if statusOf(err) != 404 {
		return fmt.Errorf("head bucket: %w", err)
	}
	w.prepareRequest("PUT", "")
	if w.t.region != "us-east-1" { // that region has no name here
		w.setXML([]byte("<CreateBucketConfiguration><LocationConstraint>" + w.t.region +
			"</LocationConstraint></CreateBucketConfiguration>"))
	}
	if _, err := w.do(w.ctx, &w.req, nil); err != nil {
		return fmt.Errorf("create bucket: %w", err)
	}
	w.key = append(w.key[:0], marker...)
	_, err = w.put(0)
	return err
}

// parallel calls fn for 0 … n-1 on the workers and returns the first error; progress is told as what.
func (r *runner) parallel(ctx context.Context, ws []*worker, n int, what string, fn func(w *worker, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next, finished atomic.Int64
	var wg sync.WaitGroup
	last := time.Now()
	for id, w := range ws[:min(len(ws), n)] {
		wg.Go(func() {
			w.ctx = ctx
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := fn(w, i); err != nil {
					cancel(err)
					return
				}
				done := finished.Add(1)
				if id == 0 && time.Since(last) > progressEvery {
					last = time.Now()
					r.progress("%s: %d of %d", what, done, n)
				}
			}
		})
	}
	wg.Wait()
	if int(finished.Load()) < n {
		return fmt.Errorf("%s: %w", what, context.Cause(ctx))
	}
	return nil
}

// ensureKeys writes those objects of the set that are not there, or not of the right size.
func (r *runner) ensureKeys(ctx context.Context, e *endpoint, set keySet) error {
	if set.count == 0 {
		return nil
	}
	have := make([]bool, set.count)
	w := e.workers[0]
	w.ctx = ctx
	for token := ""; ; {
		p, err := w.listPage(set.prefix, token, 1000)
		if err != nil {
			return err
		}
		l, err := parseListing(w.xml)
		if err != nil {
			return fmt.Errorf("list %s: %w", set.prefix, err)
		}
		for _, o := range l.Contents {
			if i := set.index([]byte(o.Key)); i >= 0 && o.Size == set.size {
				have[i] = true
			}
		}
		if token = p.next; token == "" {
			break
		}
	}
	var missing []int
	for i, ok := range have {
		if !ok {
			missing = append(missing, i)
		}
	}
	what := fmt.Sprintf("%s: prepare %s", e.t.ep.Name, set.prefix)
	return r.parallel(ctx, e.workers, len(missing), what, func(w *worker, i int) error {
		w.key = set.append(w.key[:0], missing[i])
		if set.size > MaxSinglePut {
			_, err := w.upload(set.size)
			return err
		}
		_, err := w.put(set.size)
		return err
	})
}

// purge deletes everything below prefix, which must be below root.
func (r *runner) purge(ctx context.Context, e *endpoint, prefix string) error {
	w := e.workers[0]
	var deleted int
	for before := ""; ; {
		w.ctx = ctx
		if _, err := w.listPage(prefix, "", 1000); err != nil {
			return err
		}
		l, err := parseListing(w.xml)
		if err != nil {
			return fmt.Errorf("list %s: %w", prefix, err)
		}
		if len(l.Contents) == 0 {
			return nil
		}
		keys := make([]string, len(l.Contents))
		for i, o := range l.Contents {
			keys[i] = o.Key
		}
		if keys[0] == before {
			return fmt.Errorf("%s: %s is still there after its deletion", e.t.ep.Name, before)
		}
		before = keys[0]
		const batch = 125 // eight requests at a time empty a page
		n := (len(keys) + batch - 1) / batch
		what := fmt.Sprintf("%s: delete %s", e.t.ep.Name, prefix)
		err = r.parallel(ctx, e.workers, n, what, func(w *worker, i int) error {
			return w.deleteKeys(keys[i*batch : min((i+1)*batch, len(keys))])
		})
		if err != nil {
			return err
		}
		if deleted += len(keys); deleted%20000 < 1000 && deleted > 20000 {
			r.progress("%s: %d", what, deleted)
		}
	}
}

// cleanup removes what this tool wrote, and the bucket if this tool made it.
func (r *runner) cleanup(ctx context.Context, e *endpoint) error {
	w := e.workers[0]
	w.ctx = ctx
	w.key = append(w.key[:0], marker...)
	_, err := w.simple("HEAD")
	if err != nil && statusOf(err) != 404 {
		return err
	}
	ours := err == nil
	if err := r.purge(ctx, e, root); err != nil {
		return err
	}
	if !ours {
		return nil
	}
	w.ctx = ctx
	w.prepareRequest("DELETE", "")
	if _, err := w.do(ctx, &w.req, nil); err != nil {
		return fmt.Errorf("delete bucket: %w", err)
	}
	return nil
}
