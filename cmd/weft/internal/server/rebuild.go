package server

import (
	"context"
	"errors"
	"log/slog"

	"github.com/weftstore/weft/cmd/weft/internal/gateway"
	"github.com/weftstore/weft/cmd/weft/internal/statedir"
	"github.com/weftstore/weft/cmd/weft/internal/storagenode"
	"github.com/weftstore/weft/store"
)

// Rebuild makes the metadata of a store anew from its targets. The state
// directory must hold none. acceptLoss as in gateway.RebuildConfig.
func Rebuild(ctx context.Context, cfg Config, acceptLoss bool, log *slog.Logger, report store.Report) (res *store.RebuildResult, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	id, found, err := storagenode.FindDeployment(cfg.Targets)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, errors.New("none of these directories is a Weft target")
	}
	s := &Server{cfg: cfg, log: log}
	defer func() { err = errors.Join(err, s.close()) }()
	if s.state, err = statedir.Open(cfg.State); err != nil {
		return nil, err
	}
	s.onClose(s.state.Close)
	n, err := storagenode.OpenFound(ctx, storagenode.Config{
		State: s.state, Deployment: id, Targets: cfg.Targets, Logger: log,
	})
	if err != nil {
		return nil, err
	}
	s.onClose(n.Close)
	fabric, err := serveNode(n, s.onClose)
	if err != nil {
		return nil, err
	}
	return gateway.Rebuild(ctx, gateway.RebuildConfig{
		State: s.state, Deployment: id, Memory: cfg.Memory, Fabric: fabric,
		Nodes: []gateway.Node{{Address: fabricAddr, Targets: len(cfg.Targets)}}, AcceptLoss: acceptLoss, Logger: log,
	}, report)
}
