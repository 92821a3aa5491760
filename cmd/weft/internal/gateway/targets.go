package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/weftstore/weft/cmd/weft/internal/adminsock"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/store"
)

// leftLimit is how far parts on a target are counted before it is removed.
const leftLimit = 100_000

// TargetsResult is what became of targets that are drained or removed.
type TargetsResult struct {
	Targets []string            `json:"targets"`
	Moved   *store.RepairResult `json:"moved,omitempty"` // by this gateway; nil: another does it
	Note    string              `json:"note,omitempty"`
}

// named are the rows of targets: of one name, or of all of a node.
func (ns *nodes) named(name string) ([]metadata.Target, error) {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	var list []metadata.Target
	for _, row := range ns.rows {
		if row.Path == name || name != "" && ns.home(row.Path) == name {
			list = append(list, row)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("no target and no node is named %q: `weft admin status` lists them", name)
	}
	return list, nil
}

// mark sets or clears that targets are drained.
func (g *Gateway) mark(ctx context.Context, name string, drain bool) (*TargetsResult, error) {
	rows, err := g.nodes.named(name)
	if err != nil {
		return nil, err
	}
	ids := map[metadata.TargetID]bool{}
	r := new(TargetsResult)
	for _, row := range rows {
		ids[row.ID] = true
		r.Targets = append(r.Targets, row.Path)
	}
	if drain {
		if err := g.store.CanDrain(ids); err != nil {
			return nil, err
		}
	}
	for id := range ids {
		_, err := g.parts.Meta.DB.UpdateTarget(ctx, id, func(t *metadata.Target) error {
			t.Draining = drain
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return r, g.nodes.refresh(ctx)
}

// drain marks targets and moves what is on them, here or where the leader is.
func (g *Gateway) drain(ctx context.Context, a adminsock.Args, report store.Report) (any, error) {
	r, err := g.mark(ctx, a.Name, true)
	if err != nil {
		return nil, err
	}
	if m := g.parts.Member; m != nil {
		lead, done, err := m.Leading(ctx)
		if err != nil {
			r.Note = "the gateway that leads moves the data within a minute: `weft admin status` names it"
			return r, nil //nolint:nilerr // another gateway leads
		}
		defer done()
		ctx = lead
	}
	r.Moved, err = g.store.Drain(ctx, store.RepairOptions{BytesPerSecond: a.Rate}, report)
	return r, err
}

func (g *Gateway) undrain(ctx context.Context, a adminsock.Args, _ store.Report) (any, error) {
	return g.mark(ctx, a.Name, false)
}

// removed says whether the cluster map may still have a target that was removed.
func (g *Gateway) removed(ctx context.Context, name string) (bool, error) {
	if g.parts.Roster == nil {
		return false, nil
	}
	rows, err := g.parts.Meta.DB.Targets(ctx)
	return slices.ContainsFunc(rows, func(t metadata.Target) bool { return t.Retired && t.Path == name }), err
}

// remove retires targets that have been drained.
func (g *Gateway) remove(ctx context.Context, a adminsock.Args, _ store.Report) (any, error) {
	r := new(TargetsResult)
	if err := g.nodes.refresh(ctx); err != nil { // another gateway may have entered targets of the node, or undrained them
		return nil, err
	}
	rows, err := g.nodes.named(a.Name)
	if err != nil && g.nodes.link(a.Name) == nil { // a node without targets is one that never came
		if gone, gerr := g.removed(ctx, a.Name); gerr != nil || !gone {
			return nil, errors.Join(err, gerr)
		}
		r.Targets = []string{a.Name} // the map could not be changed when it was removed
	}
	for _, row := range rows {
		if !row.Draining {
			return nil, fmt.Errorf("target %s is in use: drain it first", row.Path)
		}
		// Before Left: what is through by then is counted there.
		if open, err := g.nodes.writers(ctx, row.UUID); err != nil || open > 0 {
			return nil, errors.Join(err, fmt.Errorf("target %s may be written to: wait until uploads that began before it was drained have ended", row.Path))
		}
		n, err := g.store.Left(ctx, row.ID, leftLimit)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			return nil, fmt.Errorf("target %s still has shards of %d parts: wait until they are moved, draining again shows what hinders it", row.Path, n)
		}
	}
	for _, row := range rows {
		_, err := g.parts.Meta.DB.UpdateTarget(ctx, row.ID, func(t *metadata.Target) error {
			if !t.Draining {
				return errors.New("somebody ended the draining meanwhile")
			}
			t.Retired = true
			return nil
		})
		if err != nil {
			return nil, err
		}
		r.Targets = append(r.Targets, row.Path)
	}
	if g.parts.Roster != nil {
		r.Note = "delete what is in the directories"
	} else {
		r.Note = "leave the directories out of the cluster file, restart their nodes, and delete what is in them"
	}
	return r, errors.Join(g.leaveMap(ctx, a.Name, r.Targets), g.nodes.refresh(ctx))
}
