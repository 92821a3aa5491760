package member

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"

	"go.etcd.io/etcd/client/v3"
)

// ErrHeld says that another member, or an earlier term of this one, holds a thing, or that
// this one does already.
var ErrHeld = errors.New("held by another member")

var (
	errEnded = errors.New("the lease in etcd ended")
	errGiven = errors.New("it was given back")
)

// Hold is a thing that a member holds, until its term ends or it is given back.
type Hold struct {
	Epoch uint64 // higher than that of every hold before
	term  *term
	rev   int64       // of the key as this hold wrote it
	given atomic.Bool // back
}

// Guard is nil while it is certain that nobody else holds it.
func (h *Hold) Guard() error {
	if h.given.Load() {
		return errGiven
	}
	if h.term.valid() {
		return nil
	}
	return errEnded
}

// Held says whether somebody holds a thing, so that it cannot be claimed.
func (m *Member) Held(ctx context.Context, name string) (bool, error) {
	resp, err := m.client.Get(ctx, m.prefix+"c/own/"+name)
	if err != nil {
		return false, fmt.Errorf("who holds %s: %w", name, err)
	}
	return len(resp.Kvs) > 0 && !m.idle(name, m.term(), resp.Kvs[0].Value), nil
}

// idle says that a thing is this member's in a term and that it has no hold of it, as the
// answer to a claim or a release was lost.
func (m *Member) idle(name string, t *term, owner []byte) bool {
	if t == nil || string(owner) != t.id {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	h := m.held[name]
	return h == nil || h.term != t || h.given.Load()
}

// Release gives a thing back. Nothing is guarded by the hold from the call on.
func (m *Member) Release(ctx context.Context, name string, h *Hold) error {
	h.given.Store(true)
	own := m.prefix + "c/own/" + name
	_, err := m.client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(own), "=", h.rev)).Then(clientv3.OpDelete(own)).Commit()
	if err != nil {
		return fmt.Errorf("release %s: %w", name, err)
	}
	return nil
}

// Claim takes a thing that nobody holds, with an epoch that was never used: one
// transaction of etcd compares and swaps both. ErrHeld when somebody does. Calls for one
// thing come one after the other.
func (m *Member) Claim(ctx context.Context, name string) (*Hold, error) {
	t := m.term()
	if t == nil || !t.valid() {
		return nil, errEnded
	}
	own, epoch := m.prefix+"c/own/"+name, m.prefix+"c/epoch/"+name
	resp, err := m.client.Txn(ctx).Then(clientv3.OpGet(own), clientv3.OpGet(epoch)).Commit()
	if err != nil {
		return nil, fmt.Errorf("claim %s: %w", name, err)
	}
	var last uint64
	var owned, rev int64
	if kvs := resp.Responses[0].GetResponseRange().Kvs; len(kvs) > 0 {
		if !m.idle(name, t, kvs[0].Value) {
			return nil, ErrHeld
		}
		owned = kvs[0].ModRevision
	}
	if kvs := resp.Responses[1].GetResponseRange().Kvs; len(kvs) > 0 {
		rev = kvs[0].ModRevision
		if last, err = strconv.ParseUint(string(kvs[0].Value), 10, 64); err != nil {
			return nil, fmt.Errorf("claim %s: epoch %q in etcd is no number", name, kvs[0].Value)
		}
	}
	h := &Hold{Epoch: last + 1, term: t}
	done, err := m.client.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(own), "=", owned), clientv3.Compare(clientv3.ModRevision(epoch), "=", rev)).
		Then(clientv3.OpPut(epoch, strconv.FormatUint(h.Epoch, 10)), clientv3.OpPut(own, t.id, clientv3.WithLease(t.lease))).Commit()
	if err != nil {
		return nil, fmt.Errorf("claim %s: %w", name, err)
	}
	if !done.Succeeded {
		return nil, ErrHeld
	}
	h.rev = done.Header.Revision
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held == nil {
		m.held = map[string]*Hold{}
	}
	m.held[name] = h
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
