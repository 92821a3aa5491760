package etcdkv

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	grpcbackoff "google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/weftstore/weft/metadata"
)

// ErrSnapshotGone is returned when etcd compacted the revision that a View was reading. Try again;
// if that does not help, let etcd keep more history (--auto-compaction-retention).
var ErrSnapshotGone = fmt.Errorf("etcd compacted the snapshot while it was being read; try again: %w", metadata.ErrUnavailable)

// Bounds of a message. etcd's own limit on requests is lower unless it is raised.
const (
	maxSend = 64 << 20
	maxRecv = 64 << 20
)

// connecting is how a member of etcd that does not answer is tried again: soon, as a gateway cannot do
// without it. By itself gRPC waits for up to two minutes, however long the member has been back.
var connecting = grpc.ConnectParams{
	Backoff:           grpcbackoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
	MinConnectTimeout: 5 * time.Second,
}

// DB implements metadata.KV. Safe for concurrent use.
type DB struct {
	client  *clientv3.Client
	cluster uint64 // id of the etcd cluster
	prefix  string // of all keys
	data    string // prefix of pairs
	dataEnd string // first key past them
	timeout time.Duration
	resolve time.Duration
	health  health
	recent  recent
	reads   combiner[reads]
	commits combiner[commits]
	markers markers
	closed  atomic.Bool
	stats   struct{ requests, conflicts, reruns, resolved atomic.Uint64 }
}

// Stats counts since Open.
type Stats struct {
	Requests  uint64 `json:"requests"`  // to etcd, by this package
	Conflicts uint64 `json:"conflicts"` // commits that another transaction forestalled, or a wrong guess
	Reruns    uint64 `json:"reruns"`    // functions run again because a guess was wrong
	Resolved  uint64 `json:"resolved"`  // commits whose answer was lost and whose outcome was found out
	Failing   bool   `json:"failing"`   // no request was answered since one was not
}

var _ metadata.KV = (*DB)(nil)

// openEvery is the time between tries of Open.
const openEvery = 200 * time.Millisecond

// Open connects and reads once, so that it fails when the cluster, the certificates
// or the password are wrong. While nothing answers it tries again, for DialTimeout.
// ctx bounds Open only.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	wait, cancel := context.WithTimeout(ctx, orDefault(cfg.DialTimeout, 5*time.Second))
	defer cancel()
	for {
		d, err := open(wait, cfg)
		if err == nil {
			return d, nil
		}
		select {
		case <-time.After(openEvery):
		case <-wait.Done():
		}
		if wait.Err() != nil || !Passing(err) {
			return nil, fmt.Errorf("etcdkv: open: %w", cfg.advise(ctx, err))
		}
	}
}

// Passing says that an error is one of etcd not answering in time or having no leader
// now: the same request may succeed later.
func Passing(err error) bool {
	if errors.Is(err, metadata.ErrUnavailable) {
		return true
	}
	switch code(err) {
	case codes.Unavailable, codes.DeadlineExceeded:
		return true
	}
	return false
}

func open(ctx context.Context, cfg Config) (*DB, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	conf, err := cfg.tls()
	if err != nil {
		return nil, err
	}
	password, err := cfg.password()
	if err != nil {
		return nil, err
	}
	scheme := "http://"
	if conf != nil {
		scheme = "https://"
	}
	endpoints := make([]string, len(cfg.Endpoints))
	for i, e := range cfg.Endpoints {
		endpoints[i] = scheme + e
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	client, err := clientv3.New(clientv3.Config{
		Endpoints:            endpoints,
		TLS:                  conf,
		Username:             cfg.Username,
		Password:             password,
		Context:              life,
		DialTimeout:          orDefault(cfg.DialTimeout, 5*time.Second),
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: 5 * time.Second,
		DialOptions:          []grpc.DialOption{grpc.WithConnectParams(connecting)},
		MaxCallSendMsgSize:   maxSend,
		MaxCallRecvMsgSize:   maxRecv,
		Logger:               zap.NewNop(),
	})
	if err != nil {
		cancel()
		return nil, err
	}
	d := &DB{
		client:  client,
		prefix:  cfg.Prefix,
		data:    cfg.Prefix + "k",
		dataEnd: cfg.Prefix + "l",
		timeout: orDefault(cfg.RequestTimeout, 5*time.Second),
		resolve: orDefault(cfg.ResolveTimeout, 30*time.Second),
		health:  health{patience: orDefault(cfg.Patience, 5*time.Second)},
	}
	d.markers.init(life, cancel, client, cfg.Prefix+"m", d.timeout)
	rctx, stop := context.WithTimeout(ctx, d.timeout)
	defer stop()
	resp, err := client.Get(rctx, d.data)
	if err != nil {
		d.Close()
		return nil, fmt.Errorf("no answer from etcd at %v: %w", cfg.Endpoints, err)
	}
	d.cluster = resp.Header.ClusterId
	return d, nil
}

// Client is the connection below, for leases and elections. It is closed by Close.
// Keys that begin with prefix "k" or "m" are this package's.
func (d *DB) Client() *clientv3.Client { return d.client }

// Stats tells what was counted.
func (d *DB) Stats() Stats {
	return Stats{
		Requests: d.stats.requests.Load() + d.markers.requests.Load(), Conflicts: d.stats.conflicts.Load(),
		Reruns: d.stats.reruns.Load(), Resolved: d.stats.resolved.Load(), Failing: d.health.failing(),
	}
}

// Close ends all that is under way with an error. It may be repeated.
func (d *DB) Close() error {
	if d.closed.Swap(true) {
		return nil
	}
	d.markers.close()
	return d.client.Close()
}

// begin refuses new work.
func (d *DB) begin(ctx context.Context) error {
	if d.closed.Load() {
		return metadata.ErrClosed
	}
	return ctx.Err()
}

// explain makes of etcd's error one that says what to do.
func (d *DB) explain(op string, err error) error {
	switch {
	case d.closed.Load():
		return metadata.ErrClosed
	case errors.Is(err, rpctypes.ErrCompacted):
		return ErrSnapshotGone
	case errors.Is(err, rpctypes.ErrRequestTooLarge), errors.Is(err, rpctypes.ErrTooManyOps),
		code(err) == codes.ResourceExhausted && strings.Contains(err.Error(), "larger than max"): // gRPC's own limit
		err = fmt.Errorf("%w: %w; start etcd with higher --max-request-bytes and --max-txn-ops", metadata.ErrTooLarge, err)
	case Passing(err) && !errors.Is(err, metadata.ErrUnavailable):
		err = fmt.Errorf("%w: %w", metadata.ErrUnavailable, err)
	case errors.Is(err, rpctypes.ErrNoSpace):
		err = fmt.Errorf("%w: %w: compact and defragment etcd or raise --quota-backend-bytes, then disarm the alarm", syscall.ENOSPC, err)
	}
	return fmt.Errorf("etcdkv: %s: %w", op, err)
}

// unnamed are the messages of errors that a member of etcd sends as codes.Unknown although they
// only say that its own wait for a leader or for the others ended: those of its context, which has
// the deadline of ours, and of its raft library.
var unnamed = []string{
	context.DeadlineExceeded.Error(), context.Canceled.Error(), "raft proposal dropped", "raft: stopped",
}

// code is the gRPC status of a client's error.
func code(err error) codes.Code {
	var e rpctypes.EtcdError
	if errors.As(err, &e) {
		return e.Code()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return codes.DeadlineExceeded
	}
	c := status.Code(err)
	var s interface{ GRPCStatus() *status.Status }
	if c == codes.Unknown && errors.As(err, &s) && slices.Contains(unnamed, s.GRPCStatus().Message()) {
		return codes.Unavailable
	}
	return c
}

// recent keeps small values that were read lately, for guesses. Its bound is in
// pairs; which goes when it is full is left to chance.
type recent struct {
	mu sync.Mutex
	m  map[string]entry
}

const (
	recentPairs = 4096
	recentValue = 1 << 10
)

func (r *recent) get(key []byte) (entry, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.m[string(key)]
	return e, ok
}

func (r *recent) put(key string, e entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.mod == 0 || len(e.value) > recentValue {
		delete(r.m, key)
		return
	}
	if old, ok := r.m[key]; ok && old.mod >= e.mod {
		return
	} else if !ok && len(r.m) >= recentPairs {
		for k := range r.m {
			delete(r.m, k)
			break
		}
	}
	if r.m == nil {
		r.m = map[string]entry{}
	}
	r.m[key] = e
}

func (r *recent) drop(key []byte) {
	r.mu.Lock()
	delete(r.m, string(key))
	r.mu.Unlock()
}
