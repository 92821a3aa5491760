package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/weftstore/weft/cmd/weft/internal/gateway"
	"github.com/weftstore/weft/cmd/weft/internal/statedir"
	"github.com/weftstore/weft/cmd/weft/internal/storagenode"
	"github.com/weftstore/weft/erasure"
	"github.com/weftstore/weft/rdma/mem"
)

// fabricAddr is where the node is found in its own process.
const fabricAddr = "node"

// Server is an assembled process.
type Server struct {
	cfg        Config
	log        *slog.Logger
	deployment [16]byte
	layout     erasure.Layout
	formatted  bool // the targets held a store when we came

	state   *statedir.Dir
	meta    *gateway.Metadata
	fabric  *mem.Transport
	node    *storagenode.Node
	gateway *gateway.Gateway
	closers []func() error // run last to first
}

// New assembles a server, formats new targets and listens. Run serves. When New
// fails, nothing is left open.
func New(ctx context.Context, cfg Config, log *slog.Logger) (*Server, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, log: log}
	for _, step := range []func(context.Context) error{
		s.openState, s.openMetadata, s.openNode, s.openGateway,
	} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	return s, nil
}

func (s *Server) onClose(fn func() error) { s.closers = append(s.closers, fn) }

func (s *Server) close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	s.closers = nil
	return errors.Join(errs...)
}

// openState locks the state directory and finds out which store it is of.
func (s *Server) openState(context.Context) error {
	st, err := statedir.Open(s.cfg.State)
	if err != nil {
		return err
	}
	s.state = st
	s.onClose(st.Close)
	d, err := st.Deployment()
	if err != nil {
		return err
	}
	onTargets, found, err := storagenode.FindDeployment(s.cfg.Targets)
	if err != nil {
		return err
	}
	switch {
	case d == nil && found:
		return fmt.Errorf("these directories hold a Weft store, and %s has no metadata of it: "+
			"name the right --state, or, if it is lost, run `weft admin rebuild-metadata --state %s DIR...`", s.cfg.State, s.cfg.State)
	case d == nil:
		d = statedir.NewDeployment(statedir.RandomID(), s.cfg.layout(erasure.Layout{}).String(), time.Now())
		if err := st.SetDeployment(d); err != nil {
			return fmt.Errorf("state directory: %w", err)
		}
	}
	if s.deployment, err = d.UUID(); err != nil {
		return err
	}
	if s.formatted = found; found && onTargets != s.deployment {
		return fmt.Errorf("these directories belong to another Weft store than %s: name its --state, or other directories", s.cfg.State)
	}
	stored, err := erasure.ParseLayout(d.Layout)
	if err != nil {
		return err
	}
	if s.layout = s.cfg.layout(stored); s.layout != stored {
		d.Layout = s.layout.String()
		return st.SetDeployment(d)
	}
	return nil
}

func (s *Server) openMetadata(context.Context) (err error) {
	if s.formatted && !gateway.Exists(s.state) {
		return fmt.Errorf("%s is missing and the targets hold data: run `weft admin rebuild-metadata --state %s DIR...`",
			s.state.Path(gateway.MetadataFile), s.cfg.State)
	}
	if s.meta, err = gateway.OpenMetadata(s.state.Path(gateway.MetadataFile)); err != nil {
		return err
	}
	s.onClose(s.meta.Close)
	return nil
}

// openNode brings up the targets. What the metadata knows of them counts too: the
// node's own table may be lost.
func (s *Server) openNode(ctx context.Context) error {
	rows, err := s.meta.DB.Targets(ctx)
	if err != nil {
		return fmt.Errorf("targets: %w", err)
	}
	var known []storagenode.Known
	for _, t := range rows {
		if !t.Retired && strings.HasPrefix(t.Path, "/") {
			known = append(known, storagenode.Known{UUID: t.UUID, Path: t.Path, Mount: t.Mount, Added: t.Added})
		}
	}
	s.node, err = storagenode.Open(ctx, storagenode.Config{
		State: s.state, Deployment: s.deployment, Targets: s.cfg.Targets, Known: known,
		CheckEvery: s.cfg.checkEvery, Tracer: s.cfg.Tracer, Logger: s.log,
	})
	if err != nil {
		return err
	}
	s.onClose(s.node.Close)
	s.fabric, err = serveNode(s.node, s.onClose)
	return err
}

// serveNode makes a network within the process and has the node answer there.
func serveNode(n *storagenode.Node, onClose func(func() error)) (*mem.Transport, error) {
	fabric := mem.New()
	onClose(fabric.Close)
	srv, err := fabric.Serve(fabricAddr, n.Handler())
	if err == nil {
		onClose(srv.Close)
	}
	return fabric, err
}

func (s *Server) openGateway(ctx context.Context) (err error) {
	s.gateway, err = gateway.New(ctx, s.cfg.Config, gateway.Parts{
		State: s.state, Meta: s.meta, Deployment: s.deployment, Layout: s.layout, Fabric: s.fabric,
		Nodes:     []gateway.Node{{Address: fabricAddr, Targets: len(s.cfg.Targets)}},
		Metrics:   s.cfg.Counters,
		Tracer:    s.cfg.Tracer,
		PollEvery: s.cfg.checkEvery, Logger: s.log,
	})
	if err == nil {
		s.onClose(s.gateway.Close)
	}
	return err
}

// Addr is where S3 is served.
func (s *Server) Addr() string { return s.gateway.Addr() }

// Describe tells the operator where the server is, what it survives and what to try.
func (s *Server) Describe(w io.Writer) { s.gateway.Describe(w) }

// Run serves until ctx ends, lets requests under way end, and closes everything.
func (s *Server) Run(ctx context.Context) error {
	return errors.Join(s.gateway.Run(ctx), s.close())
}
