package storagenode

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/weftstore/weft/cmd/weft/internal/cluster"
	"github.com/weftstore/weft/cmd/weft/internal/member"
	"github.com/weftstore/weft/cmd/weft/internal/roster"
	"github.com/weftstore/weft/cmd/weft/internal/statedir"
	"github.com/weftstore/weft/node"
)

const (
	// tellEvery is the time between two reports of the targets to etcd, and between
	// tries to bring up a new directory.
	tellEvery = 5 * time.Second
	// joinTimeout bounds the wait for etcd at the start.
	joinTimeout = 30 * time.Second
)

// join registers the node in etcd and takes the nodes of the cluster map in place of
// those of the file.
func (p *Process) join(ctx context.Context) error {
	c := &p.cfg
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	kv, prefix, err := member.Connect(ctx, c.Cluster.Metadata, c.Cluster.Deployment)
	if err != nil {
		return err
	}
	p.closers = append(p.closers, kv.Close)
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	p.member, err = member.Join(ctx, member.Config{
		Client: kv.Client(), Prefix: prefix, Deployment: c.Cluster.Deployment, TTL: c.TTL, Logger: c.Logger,
		Info: member.Info{Kind: member.Node, Name: c.Name, Host: host, Address: c.Listen, Started: time.Now().UTC()},
	})
	if err != nil {
		return err
	}
	p.closers = append(p.closers, p.member.Close)
	if p.roster, err = roster.Open(ctx, kv.Client(), prefix, c.Cluster, c.Logger); err != nil {
		return err
	}
	nodes, err := p.roster.Nodes(ctx)
	if err == nil {
		c.Cluster, err = c.Cluster.WithNodes(nodes)
	}
	return err
}

// startFollowing keeps the targets those of the cluster map.
func (p *Process) startFollowing() {
	ctx, stop := context.WithCancel(context.Background())
	f := &follower{p: p, file: p.cfg.Cluster, changes: make(chan []cluster.Node)}
	p.loops.Go(func() { p.roster.Watch(ctx, func(n []cluster.Node) { f.send(ctx, n) }) })
	p.loops.Go(func() { f.run(ctx) })
	p.closers = append(p.closers, func() error {
		stop()
		p.loops.Wait()
		return nil
	})
}

// follower is what runs while the node does.
type follower struct {
	p       *Process
	file    *cluster.File // as the map is now
	changes chan []cluster.Node
	said    string // what was wrong last
}

func (f *follower) send(ctx context.Context, nodes []cluster.Node) {
	select {
	case f.changes <- nodes:
	case <-ctx.Done():
	}
}

func (f *follower) run(ctx context.Context) {
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case nodes := <-f.changes:
			file, err := f.file.WithNodes(nodes)
			if err != nil {
				f.say(err)
				continue
			}
			f.file = file
		case <-tick.C:
		}
		if err := f.apply(ctx); ctx.Err() == nil {
			f.say(err)
		}
		if err := f.p.roster.Tell(ctx, f.p.member, f.p.cfg.Name, f.p.node.has()); err != nil && ctx.Err() == nil {
			f.p.cfg.Logger.Debug("state of the targets is not told", "err", err)
		}
	}
}

// say logs an error once.
func (f *follower) say(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != f.said {
		f.p.cfg.Logger.Error("cluster map", "err", err)
	}
	f.said = text
}

// apply serves what the map has for this node, and nothing else.
func (f *follower) apply(ctx context.Context) error {
	var dirs []string
	self, ok := f.file.Node(f.p.cfg.Name)
	var err error
	if ok {
		dirs = self.Targets
		if have := strings.Join(self.Addresses, ","); f.p.cfg.Listen == "" && have != f.p.addresses {
			err = fmt.Errorf("the address of this node is %s now: restart it", have)
		}
	} else {
		err = errors.New("this node was removed: stop it")
	}
	err = errors.Join(err, f.p.node.extend(ctx, dirs), f.p.node.shrink(dirs))
	f.p.owners.follow(f.file)
	return err
}

// extend brings up directories that are new.
func (n *Node) extend(ctx context.Context, dirs []string) error {
	var errs []error
	for _, dir := range dirs {
		if slices.Contains(n.cfg.Targets, dir) {
			continue
		}
		if err := n.bringUpNew(ctx, dir); err != nil {
			errs = append(errs, err)
			continue
		}
		n.cfg.Targets = append(slices.Clone(n.cfg.Targets), dir)
	}
	return errors.Join(errs...)
}

func (n *Node) bringUpNew(ctx context.Context, dir string) error {
	row, err := n.identify(ctx, dir)
	if err != nil {
		return err
	}
	if row == nil {
		id := statedir.RandomID()
		if err := n.format(dir, id); err != nil {
			return err
		}
		row = n.known.remember(id, dir)
	}
	if err := n.known.save(); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	n.cfg.Logger.Info("new target", "dir", dir, "target", row.UUID)
	return n.serve(ctx, *row)
}

// serve has the service open a target, unless that is the owners' to do.
func (n *Node) serve(ctx context.Context, row Known) error {
	if n.cfg.Held {
		return nil
	}
	if n.looks[row.Path] != nil { // it hangs: the service takes it when it answers
		now, cancel := context.WithCancel(ctx)
		cancel()
		ctx = now
	}
	opts := node.AddOptions{Expect: row.UUID, Deployment: n.cfg.Deployment, WasMount: row.Mount}
	if _, err := n.service.Add(ctx, row.Path, opts); err != nil {
		return fmt.Errorf("target %s: %w", row.Path, err)
	}
	return nil
}

// shrink lets go of the directories that are not named any more, and forgets them.
func (n *Node) shrink(dirs []string) error {
	var errs []error
	for _, dir := range n.cfg.Targets {
		if slices.Contains(dirs, dir) {
			continue
		}
		n.cfg.Logger.Info("target has left the cluster map", "dir", dir)
		if row := n.known.byPath(dir); row != nil && !n.cfg.Held {
			errs = append(errs, n.service.Remove(row.UUID))
		}
		n.known.rows = slices.DeleteFunc(n.known.rows, func(k Known) bool { return k.Path == dir })
		errs = append(errs, n.known.save())
	}
	n.cfg.Targets = slices.DeleteFunc(slices.Clone(n.cfg.Targets), func(dir string) bool { return !slices.Contains(dirs, dir) })
	return errors.Join(errs...)
}

// has is what the node tells of its targets.
func (n *Node) has() []roster.Has {
	list := []roster.Has{}
	for _, t := range n.service.Status() {
		list = append(list, roster.Has{Dir: t.Dir, UUID: t.ID.String(), State: t.State.String(), Total: t.Usage.Total, Free: t.Usage.Free})
	}
	return list
}
