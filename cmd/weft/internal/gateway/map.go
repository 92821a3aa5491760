package gateway

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/weftstore/weft/cmd/weft/internal/adminsock"
	"github.com/weftstore/weft/cmd/weft/internal/cluster"
	"github.com/weftstore/weft/store"
)

var errNoMap = errors.New("without metadata in etcd there is no cluster map: change the cluster file, or the directories of `weft server`, and restart what has them")

// add enters nodes or targets in the cluster map. Everybody follows it at once.
func (g *Gateway) add(ctx context.Context, a adminsock.Args, _ store.Report) (any, error) {
	r := g.parts.Roster
	if r == nil {
		return nil, errNoMap
	}
	if node, dir, ok := strings.Cut(a.Name, ":"); ok && !strings.Contains(a.Name, "=") {
		if !filepath.IsAbs(dir) {
			return nil, fmt.Errorf("target %q: want NODE:DIR", a.Name)
		}
		return &TargetsResult{Targets: []string{a.Name}}, r.Edit(ctx, node, func(n *cluster.Node) error {
			if slices.Contains(n.Targets, filepath.Clean(dir)) {
				return fmt.Errorf("node %s has %s already", node, dir)
			}
			n.Targets = append(n.Targets, filepath.Clean(dir))
			return nil
		})
	}
	spec, err := cluster.ParseSpec(a.Name)
	if err != nil {
		return nil, err
	}
	nodes, err := spec.Nodes()
	if err != nil {
		return nil, err
	}
	res := &TargetsResult{Note: "start `weft node` there, with this cluster's file and secret"}
	for i := range nodes {
		nodes[i].Takeover = a.Takeover
		for _, dir := range nodes[i].Targets {
			res.Targets = append(res.Targets, nodes[i].Name+":"+dir)
		}
	}
	return res, r.Set(ctx, nodes)
}

// listMap is the cluster map with what the nodes tell.
func (g *Gateway) listMap(ctx context.Context, _ adminsock.Args, _ store.Report) (any, error) {
	if g.parts.Roster == nil {
		return nil, errNoMap
	}
	return g.parts.Roster.List(ctx)
}

// leaveMap takes targets that were removed out of the cluster map, and the node too when
// it is named.
func (g *Gateway) leaveMap(ctx context.Context, name string, targets []string) error {
	r := g.parts.Roster
	if r == nil {
		return nil
	}
	nodes, err := r.Nodes(ctx)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(nodes, func(n cluster.Node) bool { return n.Name == name }) {
		return r.Remove(ctx, name)
	}
	for _, target := range targets {
		_, dir, _ := strings.Cut(target, ":")
		// On a parallel file system it may be with another node than its own.
		i := slices.IndexFunc(nodes, func(n cluster.Node) bool { return n.Name+":"+dir == target && slices.Contains(n.Targets, dir) })
		if i < 0 {
			i = slices.IndexFunc(nodes, func(n cluster.Node) bool { return len(n.Takeover) > 0 && slices.Contains(n.Targets, dir) })
		}
		if i < 0 {
			continue
		}
		if len(nodes[i].Targets) == 1 {
			err = r.Remove(ctx, nodes[i].Name)
		} else {
			err = r.Edit(ctx, nodes[i].Name, func(n *cluster.Node) error {
				n.Targets = slices.DeleteFunc(n.Targets, func(d string) bool { return d == dir })
				return nil
			})
		}
		if err != nil {
			return err
		}
	}
	return nil
}
