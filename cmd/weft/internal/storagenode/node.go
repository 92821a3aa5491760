package storagenode

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/weftstore/weft/cmd/weft/internal/statedir"
	"github.com/weftstore/weft/internal/tracing"
	"github.com/weftstore/weft/node"
	"github.com/weftstore/weft/node/extent"
	"github.com/weftstore/weft/rdma"
)

// compactEvery is how often targets are looked at for dead space.
const compactEvery = 5 * time.Minute

// Config of a Node.
type Config struct {
	// State is the locked state directory; it stays the caller's.
	State *statedir.Dir
	// Name of the node in the cluster; "" when it is the only one.
	Name       string
	Deployment [16]byte
	// Targets are the directories, absolute paths.
	Targets []string
	// Known are targets that are known from elsewhere, such as the metadata.
	Known []Known
	// Held says that Targets are opened by whoever holds them, see owners.
	Held bool
	// CheckEvery is the time between health checks of a target; 0 is the default of
	// package node.
	CheckEvery time.Duration
	// Staging is the memory that the fabric lends to transfers; 0: none is lent.
	Staging int
	// Tracer records what is done for requests that are traced; nil: nothing.
	Tracer *tracing.Tracer
	Logger *slog.Logger
}

// Node serves the targets of this host.
type Node struct {
	cfg     Config
	service *node.Service
	known   *known
	looks   map[string]chan looked // those that have not ended, by directory
}

// Open formats new directories and serves all, also those that are missing now,
// which come back by themselves. When it fails nothing is left open.
func Open(ctx context.Context, cfg Config) (*Node, error) {
	n := newNode(cfg)
	if err := n.bringUp(ctx); err != nil {
		return nil, n.closeWith(err)
	}
	return n, nil
}

// OpenFound serves the directories that hold a target of the deployment, and tells
// which target each is. Nothing is formatted or remembered. One that another process
// serves is an error.
func OpenFound(ctx context.Context, cfg Config) (*Node, error) {
	n := newNode(cfg)
	for _, dir := range cfg.Targets {
		if _, err := n.service.Add(ctx, dir, node.AddOptions{Deployment: cfg.Deployment}); errors.Is(err, node.ErrInUse) {
			return nil, n.closeWith(err)
		} else if err != nil {
			cfg.Logger.Warn("target left out", "target", dir, "err", err)
		}
	}
	return n, nil
}

func newNode(cfg Config) *Node {
	return &Node{cfg: cfg, looks: map[string]chan looked{}, service: node.New(node.Config{
		Identity:     node.Identity{Deployment: cfg.Deployment, Name: cfg.Name},
		Logger:       cfg.Logger,
		Tracer:       cfg.Tracer,
		CheckEvery:   cfg.CheckEvery,
		CompactEvery: compactEvery,
		Staging:      cfg.Staging,
		IndexDir:     cfg.State.Path(statedir.IndexDir),
	})}
}

// Handler answers the node protocol.
func (n *Node) Handler() rdma.Handler { return n.service.Handler() }

// Targets is the state of all targets in the order of the configuration.
func (n *Node) Targets() []node.TargetStatus { return n.service.Status() }

// Close ends what is under way and closes the targets.
func (n *Node) Close() error { return n.service.Close() }

func (n *Node) closeWith(err error) error {
	if cerr := n.Close(); cerr != nil {
		return fmt.Errorf("%w (and %w)", err, cerr)
	}
	return err
}

// identity of a target of this node.
func (n *Node) identity(target [16]byte) extent.Identity {
	return extent.Identity{Deployment: n.cfg.Deployment, Target: target}
}
