package etcdkv

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
)

// entry is what a key holds: mod is its mod revision, 0 when it is absent.
type entry struct {
	value []byte // not nil unless absent
	mod   int64
}

// attempt is one run of a transaction's function, and its metadata.Reader. It
// belongs to one goroutine.
type attempt struct {
	d      *DB
	ctx    context.Context
	update bool // reads are recorded
	guess  bool // that unknown keys are absent

	rev     int64            // of the snapshot, 0 before the first read
	known   map[string]entry // at rev
	read    map[string]int64 // mod revisions that the function saw, for the commit
	guesses map[string]entry // that the function saw and that are not compared yet
	absent  int              // guesses of absence
	spans   []span

	wrong bool  // a guess was: run again
	err   error // of etcd
}

// span is a range that was read from its beginning to its end.
type span struct{ from, to string }

// errAgain stops a function that was given a wrong guess.
var errAgain = errors.New("etcdkv: run again")

func (d *DB) attempt(ctx context.Context, update bool) *attempt {
	return &attempt{d: d, ctx: ctx, update: update, known: map[string]entry{}}
}

// reset readies a for another run on what is known.
func (a *attempt) reset() {
	a.read, a.guesses, a.spans, a.absent, a.wrong, a.err = nil, nil, nil, 0, false, nil
}

// restart forgets the snapshot too.
func (a *attempt) restart() {
	a.reset()
	a.rev = 0
	clear(a.known)
}

func (a *attempt) stop() error {
	if a.wrong {
		return errAgain
	}
	return a.err
}

func (a *attempt) saw(key string, mod int64) {
	if !a.update {
		return
	}
	if a.read == nil {
		a.read = map[string]int64{}
	}
	if old, ok := a.read[key]; ok && old != mod {
		// A scan met a key of which a guess was given before.
		a.wrong = true
		a.d.recent.drop([]byte(key))
	}
	a.read[key] = mod
}

func (a *attempt) guessed(key string, e entry) []byte {
	if a.guesses == nil {
		a.guesses = map[string]entry{}
	}
	a.guesses[key] = e
	a.saw(key, e.mod)
	return e.value
}

// Get implements metadata.Reader.
func (a *attempt) Get(key []byte) ([]byte, error) {
	if err := a.stop(); err != nil {
		return nil, err
	}
	k := string(key)
	if e, ok := a.known[k]; ok {
		a.saw(k, e.mod)
		return e.value, nil
	}
	if e, ok := a.guesses[k]; ok {
		return e.value, nil
	}
	if e, ok := a.d.recent.get(key); ok && a.guess {
		return a.guessed(k, e), nil
	}
	if a.guess && a.update && a.rev != 0 {
		a.absent++
		return a.guessed(k, entry{}), nil
	}
	if _, err := a.fetch([]string{k}, nil); err != nil {
		if a.stop() == nil {
			err = a.failed(err)
		}
		return nil, err
	}
	e := a.known[k]
	a.saw(k, e.mod)
	return e.value, nil
}

// fetch reads keys, and what op gives if it is not nil, at rev. The read that pins
// rev takes the guesses along and compares them.
func (a *attempt) fetch(keys []string, op *clientv3.Op) (*clientv3.GetResponse, error) {
	if a.rev == 0 {
		for k := range a.guesses {
			keys = append(keys, k)
		}
	}
	if a.rev == 0 && op == nil && len(keys) <= maxAlike {
		got, err := a.first(keys)
		if err != nil {
			return nil, err
		}
		return nil, a.learn(keys, got)
	}
	var ops []clientv3.Op
	if op != nil {
		ops = append(ops, *op)
	}
	got, err := a.send(a.gets(ops, keys))
	if err != nil {
		return nil, err
	}
	if op == nil {
		return nil, a.learn(keys, got)
	}
	return got[0], a.learn(keys, got[1:])
}

// first reads keys with what others read at this time, unless that is more than a message holds.
func (a *attempt) first(keys []string) (got []*clientv3.GetResponse, err error) {
	var rev int64
	err = a.d.patiently(a.ctx, func() (err error) {
		got, rev, err = a.d.readTogether(a.ctx, keys)
		return err
	})
	if code(err) == codes.ResourceExhausted && a.ctx.Err() == nil {
		return a.send(a.gets(nil, keys))
	}
	return got, a.pin(rev, err)
}

// gets appends reads of keys to ops.
func (a *attempt) gets(ops []clientv3.Op, keys []string) []clientv3.Op {
	ops = slices.Grow(ops, len(keys))
	for _, k := range keys {
		ops = append(ops, clientv3.OpGet(a.d.data+k, a.at()...))
	}
	return ops
}

// at are the options of a read: of rev from any member, the first from a quorum.
func (a *attempt) at() []clientv3.OpOption {
	if a.rev == 0 {
		return nil
	}
	return []clientv3.OpOption{clientv3.WithRev(a.rev), clientv3.WithSerializable()}
}

// send reads ops in one request and pins rev.
func (a *attempt) send(ops []clientv3.Op) (got []*clientv3.GetResponse, err error) {
	var rev int64
	err = a.d.patiently(a.ctx, func() (err error) {
		got, rev, err = a.d.read(a.ctx, ops)
		if errors.Is(err, rpctypes.ErrFutureRev) {
			// The member is behind. With a read from a quorum in the same request whichever
			// member gets it catches up first; its answer comes last and is not looked at.
			got, rev, err = a.d.read(a.ctx, append(slices.Clip(ops), clientv3.OpGet(a.d.data, clientv3.WithCountOnly())))
		}
		return err
	})
	return got, a.pin(rev, err)
}

// pin takes the revision of a read, or its error.
func (a *attempt) pin(rev int64, err error) error {
	if err != nil {
		if code(err) == codes.ResourceExhausted && a.ctx.Err() == nil {
			return err // a page too large: the scan asks for less
		}
		return a.failed(err)
	}
	if a.rev == 0 {
		a.rev = rev
	}
	return nil
}

// read sends ops, reads only, as one request.
func (d *DB) read(ctx context.Context, ops []clientv3.Op) (got []*clientv3.GetResponse, rev int64, err error) {
	op := ops[0]
	if len(ops) > 1 {
		if len(ops) > flat {
			ops = nest(ops, fan)
		}
		op = clientv3.OpTxn(nil, ops, nil)
	}
	resp, err := d.do(ctx, op)
	if err != nil {
		return nil, 0, err
	}
	if one := resp.Get(); one != nil {
		return []*clientv3.GetResponse{one}, one.Header.Revision, nil
	}
	for _, r := range ranges(nil, resp.Txn().Responses) {
		got = append(got, (*clientv3.GetResponse)(r))
	}
	return got, resp.Txn().Header.Revision, nil
}

func (a *attempt) failed(err error) error {
	if a.ctx.Err() != nil {
		a.err = a.ctx.Err()
	} else {
		a.err = a.d.explain("read", err)
	}
	return a.err
}

// learn enters what was read at rev and compares guesses with it.
func (a *attempt) learn(keys []string, got []*clientv3.GetResponse) error {
	for i, k := range keys {
		e := entry{}
		if kvs := got[i].Kvs; len(kvs) > 0 {
			e = entry{notNil(kvs[0].Value), kvs[0].ModRevision}
		}
		a.known[k] = e
		a.d.recent.put(k, e)
		if g, ok := a.guesses[k]; ok {
			a.wrong = a.wrong || g.mod != e.mod
			delete(a.guesses, k)
		}
	}
	return a.stop()
}

// settle compares the guesses that are left.
func (a *attempt) settle() error {
	if len(a.guesses) == 0 || a.wrong {
		return a.stop()
	}
	var keys []string
	if a.rev != 0 {
		for k := range a.guesses {
			keys = append(keys, k)
		}
	}
	_, err := a.fetch(keys, nil)
	if err != nil && a.stop() == nil {
		err = a.failed(err)
	}
	return err
}

// Pages of a scan: at most as many pairs, aiming at as many bytes.
const (
	pagePairs = 1100 // a page of a listing is one request
	pageBytes = 4 << 20
)

// Scan implements metadata.Reader.
func (a *attempt) Scan(from, to []byte, fn func(key, value []byte) bool) error {
	if err := a.stop(); err != nil {
		return err
	}
	if to != nil && bytes.Compare(from, to) >= 0 {
		return nil
	}
	at, end := a.d.data+string(from), a.d.dataEnd
	if to != nil {
		end = a.d.data + string(to)
	}
	limit := int64(pagePairs)
	for {
		page, err := a.page(at, end, &limit)
		if err != nil {
			return err
		}
		size := 1
		for _, kv := range page.Kvs {
			size += len(kv.Key) + len(kv.Value)
			key := kv.Key[len(a.d.data):]
			a.saw(string(key), kv.ModRevision)
			if !fn(key, notNil(kv.Value)) {
				a.scanned(at, string(kv.Key)+"\x00")
				return nil
			}
		}
		if !page.More || len(page.Kvs) == 0 {
			a.scanned(at, end)
			return nil
		}
		next := string(page.Kvs[len(page.Kvs)-1].Key) + "\x00"
		a.scanned(at, next)
		at = next
		limit = min(pagePairs, max(1, pageBytes/int64(size/len(page.Kvs)+1)))
	}
}

// page reads the pairs from at on; a page that is more than a message holds is
// halved until it fits.
func (a *attempt) page(at, end string, limit *int64) (*clientv3.GetResponse, error) {
	for {
		op := clientv3.OpGet(at, append(a.at(), clientv3.WithRange(end), clientv3.WithLimit(*limit))...)
		page, err := a.fetch(nil, &op)
		if err == nil || a.stop() != nil {
			return page, err
		}
		if *limit == 1 {
			return nil, a.failed(err)
		}
		*limit = (*limit + 1) / 2
	}
}

// scanned records a range, together with the one before if they touch.
func (a *attempt) scanned(from, to string) {
	if !a.update {
		return
	}
	if n := len(a.spans); n > 0 && a.spans[n-1].to == from {
		a.spans[n-1].to = to
		return
	}
	a.spans = append(a.spans, span{from, to})
}

func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
