package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weftstore/weft/cmd/weft/internal/member"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/node"
	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/store"
)

const (
	// pollEvery is the time between looks at a node.
	pollEvery = 2 * time.Second
	// pollTimeout is how long a node may take to answer before it counts as away.
	pollTimeout = 4 * time.Second
)

// Node is a storage node as it is configured.
type Node struct {
	Name    string // without ':' and '/'; "" in the process itself
	Address string // of the fabric
	Domain  string // failure domain of its targets; "": each is its own
	Targets int    // how many it is to have
	// Shared are the directories that other nodes may take over.
	Shared []string
}

// targetName names a directory of the node.
func (n *Node) targetName(dir string) string {
	if n.Name == "" {
		return dir
	}
	return n.Name + ":" + dir
}

// nodes keeps the store's targets in step with the nodes: a goroutine for each
// node asks it for its state, enters new targets in the metadata and tells the
// store which are there. A node that hangs delays nobody but itself.
type nodes struct {
	fabric     rdma.Transport
	meta       *metadata.DB
	deployment [16]byte
	log        *slog.Logger
	every      time.Duration
	shared     bool          // other gateways enter targets in the metadata too
	lostAfter  time.Duration // after which a target that is away counts as lost; 0: never
	links      atomic.Pointer[[]*link]
	loops      sync.WaitGroup
	run        context.Context // ends with close
	stop       context.CancelFunc

	mu      sync.Mutex
	store   *store.Store                             // nil before attach
	rows    map[node.TargetUUID]metadata.Target      // the table of the metadata
	targets map[metadata.TargetID]store.TargetConfig // as the store has them
	serving map[node.TargetUUID]*link                // who has a target now
	retired map[node.TargetUUID]metadata.TargetID    // removed from the store
	away    map[node.TargetUUID]time.Time            // since when nobody serves a target
	fresh   bool                                     // the metadata knew no target at the start
}

func newNodes(fabric rdma.Transport, meta *metadata.DB, deployment [16]byte, list []Node, every time.Duration, log *slog.Logger) *nodes {
	ns := &nodes{
		fabric: fabric, meta: meta, deployment: deployment, log: log, every: cmp.Or(every, pollEvery),
		rows: map[node.TargetUUID]metadata.Target{}, targets: map[metadata.TargetID]store.TargetConfig{},
		serving: map[node.TargetUUID]*link{}, retired: map[node.TargetUUID]metadata.TargetID{},
		away: map[node.TargetUUID]time.Time{},
	}
	var links []*link
	for _, n := range list {
		links = append(links, newLink(ns, n))
	}
	ns.links.Store(&links)
	return ns
}

// start reads the table, looks at every node once, all at the same time, and goes
// on doing so until close. Nodes that do not answer are looked at later.
func (ns *nodes) start(ctx context.Context) error {
	var known []metadata.Target
	wait, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	err := member.Persist(wait, ns.log, func(ctx context.Context) (err error) {
		known, err = ns.meta.Targets(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("targets: %w", err)
	}
	ns.fresh = len(known) == 0
	ns.learn(known)
	ns.pollAll(ctx)
	if err := ns.refusal(); err != nil {
		return err
	}
	ns.run, ns.stop = context.WithCancel(context.Background())
	for _, l := range ns.list() {
		ns.begin(l)
	}
	ns.loops.Go(func() { ns.refreshLoop(ns.run) })
	return ctx.Err()
}

// close stops looking and hangs up.
func (ns *nodes) close() error {
	if ns.stop != nil {
		ns.stop()
	}
	ns.loops.Wait()
	var errs []error
	for _, l := range ns.list() {
		errs = append(errs, l.close())
	}
	return errors.Join(errs...)
}

// attach makes a store of the targets as they are now, which follows them from then on.
func (ns *nodes) attach(open func([]store.TargetConfig) (*store.Store, error)) (*store.Store, error) {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	var list []store.TargetConfig
	for _, t := range ns.targets {
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b store.TargetConfig) int { return cmp.Compare(a.ID, b.ID) })
	var err error
	ns.store, err = open(list)
	return ns.store, err
}

// pollAll looks at all nodes at once and returns when all have answered or failed to.
func (ns *nodes) pollAll(ctx context.Context) {
	var wg sync.WaitGroup
	for _, l := range ns.list() {
		wg.Go(func() { l.poll(ctx) })
	}
	wg.Wait()
}

// config is how the store sees a target.
func (ns *nodes) config(row metadata.Target, s *node.TargetStatus, t store.Target) store.TargetConfig {
	c := store.TargetConfig{ID: row.ID, UUID: row.UUID, Name: row.Path, Domain: ns.domain(row.Path), Draining: row.Draining, Target: t}
	if s != nil {
		c.Free, c.Total = int64(min(s.Usage.Free, 1<<62)), int64(min(s.Usage.Total, 1<<62))
	}
	return c
}

// home is the node that a target is of: where several see its directory, the one that the map gives it to, whoever
// has it now.
func (ns *nodes) home(name string) string {
	host, dir, found := strings.Cut(name, ":")
	if !found || strings.HasPrefix(name, "/") {
		return "" // of this process
	}
	for _, l := range ns.list() {
		if slices.Contains(l.cfg().Shared, dir) {
			return l.cfg().Name
		}
	}
	return host
}

// domain of a target: that of its node.
func (ns *nodes) domain(name string) string {
	host := ns.home(name)
	if l := ns.link(host); l != nil {
		return l.cfg().Domain
	}
	return host
}

func (ns *nodes) link(name string) *link {
	for _, l := range ns.list() {
		if l.cfg().Name == name {
			return l
		}
	}
	return nil
}

// set changes what the store knows of a target. Under mu.
func (ns *nodes) set(c store.TargetConfig) {
	ns.targets[c.ID] = c
	if ns.store != nil {
		ns.store.SetTarget(c)
	}
}

// apply takes in what a node told: nothing of it is there when list is nil. data are
// the targets that hold a store which the metadata does not know of.
func (ns *nodes) apply(ctx context.Context, l *link, list []node.TargetStatus, data map[node.TargetUUID]bool) {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	refused := map[node.TargetUUID]error{}
	here := map[node.TargetUUID]bool{}
	for i := range list {
		s := &list[i]
		if !served(s.State) {
			continue
		}
		if err := ns.take(ctx, l, s, data); err != nil {
			refused[s.ID] = err
			continue
		}
		here[s.ID] = true
	}
	for id, by := range ns.serving {
		if by == l && !here[id] {
			delete(ns.serving, id)
			ns.set(ns.config(ns.rows[id], nil, nil))
		}
	}
	l.refuse(refused)
}

// served says whether a target answers in this state.
func served(s node.State) bool { return s == node.Online || s == node.Full || s == node.Failing }

// take enters a target that the node serves.
func (ns *nodes) take(ctx context.Context, l *link, s *node.TargetStatus, data map[node.TargetUUID]bool) error {
	name := l.cfg().targetName(s.Dir)
	if by := ns.serving[s.ID]; by != nil && by != l {
		return fmt.Errorf("%s and %s hold the same target %s: one is a copy; %s is not used, leave it out of the configuration",
			ns.rows[s.ID].Path, name, s.ID, name)
	}
	if _, gone := ns.retired[s.ID]; gone {
		return fmt.Errorf("target %s was removed from this store: leave %s out of the cluster file", s.ID, name)
	}
	row, known := ns.rows[s.ID]
	if !known && data[s.ID] && ns.shared { // another gateway may have entered it and written since
		rows, err := ns.meta.Targets(ctx)
		if err != nil {
			return fmt.Errorf("target %s: %w", name, err)
		}
		ns.learn(rows)
		row, known = ns.rows[s.ID]
	}
	switch {
	case !known && data[s.ID]:
		return errNoMetadata
	case !known:
		id, err := ns.meta.AddTarget(ctx, s.ID, name)
		if err != nil {
			return fmt.Errorf("target %s: %w", name, err)
		}
		row = metadata.Target{ID: id, UUID: s.ID, Path: name, Added: time.Now(), Mount: s.WasMount}
	case row.Path == name && ns.serving[s.ID] == l && !l.hasRoomAgain(s):
		return nil
	case row.Path != name:
		if old, _, found := strings.Cut(row.Path, ":"); found && old != l.cfg().Name && ns.link(old) != nil && !ns.link(old).wasPolled() {
			return fmt.Errorf("target %s was at %s before: waiting for that node to be looked at", name, row.Path)
		}
		row.Path, row.Mount = name, s.WasMount
	}
	if old, ok := ns.rows[s.ID]; ok && row != old {
		path, mount := row.Path, row.Mount
		var err error
		row, err = ns.meta.UpdateTarget(ctx, row.ID, func(t *metadata.Target) error {
			t.Path, t.Mount = path, mount // the rest may have been changed by others
			return nil
		})
		if err != nil {
			return fmt.Errorf("target %s: %w", name, err)
		}
	} else if !ok {
		if err := ns.meta.SetTarget(ctx, row); err != nil {
			return fmt.Errorf("target %s: %w", name, err)
		}
	}
	ns.rows[s.ID] = row
	ns.serving[s.ID] = l
	ns.set(ns.config(row, s, l.client().Target(s.ID)))
	return nil
}

// writers counts the chunks that gateways are writing on a target now; none when nobody serves it.
func (ns *nodes) writers(ctx context.Context, id node.TargetUUID) (uint64, error) {
	ns.mu.Lock()
	l := ns.serving[id]
	ns.mu.Unlock()
	if l == nil {
		return 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	list, err := l.client().Status(ctx)
	if i := slices.IndexFunc(list, func(s node.TargetStatus) bool { return s.ID == id }); i >= 0 {
		return list[i].Writers, nil
	}
	return 0, err
}

// refresh takes in what other gateways entered in the table of targets.
func (ns *nodes) refresh(ctx context.Context) error {
	rows, err := ns.meta.Targets(ctx)
	if err != nil {
		return fmt.Errorf("targets: %w", err)
	}
	ns.mu.Lock()
	defer ns.mu.Unlock()
	ns.learn(rows)
	return nil
}

// learn takes in the rows of the table: targets that are new, drained or removed. Under
// mu. Where a target is, is found out from its node and not from the table.
func (ns *nodes) learn(rows []metadata.Target) {
	for _, t := range rows {
		old, known := ns.rows[t.UUID]
		switch {
		case t.Retired:
			ns.retired[t.UUID] = t.ID
			if known {
				delete(ns.rows, t.UUID)
				delete(ns.targets, t.ID)
				delete(ns.serving, t.UUID)
				if ns.store != nil {
					ns.store.RemoveTarget(t.ID)
				}
			}
		case !known:
			ns.rows[t.UUID] = t
			ns.set(ns.config(t, nil, nil))
		case old.Draining != t.Draining:
			old.Draining = t.Draining
			ns.rows[t.UUID] = old
			c := ns.targets[t.ID]
			c.Draining = t.Draining
			ns.set(c)
		}
	}
}

// isRetired is store.Config.Retired.
func (ns *nodes) isRetired(id metadata.TargetID) bool {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	for _, gone := range ns.retired {
		if gone == id {
			return true
		}
	}
	return false
}

func (ns *nodes) refreshLoop(ctx context.Context) {
	tick := time.NewTicker(ns.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			ns.giveUp(time.Now())
			if !ns.shared {
				continue
			}
			if err := ns.refresh(ctx); err != nil {
				ns.log.Debug("table of targets not read", "err", err)
			}
		}
	}
}

// errNoMetadata: the targets hold a store that the metadata does not know of.
var errNoMetadata = errors.New("the targets hold data and there is no metadata of it: " +
	"name the right --state, or, if it is lost, run `weft admin rebuild-metadata`")

// unknown are the targets of a list that the metadata has not seen, while it knew of
// none at the start.
func (ns *nodes) unknown(list []node.TargetStatus) (ids []node.TargetUUID) {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	for i := range list {
		if _, known := ns.rows[list[i].ID]; ns.fresh && !known && served(list[i].State) {
			ids = append(ids, list[i].ID)
		}
	}
	return ids
}

// refusal is errNoMetadata when a node has data that nothing is known of.
func (ns *nodes) refusal() error {
	for _, l := range ns.list() {
		if err := l.refusal(errNoMetadata); err != nil {
			return err
		}
	}
	return nil
}

// retry has the store forget that targets failed that their nodes say are well.
func (ns *nodes) retry() {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	for _, h := range ns.store.Health() {
		if c := ns.targets[h.ID]; !h.Usable && c.Target != nil {
			ns.set(c)
		}
	}
}

// restore has the nodes format replaced targets and look at all that are not well,
// and returns when the store knows of them; problems are those that stay.
func (ns *nodes) restore(ctx context.Context) (problems []string) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, l := range ns.list() {
		wg.Go(func() {
			l.poll(ctx)
			for _, err := range l.restore(ctx) {
				mu.Lock()
				problems = append(problems, err.Error())
				mu.Unlock()
			}
			l.poll(ctx)
		})
	}
	wg.Wait()
	ns.retry()
	return problems
}
