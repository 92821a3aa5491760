package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	miniocreds "github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/weftstore/weft/cmd/weft/internal/adminsock"
	"github.com/weftstore/weft/cmd/weft/internal/cluster"
	"github.com/weftstore/weft/cmd/weft/internal/gateway"
	"github.com/weftstore/weft/cmd/weft/internal/settings"
	"github.com/weftstore/weft/cmd/weft/internal/storagenode"
	"github.com/weftstore/weft/erasure"
	"github.com/weftstore/weft/node"
	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/mem"
	"github.com/weftstore/weft/store"
)

// Fault model of this file: storage nodes that end, come back at the same address
// or another, are another store's, or hold copies of each other's directories; a
// gateway that restarts while nodes are away. The fabric is that of one process, so a
// node that ends refuses calls at once, as after a kill.

const bucket = "bucket"

// logBuffer may be read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), what)
}

// rig is a cluster in one process.
type rig struct {
	t         *testing.T
	dir       string
	file      *cluster.File
	lostAfter time.Duration
	notify    []string // destinations of events
	pollEvery time.Duration
	fabric    rdma.Transport
	log       *logBuffer
	nodes     map[string]func() // running: ends one
	gw        *gateway.Process
	endGW     func()
	cl        *minio.Client
}

func newRig(t *testing.T, nodes, each int, layout string) *rig {
	l, err := erasure.ParseLayout(layout)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, pollEvery: 100 * time.Millisecond, dir: t.TempDir(), fabric: redialing{mem.New()}, log: &logBuffer{}, nodes: map[string]func(){}}
	r.file = &cluster.File{Deployment: [16]byte{1, 2, 3}, Layout: l}
	for i := range nodes {
		name := fmt.Sprint("n", i)
		n := cluster.Node{Name: name, Addresses: []string{name + ":1"}, Domain: name}
		for j := range each {
			n.Targets = append(n.Targets, filepath.Join(r.dir, name, fmt.Sprint("t", j)))
		}
		r.file.Nodes = append(r.file.Nodes, n)
	}
	t.Cleanup(func() {
		if r.endGW != nil {
			r.endGW()
		}
		for _, end := range r.nodes {
			end()
		}
		_ = r.fabric.Close()
	})
	return r
}

func (r *rig) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(io.MultiWriter(r.log, r.t.Output()), nil))
}

// node starts a node as file describes it; listen may be "".
func (r *rig) node(name string, file *cluster.File, listen string) {
	r.t.Helper()
	p, err := storagenode.Start(r.t.Context(), storagenode.ProcessConfig{
		Cluster: file, Name: name, State: filepath.Join(r.dir, name, "state"), Listen: listen,
		Fabric: r.fabric, Logger: r.logger(), CheckEvery: 200 * time.Millisecond, TTL: 2 * time.Second,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	r.nodes[name] = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("node %s: %v", name, err)
		}
	})
}

func (r *rig) all() {
	for _, n := range r.file.Nodes {
		r.node(n.Name, r.file, "")
	}
}

func (r *rig) end(name string) {
	r.nodes[name]()
	delete(r.nodes, name)
}

func (r *rig) config() gateway.ProcessConfig {
	cfg := gateway.ProcessConfig{
		Config: gateway.DefaultConfig(), Cluster: r.file, Fabric: r.fabric, PollEvery: r.pollEvery, Logger: r.logger(),
	}
	cfg.Address, cfg.Memory, cfg.State = "127.0.0.1:0", gateway.MinMemory, filepath.Join(r.dir, "gateway")
	cfg.LostAfter = settings.Duration(r.lostAfter)
	return cfg
}

func (r *rig) start() {
	r.t.Helper()
	gw, err := gateway.Start(r.t.Context(), r.config())
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- gw.Run(ctx) }()
	r.gw = gw
	r.endGW = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("gateway: %v", err)
		}
	})
	access, secret := gw.Credentials()
	r.cl, err = minio.New(gw.Addr(), &minio.Options{Creds: miniocreds.NewStaticV4(access, secret, ""), Region: "us-east-1", MaxRetries: 1})
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) status() *gateway.Status {
	r.t.Helper()
	s, err := r.gw.Status(context.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// usable waits until so many targets are.
func (r *rig) usable(n int) {
	r.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); ; <-tick.C {
		have := 0
		s := r.status()
		for _, t := range s.Targets {
			if t.Usable {
				have++
			}
		}
		if have == n {
			return
		}
		if time.Now().After(end) {
			r.t.Fatalf("%d targets are usable, want %d: %+v", have, n, s.Targets)
		}
	}
}

// up waits until every node is.
func (r *rig) up() {
	r.t.Helper()
	r.away(0)
}

// away waits until the gateway knows of n nodes that they are away.
func (r *rig) away(n int) {
	r.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); ; <-tick.C {
		away := 0
		s := r.status()
		for _, n := range s.Nodes {
			if n.State != "up" {
				away++
			}
		}
		if away == n {
			return
		}
		if time.Now().After(end) {
			r.t.Fatalf("%d nodes are away, want %d: %+v", away, n, s.Nodes)
		}
	}
}

func body(key string, n int) []byte {
	b := make([]byte, n)
	x := uint64(len(key)) + 88172645463325252
	for _, c := range key {
		x = x*31 + uint64(c)
	}
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x)
	}
	return b
}

func (r *rig) put(key string, n int) error {
	_, err := r.cl.PutObject(context.Background(), bucket, key, bytes.NewReader(body(key, n)), int64(n), minio.PutObjectOptions{})
	return err
}

func (r *rig) get(key string, n int) error {
	o, err := r.cl.GetObject(context.Background(), bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return err
	}
	defer o.Close()
	got, err := io.ReadAll(o)
	if err == nil && !bytes.Equal(got, body(key, n)) {
		err = fmt.Errorf("%s: wrong bytes, %d of %d", key, len(got), n)
	}
	return err
}

func (r *rig) admin(op string, deep bool, result any) {
	r.t.Helper()
	c := adminsock.Client{Socket: filepath.Join(r.dir, "gateway", adminsock.SocketFile)}
	if err := c.Do(context.Background(), op, adminsock.Args{Deep: deep}, nil, result); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) mustBeClean() {
	r.t.Helper()
	var rep store.RepairResult
	r.admin("repair", false, &rep)
	var res store.CheckResult
	r.admin("check", true, &res)
	if !res.Clean() || rep.Waiting+rep.Failed != 0 {
		r.t.Fatalf("repair: %+v\ncheck: %+v", rep, res)
	}
}

var sizes = []int{100, 40 << 10, 300 << 10, 3 << 20}

// One node ends under load, then a second: every read is answered and right, writes
// go on or are told to slow down, and what was acknowledged is there when all are
// back, after a repair with full redundancy.
func TestNodesEndUnderLoad(t *testing.T) {
	r := newRig(t, 6, 1, "ec:4+2")
	r.all()
	r.start()
	if err := r.cl.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	var ledger sync.Map // key -> size
	var acknowledged, slowed, reads atomic.Int64
	for i, n := range sizes {
		if err := r.put(fmt.Sprint("first", i), n); err != nil {
			t.Fatal(err)
		}
		ledger.Store(fmt.Sprint("first", i), n)
	}
	stop := make(chan struct{})
	var load sync.WaitGroup
	end := sync.OnceFunc(func() {
		close(stop)
		load.Wait()
	})
	defer end()
	for w := range 4 {
		load.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				key, n := fmt.Sprintf("w%d-%d", w, i), sizes[i%len(sizes)]
				switch err := r.put(key, n); {
				case err == nil:
					ledger.Store(key, n)
					acknowledged.Add(1)
				case minio.ToErrorResponse(err).StatusCode == 503:
					slowed.Add(1)
				default:
					t.Errorf("put %s: %v", key, err)
				}
				back := fmt.Sprint("first", i%len(sizes))
				if err := r.get(back, sizes[i%len(sizes)]); err != nil {
					t.Errorf("get %s: %v", back, err)
				}
				reads.Add(1)
			}
		})
	}
	more := func(n int64) {
		from := acknowledged.Load()
		for acknowledged.Load() < from+n && !t.Failed() {
			time.Sleep(time.Millisecond) // the load runs
		}
	}
	more(10)
	r.end("n1")
	more(20)
	r.end("n4")
	more(20)
	r.usable(4)
	more(10)
	r.node("n1", r.file, "")
	r.node("n4", r.file, "")
	r.usable(6)
	more(10)
	end()
	t.Logf("%d writes acknowledged, %d told to slow down, %d reads", acknowledged.Load(), slowed.Load(), reads.Load())
	ledger.Range(func(key, n any) bool {
		if err := r.get(key.(string), n.(int)); err != nil {
			t.Error(err)
		}
		return true
	})
	r.mustBeClean()
	if n := r.log.count("node is away"); n != 2 {
		t.Errorf("%d lines about nodes that went away, want 2", n)
	}
}

// A gateway starts while nodes are away and takes them in when they come, also at
// another address of the file.
func TestGatewayStartsWithNodesAway(t *testing.T) {
	r := newRig(t, 6, 2, "ec:4+2")
	r.all()
	r.start()
	if err := r.cl.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := r.put("k", 3<<20); err != nil {
		t.Fatal(err)
	}
	r.endGW()
	r.end("n0")
	r.end("n5")
	r.start()
	r.usable(8)
	if err := r.get("k", 3<<20); err != nil {
		t.Fatal(err)
	}
	if err := r.put("while away", 3<<20); err != nil {
		t.Fatal(err)
	}
	s := r.status()
	if len(s.Nodes) != 6 || s.Nodes[0].State != "away" || s.Nodes[1].State != "up" || len(s.Targets) != 12 {
		t.Errorf("%+v", s.Nodes)
	}
	r.node("n0", r.file, "")
	r.usable(10)
	r.endGW()
	r.file.Nodes[5].Addresses = []string{"elsewhere:1"}
	r.node("n5", r.file, "")
	r.start()
	r.usable(12)
	r.mustBeClean()
}

// A node of another store is not used, one at a wrong address neither, and a copy of
// a directory is refused by an error that names both. Each is logged once.
func TestRefusedNodes(t *testing.T) {
	r := newRig(t, 5, 1, "ec:2+2")
	foreign := *r.file
	foreign.Deployment = [16]byte{9}
	r.node("n0", r.file, "")
	r.node("n1", r.file, "")
	r.node("n2", &foreign, "")
	r.node("n3", r.file, "n4:1")
	r.start()
	r.usable(2)
	s := r.status()
	for i, want := range map[int]string{2: "another store", 3: "unreachable", 4: `answers as node "n3"`} {
		if !strings.Contains(s.Nodes[i].Error, want) {
			t.Errorf("node %d: %q lacks %q", i, s.Nodes[i].Error, want)
		}
	}
	r.endGW()
	r.end("n3")
	from, to := r.file.Nodes[0].Targets[0], r.file.Nodes[3].Targets[0]
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	r.node("n3", r.file, "")
	r.start()
	r.usable(2)
	var refused []string // the copy or the original: whichever came second
	eventually(t, "one of the two is refused", func() bool {
		nodes := r.status().Nodes
		refused = append(nodes[0].Refused, nodes[3].Refused...)
		return len(refused) > 0
	})
	if len(refused) != 1 || !strings.Contains(refused[0], "n0:"+from) || !strings.Contains(refused[0], "n3:"+to) {
		t.Errorf("refused %q; want both places named", refused)
	}
}

// With data on the nodes and no metadata a gateway refuses to start, and the rebuild
// brings everything back.
func TestLostMetadata(t *testing.T) {
	r := newRig(t, 4, 1, "ec:2+2")
	r.all()
	r.start()
	if err := r.cl.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	for i, n := range sizes {
		if err := r.put(fmt.Sprint(i), n); err != nil {
			t.Fatal(err)
		}
	}
	r.endGW()
	if err := os.RemoveAll(filepath.Join(r.dir, "gateway")); err != nil {
		t.Fatal(err)
	}
	if _, err := gateway.Start(t.Context(), r.config()); err == nil || !strings.Contains(err.Error(), "rebuild-metadata") {
		t.Fatalf("start without metadata: %v", err)
	}
	if err := os.RemoveAll(filepath.Join(r.dir, "gateway")); err != nil {
		t.Fatal(err)
	}
	res, err := gateway.RebuildCluster(t.Context(), r.config(), false, nil)
	if err != nil || res.Lost != 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	r.start()
	for i, n := range sizes {
		if err := r.get(fmt.Sprint(i), n); err != nil {
			t.Error(err)
		}
	}
	r.mustBeClean()
}

// A replaced disk of a node is formatted by a repair that the gateway runs.
func TestRepairFormatsOnNodes(t *testing.T) {
	r := newRig(t, 4, 1, "ec:2+2")
	r.all()
	r.start()
	if err := r.cl.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := r.put("k", 3<<20); err != nil {
		t.Fatal(err)
	}
	disk := r.file.Nodes[2].Targets[0]
	if err := errors.Join(os.RemoveAll(disk), os.Mkdir(disk, 0o700)); err != nil {
		t.Fatal(err)
	}
	r.usable(3)
	r.mustBeClean()
	r.end("n2") // and its own table still knows the directory
	r.away(1)
	if err := errors.Join(os.RemoveAll(disk), os.Mkdir(disk, 0o700)); err != nil {
		t.Fatal(err)
	}
	r.node("n2", r.file, "")
	if sb, err := storagenode.ReadSuperblock(disk); err == nil {
		t.Fatalf("an empty directory that is known was formatted: %v", node.TargetUUID(sb.Target))
	}
	r.up()
	r.mustBeClean()
	if err := r.get("k", 3<<20); err != nil {
		t.Fatal(err)
	}
}

// What was on a node that does not come back is made anew on the others by itself, and
// the node is used again when it does come back.
func TestLostNodeIsMadeAnew(t *testing.T) {
	r := newRig(t, 5, 1, "ec:2+2")
	r.all()
	r.lostAfter = 300 * time.Millisecond
	r.start()
	if err := r.cl.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	for i, n := range sizes {
		if err := r.put(fmt.Sprint(i), n); err != nil {
			t.Fatal(err)
		}
	}
	r.end("n2")
	r.away(1)
	eventually(t, "full redundancy without the node", func() bool {
		var check store.CheckResult
		r.admin("check", false, &check)
		return check.Clean()
	})
	r.node("n2", r.file, "")
	r.up()
	r.usable(5)
	for i, n := range sizes {
		if err := r.get(fmt.Sprint(i), n); err != nil {
			t.Error(err)
		}
	}
	r.mustBeClean()
}
