// Command cluster shows that a cluster of real processes keeps its promises under faults: gateways over storage
// nodes and a real etcd of three members, used by clients through all gateways at once.
//
// Fault model: a gateway, a storage node or an etcd member is killed and started again, or frozen (SIGSTOP) for
// longer than its lease and thawed; a gateway is cut off from etcd, by a proxy that stops passing bytes on and
// keeps the connections; with --netns any process is cut off from all others. One fault at a time. The kernel and the
// disks live.
//
// What is demanded: the history of every pair of keys is linearizable, for plain and conditional puts, gets, deletes,
// renames of one to the other and listings (package porcupine decides); bytes that are read are bytes that were written, whole; every write of the
// ledger that was acknowledged is there at the end, in the listing too, through every gateway; `weft admin repair`
// and `weft admin check --deep` find everything whole; no log has a panic or a data race.
//
// A request without an answer, or with a 5xx, may have happened or may happen at any later time. Each round has
// keys of its own, so that such requests do not add up.
//
// With --metadata-clusters the buckets are shared out among several etcd clusters, of which one is away, killed or frozen
// whole, until every gateway has said so: no answer but 503 for its bucket, and no failed request of any other bucket.
//
// With --figures the faults are those that an operator must live with, and what each costs is measured: a target that
// answers EIO or ENOSPC or takes 10 s a request (package badfs), a node or the leader of etcd killed, every process
// restarted in turn, every file of a target corrupt, M targets lost. Beside what was said, nothing that was asked for may
// fail (etcd's leader excepted), reads stay within bounds, and redundancy is full again without help.
//
// With --plant a proxy that answers some reads from what it saw earlier is put before one gateway: the run must
// find a violation, and fails if it does not.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

type options struct {
	weft     string
	targets  string
	rounds   int
	clients  int
	gateways int
	nodes    int
	each     int
	length   time.Duration
	lease    time.Duration
	seed     uint64
	plant    bool
	takeover bool
	netns    bool
	figures  bool
	strict   bool
	rates    bool
	loaders  int
	clusters int
	only     string
}

// lostAfter is when targets that are away count as lost.
func (o options) lostAfter() time.Duration {
	if o.figures {
		return lostAfter
	}
	return time.Hour
}

func main() {
	var o options
	flag.StringVar(&o.weft, "weft", "bin/weft", "the binary")
	flag.StringVar(&o.targets, "targets", "", "directory to make the targets in, such as one on a parallel file system (default beside the rest)")
	flag.IntVar(&o.rounds, "rounds", 40, "rounds, each with one fault")
	flag.IntVar(&o.clients, "clients", 6, "concurrent clients")
	flag.IntVar(&o.gateways, "gateways", 3, "gateways")
	flag.IntVar(&o.nodes, "nodes", 4, "storage nodes")
	flag.IntVar(&o.each, "each", 2, "targets of a node")
	flag.DurationVar(&o.length, "length", 8*time.Second, "length of a round")
	flag.DurationVar(&o.lease, "lease", 3*time.Second, "lease of a gateway in etcd")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "of the load and of the order of the faults")
	flag.StringVar(&o.only, "only", "", "only faults whose name begins so, such as \"freeze n\"")
	flag.BoolVar(&o.takeover, "takeover", false, "nodes take over the targets of others")
	flag.BoolVar(&o.figures, "figures", false, "measure what faults cost, each once for --length; needs root and /dev/fuse")
	flag.BoolVar(&o.strict, "strict", false, "fail too when a fault costs more time than it may (--figures), and when an outage of one etcd cluster costs a request of the buckets of another")
	flag.BoolVar(&o.netns, "netns", false, "run each process in a network namespace of its own, and cut them off too; needs root")
	flag.BoolVar(&o.rates, "throughput", false, "compare what a CPU second does in one process, through one gateway and through all; --only selects requests")
	flag.IntVar(&o.loaders, "loaders", 12, "with --throughput: concurrent requests to one process")
	flag.IntVar(&o.clusters, "metadata-clusters", 1, "etcd clusters that share the buckets; each but the first has one member")
	flag.BoolVar(&o.plant, "plant", false, "plant stale reads, and demand that they are found")
	flag.Parse()
	o.clusters = max(o.clusters, 1)
	log.SetFlags(log.Ltime)
	if err := run(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	if err := os.MkdirAll(".cache", 0o750); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(".cache", "cluster-")
	if err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err != nil {
		return err
	}
	log.Printf("seed %d, %d rounds of %v, %s", o.seed, o.rounds, o.length, dir)
	c, err := newCluster(o, dir)
	defer func() {
		c.killAll()
		if err != nil {
			err = fmt.Errorf("%w (seed %d, kept %s)", err, o.seed, dir)
			return
		}
		err = os.RemoveAll(dir)
	}()
	if err != nil {
		return err
	}
	if err := c.start(ctx); err != nil {
		return err
	}
	switch {
	case o.figures:
		err = runFigures(ctx, o, c)
	case o.rates:
		err = runThroughput(ctx, o, c)
	default:
		err = rounds(ctx, o, c)
	}
	if o.plant {
		if err == nil {
			return fmt.Errorf("stale reads were planted and not found")
		}
		log.Printf("found what was planted: %v", err)
		return nil
	}
	if err != nil {
		return err
	}
	return c.readLogs()
}

func rounds(ctx context.Context, o options, c *cluster) error {
	rng := rand.New(rand.NewPCG(o.seed, 0))
	l, err := newLoad(ctx, o, c)
	if err != nil {
		return err
	}
	var order []fault
	for i := range o.rounds {
		if len(order) == 0 {
			order = slices.DeleteFunc(append(c.faults(), l.outages()...), func(f fault) bool { return !strings.HasPrefix(f.name, o.only) })
			if len(order) == 0 {
				return fmt.Errorf("no fault begins with %q", o.only)
			}
			rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		}
		f := order[0]
		order = order[1:]
		if o.plant {
			f = fault{name: "none", begin: func() error { return nil }, end: func(context.Context) error { return nil }}
		}
		if err := round(ctx, o, c, l, i, f); err != nil {
			return fmt.Errorf("round %d (%s): %w", i+1, f.name, err)
		}
	}
	if o.plant {
		return nil
	}
	if err := l.verifyLedger(ctx); err != nil {
		return err
	}
	return c.checkDeep(ctx)
}

// round loads the cluster, does one fault in the middle, and checks the history.
func round(ctx context.Context, o options, c *cluster, l *load, number int, f fault) error {
	var histories []*history
	for _, bucket := range l.buckets {
		histories = append(histories, newHistory(fmt.Sprintf("%s/r%04d/", bucket, number)))
	}
	wait := l.run(ctx, histories, o.seed+uint64(number))
	pause(ctx, o.length/4)
	err := f.begin()
	if err == nil {
		if f.hold == nil {
			pause(ctx, o.length/2)
		} else {
			err = f.hold(ctx)
		}
		err = errors.Join(err, f.end(ctx))
	}
	if err == nil {
		pause(ctx, o.length/4)
	}
	l.over.Store(true)
	if werr := wait(); werr != nil {
		return werr
	}
	if err != nil {
		return err
	}
	if err := c.ready(ctx); err != nil {
		return err
	}
	if err := l.recovered(ctx); err != nil {
		return err
	}
	for _, h := range histories {
		if err := l.readAll(ctx, h); err != nil {
			return err
		}
		if err := h.check(); err != nil {
			return err
		}
		log.Printf("round %3d: %-28s %s %s", number+1, f.name, h.prefix, h.summary())
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
