package storagenode

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/weftstore/weft/cmd/weft/internal/adminsock"
	"github.com/weftstore/weft/cmd/weft/internal/cluster"
	"github.com/weftstore/weft/cmd/weft/internal/member"
	"github.com/weftstore/weft/cmd/weft/internal/roster"
	"github.com/weftstore/weft/cmd/weft/internal/statedir"
	"github.com/weftstore/weft/internal/tracing"
	"github.com/weftstore/weft/node"
	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/store"
)

// ProcessConfig is what `weft node` runs with.
type ProcessConfig struct {
	Cluster *cluster.File
	Name    string // of this node in it
	State   string // directory
	Listen  string // addresses to serve; "": those in the file
	// Fabric is the transport; it stays the caller's.
	Fabric   rdma.Transport
	Describe func() []string // which transports run and why; nil: not told
	Tracer   *tracing.Tracer // nil: none
	Logger   *slog.Logger
	// CheckEvery is the time between health checks of a target; 0 is the default.
	CheckEvery time.Duration
	// TTL of the lease in etcd; 0 is 10 s.
	TTL time.Duration
}

// Process is a storage node of its own.
type Process struct {
	cfg    ProcessConfig
	node   *Node
	member *member.Member // nil without metadata in etcd, and so are roster and owners
	roster *roster.Roster
	owners *owners
	loops  sync.WaitGroup
	server rdma.Server
	admin  net.Listener
	// addresses are those of the cluster file or map at the start.
	addresses string
	closers   []func() error // run last to first
}

// Status is what a storage node tells of itself.
type Status struct {
	Node       string              `json:"node"`
	Deployment string              `json:"deployment"`
	Listen     string              `json:"listen"`
	Fabric     []string            `json:"fabric,omitempty"`
	Targets    []store.TargetState `json:"targets"`
}

// Start brings up the targets and serves them. When it fails nothing is left open.
func Start(ctx context.Context, cfg ProcessConfig) (*Process, error) {
	p := &Process{cfg: cfg}
	if err := p.start(ctx); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *Process) start(ctx context.Context) error {
	c := &p.cfg
	st, err := statedir.Open(c.State)
	if err != nil {
		return err
	}
	p.closers = append(p.closers, st.Close)
	if err := st.Belong(c.Cluster.Deployment, c.Cluster.Layout.String()); err != nil {
		return err
	}
	if c.Cluster.Metadata != "" {
		if err := p.join(ctx); err != nil {
			return err
		}
	}
	self, ok := c.Cluster.Node(c.Name)
	if !ok {
		return fmt.Errorf("cluster file %s has no node %q: name one of it with --name, or, with metadata in etcd, enter it with `weft admin node add`",
			c.Cluster.Path, c.Name)
	}
	p.node, err = Open(ctx, Config{
		State: st, Name: c.Name, Deployment: c.Cluster.Deployment, Targets: self.Targets, Held: len(self.Takeover) > 0,
		CheckEvery: c.CheckEvery, Staging: int(c.Cluster.Fabric.Staging), Tracer: c.Tracer, Logger: c.Logger,
	})
	if err != nil {
		return err
	}
	p.closers = append(p.closers, p.node.Close)
	if p.member != nil {
		p.owners = startOwners(ctx, p.member, p.node, c.Cluster)
		p.closers = append(p.closers, p.owners.close)
	}
	p.addresses = strings.Join(self.Addresses, ",")
	listen := c.Listen
	if listen == "" {
		listen = p.addresses
	}
	if p.server, err = c.Fabric.Serve(listen, p.node.Handler()); err != nil {
		return fmt.Errorf("serve the fabric at %s: %w (--listen names other addresses)", listen, err)
	}
	p.closers = append(p.closers, p.server.Close)
	if p.roster != nil {
		p.startFollowing()
	}
	p.admin, err = adminsock.Listen(c.State)
	return err
}

func (p *Process) close() error {
	var errs []error
	for i := len(p.closers) - 1; i >= 0; i-- {
		errs = append(errs, p.closers[i]())
	}
	p.closers = nil
	return errors.Join(errs...)
}

// Addr is where the fabric is served.
func (p *Process) Addr() string { return p.server.Addr() }

// Targets is the state of all targets, as package metrics asks for it.
func (p *Process) Targets(context.Context) ([]node.TargetStatus, error) { return p.node.Targets(), nil }

// Run serves until ctx ends and closes everything: requests under way end first.
func (p *Process) Run(ctx context.Context) error {
	srv := adminsock.NewServer(ctx, map[string]adminsock.Op{
		"status": func(context.Context, adminsock.Args, store.Report) (any, error) { return p.Status(), nil },
	})
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(p.admin) }()
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	return errors.Join(err, srv.Close(), p.close())
}

// Status of the node and its targets.
func (p *Process) Status() *Status {
	s := &Status{Node: p.cfg.Name, Deployment: hex.EncodeToString(p.cfg.Cluster.Deployment[:]), Listen: p.Addr()}
	if f := p.cfg.Describe; f != nil {
		s.Fabric = f()
	}
	for _, t := range p.node.Targets() {
		s.Targets = append(s.Targets, store.TargetState{
			UUID: t.ID.String(), Name: t.Dir, State: t.State.String(), Error: t.Error,
			Usable: t.State == node.Online, Full: t.State == node.Full, Failures: int(t.ConsecutiveIOErrors),
			Total: t.Usage.Total, Free: t.Usage.Free, Live: t.Usage.LiveBytes, Dead: t.Usage.DeadBytes, Chunks: t.Usage.Chunks,
		})
	}
	return s
}

// Describe tells the operator what runs where.
func (p *Process) Describe(w io.Writer) {
	s := p.Status()
	online := 0
	for _, t := range s.Targets {
		if t.Usable {
			online++
		}
	}
	fmt.Fprintf(w, "Weft storage node %s serves %d targets, %d of them online, at %s\n", s.Node, len(s.Targets), online, s.Listen)
	if len(s.Fabric) > 0 {
		fmt.Fprintf(w, "Fabric:\n  %s\n", strings.Join(s.Fabric, "\n  "))
	}
	fmt.Fprintf(w, "State in %s; try `weft admin status --state %s`\n", p.cfg.State, p.cfg.State)
}

// DefaultName is this host's name as far as the first dot.
func DefaultName() string {
	host, err := os.Hostname()
	if err != nil {
		return ""
	}
	host, _, _ = strings.Cut(host, ".")
	return host
}
