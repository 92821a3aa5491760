package etcdkv

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/metadata/internal/overlay"
)

const (
	guessRuns  = 3  // runs of one transaction that may guess
	maxGuesses = 4  // guesses of absence that a commit may carry
	takeAlong  = 64 // keys that a refused commit reads again
	maxBackoff = 200 * time.Millisecond
)

// View implements metadata.KV. fn may be run more than once.
func (d *DB) View(ctx context.Context, fn func(metadata.Reader) error) error {
	if err := d.begin(ctx); err != nil {
		return err
	}
	a := d.attempt(ctx, false)
	for run := 0; ; run++ {
		a.guess = run < guessRuns
		err := fn(a)
		if a.err != nil {
			return a.err
		}
		serr := a.settle()
		if serr == nil {
			return err
		}
		if !a.wrong {
			return serr
		}
		d.stats.reruns.Add(1)
		a.reset()
	}
}

// Update implements metadata.KV.
func (d *DB) Update(ctx context.Context, fn func(metadata.Txn) error) error {
	if err := d.begin(ctx); err != nil {
		return err
	}
	if f := d.fenceOf(ctx); f != nil && f.Created == 0 {
		return metadata.ErrFenced
	}
	a := d.attempt(ctx, true)
	var buf overlay.Buffer
	conflicts := 0
	for run := 0; ; run++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		buf.Reset()
		a.guess = run < guessRuns
		err := fn(&overlay.Txn{Base: a, Buf: &buf})
		if errors.Is(a.err, ErrSnapshotGone) {
			a.restart()
			continue
		}
		if a.err != nil {
			return a.err
		}
		if err != nil || buf.Len() == 0 || a.wrong || a.absent > maxGuesses {
			serr := a.settle()
			if a.wrong {
				d.stats.reruns.Add(1)
				a.reset()
				continue
			}
			if errors.Is(serr, ErrSnapshotGone) {
				a.restart()
				continue
			}
			if serr != nil {
				return serr
			}
			if err != nil || buf.Len() == 0 {
				return err
			}
		}
		done, err := d.commit(ctx, a, &buf)
		if done || err != nil {
			return err
		}
		d.stats.conflicts.Add(1)
		a.reset()
		if conflicts++; conflicts > 1 {
			if err := backoff(ctx, conflicts); err != nil {
				return err
			}
		}
	}
}

// backoff waits for a random time that grows with try.
func backoff(ctx context.Context, try int) error {
	limit := min(time.Millisecond<<min(try, 10), maxBackoff)
	t := time.NewTimer(rand.N(limit))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// commit reports whether it was done. Not done without an error means that the
// function is to be run again; a then knows no more than is true.
func (d *DB) commit(ctx context.Context, a *attempt, buf *overlay.Buffer) (done bool, err error) {
	var mk *marker
	err = d.patiently(ctx, func() (err error) { mk, err = d.markers.get(ctx); return err })
	if err != nil {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		return false, d.explain("make marker", err)
	}
	c, keys, err := d.makeCommit(a, buf, mk, d.fenceOf(ctx))
	if err != nil {
		d.markers.put(mk)
		return false, err
	}
	_ = buf.Each(func(key, _ []byte) error { d.recent.drop(key); return nil })
	// From here on the outcome is waited for.
	resp, err := d.sendCommit(c)
	switch {
	case err == nil && resp.Succeeded:
		mk.mod = resp.Header.Revision
		d.markers.put(mk)
		return true, nil
	case errors.Is(err, errDown): // it was not sent
		d.markers.put(mk)
		return false, d.explain("commit", err)
	case err == nil:
		return false, d.refused(a, mk, keys, resp, d.fenceOf(ctx))
	case errors.Is(err, rpctypes.ErrFutureRev):
		d.markers.put(mk)
		for k := range a.read {
			d.recent.drop([]byte(k))
		}
		a.restart()
		return false, nil
	}
	a.restart()
	return d.outcome(ctx, mk, err)
}

// outcome finds out what became of a commit that returned err.
func (d *DB) outcome(ctx context.Context, mk *marker, err error) (done bool, _ error) {
	done, rerr := d.settleMarker(context.WithoutCancel(ctx), mk)
	if rerr != nil {
		return false, fmt.Errorf("etcdkv: commit: %w: %v; then: %v", metadata.ErrUnknown, err, rerr)
	}
	d.stats.resolved.Add(1)
	if done {
		return true, nil
	}
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if errors.Is(err, rpctypes.ErrTooManyRequests) {
		return false, nil // the next run waits
	}
	switch code(err) {
	case codes.InvalidArgument, codes.PermissionDenied, codes.Unauthenticated, codes.ResourceExhausted,
		codes.FailedPrecondition, codes.Unimplemented, codes.OutOfRange:
		return false, d.explain("commit", err)
	}
	if d.closed.Load() {
		return false, metadata.ErrClosed
	}
	return false, nil
}

// makeCommit makes the transaction, and tells which keys its failure reads again.
func (d *DB) makeCommit(a *attempt, buf *overlay.Buffer, mk *marker, f *Fence) (*commit, []string, error) {
	c := &commit{reads: a.read, spans: a.spans, size: buf.Size()}
	for k := range a.read {
		c.size += 2 * (len(d.data) + len(k)) // compared, and read again when it is refused
	}
	for _, s := range a.spans {
		c.size += len(s.from) + len(s.to)
	}
	cmps := make([]clientv3.Cmp, 0, len(a.read)+len(a.spans)+2)
	cmps = append(cmps, clientv3.Compare(clientv3.ModRevision(mk.key), "=", mk.mod))
	again := []clientv3.Op{clientv3.OpGet(mk.key)}
	if f != nil {
		cmps = append(cmps, clientv3.Compare(clientv3.CreateRevision(f.Key), "=", f.Created))
		again = append(again, clientv3.OpGet(f.Key, clientv3.WithKeysOnly()))
	}
	first := len(cmps) // what no nested transaction may be left to find out
	for k, mod := range a.read {
		cmps = append(cmps, clientv3.Compare(clientv3.ModRevision(d.data+k), "=", mod))
	}
	for _, s := range a.spans {
		cmps = append(cmps, clientv3.Compare(clientv3.ModRevision(s.from).WithRange(s.to), "<", a.rev+1))
	}
	writes := []clientv3.Op{clientv3.OpPut(mk.key, "", clientv3.WithLease(mk.lease))}
	_ = buf.Each(func(key, value []byte) error {
		c.writes = append(c.writes, string(key))
		if value == nil {
			writes = append(writes, clientv3.OpDelete(d.data+string(key)))
		} else {
			writes = append(writes, clientv3.OpPut(d.data+string(key), string(value)))
		}
		return nil
	})
	if len(cmps) <= flat && len(writes) <= flat {
		var keys []string
		if len(a.read) <= takeAlong && len(a.spans) == 0 {
			for k := range a.read {
				keys = append(keys, k)
				again = append(again, clientv3.OpGet(d.data+k))
			}
		}
		c.op = clientv3.OpTxn(cmps, writes, again)
		c.size += opBytes * (len(cmps) + len(writes) + len(again))
		c.alone = len(cmps) > maxCommitOps || len(writes) > maxCommitOps || len(again) > maxCommitOps
		return c, keys, nil
	}
	ops := append(guards(cmps[first:], mk.key), writes...)
	if len(ops) > fan*fan*fan {
		return nil, nil, fmt.Errorf("etcdkv: transaction of %d reads and %d writes: %w", len(a.read), len(writes), metadata.ErrTooLarge)
	}
	c.op, c.alone = clientv3.OpTxn(cmps[:first], nest(ops, fan), again), true
	return c, nil, nil
}

// refused takes what a commit read when its comparisons failed as the next snapshot,
// or says that it was the fence.
func (d *DB) refused(a *attempt, mk *marker, keys []string, resp *clientv3.TxnResponse, f *Fence) error {
	got := ranges(nil, resp.Responses)
	if len(got[0].Kvs) > 0 {
		d.markers.put(mk)
	} else {
		d.markers.ended(mk.lease)
	}
	for k := range a.read {
		d.recent.drop([]byte(k))
	}
	a.restart()
	if f != nil {
		if kvs := got[1].Kvs; len(kvs) == 0 || kvs[0].CreateRevision != f.Created {
			return metadata.ErrFenced
		}
		got = got[1:]
	}
	if len(keys) == 0 {
		return nil
	}
	a.rev = resp.Header.Revision
	list := make([]*clientv3.GetResponse, 0, len(keys))
	for _, r := range got[1:] {
		list = append(list, (*clientv3.GetResponse)(r))
	}
	_ = a.learn(keys, list)
	return nil
}

// settleMarker makes sure that a commit under mk has happened or cannot any more,
// and reports which.
func (d *DB) settleMarker(ctx context.Context, mk *marker) (committed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, d.resolve)
	defer cancel()
	op := clientv3.OpTxn(
		[]clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(mk.key), "=", mk.mod)},
		[]clientv3.Op{clientv3.OpDelete(mk.key)},
		[]clientv3.Op{clientv3.OpGet(mk.key)})
	for try := 1; ; try++ {
		resp, err := d.do(ctx, op)
		if err == nil {
			if resp.Txn().Succeeded {
				return false, nil
			}
			if len(resp.Txn().Responses[0].GetResponseRange().Kvs) > 0 {
				d.dropMarker(ctx, mk)
				return true, nil
			}
			// Gone: an earlier try deleted it and its answer was lost.
			if !d.markers.held(mk) {
				return false, errors.New("the lease of the marker ended")
			}
			return false, nil
		}
		if d.closed.Load() || backoff(ctx, try) != nil {
			return false, err
		}
	}
}

// dropMarker deletes a marker that is not used again, as good as it can.
func (d *DB) dropMarker(ctx context.Context, mk *marker) { _, _ = d.do(ctx, clientv3.OpDelete(mk.key)) }
