package gateway

import (
	"context"
	"time"

	"github.com/weftstore/weft/cmd/weft/internal/adminsock"
	"github.com/weftstore/weft/cmd/weft/internal/member"
	"github.com/weftstore/weft/node"
	"github.com/weftstore/weft/store"
)

// Status is that of the store, its nodes and the fabric.
type Status struct {
	*store.Status
	Nodes []NodeState `json:"nodes,omitempty"`
	// Members are the processes that are registered in etcd.
	Members []member.Peer `json:"members,omitempty"`
	// Metadata are the etcd clusters, the home first.
	Metadata []MetadataState `json:"metadata,omitempty"`
	Fabric   []string        `json:"fabric,omitempty"` // which transports run and why
}

// NodeState is what the gateway knows of a node.
type NodeState struct {
	Name    string    `json:"name"`
	Address string    `json:"address"`
	Domain  string    `json:"domain,omitempty"`
	State   string    `json:"state"` // "up" or "away"
	Error   string    `json:"error,omitempty"`
	Since   time.Time `json:"since"` // when State was entered
	Targets int       `json:"targets"`
	Refused []string  `json:"refused,omitempty"` // targets that are not taken, and why
}

func (g *Gateway) adminOps() map[string]adminsock.Op {
	ops := map[string]adminsock.Op{
		"status": func(ctx context.Context, _ adminsock.Args, _ store.Report) (any, error) { return g.Status(ctx) },
		"usage":  func(ctx context.Context, _ adminsock.Args, r store.Report) (any, error) { return g.store.Usage(ctx, r) },
		"scrub": func(ctx context.Context, a adminsock.Args, r store.Report) (any, error) {
			return g.store.Scrub(ctx, store.ScrubOptions{BytesPerSecond: a.Rate}, r)
		},
		"repair": func(ctx context.Context, a adminsock.Args, r store.Report) (any, error) {
			problems := g.nodes.restore(ctx)
			res, err := g.store.Repair(ctx, store.RepairOptions{BytesPerSecond: a.Rate}, r)
			if err == nil {
				res.Problems = append(problems, res.Problems...)
			}
			return res, err
		},
		"repair-status": func(ctx context.Context, _ adminsock.Args, _ store.Report) (any, error) {
			return g.store.RepairStatus(ctx)
		},
		"check": func(ctx context.Context, a adminsock.Args, r store.Report) (any, error) {
			return g.store.Check(ctx, store.CheckOptions{Deep: a.Deep}, r)
		},
		"drain": g.drain, "undrain": g.undrain, "remove": g.remove, "add": g.add, "map": g.listMap,
		"identity": g.identity, "quota": g.quota,
		"snapshot": func(ctx context.Context, _ adminsock.Args, _ store.Report) (any, error) {
			return struct{}{}, g.store.Snapshot(ctx)
		},
	}
	if g.parts.Member != nil {
		for _, name := range []string{"scrub", "repair", "repair-status", "snapshot"} {
			ops[name] = g.leading(ops[name])
		}
	}
	return ops
}

// leading makes an operation one of the gateway that leads: it ends when the lead does.
func (g *Gateway) leading(op adminsock.Op) adminsock.Op {
	return func(ctx context.Context, a adminsock.Args, r store.Report) (any, error) {
		ctx, done, err := g.parts.Member.Leading(ctx)
		if err != nil {
			return nil, err
		}
		defer done()
		return op(ctx, a, r)
	}
}

// Status of the store, its nodes and the fabric.
func (g *Gateway) Status(ctx context.Context) (*Status, error) {
	st, err := g.store.Status(ctx)
	if err != nil {
		return nil, err
	}
	s := &Status{Status: st}
	for _, l := range g.nodes.list() {
		if state, _ := l.snapshot(); l.cfg().Name != "" {
			s.Nodes = append(s.Nodes, state)
		}
	}
	s.Metadata = g.parts.Meta.State(ctx)
	if m := g.parts.Member; m != nil && s.Metadata[0].Error == "" {
		if s.Members, err = m.Peers(ctx); err != nil {
			return nil, err
		}
	}
	if f := g.parts.Describe; f != nil {
		s.Fabric = f()
	}
	return s, nil
}

// status is the state of all targets as their nodes told last.
func (ns *nodes) status(context.Context) ([]node.TargetStatus, error) {
	var all []node.TargetStatus
	for _, l := range ns.list() {
		_, list := l.snapshot()
		ns.mu.Lock()
		for _, s := range list {
			if by := ns.serving[s.ID]; by == nil || by == l { // else it was taken over from there
				all = append(all, s)
			}
		}
		ns.mu.Unlock()
	}
	return all, nil
}
