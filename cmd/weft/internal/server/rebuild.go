package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/weftstore/weft/erasure"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/metadata/boltkv"
	"github.com/weftstore/weft/node"
	"github.com/weftstore/weft/store"
)

// Rebuild makes the metadata of a store anew from its targets. The state
// directory must hold none. The database appears under its name only when it is
// complete, so that a rebuild that was cut short can be run again.
func Rebuild(ctx context.Context, cfg Config, log *slog.Logger, report store.Report) (res *store.RebuildResult, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	id, found, err := findDeployment(cfg.Targets)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, errors.New("none of these directories is a Weft target")
	}
	s := &Server{cfg: cfg, log: log, now: time.Now, deployment: id}
	defer func() { err = errors.Join(err, s.close()) }()
	if s.state, err = openState(cfg.State); err != nil {
		return nil, err
	}
	s.onClose(s.state.Close)
	path := s.state.path(metadataFile)
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s is there already; move it away to have it made anew", path)
	}
	tmp := path + ".rebuild"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if s.kv, err = boltkv.Open(tmp); err != nil {
		return nil, err
	}
	s.onClose(s.kv.Close)
	if s.meta, err = metadata.New(s.kv, metadata.Options{}); err != nil {
		return nil, err
	}
	if err := s.openFabric(ctx); err != nil {
		return nil, err
	}
	if err := s.openPools(); err != nil {
		return nil, err
	}
	if err := s.addFound(ctx); err != nil {
		return nil, err
	}
	res, err = store.Rebuild(ctx, store.RebuildConfig{
		Meta: s.meta, KV: s.kv, Pool: s.pools[0], Small: s.pools[1], Targets: s.targets, Logger: log,
	}, report)
	if err != nil {
		return nil, err
	}
	if err := s.keepDeployment(ctx); err != nil {
		return nil, err
	}
	if err := s.kv.Close(); err != nil {
		return nil, err
	}
	return res, renameSynced(tmp, path)
}

// addFound serves the targets that are there.
func (s *Server) addFound(ctx context.Context) error {
	for _, dir := range s.cfg.Targets {
		uuid, err := s.node.Add(ctx, dir, node.AddOptions{Deployment: s.deployment})
		if err != nil {
			s.log.Warn("target left out", "target", dir, "err", err)
			continue
		}
		s.targets = append(s.targets, store.TargetConfig{UUID: uuid, Name: dir, Target: s.client.Target(uuid)})
	}
	return nil
}

// keepDeployment writes the record of the deployment when it is lost too. The
// layout of new objects becomes the default for all known targets again, also
// those that are away; --layout changes it.
func (s *Server) keepDeployment(ctx context.Context) error {
	d, err := s.state.deployment()
	if err != nil || d != nil {
		return err
	}
	known, err := s.meta.Targets(ctx)
	if err != nil {
		return err
	}
	n := max(len(known), len(s.cfg.Targets))
	return s.state.save(newDeployment(s.deployment, erasure.Default(n).String(), s.now()))
}
