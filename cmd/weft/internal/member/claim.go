package member

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"go.etcd.io/etcd/client/v3"
)

// ErrHeld says that another member, or an earlier term of this one, holds a thing.
var ErrHeld = errors.New("held by another member")

var errEnded = errors.New("the lease in etcd ended")

// Hold is a thing that a member holds, until its term ends.
type Hold struct {
	Epoch uint64 // higher than that of every hold before
	term  *term
}

// Guard is nil while it is certain that nobody else holds it.
func (h *Hold) Guard() error {
	if h.term.valid() {
		return nil
	}
	return errEnded
}

// Held says whether somebody holds a thing.
func (m *Member) Held(ctx context.Context, name string) (bool, error) {
	resp, err := m.client.Get(ctx, m.prefix+"c/own/"+name, clientv3.WithCountOnly())
	if err != nil {
		return false, fmt.Errorf("who holds %s: %w", name, err)
	}
	return resp.Count > 0, nil
}

// Release gives a thing back.
func (m *Member) Release(ctx context.Context, name string, h *Hold) error {
	own := m.prefix + "c/own/" + name
	_, err := m.client.Txn(ctx).If(clientv3.Compare(clientv3.Value(own), "=", h.term.id)).Then(clientv3.OpDelete(own)).Commit()
	if err != nil {
		return fmt.Errorf("release %s: %w", name, err)
	}
	return nil
}

// Claim takes a thing that nobody holds, with an epoch that was never used: one
// transaction of etcd compares and swaps both. ErrHeld when somebody does.
func (m *Member) Claim(ctx context.Context, name string) (*Hold, error) {
	t := m.term()
	if t == nil || !t.valid() {
		return nil, errEnded
	}
	own, epoch := m.prefix+"c/own/"+name, m.prefix+"c/epoch/"+name
	resp, err := m.client.Get(ctx, epoch)
	if err != nil {
		return nil, fmt.Errorf("claim %s: %w", name, err)
	}
	var last uint64
	var rev int64
	if len(resp.Kvs) > 0 {
		rev = resp.Kvs[0].ModRevision
		if last, err = strconv.ParseUint(string(resp.Kvs[0].Value), 10, 64); err != nil {
			return nil, fmt.Errorf("claim %s: epoch %q in etcd is no number", name, resp.Kvs[0].Value)
		}
	}
	h := &Hold{Epoch: last + 1, term: t}
	done, err := m.client.Txn(ctx).
		If(clientv3.Compare(clientv3.CreateRevision(own), "=", 0), clientv3.Compare(clientv3.ModRevision(epoch), "=", rev)).
		Then(clientv3.OpPut(epoch, strconv.FormatUint(h.Epoch, 10)), clientv3.OpPut(own, t.id, clientv3.WithLease(t.lease))).Commit()
	if err != nil {
		return nil, fmt.Errorf("claim %s: %w", name, err)
	}
	if !done.Succeeded {
		return nil, ErrHeld
	}
	return h, nil
}

// Publish writes a key below the prefix under the lease of the term, with which it goes.
func (m *Member) Publish(ctx context.Context, key, value string) error {
	t := m.term()
	if t == nil || !t.valid() {
		return errEnded
	}
	_, err := m.client.Put(ctx, m.prefix+key, value, clientv3.WithLease(t.lease))
	return err
}
