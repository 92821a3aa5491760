package etcdkv

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/client/v3"

	"github.com/weftstore/weft/internal/suspend"
)

// leaseSeconds is how long the markers of a gateway that died stay.
const leaseSeconds = 3600

// marker is a key that one commit at a time overwrites.
type marker struct {
	key   string
	mod   int64 // revision at which this DB wrote it last
	lease clientv3.LeaseID
}

// markers hands out markers and keeps their lease alive.
type markers struct {
	client   *clientv3.Client
	prefix   string
	life     context.Context
	end      context.CancelFunc
	timeout  time.Duration
	requests atomic.Uint64

	mu    sync.Mutex
	free  []*marker
	next  uint32
	lease clientv3.LeaseID
	until time.Time     // the lease has not expired before this, if the host ran
	slept time.Duration // how long it had not when until was set, or less
	alive sync.WaitGroup
}

func (m *markers) init(life context.Context, end context.CancelFunc, client *clientv3.Client, prefix string, timeout time.Duration) {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	m.client, m.prefix, m.life, m.end, m.timeout = client, prefix+string(id[:]), life, end, timeout
}

// get gives a marker that nobody else uses.
func (m *markers) get(ctx context.Context) (*marker, error) {
	m.mu.Lock()
	if n := len(m.free); n > 0 {
		mk := m.free[n-1]
		m.free = m.free[:n-1]
		m.mu.Unlock()
		return mk, nil
	}
	m.mu.Unlock()
	for try := 0; ; try++ {
		mk, err := m.create(ctx)
		if !errors.Is(err, rpctypes.ErrLeaseNotFound) || try == 1 {
			return mk, err
		}
	}
}

func (m *markers) put(mk *marker) {
	m.mu.Lock()
	m.free = append(m.free, mk)
	m.mu.Unlock()
}

// ended forgets the markers of a lease that ended: every commit under one of them is refused.
func (m *markers) ended(lease clientv3.LeaseID) {
	m.mu.Lock()
	m.free = slices.DeleteFunc(m.free, func(mk *marker) bool { return mk.lease == lease })
	m.mu.Unlock()
}

// create writes a new marker. What an error leaves behind goes with the lease.
func (m *markers) create(ctx context.Context) (*marker, error) {
	ctx, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lease == 0 {
		if err := m.grant(ctx); err != nil {
			return nil, err
		}
	}
	m.next++
	mk := &marker{key: string(binary.BigEndian.AppendUint32([]byte(m.prefix), m.next)), lease: m.lease}
	m.requests.Add(1)
	resp, err := m.client.Put(ctx, mk.key, "", clientv3.WithLease(mk.lease))
	if err != nil {
		if errors.Is(err, rpctypes.ErrLeaseNotFound) {
			m.lease = 0
		}
		return nil, err
	}
	mk.mod = resp.Header.Revision
	return mk, nil
}

func (m *markers) grant(ctx context.Context) error {
	begun, slept := time.Now(), suspend.Total()
	m.requests.Add(1)
	resp, err := m.client.Grant(ctx, leaseSeconds)
	if err != nil {
		return err
	}
	alive, err := m.client.KeepAlive(m.life, resp.ID)
	if err != nil {
		return err
	}
	m.lease = resp.ID
	m.until, m.slept = begun.Add(leaseSeconds*time.Second), slept
	m.alive.Go(func() {
		for r := range alive {
			// Half of it covers the time that the answer took.
			until := time.Now().Add(time.Duration(r.TTL) * time.Second / 2)
			m.mu.Lock()
			if m.lease == resp.ID && until.After(m.until) {
				m.until, m.slept = until, slept
			}
			m.mu.Unlock()
			slept = suspend.Total() // before the next renewal is sent
		}
		m.mu.Lock()
		if m.lease == resp.ID {
			m.lease = 0
		}
		m.mu.Unlock()
	})
	return nil
}

// held tells that the lease of mk has not expired, so that its key is gone only if
// this DB deleted it.
func (m *markers) held(mk *marker) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lease == mk.lease && time.Now().Add(suspend.Total()-m.slept).Before(m.until)
}

// close revokes the lease, and with it the markers, unless that takes long.
func (m *markers) close() {
	m.mu.Lock()
	lease := m.lease
	m.mu.Unlock()
	if lease != 0 {
		ctx, cancel := context.WithTimeout(m.life, min(m.timeout, time.Second))
		_, _ = m.client.Revoke(ctx, lease)
		cancel()
	}
	m.end()
	m.alive.Wait()
}
