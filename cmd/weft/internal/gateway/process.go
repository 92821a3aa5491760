package gateway

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/weftstore/weft/cmd/weft/internal/cluster"
	"github.com/weftstore/weft/cmd/weft/internal/member"
	"github.com/weftstore/weft/cmd/weft/internal/metrics"
	"github.com/weftstore/weft/cmd/weft/internal/roster"
	"github.com/weftstore/weft/cmd/weft/internal/statedir"
	"github.com/weftstore/weft/internal/tracing"
	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/store"
)

// ProcessConfig is what `weft gateway` runs with.
type ProcessConfig struct {
	Config
	Cluster *cluster.File
	// Metadata is the etcd:// URL of metadata that several gateways share; "" is what
	// the cluster file says, and else the state directory.
	Metadata string
	// Name of the gateway among others; "" is that of the host.
	Name string
	// Fabric is the transport; it stays the caller's.
	Fabric    rdma.Transport
	Wires     func() []rdma.Counted // whose counters are shown; nil: those of Fabric
	Describe  func() []string       // which transports run and why; nil: not told
	PollEvery time.Duration         // 0 is 2 s
	TTL       time.Duration         // of the lease in etcd; 0 is 10 s
	Metrics   *metrics.Set          // nil: none
	Tracer    *tracing.Tracer       // nil: none
	Logger    *slog.Logger
}

// Process is a gateway with its state.
type Process struct {
	*Gateway
	state  *statedir.Dir
	meta   *Metadata
	member *member.Group  // nil when the metadata is in the state directory
	roster *roster.Roster // as member
}

// MetadataURL is where the metadata is: "" in the state directory.
func (c *ProcessConfig) MetadataURL() string {
	if c.Metadata != "" {
		return c.Metadata
	}
	return c.Cluster.Metadata
}

// Nodes are those of a cluster file or map.
func Nodes(nodes []cluster.Node) []Node {
	list := make([]Node, len(nodes))
	for i, n := range nodes {
		list[i] = Node{Name: n.Name, Address: strings.Join(n.Addresses, ","), Domain: n.Domain, Targets: len(n.Targets)}
		if len(n.Takeover) > 0 {
			list[i].Shared = n.Targets
		}
	}
	return list
}

// Start assembles a gateway over the nodes of a cluster. Nodes may be away. When it
// fails nothing is left open.
func Start(ctx context.Context, cfg ProcessConfig) (_ *Process, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	p := new(Process)
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if p.state, err = statedir.Open(cfg.State); err != nil {
		return nil, err
	}
	if err = p.state.Belong(cfg.Cluster.Deployment, cfg.Cluster.Layout.String()); err != nil {
		return nil, err
	}
	if cfg.MetadataURL() != "" {
		if err = errors.Join(shareCredentials(&cfg), shareKeyring(&cfg)); err != nil {
			return nil, err
		}
	}
	if err = p.openMetadata(ctx, &cfg); err != nil {
		return nil, err
	}
	if p.member != nil {
		if err = p.openRoster(ctx, &cfg); err != nil {
			return nil, err
		}
	}
	p.Gateway, err = New(ctx, cfg.Config, Parts{
		State: p.state, Meta: p.meta, Member: p.member, Deployment: cfg.Cluster.Deployment, Layout: cfg.Cluster.Layout,
		Fabric: cfg.Fabric, Wires: cfg.Wires, Nodes: Nodes(cfg.Cluster.Nodes), Roster: p.roster, Describe: cfg.Describe,
		Metrics: cfg.Metrics, Tracer: cfg.Tracer, PollEvery: cfg.PollEvery, Logger: cfg.Logger,
	})
	return p, err
}

// Run serves until ctx ends, lets requests under way end, and closes everything.
func (p *Process) Run(ctx context.Context) error { return errors.Join(p.Gateway.Run(ctx), p.close()) }

func (p *Process) close() error {
	var errs []error
	if p.member != nil {
		errs = append(errs, p.member.Close())
	}
	if p.meta != nil {
		errs = append(errs, p.meta.Close())
	}
	if p.state != nil {
		errs = append(errs, p.state.Close())
	}
	return errors.Join(errs...)
}

// RebuildCluster makes the metadata anew from the nodes of a cluster; all must be up. acceptLoss
// as in RebuildConfig.
func RebuildCluster(ctx context.Context, cfg ProcessConfig, acceptLoss bool, report store.Report) (_ *store.RebuildResult, err error) {
	st, err := statedir.Open(cfg.State)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	nodes := cfg.Cluster.Nodes
	if cfg.MetadataURL() != "" { // the map was in etcd
		if _, err := st.ReadJSON(MapFile, &nodes); err != nil {
			return nil, err
		}
	}
	return Rebuild(ctx, RebuildConfig{
		State: st, Deployment: cfg.Cluster.Deployment, Layout: cfg.Cluster.Layout, Memory: cfg.Memory,
		Fabric: cfg.Fabric, Nodes: Nodes(nodes), AcceptLoss: acceptLoss, Logger: cfg.Logger,
	}, report)
}
