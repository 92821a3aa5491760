package member

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/client/v3"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/metadata/etcdkv"
)

// Keys below the prefix.
const (
	keyDeployment = "c/deployment"
	keyClosed     = "c/closed"
	keyMember     = "c/member/"
	keyLeader     = "c/leader"
	keyAsk        = "c/ask"
	keyAnswer     = "c/answer/"
)

// DefaultTTL is how long a process that is not heard of stays a member.
const DefaultTTL = 10 * time.Second

// Kinds of members.
const (
	Gateway = "gateway"
	Node    = "node"
)

// Info is what a member tells of itself.
type Info struct {
	Kind    string    `json:"kind"`
	Name    string    `json:"name"`
	Host    string    `json:"host"`
	Address string    `json:"address,omitempty"` // where it serves
	Started time.Time `json:"started"`
	Keyring string    `json:"keyring,omitempty"` // id of the key with which a gateway seals
}

// Config of a Member.
type Config struct {
	Client     *clientv3.Client // stays the caller's
	Prefix     string           // that of the metadata
	Deployment [16]byte
	Info       Info
	TTL        time.Duration // in whole seconds; 0 is DefaultTTL
	Logger     *slog.Logger  // nil discards
}

// Member is this process among the others.
type Member struct {
	client  *clientv3.Client
	prefix  string
	cluster uint64 // id of the etcd cluster
	info    Info
	ttl     time.Duration
	log     *slog.Logger
	stop    context.CancelFunc
	loops   sync.WaitGroup

	mu      sync.Mutex
	cur     *term
	changed chan struct{} // closed when cur changes
	report  func() ([]metadata.SetID, uint64, int64)
	leading context.Context // nil while another leads
	used    sync.WaitGroup  // of leading, by Leading
	held    map[string]*Hold
}

// Join registers the process and keeps it registered until Close. It fails when the
// etcd prefix belongs to another store, or etcd does not answer before ctx ends.
func Join(ctx context.Context, c Config) (*Member, error) {
	m := &Member{
		client: c.Client, prefix: c.Prefix, info: c.Info, ttl: c.TTL, log: c.Logger, changed: make(chan struct{}),
		report: func() ([]metadata.SetID, uint64, int64) { return nil, 0, time.Now().UnixNano() },
	}
	if m.ttl == 0 {
		m.ttl = DefaultTTL
	}
	if m.ttl < time.Second || m.ttl%time.Second != 0 { // etcd would round it
		return nil, fmt.Errorf("register in etcd: a lease of %v: want whole seconds", m.ttl)
	}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	run, stop := context.WithCancel(context.Background())
	m.stop = stop
	var first *term
	var until time.Time
	err := Persist(ctx, m.log, func(ctx context.Context) (err error) {
		if err = m.belong(ctx, c.Deployment); err == nil {
			first, until, err = m.begin(run)
		}
		return err
	})
	if err != nil {
		stop()
		return nil, fmt.Errorf("register in etcd: %w", err)
	}
	m.cluster = first.cluster
	m.enter(first)
	m.loops.Go(func() { m.run(run, first, until) })
	if c.Info.Kind == Gateway {
		m.loops.Go(func() { m.answerAll(run) })
	}
	return m, nil
}

// Close ends the membership, and the lead with it; what Lead runs must be ended before.
func (m *Member) Close() error {
	m.stop()
	m.loops.Wait()
	return nil
}

// belong makes the prefix that of a store, or refuses when it is another's.
func (m *Member) belong(ctx context.Context, deployment [16]byte) error {
	ctx, cancel := context.WithTimeout(ctx, m.ttl)
	defer cancel()
	key, want := m.prefix+keyDeployment, hex.EncodeToString(deployment[:])
	resp, err := m.client.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
		Then(clientv3.OpPut(key, want)).Else(clientv3.OpGet(key)).Commit()
	if err != nil {
		return fmt.Errorf("etcd: which store it is of: %w", err)
	}
	if resp.Succeeded {
		return nil
	}
	if have := string(resp.Responses[0].GetResponseRange().Kvs[0].Value); have != want {
		return fmt.Errorf("the metadata in etcd below %q is of another store (deployment %s, the cluster file says %s): "+
			"give each store a prefix of its own, etcd://HOST:PORT/PREFIX", m.prefix, have, want)
	}
	return nil
}

// Term is store.Peers'.
func (m *Member) Term() int64 {
	if t := m.term(); t != nil {
		return t.created
	}
	return 0
}

// Within is store.Peers'.
func (m *Member) Within(ctx context.Context, created int64) context.Context {
	f := etcdkv.Fence{Cluster: m.cluster, Prefix: m.prefix} // down
	if t := m.term(); t != nil && t.created == created {
		f.Key, f.Created = t.key, created
	}
	return etcdkv.WithFence(ctx, f)
}

// Peer is a member as the others see it.
type Peer struct {
	ID string `json:"id"`
	Info
	Leads bool `json:"leads,omitempty"`
	Self  bool `json:"self,omitempty"`
}

// Peers lists all members by kind and name.
func (m *Member) Peers(ctx context.Context) ([]Peer, error) {
	prefix := m.prefix + keyMember
	resp, err := m.client.Txn(ctx).Then(clientv3.OpGet(prefix, clientv3.WithPrefix()), clientv3.OpGet(m.prefix+keyLeader)).Commit()
	if err != nil {
		return nil, fmt.Errorf("list members: %w", err)
	}
	leader := ""
	if kvs := resp.Responses[1].GetResponseRange().Kvs; len(kvs) > 0 {
		leader = string(kvs[0].Value)
	}
	self := ""
	if t := m.term(); t != nil {
		self = t.id
	}
	var list []Peer
	for _, kv := range resp.Responses[0].GetResponseRange().Kvs {
		p := Peer{ID: strings.TrimPrefix(string(kv.Key), prefix)}
		if err := json.Unmarshal(kv.Value, &p.Info); err != nil {
			return nil, fmt.Errorf("member %s: %w", p.ID, err)
		}
		p.Leads, p.Self = p.ID == leader, p.ID == self
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b Peer) int {
		return strings.Compare(a.Kind+"\x00"+a.Name+"\x00"+a.ID, b.Kind+"\x00"+b.Name+"\x00"+b.ID)
	})
	return list, nil
}
