package member

import (
	"context"
	"fmt"
	"time"

	"go.etcd.io/etcd/client/v3"
)

// Lead runs work whenever this member leads, until ctx ends, and returns when work has
// returned. The context of work ends with ctx and at once when the lease may have ended:
// another one may lead from then on.
func (m *Member) Lead(ctx context.Context, work func(ctx context.Context)) {
	for ctx.Err() == nil {
		t, err := m.await(ctx)
		if err != nil {
			return
		}
		won, err := m.campaign(ctx, t)
		if err != nil {
			if ctx.Err() == nil && t.ctx.Err() == nil {
				m.log.Warn("election of the gateway that does the background work", "err", err)
			}
			m.pause(ctx, m.ttl/10)
			continue
		}
		if !won {
			continue
		}
		m.log.Info("this gateway leads: it does the background work", "member", t.id)
		during, cancel := context.WithCancel(ctx)
		stop := context.AfterFunc(t.ctx, cancel)
		m.setLeading(during)
		work(during)
		<-during.Done()
		var none context.Context
		m.setLeading(none)
		m.used.Wait()
		stop()
		cancel()
		m.resign(t)
	}
}

// campaign waits until t leads; false when it may be tried again.
func (m *Member) campaign(ctx context.Context, t *term) (bool, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.ctx, cancel)()
	key := m.prefix + keyLeader
	call, done := context.WithTimeout(ctx, m.ttl)
	resp, err := m.client.Txn(call).If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
		Then(clientv3.OpPut(key, t.id, clientv3.WithLease(t.lease))).Else(clientv3.OpGet(key)).Commit()
	done()
	if err != nil {
		return false, err
	}
	if resp.Succeeded {
		return true, nil
	}
	if string(resp.Responses[0].GetResponseRange().Kvs[0].Value) == t.id {
		return true, nil // an answer was lost
	}
	for ev := range m.client.Watch(clientv3.WithRequireLeader(ctx), key, clientv3.WithRev(resp.Header.Revision+1)) {
		if err := ev.Err(); err != nil {
			return false, err
		}
		for _, e := range ev.Events {
			if e.Type == clientv3.EventTypeDelete {
				return false, nil
			}
		}
	}
	return false, ctx.Err()
}

func (m *Member) resign(t *term) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	key := m.prefix + keyLeader
	_, _ = m.client.Txn(ctx).If(clientv3.Compare(clientv3.Value(key), "=", t.id)).Then(clientv3.OpDelete(key)).Commit()
}

func (m *Member) setLeading(ctx context.Context) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leading = ctx
}

// Leading begins work that only who leads may do: its context ends with the lead. Call
// done after it. The error says who leads when it is another.
func (m *Member) Leading(ctx context.Context) (_ context.Context, done func(), err error) {
	m.mu.Lock()
	lead := m.leading
	if lead != nil {
		m.used.Add(1)
	}
	m.mu.Unlock()
	if lead == nil {
		return nil, nil, m.whoLeads(ctx)
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(lead, cancel)
	return ctx, func() { stop(); cancel(); m.used.Done() }, nil
}

func (m *Member) whoLeads(ctx context.Context) error {
	list, err := m.Peers(ctx)
	if err != nil {
		return err
	}
	for _, p := range list {
		if p.Leads && !p.Self {
			return fmt.Errorf("gateway %s on host %s leads and does this work: run the command there", p.Name, p.Host)
		}
	}
	return fmt.Errorf("no gateway leads at the moment: try again in %v", m.ttl)
}
