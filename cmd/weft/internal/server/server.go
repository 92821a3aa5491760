package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/weftstore/weft/erasure"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/metadata/boltkv"
	"github.com/weftstore/weft/node"
	"github.com/weftstore/weft/node/extent"
	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/mem"
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
	// fabricAddr is where the node is found in its own process.
	fabricAddr = "node"
)

// Server is an assembled process.
type Server struct {
	cfg        Config
	log        *slog.Logger
	now        func() time.Time
	creds      credentials
	deployment [16]byte
	layout     erasure.Layout
	formatted  bool // the targets held a store when we came

	state   *state
	kv      *boltkv.DB
	meta    *metadata.DB
	fabric  rdma.Transport
	node    *node.Service
	client  *node.Client
	pools   []*rdma.Pool
	targets []store.TargetConfig
	store   *store.Store

	listener net.Listener
	admin    net.Listener
	closers  []func() error // run last to first
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
	s := &Server{cfg: cfg, log: log, now: time.Now}
	for _, step := range []func(context.Context) error{
		s.openState, s.openMetadata, s.openFabric, s.bringUp, s.openStore, s.listen,
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
	st, err := openState(s.cfg.State)
	if err != nil {
		return err
	}
	s.state = st
	s.onClose(st.Close)
	d, err := st.deployment()
	if err != nil {
		return err
	}
	onTargets, found, err := findDeployment(s.cfg.Targets)
	if err != nil {
		return err
	}
	switch {
	case d == nil && found:
		return fmt.Errorf("these directories hold a Weft store, and %s has no metadata of it: "+
			"name the right --state, or, if it is lost, run `weft admin rebuild-metadata --state %s DIR...`", s.cfg.State, s.cfg.State)
	case d == nil:
		d = newDeployment(randomID(), s.cfg.layout(erasure.Layout{}).String(), s.now())
		if err := st.save(d); err != nil {
			return fmt.Errorf("state directory: %w", err)
		}
	}
	if s.deployment, err = d.uuid(); err != nil {
		return err
	}
	if s.formatted = found; found && onTargets != s.deployment {
		return fmt.Errorf("these directories belong to another Weft store than %s: name its --state, or other directories", s.cfg.State)
	}
	stored, err := erasure.ParseLayout(d.Layout)
	if err != nil {
		return err
	}
	s.layout = s.cfg.layout(stored)
	if s.layout != stored {
		d.Layout = s.layout.String()
		if err := st.save(d); err != nil {
			return err
		}
	}
	s.creds, err = loadCredentials(s.cfg)
	return err
}

// layout is the configured one, else the one kept, else the default.
func (c *Config) layout(kept erasure.Layout) erasure.Layout {
	if l, err := erasure.ParseLayout(c.Layout); err == nil {
		return l
	}
	if kept.Valid() {
		return kept
	}
	return erasure.Default(len(c.Targets))
}

func (s *Server) openMetadata(context.Context) error {
	path := s.state.path(metadataFile)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		if s.formatted {
			return fmt.Errorf("%s is missing and the targets hold data: run `weft admin rebuild-metadata --state %s DIR...`", path, s.cfg.State)
		}
	}
	kv, err := boltkv.Open(path)
	if err != nil {
		return err
	}
	s.kv = kv
	s.onClose(kv.Close)
	s.meta, err = metadata.New(kv, metadata.Options{})
	return err
}

// openFabric starts the node and connects to it.
func (s *Server) openFabric(ctx context.Context) error {
	s.fabric = mem.New()
	s.onClose(s.fabric.Close)
	s.node = node.New(node.Config{
		Logger:     s.log,
		CheckEvery: s.cfg.checkEvery,
		Open: func(dir string, o node.OpenOptions) (node.Backend, extent.Identity, error) {
			return node.OpenExtent(dir, s.state.path(indexDir), o)
		},
	})
	s.onClose(s.node.Close)
	srv, err := s.fabric.Serve(fabricAddr, s.node.Handler())
	if err != nil {
		return err
	}
	s.onClose(srv.Close)
	conn, err := s.fabric.Dial(ctx, fabricAddr)
	if err != nil {
		return err
	}
	s.onClose(conn.Close)
	s.client = node.NewClient(conn)
	return nil
}

func (s *Server) openPools() error {
	small := int(s.cfg.Memory) / smallShare
	for _, p := range []struct{ total, block int }{{int(s.cfg.Memory) - small, blockSize}, {small, smallBlock}} {
		pool, err := rdma.NewPool(s.fabric, p.total, p.block)
		if err != nil {
			return err
		}
		s.onClose(pool.Close)
		s.pools = append(s.pools, pool)
	}
	return nil
}

func (s *Server) openStore(context.Context) error {
	if err := s.openPools(); err != nil {
		return err
	}
	c := store.DefaultConfig()
	c.Meta, c.Pool, c.Small = s.meta, s.pools[0], s.pools[1]
	c.Targets, c.Layout, c.Logger = s.targets, s.layout, s.log
	c.NodeStatus = s.client.Status
	c.Events = store.Events{
		TargetError: func(target, op string, err error) {
			s.log.Warn("target error", "target", target, "op", op, "err", err)
		},
		Damaged: func(set metadata.SetID, shards uint64) {
			s.log.Warn("shards missing or corrupt; queued for repair", "set", fmt.Sprintf("%x", set), "shards", fmt.Sprintf("%b", shards))
		},
	}
	var err error
	if s.store, err = store.New(c); err != nil {
		return err
	}
	s.onClose(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), drainFor)
		defer cancel()
		if err := s.store.SnapshotIfChanged(ctx); err != nil {
			s.log.Warn("no snapshot of the metadata at the stop", "err", err)
		}
		return s.store.Close(ctx)
	})
	s.startCompaction()
	s.store.StartMaintenance(store.MaintenanceOptions{
		SnapshotEvery: time.Duration(s.cfg.SnapshotEvery),
		ScrubEvery:    time.Duration(s.cfg.ScrubEvery),
	})
	return nil
}

func (s *Server) listen(ctx context.Context) error {
	var err error
	if s.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", s.cfg.Address); err != nil {
		return fmt.Errorf("serve S3: %w", err)
	}
	s.onClose(ignoreClosed(s.listener))
	if s.admin, err = listenAdmin(s.state.dir); err != nil {
		return err
	}
	s.onClose(ignoreClosed(s.admin))
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

// Addr is where S3 is served.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Run serves until ctx ends, lets requests under way end, and closes everything.
func (s *Server) Run(ctx context.Context) error {
	s3, err := s.s3Server()
	if err != nil {
		return errors.Join(err, s.close())
	}
	adminSrv := &http.Server{Handler: s.adminHandler(), ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	failed := make(chan error, 2)
	go func() {
		if s.cfg.TLSCert != "" {
			failed <- s3.ServeTLS(s.listener, s.cfg.TLSCert, s.cfg.TLSKey)
			return
		}
		failed <- s3.Serve(s.listener)
	}()
	go func() { failed <- adminSrv.Serve(s.admin) }()
	select {
	case <-ctx.Done():
		err = nil
	case err = <-failed:
	}
	s.log.Info("stopping; requests under way may end", "within", drainFor)
	drain, cancel := context.WithTimeout(context.Background(), drainFor)
	defer cancel()
	err = errors.Join(err, s3.Shutdown(drain))
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.Join(err, s3.Close())
	}
	err = errors.Join(err, adminSrv.Close())
	return errors.Join(err, s.close())
}
