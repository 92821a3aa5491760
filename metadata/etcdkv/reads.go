package etcdkv

import (
	"context"

	"go.etcd.io/etcd/client/v3"
)

// maxAlike is how many keys of one transaction are read together with those of others.
const maxAlike = 16

// reads are the first reads of transactions that run at the same time, of one revision.
// Each is read after it was asked for, so all see what was committed before.
type reads struct {
	keys []string
	at   map[string]int // indexes of keys

	got []*clientv3.GetResponse // of keys
	rev int64
	err error
}

// add takes keys along, at most maxAlike.
func (r *reads) add(keys []string) bool {
	if len(r.keys) > flat-maxAlike {
		return false
	}
	if r.at == nil {
		r.at = map[string]int{}
	}
	for _, k := range keys {
		if _, ok := r.at[k]; !ok {
			r.at[k] = len(r.keys)
			r.keys = append(r.keys, k)
		}
	}
	return true
}

// readTogether reads keys, at most maxAlike, from a quorum. got has an answer for each.
func (d *DB) readTogether(ctx context.Context, keys []string) (got []*clientv3.GetResponse, rev int64, err error) {
	round := d.reads.join(func(r *reads) bool { return r.add(keys) }, d.sendReads)
	select {
	case <-round.done:
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
	r := &round.what
	if r.err != nil {
		return nil, 0, r.err
	}
	got = make([]*clientv3.GetResponse, len(keys))
	for i, k := range keys {
		got[i] = r.got[r.at[k]]
	}
	return got, r.rev, nil
}

// sendReads is not ended by the context of any of those who wait.
func (d *DB) sendReads(r *reads) {
	ops := make([]clientv3.Op, len(r.keys))
	for i, k := range r.keys {
		ops[i] = clientv3.OpGet(d.data + k)
	}
	r.got, r.rev, r.err = d.read(context.Background(), ops)
}
