package storagenode

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weftstore/weft/cmd/weft/internal/cluster"
	"github.com/weftstore/weft/cmd/weft/internal/member"
	"github.com/weftstore/weft/internal/vfs"
	"github.com/weftstore/weft/node"
	"github.com/weftstore/weft/node/extent"
)

const (
	// ownEvery is the time between looks at who holds a shared target.
	ownEvery = 500 * time.Millisecond
	// homeFirst is how long others leave a target that nobody holds to its own node.
	homeFirst = 2 * time.Second
	// claimTimeout bounds one claim in etcd.
	claimTimeout = 5 * time.Second
	// lookFor is how long looks at directories are waited for: those at file systems that hang do not end.
	lookFor = 5 * time.Second
)

// owners serves targets on a parallel file system while this node holds them in etcd: its
// own, and those of nodes that are gone. Who holds one is fenced by its epoch and by the
// end of the lease (extent.TakeOver).
type owners struct {
	n    *Node
	m    *member.Member
	log  *slog.Logger
	stop context.CancelFunc
	done chan struct{}

	mu     sync.Mutex // guards shared
	shared []*sharedTarget
	looks  sync.WaitGroup // goroutines that have a target's lock, or wait for one
}

// sharedTarget is one directory that several nodes see. Each is looked at by itself: its file
// system may hang.
type sharedTarget struct {
	dir  string
	home atomic.Bool // of this node, by the cluster file

	mu   sync.Mutex // held during a look
	uuid node.TargetUUID
	hold *member.Hold // nil while another has it
	said string       // why it was not taken last
	free time.Time    // when the first claim was possible; zero: it is held
}

// sharedTargets are those that a node may hold: none when it was removed, as no gateway asks it any more.
func sharedTargets(f *cluster.File, name string) (list []*sharedTarget) {
	if _, ok := f.Node(name); !ok {
		return nil
	}
	for i := range f.Nodes {
		n := &f.Nodes[i]
		if len(n.Takeover) == 0 || n.Name != name && !n.MayTakeOver(name) {
			continue
		}
		for _, dir := range n.Targets {
			s := &sharedTarget{dir: dir}
			s.home.Store(n.Name == name)
			list = append(list, s)
		}
	}
	return list
}

// startOwners begins to hold targets.
func startOwners(ctx context.Context, m *member.Member, n *Node, f *cluster.File) *owners {
	o := &owners{n: n, m: m, log: n.cfg.Logger, shared: sharedTargets(f, n.cfg.Name), done: make(chan struct{})}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	o.stop = stop
	within(lookFor, o.look(run).Wait)
	go o.run(run)
	return o
}

// within returns when wait has, or after d.
func within(d time.Duration, wait func()) {
	done := make(chan struct{})
	go func() {
		wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(d):
	}
}

// follow takes in a changed cluster map.
func (o *owners) follow(f *cluster.File) {
	o.mu.Lock()
	defer o.mu.Unlock()
	next := sharedTargets(f, o.n.cfg.Name)
	for _, s := range o.shared {
		if i := slices.IndexFunc(next, func(n *sharedTarget) bool { return n.dir == s.dir }); i >= 0 {
			s.home.Store(next[i].home.Load())
			next[i] = s
			continue
		}
		o.looks.Go(func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			o.drop(s)
		})
	}
	o.shared = next
}

// close lets everything go, so that others need not wait for the lease to end. What hangs is left to that.
func (o *owners) close() error {
	o.stop()
	<-o.done
	within(lookFor, o.looks.Wait)
	for _, s := range o.shared {
		if s.mu.TryLock() {
			o.drop(s)
			s.mu.Unlock()
		}
	}
	return nil
}

func (o *owners) run(ctx context.Context) {
	defer close(o.done)
	tick := time.NewTicker(ownEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			o.look(ctx)
		}
	}
}

// look drops what is not held any more and claims what nobody holds, but for targets of which
// the last look has not ended. It returns at once, with what waits for this look to end.
func (o *owners) look(ctx context.Context) *sync.WaitGroup {
	o.mu.Lock()
	defer o.mu.Unlock()
	look := new(sync.WaitGroup)
	for _, s := range o.shared {
		if !s.mu.TryLock() {
			continue
		}
		look.Add(1)
		o.looks.Go(func() {
			defer look.Done()
			defer s.mu.Unlock()
			o.lookAt(ctx, s)
		})
	}
	return look
}

func (o *owners) lookAt(ctx context.Context, s *sharedTarget) {
	if s.hold != nil && s.hold.Guard() != nil {
		o.log.Warn("target is let go: the lease ended", "dir", s.dir)
		o.drop(s)
	}
	if s.hold == nil && ctx.Err() == nil {
		o.tell(s, o.take(ctx, s))
	}
}

// tell logs why a target is not taken, when that is something new.
func (o *owners) tell(s *sharedTarget, err error) {
	said := ""
	if err != nil && !errors.Is(err, member.ErrHeld) {
		said = err.Error()
	}
	if said != "" && said != s.said {
		o.log.Warn("target is not taken; trying again", "dir", s.dir, "err", err)
	}
	s.said = said
}

func (o *owners) drop(s *sharedTarget) {
	h := s.hold
	if h == nil {
		return
	}
	s.hold = nil
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = o.m.Release(ctx, s.uuid.String(), h) // after the close; the lease does it else
	}()
	if err := o.n.service.Remove(s.uuid); err != nil {
		o.log.Warn("close of a target that is let go", "dir", s.dir, "err", err)
	}
}

// take claims a target, fences who had it, and serves it.
func (o *owners) take(ctx context.Context, s *sharedTarget) error {
	sb, err := ReadSuperblock(s.dir)
	if err != nil {
		return err
	}
	if sb.Deployment != o.n.cfg.Deployment {
		return fmt.Errorf("%s is of another store", s.dir)
	}
	call, cancel := context.WithTimeout(ctx, claimTimeout)
	defer cancel()
	name := node.TargetUUID(sb.Target).String()
	home := s.home.Load()
	if !home {
		held, err := o.m.Held(call, name)
		if err != nil || held {
			s.free = time.Time{}
			return err
		}
		if s.free.IsZero() {
			s.free = time.Now()
		}
		if time.Since(s.free) < homeFirst {
			return nil
		}
	}
	h, err := o.m.Claim(call, name)
	if err != nil {
		return err
	}
	s.hold, s.uuid, s.free = h, sb.Target, time.Time{}
	root, err := vfs.NewOS(s.dir)
	if err == nil {
		_, err = extent.TakeOver(root, o.n.owner(), h.Epoch)
	}
	if err == nil {
		err = h.Guard() // the epoch in the superblock may be one that was late
	}
	if err == nil {
		_, err = o.n.service.Add(ctx, s.dir, node.AddOptions{
			Expect: s.uuid, Deployment: o.n.cfg.Deployment, Epoch: h.Epoch, Guard: h.Guard,
		})
	}
	if err != nil {
		s.hold = nil
		call, cancel := context.WithTimeout(ctx, claimTimeout) // the first may be used up
		defer cancel()
		return errors.Join(fmt.Errorf("take over %s: %w", s.dir, err), o.m.Release(call, name, h))
	}
	o.log.Info("target is held", "dir", s.dir, "epoch", h.Epoch, "own", home)
	return nil
}

// owner is what the superblock says of who has a target: the name, as far as it goes.
func (n *Node) owner() (id [16]byte) {
	copy(id[:], n.cfg.Name)
	return id
}
