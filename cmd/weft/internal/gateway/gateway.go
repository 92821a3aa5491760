package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/weftstore/weft/cmd/weft/internal/adminsock"
	"github.com/weftstore/weft/cmd/weft/internal/audit"
	"github.com/weftstore/weft/cmd/weft/internal/member"
	"github.com/weftstore/weft/cmd/weft/internal/metrics"
	"github.com/weftstore/weft/cmd/weft/internal/roster"
	"github.com/weftstore/weft/cmd/weft/internal/statedir"
	"github.com/weftstore/weft/erasure"
	"github.com/weftstore/weft/identity"
	"github.com/weftstore/weft/internal/tracing"
	"github.com/weftstore/weft/kms"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/notify"
	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/s3api"
	"github.com/weftstore/weft/s3api/accesslog"
	"github.com/weftstore/weft/store"
)

const (
	// blockSize is the longest block of a new part.
	blockSize = 512 << 10
	// smallBlock holds a small part or a short range.
	smallBlock = 64 << 10
	// smallShare is the part of the memory that is cut into small blocks.
	smallShare = 8
	// drainFor bounds how long requests under way may take at a graceful stop.
	drainFor = 30 * time.Second
	// logsFor bounds how long the last lines of access logs may take after that.
	logsFor = 10 * time.Second
)

// Parts are what a Gateway is assembled from besides its Config. They stay the
// caller's, to close after the gateway.
type Parts struct {
	State      *statedir.Dir
	Meta       *Metadata
	Deployment [16]byte
	Layout     erasure.Layout
	Fabric     rdma.Transport
	Nodes      []Node
	// Wires are those whose counters are shown; nil: those of Fabric.
	Wires func() []rdma.Counted
	// Member is this process among others over the same metadata; nil: it is alone.
	Member *member.Group
	// Roster is the cluster map that Nodes are from and that is followed; nil: they stay.
	Roster *roster.Roster
	// Metrics is told of the gateway's parts and served; nil: none.
	Metrics *metrics.Set
	// Tracer records requests; nil: none.
	Tracer *tracing.Tracer
	// Describe tells which transports run and why; nil for one within the process.
	Describe func() []string
	// PollEvery is the time between looks at a node; 0 is 2 s.
	PollEvery time.Duration
	Logger    *slog.Logger
}

// Gateway speaks S3.
type Gateway struct {
	cfg   Config
	parts Parts
	log   *slog.Logger
	creds credentials

	operator  *s3api.Principal // whose the root keys are
	ring      *identity.Keyring
	keys      kms.Service      // of SSE-KMS
	notifier  *notify.Notifier // nil without destinations
	registry  *identity.Registry
	directory *identity.Directory

	audit    *audit.Log // nil without one
	logs     *accesslog.Log
	nodes    *nodes
	pools    []*rdma.Pool
	store    *store.Store
	cert     *certificate // nil without TLS
	listener net.Listener
	admin    net.Listener
	metrics  net.Listener   // nil without metrics
	closers  []func() error // run last to first
}

// New assembles a gateway and listens. Run serves. When New fails, nothing is left
// open but the parts.
func New(ctx context.Context, cfg Config, p Parts) (*Gateway, error) {
	g := &Gateway{cfg: cfg, parts: p, log: p.Logger, operator: s3api.Operator()}
	for _, step := range []func(context.Context) error{g.openNotify, g.openNodes, g.openPools, g.openStore, g.openAudit, g.listen} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, g.Close())
		}
	}
	return g, nil
}

func (g *Gateway) onClose(fn func() error) { g.closers = append(g.closers, fn) }

// Close ends a gateway that does not run. Run closes by itself.
func (g *Gateway) Close() error {
	var errs []error
	for i := len(g.closers) - 1; i >= 0; i-- {
		errs = append(errs, g.closers[i]())
	}
	g.closers = nil
	return errors.Join(errs...)
}

func (g *Gateway) openNodes(ctx context.Context) (err error) {
	if g.creds, err = loadCredentials(g.cfg); err != nil {
		return err
	}
	if err := g.openIdentity(); err != nil {
		return err
	}
	p := &g.parts
	g.nodes = newNodes(p.Fabric, p.Meta.DB, p.Deployment, p.Nodes, p.PollEvery, g.log)
	g.nodes.shared, g.nodes.lostAfter = p.Member != nil, time.Duration(g.cfg.LostAfter)
	g.onClose(g.nodes.close)
	return g.nodes.start(ctx)
}

func (g *Gateway) openPools(context.Context) (err error) {
	g.pools, err = newPools(g.parts.Fabric, int(g.cfg.Memory), g.onClose)
	if m := g.parts.Metrics; m != nil && err == nil {
		wires := g.parts.Wires
		if wires == nil {
			wires = metrics.One(g.parts.Fabric)
		}
		m.Fabric(wires)
		m.Pool("bulk", g.pools[0])
		m.Pool("small", g.pools[1])
		m.Targets(g.nodes.status)
		m.Metadata(g.parts.Meta.metrics)
	}
	return err
}

// newPools cuts the memory into blocks for bulk data and small ones.
func newPools(fabric rdma.Transport, memory int, onClose func(func() error)) (pools []*rdma.Pool, err error) {
	small := memory / smallShare
	for _, p := range []struct{ total, block int }{{memory - small, blockSize}, {small, smallBlock}} {
		pool, err := rdma.NewPool(fabric, p.total, p.block)
		if err != nil {
			return nil, err
		}
		onClose(pool.Close)
		pools = append(pools, pool)
	}
	return pools, nil
}

func (g *Gateway) openStore(context.Context) (err error) {
	g.store, err = g.nodes.attach(func(targets []store.TargetConfig) (*store.Store, error) {
		c := store.DefaultConfig()
		c.Meta, c.Pool, c.Small = g.parts.Meta.DB, g.pools[0], g.pools[1]
		c.Targets, c.Layout, c.Logger = targets, g.parts.Layout, g.log
		c.Expect = g.nodes.expect
		c.NodeStatus, c.Retired = g.nodes.status, g.nodes.isRetired
		if m := g.parts.Member; m != nil {
			c.Peers, c.Refresh = m, g.nodes.refresh
		}
		c.Events = g.events()
		if m := g.parts.Metrics; m != nil {
			c.Events = m.StoreEvents(c.Events)
		}
		return store.New(c)
	})
	if err != nil {
		return err
	}
	g.onClose(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), drainFor)
		defer cancel()
		if g.parts.Member == nil {
			if err := g.store.SnapshotIfChanged(ctx); err != nil {
				g.log.Warn("no snapshot of the metadata at the stop", "err", err)
			}
		}
		return g.store.Close(ctx)
	})
	if m := g.parts.Metrics; m != nil {
		m.Store(g.store)
	}
	if r := g.parts.Roster; r != nil {
		g.nodes.loops.Go(func() { r.Watch(g.nodes.run, g.followMap) })
	}
	g.maintain(store.MaintenanceOptions{
		SnapshotEvery: time.Duration(g.cfg.SnapshotEvery),
		ScrubEvery:    time.Duration(g.cfg.ScrubEvery),
	})
	return nil
}

func (g *Gateway) events() store.Events {
	return store.Events{
		TargetError: func(target, op string, err error) {
			level := slog.LevelWarn
			if errors.Is(err, rdma.ErrPeer) {
				level = slog.LevelDebug // the node's state tells it once
			}
			g.log.Log(context.Background(), level, "target error", "target", target, "op", op, "err", err)
		},
		Damaged: func(set metadata.SetID, shards uint64) {
			g.log.Warn("shards missing or corrupt; queued for repair", "set", fmt.Sprintf("%x", set), "shards", fmt.Sprintf("%b", shards))
		},
	}
}

func (g *Gateway) listen(ctx context.Context) error {
	var err error
	if g.cfg.TLSCert != "" {
		if g.cert, err = loadCertificate(g.cfg.TLSCert, g.cfg.TLSKey, g.log); err != nil {
			return err
		}
	}
	if g.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", g.cfg.Address); err != nil {
		return fmt.Errorf("serve S3: %w", err)
	}
	g.onClose(ignoreClosed(g.listener))
	if g.cfg.Metrics != "" {
		if g.metrics, err = new(net.ListenConfig).Listen(ctx, "tcp", g.cfg.Metrics); err != nil {
			return fmt.Errorf("serve metrics: %w", err)
		}
		g.onClose(ignoreClosed(g.metrics))
	}
	if g.admin, err = adminsock.Listen(g.parts.State.Path()); err != nil {
		return err
	}
	g.onClose(ignoreClosed(g.admin))
	return nil
}

func ignoreClosed(c io.Closer) func() error {
	return func() error {
		if err := c.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	}
}

// Pools are those of bulk data and of small blocks.
func (g *Gateway) Pools() []*rdma.Pool { return g.pools }

// Credentials are the root keys.
func (g *Gateway) Credentials() (access, secret string) { return g.creds.access, g.creds.secret }

// Addr is where S3 is served.
func (g *Gateway) Addr() string { return g.listener.Addr().String() }

// Run serves until ctx ends, lets requests under way end, and closes everything but
// the parts.
func (g *Gateway) Run(ctx context.Context) error {
	s3, err := g.s3Server()
	if err != nil {
		return errors.Join(err, g.Close())
	}
	adminSrv := adminsock.NewServer(ctx, g.adminOps())
	g.background(g.logs.Run)
	failed := make(chan error, 3)
	if g.metrics != nil && g.parts.Metrics != nil {
		go func() { failed <- g.parts.Metrics.ServeOn(ctx, g.metrics, g.log) }()
	}
	go func() { failed <- g.serveS3(ctx, s3) }()
	go func() { failed <- adminSrv.Serve(g.admin) }()
	select {
	case <-ctx.Done():
		err = nil
	case err = <-failed:
	}
	g.log.Info("stopping; requests under way may end", "within", drainFor)
	drain, cancel := context.WithTimeout(context.Background(), drainFor)
	defer cancel()
	err = errors.Join(err, shutdown(drain, s3))
	last, cancelLast := context.WithTimeout(context.Background(), logsFor)
	defer cancelLast()
	g.logs.Flush(last)
	err = errors.Join(err, adminSrv.Close())
	return errors.Join(err, g.Close())
}

func shutdown(ctx context.Context, s *http.Server) error {
	err := s.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.Join(err, s.Close())
	}
	return err
}
