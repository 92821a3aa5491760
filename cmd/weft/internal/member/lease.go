package member

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/client/v3"

	"github.com/weftstore/weft/cmd/weft/internal/statedir"
	"github.com/weftstore/weft/internal/suspend"
)

// term is one membership without a break.
type term struct {
	id      string // of the key
	key     string
	created int64  // revision of the key
	cluster uint64 // id of the etcd cluster
	lease   clientv3.LeaseID
	until   atomic.Pointer[time.Time] // the lease is certain before it
	slept   atomic.Int64              // what suspended said when until was counted from
	ctx     context.Context           // ends with the term
	end     context.CancelFunc
}

// run holds the first term and begins others after it until ctx ends.
func (m *Member) run(ctx context.Context, t *term, until time.Time) {
	for ctx.Err() == nil {
		if t != nil {
			m.hold(t, until)
			m.leave(t)
			if ctx.Err() == nil {
				m.log.Warn("the lease in etcd ended: nothing is written until there is a new one", "member", t.id)
			}
		}
		var err error
		if t, until, err = m.begin(ctx); err == nil {
			m.log.Info("registered in etcd again", "member", t.id)
			m.enter(t)
		} else if ctx.Err() == nil {
			m.log.Warn("not registered in etcd; trying again", "err", err)
			m.pause(ctx, m.ttl/10)
		}
	}
	if t != nil {
		m.leave(t)
	}
}

func (m *Member) enter(t *term) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cur = t
	close(m.changed)
	m.changed = make(chan struct{})
}

// leave ends a term here, and in etcd as well as it can.
func (m *Member) leave(t *term) {
	t.end()
	m.mu.Lock()
	m.cur = nil
	close(m.changed)
	m.changed = make(chan struct{})
	m.mu.Unlock()
	m.loops.Go(func() { m.revoke(t.lease) }) // the next term does not wait for it
}

// revoke ends a lease in etcd as well as it can, so that others need not wait for it.
func (m *Member) revoke(id clientv3.LeaseID) {
	ctx, cancel := context.WithTimeout(context.Background(), m.ttl/3)
	defer cancel()
	_, _ = m.client.Revoke(ctx, id)
}

// begin registers; until is how long the lease is certain. A request gets as long as a renewal does: one that hangs,
// as it went to a member of etcd that is frozen or had no leader, is not waited for when etcd is back.
func (m *Member) begin(ctx context.Context) (*term, time.Time, error) {
	call, cancel := context.WithTimeout(ctx, m.ttl/4)
	sent, slept := time.Now(), suspend.Total()
	lease, err := m.client.Grant(call, int64(m.ttl/time.Second))
	cancel()
	if err != nil {
		return nil, sent, err
	}
	id := statedir.RandomID()
	t := &term{id: hex.EncodeToString(id[:]), lease: lease.ID}
	t.key = m.prefix + keyMember + t.id
	info, err := json.Marshal(m.info)
	if err != nil {
		return nil, sent, err
	}
	call, cancel = context.WithTimeout(ctx, m.ttl/4)
	put, err := m.client.Txn(call).If(clientv3.Compare(clientv3.CreateRevision(m.prefix+keyClosed), "=", 0)).
		Then(clientv3.OpPut(t.key, string(info), clientv3.WithLease(lease.ID))).Else(clientv3.OpGet(m.prefix + keyClosed)).Commit()
	cancel()
	if err == nil && !put.Succeeded {
		err = errClosed(string(put.Responses[0].GetResponseRange().Kvs[0].Value))
	}
	if err != nil {
		m.revoke(lease.ID)
		return nil, sent, err
	}
	t.created, t.cluster = put.Header.Revision, put.Header.ClusterId
	t.ctx, t.end = context.WithCancel(ctx)
	until := sent.Add(m.ttl)
	t.until.Store(&until)
	t.slept.Store(int64(slept))
	return t, until, nil
}

// hold renews the lease and returns when it may have ended, or the term's context has.
func (m *Member) hold(t *term, until time.Time) {
	expired := time.AfterFunc(time.Until(until), t.end) // whatever a renewal is waiting for
	defer expired.Stop()
	for {
		m.pause(t.ctx, m.ttl/4)
		if t.ctx.Err() != nil {
			return
		}
		sent, slept := time.Now(), suspend.Total()
		call, cancel := context.WithTimeout(t.ctx, m.ttl/4)
		_, err := m.client.KeepAliveOnce(call, t.lease)
		cancel()
		if errors.Is(err, rpctypes.ErrLeaseNotFound) {
			return
		}
		if err != nil {
			continue // while there is time
		}
		if !expired.Stop() {
			return // it was too late
		}
		until := sent.Add(m.ttl)
		t.until.Store(&until)
		t.slept.Store(int64(slept)) // last: too little is on the safe side
		expired.Reset(time.Until(until))
	}
}

// valid says whether the lease is certain at this instant. The context may end a little
// later, as after a freeze.
func (t *term) valid() bool {
	slept := suspend.Total() - time.Duration(t.slept.Load())
	return t.ctx.Err() == nil && time.Now().Add(slept).Before(*t.until.Load())
}

func (m *Member) pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// term is the current one; nil when there is none.
func (m *Member) term() *term {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cur
}

// await waits for a term.
func (m *Member) await(ctx context.Context) (*term, error) {
	for {
		m.mu.Lock()
		t, changed := m.cur, m.changed
		m.mu.Unlock()
		if t != nil {
			return t, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("register in etcd: %w", ctx.Err())
		}
	}
}
