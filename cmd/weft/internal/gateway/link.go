package gateway

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weftstore/weft/node"
	"github.com/weftstore/weft/rdma"
)

const (
	// formatTimeout bounds the formatting of one replaced target.
	formatTimeout = 30 * time.Second
	// logEvery is the least time between two lines in the log about a node whose
	// trouble changes.
	logEvery = time.Minute
)

// link is the connection to a node and what is known of it.
type link struct {
	ns      *nodes
	conf    atomic.Pointer[Node]
	stop    context.CancelFunc // of run
	ended   chan struct{}      // closed after run
	polling sync.Mutex         // one poll at a time; what follows is changed under it
	over    bool               // it is polled no more
	conn    rdma.Conn
	cl      atomic.Pointer[node.Client]

	mu      sync.Mutex
	polled  bool
	err     error
	since   time.Time // of err, or of its end
	logged  time.Time
	last    []node.TargetStatus      // the last answer
	full    map[node.TargetUUID]bool // targets that were full in it; of nodes.apply only
	refused map[node.TargetUUID]error
}

func newLink(ns *nodes, cfg Node) *link {
	l := &link{ns: ns, err: errNotYet, since: time.Now(), full: map[node.TargetUUID]bool{}}
	l.conf.Store(&cfg)
	return l
}

// cfg is the node as it is configured now; its name and address stay.
func (l *link) cfg() *Node { return l.conf.Load() }

var errNotYet = errors.New("not connected yet")

// client is nil before the first connection, never after.
func (l *link) client() *node.Client { return l.cl.Load() }

// run looks at the node every now and then.
func (l *link) run(ctx context.Context) {
	tick := time.NewTicker(l.ns.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			l.poll(ctx)
		}
	}
}

// poll looks at the node once.
func (l *link) poll(ctx context.Context) {
	l.polling.Lock()
	defer l.polling.Unlock()
	if l.over {
		return
	}
	call, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	list, err := l.ask(call)
	var data map[node.TargetUUID]bool
	if err == nil {
		data, err = l.holdData(call, l.ns.unknown(list))
	}
	if ctx.Err() != nil {
		return
	}
	l.note(list, err)
	if err != nil {
		list = nil
	}
	l.ns.apply(ctx, l, list, data)
}

// ask connects if need be and makes sure that it is the right node. The connection
// restores itself from then on.
func (l *link) ask(ctx context.Context) ([]node.TargetStatus, error) {
	if l.conn == nil {
		conn, err := l.ns.fabric.Dial(ctx, l.cfg().Address)
		if err != nil {
			return nil, err
		}
		l.conn = conn
		l.cl.Store(node.NewClient(conn))
	}
	id, err := l.client().Identify(ctx)
	if err != nil {
		return nil, err
	}
	if id.Deployment != l.ns.deployment {
		return nil, fmt.Errorf("%s belongs to another store (deployment %s, this one is %s): correct the address, or that node's cluster file",
			l.cfg().Address, hex.EncodeToString(id.Deployment[:]), hex.EncodeToString(l.ns.deployment[:]))
	}
	if id.Name != l.cfg().Name {
		return nil, fmt.Errorf("%s answers as node %q: correct the address in the cluster file", l.cfg().Address, id.Name)
	}
	return l.client().Status(ctx)
}

// holdData says which of the targets have chunks.
func (l *link) holdData(ctx context.Context, ids []node.TargetUUID) (map[node.TargetUUID]bool, error) {
	data := map[node.TargetUUID]bool{}
	for _, id := range ids {
		list, err := l.client().Target(id).List(ctx, nil, 1)
		if err != nil {
			return nil, err
		}
		data[id] = len(list) > 0
	}
	return data, nil
}

// note records the outcome of a poll and logs what changed.
func (l *link) note(list []node.TargetStatus, err error) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.err
	if (was == nil) != (err == nil) || !l.polled {
		l.since = now
	}
	first := !l.polled
	l.polled, l.err = true, err
	if err == nil {
		l.last = list
	}
	switch {
	case l.cfg().Name == "": // this process
	case err == nil && was != nil:
		l.logged = now
		l.ns.log.Info("node is connected", "node", l.cfg().Name, "address", l.cfg().Address, "targets", len(list))
	case err != nil && (was == nil || first || (was.Error() != err.Error() && now.Sub(l.logged) >= logEvery)):
		l.logged = now
		l.ns.log.Warn("node is away; its targets are not used until it answers", "node", l.cfg().Name, "err", err)
	}
}

// refuse records which targets are not taken, and logs those that are new.
func (l *link) refuse(refused map[node.TargetUUID]error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, err := range refused {
		if old := l.refused[id]; old == nil || old.Error() != err.Error() {
			l.ns.log.Error("target refused", "node", l.cfg().Name, "err", err)
		}
	}
	l.refused = refused
}

// hasRoomAgain says whether a target was full when it was taken last. Under nodes.mu.
func (l *link) hasRoomAgain(s *node.TargetStatus) bool {
	was := l.full[s.ID]
	l.full[s.ID] = s.State == node.Full
	return was && s.State != node.Full
}

func (l *link) wasPolled() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.polled
}

// refusal is the first refusal of this kind.
func (l *link) refusal(kind error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, err := range l.refused {
		if errors.Is(err, kind) {
			return err
		}
	}
	return nil
}

// snapshot is what is known of the node: targets of one that does not answer are
// offline, and so are those that are refused.
func (l *link) snapshot() (state NodeState, list []node.TargetStatus) {
	l.mu.Lock()
	defer l.mu.Unlock()
	state = NodeState{Name: l.cfg().Name, Address: l.cfg().Address, Domain: l.cfg().Domain, State: "up", Since: l.since, Targets: len(l.last)}
	if l.err != nil {
		state.State, state.Error = "away", l.err.Error()
	}
	for _, s := range l.last {
		s.Dir = l.cfg().targetName(s.Dir)
		if l.err != nil {
			s.State, s.Error = node.Offline, "its node is away: "+l.err.Error()
		}
		if err := l.refused[s.ID]; err != nil {
			state.Refused = append(state.Refused, err.Error())
			continue
		}
		list = append(list, s)
	}
	return state, list
}

// restore has the node format what was replaced and look at what is not well.
func (l *link) restore(ctx context.Context) (problems []error) {
	l.mu.Lock()
	down, list, refused := l.err, l.last, maps.Clone(l.refused)
	l.mu.Unlock()
	if down != nil {
		return []error{fmt.Errorf("node %s is away: %w", l.cfg().Name, down)}
	}
	for i := range list {
		if s := &list[i]; !served(s.State) && refused[s.ID] == nil {
			call, cancel := context.WithTimeout(ctx, formatTimeout)
			_, err := l.client().Target(s.ID).Format(call)
			cancel()
			if err != nil {
				problems = append(problems, fmt.Errorf("target %s: %w", l.cfg().targetName(s.Dir), err))
			}
		}
	}
	return problems
}

func (l *link) close() error {
	l.polling.Lock()
	defer l.polling.Unlock()
	if l.conn == nil {
		return nil
	}
	return l.conn.Close()
}
