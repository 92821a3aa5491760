package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/weftstore/weft/cmd/weft/internal/settings"
	"github.com/weftstore/weft/cmd/weft/internal/statedir"
	"github.com/weftstore/weft/erasure"
	"github.com/weftstore/weft/node"
	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/store"
)

// RebuildConfig is what Rebuild works on.
type RebuildConfig struct {
	State      *statedir.Dir
	Deployment [16]byte
	Layout     erasure.Layout // of new objects; zero: the default for all known targets
	Memory     settings.Bytes
	Fabric     rdma.Transport
	Nodes      []Node
	AcceptLoss bool // go on in spite of ErrLoss
	Logger     *slog.Logger
}

// ErrLoss says that objects would be given up of which shards may be on targets that are missing.
var ErrLoss = errors.New("what is left of them is deleted once the store runs: bring the targets back and run this again, or, if they are lost, add --accept-loss")

// Rebuild makes the metadata of a store anew from the targets of its nodes. The state
// directory must hold none. The database appears under its name only when it is
// complete, so that a rebuild that was cut short can be run again. Every node must
// answer: what it holds would be missing from the metadata. With ErrLoss there is a result.
func Rebuild(ctx context.Context, c RebuildConfig, report store.Report) (res *store.RebuildResult, err error) {
	path := c.State.Path(MetadataFile)
	if Exists(c.State) {
		return nil, fmt.Errorf("%s is there already; move it away to have it made anew", path)
	}
	var closers []func() error
	defer func() {
		for i := len(closers) - 1; i >= 0; i-- {
			err = errors.Join(err, closers[i]())
		}
	}()
	onClose := func(fn func() error) { closers = append(closers, fn) }
	tmp := path + ".rebuild"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	meta, err := OpenMetadata(tmp)
	if err != nil {
		return nil, err
	}
	onClose(meta.Close)
	ns := newNodes(c.Fabric, meta.DB, c.Deployment, c.Nodes, 0, c.Logger)
	onClose(ns.close)
	targets, out, err := ns.found(ctx)
	if err != nil {
		return nil, err
	}
	pools, err := newPools(c.Fabric, int(c.Memory), onClose)
	if err != nil {
		return nil, err
	}
	res, err = store.Rebuild(ctx, store.RebuildConfig{
		Meta: meta.DB, KV: meta.KV, Pool: pools[0], Small: pools[1], Targets: targets, Logger: c.Logger,
	}, report)
	if err != nil {
		return nil, err
	}
	missing := slices.Sorted(slices.Values(append(out, res.Missing...)))
	if all := res.Snapshot && len(missing) == 0; !all && res.Dropped > 0 && !c.AcceptLoss {
		names := strings.Join(slices.Compact(missing), ", ")
		if names == "" {
			names = "others, if there are any"
		}
		return res, fmt.Errorf("%d objects have too few shards without %s; %w", res.Dropped, names, ErrLoss)
	}
	known, err := meta.DB.Targets(ctx)
	if err != nil {
		return nil, err
	}
	if err := keepDeployment(&c, len(known)); err != nil {
		return nil, err
	}
	if err := meta.Close(); err != nil {
		return nil, err
	}
	return res, statedir.Rename(tmp, path)
}

// found asks every node once for the targets that it serves. out are those that are left out.
func (ns *nodes) found(ctx context.Context) (targets []store.TargetConfig, out []string, err error) {
	seen := map[node.TargetUUID]string{}
	for _, l := range ns.list() {
		list, err := l.ask(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("node %s: %w", l.cfg().Name, err)
		}
		for _, s := range list {
			name := l.cfg().targetName(s.Dir)
			if !served(s.State) {
				ns.log.Warn("target left out", "target", name, "state", s.State.String(), "err", s.Error)
				out = append(out, name)
				continue
			}
			if other, ok := seen[s.ID]; ok {
				return nil, nil, fmt.Errorf("%s and %s hold the same target %s: leave the copy out", other, name, s.ID)
			}
			seen[s.ID] = name
			targets = append(targets, store.TargetConfig{UUID: s.ID, Name: name, Target: l.client().Target(s.ID)})
		}
	}
	if len(targets) == 0 {
		return nil, nil, errors.New("no target is there")
	}
	return targets, out, nil
}

// keepDeployment writes the record of the deployment when it is lost too. Without
// a layout that of new objects becomes the default for all known targets again, also
// those that are away.
func keepDeployment(c *RebuildConfig, known int) error {
	d, err := c.State.Deployment()
	if err != nil || d != nil {
		return err
	}
	l := c.Layout
	if !l.Valid() {
		n := 0
		for _, nd := range c.Nodes {
			n += nd.Targets
		}
		l = erasure.Default(max(known, n))
	}
	return c.State.SetDeployment(statedir.NewDeployment(c.Deployment, l.String(), time.Now()))
}
