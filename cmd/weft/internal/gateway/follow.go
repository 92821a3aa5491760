package gateway

import (
	"context"
	"slices"
	"time"

	"github.com/weftstore/weft/cmd/weft/internal/cluster"
	"github.com/weftstore/weft/metadata"
)

// list are the links to all nodes; it is replaced and never changed.
func (ns *nodes) list() []*link { return *ns.links.Load() }

// expect is how many targets the nodes are to have.
func (ns *nodes) expect() (n int) {
	for _, l := range ns.list() {
		n += l.cfg().Targets
	}
	return n
}

// begin looks at a node every now and then until the link is ended.
func (ns *nodes) begin(l *link) {
	var ctx context.Context
	ctx, l.stop = context.WithCancel(ns.run)
	l.ended = make(chan struct{})
	ns.loops.Go(func() {
		defer close(l.ended)
		l.run(ctx)
	})
}

// end looks at a node no more: its targets are away.
func (ns *nodes) end(l *link) error {
	l.stop()
	<-l.ended
	l.polling.Lock() // restore may have it in hand, and polls too
	l.over = true
	l.polling.Unlock()
	ns.apply(ns.run, l, nil, nil)
	return l.close()
}

// MapFile is a copy of the cluster map in the state directory, for when etcd is lost.
const MapFile = "nodes.json"

func (g *Gateway) followMap(nodes []cluster.Node) {
	if err := g.parts.State.WriteJSON(MapFile, nodes); err != nil {
		g.log.Warn("no copy of the cluster map", "err", err)
	}
	g.nodes.follow(nodes)
}

// follow makes the links those of a changed cluster map.
func (ns *nodes) follow(nodes []cluster.Node) {
	want := Nodes(nodes)
	var keep []*link
	for _, l := range ns.list() {
		i := slices.IndexFunc(want, func(n Node) bool { return n.Name == l.cfg().Name })
		if i >= 0 && want[i].Address == l.cfg().Address {
			l.conf.Store(&want[i])
			keep = append(keep, l)
			continue
		}
		// A new address is a new link.
		ns.log.Info("node has left the cluster map, or moved", "node", l.cfg().Name, "address", l.cfg().Address)
		if err := ns.end(l); err != nil {
			ns.log.Debug("connection closed", "node", l.cfg().Name, "err", err)
		}
	}
	for _, n := range want {
		if !slices.ContainsFunc(keep, func(l *link) bool { return l.cfg().Name == n.Name }) {
			ns.log.Info("node of the cluster map", "node", n.Name, "address", n.Address, "targets", n.Targets)
			l := newLink(ns, n)
			keep = append(keep, l)
			ns.begin(l)
		}
	}
	ns.links.Store(&keep)
	ns.redomain()
}

// redomain enters the failure domains as they are now.
func (ns *nodes) redomain() {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	for uuid, row := range ns.rows {
		c, ok := ns.targets[row.ID]
		if d := ns.domain(row.Path); ok && d != c.Domain {
			c.Domain = d
			ns.log.Info("failure domain of a target", "target", uuid, "name", row.Path, "domain", d)
			ns.set(c)
		}
	}
}

// giveUp has the store make anew elsewhere what is on targets that have been away for
// long, while the others can hold it. One that comes back is used again.
func (ns *nodes) giveUp(now time.Time) {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	if ns.lostAfter <= 0 || ns.store == nil {
		return
	}
	for uuid, row := range ns.rows {
		if ns.serving[uuid] != nil {
			delete(ns.away, uuid)
			continue
		}
		since, ok := ns.away[uuid]
		if !ok {
			ns.away[uuid] = now
			continue
		}
		c := ns.targets[row.ID]
		if c.Draining || now.Sub(since) < ns.lostAfter || ns.store.CanDrain(map[metadata.TargetID]bool{row.ID: true}) != nil {
			continue
		}
		ns.log.Warn("target counts as lost: what it had is made anew elsewhere", "target", row.Path, "away since", since)
		c.Draining = true
		ns.set(c)
	}
}
