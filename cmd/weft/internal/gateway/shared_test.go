package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	miniocreds "github.com/minio/minio-go/v7/pkg/credentials"
	"golang.org/x/sys/unix"

	"github.com/weftstore/weft/cmd/weft/internal/adminsock"
	"github.com/weftstore/weft/cmd/weft/internal/gateway"
	"github.com/weftstore/weft/identity"
	"github.com/weftstore/weft/metadata/etcdkv/etcdtest"
	"github.com/weftstore/weft/node/extent"
	"github.com/weftstore/weft/store"
)

// Fault model of this file: several gateways over the same nodes and one etcd, which
// begin at once, end, and use the same objects.

// shared is a gateway among others.
type shared struct {
	*gateway.Process
	t     *testing.T
	state string // directory
	end   func()
	cl    *minio.Client
}

// sharedRig is a cluster whose metadata is in etcd.
func sharedRig(t *testing.T, nodes, each int, layout string) *rig {
	etcd := etcdtest.Start(t, "http")
	r := newRig(t, nodes, each, layout)
	r.file.Metadata = "etcd://" + etcd.Addr
	r.file.SecretFile = filepath.Join(r.dir, "secret")
	if err := os.WriteFile(r.file.SecretFile, bytes.Repeat([]byte("s"), 64), 0o600); err != nil {
		t.Fatal(err)
	}
	return r
}

// gateway starts one more.
func (r *rig) gateway(name string) *shared {
	r.t.Helper()
	cfg := r.config()
	cfg.Name, cfg.State, cfg.TTL = name, filepath.Join(r.dir, name), 5*time.Second
	cfg.AccessKey, cfg.SecretKey, cfg.Notify = "access", "secretsecret", r.notify
	p, err := gateway.Start(r.t.Context(), cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	g := &shared{Process: p, t: r.t, state: cfg.State}
	g.end = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("gateway %s: %v", name, err)
		}
	})
	r.t.Cleanup(g.end)
	g.cl, err = minio.New(p.Addr(), &minio.Options{Creds: miniocreds.NewStaticV4("access", "secretsecret", ""), Region: "us-east-1", MaxRetries: 1})
	if err != nil {
		r.t.Fatal(err)
	}
	return g
}

func (g *shared) mustPut(key string, n int) {
	g.t.Helper()
	if _, err := g.cl.PutObject(context.Background(), bucket, key, bytes.NewReader(body(key, n)), int64(n), minio.PutObjectOptions{DisableMultipart: true}); err != nil {
		g.t.Fatal(err)
	}
}

func (g *shared) mustGet(key string, n int) {
	g.t.Helper()
	o, err := g.cl.GetObject(context.Background(), bucket, key, minio.GetObjectOptions{})
	if err != nil {
		g.t.Fatal(err)
	}
	defer o.Close()
	if got, err := io.ReadAll(o); err != nil || !bytes.Equal(got, body(key, n)) {
		g.t.Fatalf("%s: %d of %d bytes, %v", key, len(got), n, err)
	}
}

func (g *shared) garbage() int64 {
	g.t.Helper()
	s, err := g.Status(context.Background())
	if err != nil {
		g.t.Fatal(err)
	}
	return s.GarbageSets
}

// leader names the gateway that leads.
func (g *shared) leader() string {
	g.t.Helper()
	s, err := g.Status(context.Background())
	if err != nil {
		g.t.Fatal(err)
	}
	for _, m := range s.Members {
		if m.Leads {
			return m.Name
		}
	}
	return ""
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatal("waited a minute for: ", what)
		}
	}
}

// A key that is made at one gateway is known to another, and unknown there at most
// identity.Age after it was deleted at the first.
func TestGatewaysShareKeys(t *testing.T) {
	r := sharedRig(t, 2, 1, "replica:2")
	r.all()
	a, b := r.gateway("a"), r.gateway("b")
	do := func(g *shared, op adminsock.Identity, result any) {
		t.Helper()
		c := adminsock.Client{Socket: filepath.Join(g.state, adminsock.SocketFile)}
		if err := c.Do(t.Context(), "identity", adminsock.Args{Identity: &op}, nil, result); err != nil {
			t.Fatal(err)
		}
	}
	var none struct{}
	var key gateway.NewKey
	do(a, adminsock.Identity{Op: "account create", Name: "physics"}, &none)
	do(a, adminsock.Identity{Op: "key create", Account: "physics"}, &key)
	cl, err := minio.New(b.Addr(), &minio.Options{Creds: miniocreds.NewStaticV4(key.ID, key.Secret, ""), Region: "us-east-1", MaxRetries: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := cl.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}); err != nil {
		t.Fatal("at another gateway:", err)
	}
	deleted := time.Now()
	do(a, adminsock.Identity{Op: "key delete", Key: key.ID}, &none)
	eventually(t, "the end of a deleted key", func() bool {
		_, err := cl.ListBuckets(t.Context())
		return minio.ToErrorResponse(err).Code == "InvalidAccessKeyId"
	})
	if late := time.Since(deleted); late > identity.Age+5*time.Second {
		t.Errorf("the deleted key worked for %s", late)
	}
}

// A gateway that ran alone has a keyring of its own when its metadata moves to etcd. One that
// could not open what it seals is refused, until it has that keyring.
func TestGatewaysShareKeyring(t *testing.T) {
	r := sharedRig(t, 2, 1, "replica:2")
	r.all()
	ring := identity.GenerateKeyring()
	write := func(name string, text ...[]byte) {
		t.Helper()
		dir := filepath.Join(r.dir, name)
		if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, gateway.KeyringFile), bytes.Join(text, nil), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	write("a", ring)
	r.gateway("a")
	cfg := r.config()
	cfg.Name, cfg.State, cfg.TTL = "b", filepath.Join(r.dir, "b"), 2*time.Second
	if p, err := gateway.Start(t.Context(), cfg); err == nil {
		p.Close()
		t.Fatal("a gateway runs that opens nothing of what another seals")
	} else if !strings.Contains(err.Error(), "gateway a on host") {
		t.Error(err)
	}
	write("b", ring)
	r.gateway("b").end()
	write("b", ring, identity.GenerateKeyring())
	r.gateway("b")
}

// Gateways that begin at the same time on new targets agree on them, and each sees at
// once what another acknowledged.
func TestGatewaysShareEverything(t *testing.T) {
	r := sharedRig(t, 3, 2, "ec:2+2")
	r.all()
	var gws [3]*shared
	var wg sync.WaitGroup
	for i := range gws {
		wg.Go(func() { gws[i] = r.gateway(fmt.Sprint("gw", i)) })
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	if err := gws[0].cl.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	for i, n := range sizes {
		for j := range gws {
			key := fmt.Sprint(i, "-", j)
			gws[j].mustPut(key, n)
			for k := range gws {
				gws[(j+k)%3].mustGet(key, n)
			}
		}
	}
	for _, g := range gws {
		n := 0
		for o := range g.cl.ListObjects(t.Context(), bucket, minio.ListObjectsOptions{}) {
			if o.Err != nil {
				t.Fatal(o.Err)
			}
			n++
		}
		if n != 3*len(sizes) {
			t.Fatalf("%d objects are listed, want %d", n, 3*len(sizes))
		}
	}
	var won atomic.Int32
	for i := range 12 {
		wg.Go(func() {
			var o minio.PutObjectOptions
			o.SetMatchETagExcept("*")
			b := fmt.Appendf(nil, "%d", i)
			switch _, err := gws[i%3].cl.PutObject(t.Context(), bucket, "once", bytes.NewReader(b), int64(len(b)), o); {
			case err == nil:
				won.Add(1)
			case minio.ToErrorResponse(err).StatusCode != http.StatusPreconditionFailed && minio.ToErrorResponse(err).StatusCode != http.StatusConflict:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Fatalf("%d of 12 writers that all said If-None-Match: * succeeded", won.Load())
	}
}

// What one gateway reads is not collected when another deletes it, whoever leads; and
// when the leader ends, another collects what is left.
func TestReadersOfOtherGateways(t *testing.T) {
	r := sharedRig(t, 2, 2, "ec:2+2")
	r.all()
	gws := map[string]*shared{"gw0": r.gateway("gw0")}
	gws["gw1"] = r.gateway("gw1")
	if err := gws["gw0"].cl.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	const size = 24 << 20 // more than buffers on the way hold
	for _, reader := range []string{"gw0", "gw1"} {
		g := gws[reader]
		g.mustPut("read", size)
		o, err := g.cl.GetObject(t.Context(), bucket, "read", minio.GetObjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		first := make([]byte, 1)
		if _, err := io.ReadFull(o, first); err != nil {
			t.Fatal(err)
		}
		for name, other := range gws {
			if name == reader {
				continue
			}
			for _, key := range []string{"read", "small"} {
				other.mustPut("small", 1000)
				if err := other.cl.RemoveObject(t.Context(), bucket, key, minio.RemoveObjectOptions{}); err != nil {
					t.Fatal(err)
				}
			}
		}
		eventually(t, "all but what is read is collected", func() bool { return g.garbage() == 1 })
		rest, err := io.ReadAll(o)
		if err != nil || !bytes.Equal(append(first, rest...), body("read", size)) {
			t.Fatalf("read through %s while another deleted it: %d bytes, %v", reader, len(rest)+1, err)
		}
		o.Close()
		eventually(t, "what was read is collected", func() bool { return g.garbage() == 0 })
	}
	leader := gws["gw0"].leader()
	gws[leader].end()
	delete(gws, leader)
	for _, g := range gws {
		g.mustPut("k", 100<<10)
		g.mustPut("k", 200<<10)
		eventually(t, "the garbage is collected by another leader", func() bool { return g.garbage() == 0 })
		g.mustGet("k", 200<<10)
	}
}

// A gateway does not start on the metadata of another store, nor beside metadata of its
// own that it would not use.
func TestRefusedMetadata(t *testing.T) {
	r := sharedRig(t, 1, 4, "ec:2+2")
	r.file.Metadata += "/same"
	r.all()
	r.gateway("gw0").end()
	cfg := r.config()
	other := *r.file
	other.Deployment = [16]byte{9}
	cfg.Cluster, cfg.State = &other, filepath.Join(r.dir, "other")
	if _, err := gateway.Start(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "another store") {
		t.Fatalf("on the metadata of another store: %v", err)
	}
	alone := *r.file
	alone.Metadata = "etcd://127.0.0.1:1/wrong"
	cfg.Cluster, cfg.State = &alone, filepath.Join(r.dir, "gw0")
	meta, err := gateway.OpenMetadata(filepath.Join(cfg.State, gateway.MetadataFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := meta.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := gateway.Start(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "migrate") {
		t.Fatalf("beside metadata of its own: %v", err)
	}
}

// A gateway whose metadata does not answer is not ready, and its status tells why and what
// the targets are.
func TestMetadataAway(t *testing.T) {
	r := sharedRig(t, 2, 1, "replica:2")
	etcd := etcdtest.Start(t, "http")
	r.file.Metadata = "etcd://" + etcd.Addr
	r.all()
	g := r.gateway("gw")
	ready := func() int {
		res, err := http.Get("http://" + g.Addr() + "/healthz/ready")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	eventually(t, "ready", func() bool { return ready() == http.StatusOK })
	etcd.Kill()
	eventually(t, "not ready", func() bool { return ready() == http.StatusServiceUnavailable })
	s, err := g.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Targets) != 2 || !strings.HasPrefix(s.Redundancy, "unknown") || s.Metadata[0].Error == "" {
		t.Errorf("status: %d targets, %q, %+v", len(s.Targets), s.Redundancy, s.Metadata)
	}
	etcd.Restart()
	eventually(t, "ready again", func() bool { return ready() == http.StatusOK })
}

// do runs an admin operation at a gateway.
func (g *shared) do(op, name string, result any) error {
	c := adminsock.Client{Socket: filepath.Join(g.state, adminsock.SocketFile)}
	return c.Do(context.Background(), op, adminsock.Args{Name: name}, nil, result)
}

// A node is drained through one gateway and removed through another while both write:
// nothing is lost, and all forget it.
func TestDrainNode(t *testing.T) {
	r := sharedRig(t, 3, 2, "ec:2+2")
	r.all()
	a, b := r.gateway("gw0"), r.gateway("gw1")
	if err := a.cl.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	for i, n := range sizes {
		a.mustPut(fmt.Sprint("before", i), n)
	}
	var res gateway.TargetsResult
	if err := b.do("remove", "n0", &res); err == nil {
		t.Fatal("removed a node that is in use")
	}
	eventually(t, "somebody leads", func() bool { return a.leader() != "" })
	leader, other := a, b
	if a.leader() == "gw1" {
		leader, other = b, a
	}
	if err := leader.do("drain", "n0", &res); err != nil || len(res.Targets) != 2 || res.Moved == nil {
		t.Fatalf("%+v, %v", res, err)
	}
	if err := leader.do("drain", "n1", &res); err == nil {
		t.Fatal("two nodes of three are drained")
	}
	eventually(t, "the other gateway knows", func() bool {
		s, err := other.Status(t.Context())
		n := 0
		for _, x := range s.Targets {
			if x.Draining {
				n++
			}
		}
		return err == nil && n == 2
	})
	for i, n := range sizes {
		other.mustPut(fmt.Sprint("after", i), n)
	}
	if err := leader.do("drain", "n0", &res); err != nil {
		t.Fatal(err)
	}
	if err := other.do("remove", "n0", &res); err != nil || len(res.Targets) != 2 {
		t.Fatalf("%+v, %v", res, err)
	}
	for _, g := range []*shared{a, b} {
		eventually(t, "every gateway forgets the node", func() bool {
			s, err := g.Status(t.Context())
			return err == nil && len(s.Targets) == 4
		})
	}
	r.end("n0")
	for i, n := range sizes {
		a.mustGet(fmt.Sprint("after", i), n)
		b.mustGet(fmt.Sprint("before", i), n)
	}
	var check store.CheckResult
	if err := a.do("check", "", &check); err != nil || !check.Clean() {
		t.Fatalf("%+v, %v", check, err)
	}
	again := r.gateway("gw2")
	if s, err := again.Status(t.Context()); err != nil || len(s.Targets) != 4 {
		t.Fatalf("%+v, %v", s, err)
	}
}

// online counts the targets that are served by other nodes than these.
func (g *shared) online(gone ...string) int {
	g.t.Helper()
	s, err := g.Status(g.t.Context())
	if err != nil {
		g.t.Fatal(err)
	}
	n := 0
	for _, x := range s.Targets {
		host, _, _ := strings.Cut(x.Name, ":")
		if x.Usable && !slices.Contains(gone, host) {
			n++
		}
	}
	return n
}

// On a shared file system the targets of a node that ends are served by another within
// seconds, with all that is on them, and not given back while the other lives.
func TestTakeover(t *testing.T) {
	r := sharedRig(t, 3, 2, "ec:2+2")
	for i := range r.file.Nodes {
		r.file.Nodes[i].Takeover = []string{"n0", "n1", "n2"}
	}
	r.all()
	g := r.gateway("gw0")
	online := g.online
	eventually(t, "all targets", func() bool { return online() == 6 })
	if err := g.cl.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	put := func(prefix string) {
		for i, n := range sizes {
			g.mustPut(fmt.Sprint(prefix, i), n)
		}
	}
	put("before")
	r.end("n0")
	eventually(t, "another node has the targets", func() bool { return online("n0") == 6 })
	put("between")
	r.node("n0", r.file, "")
	var check store.CheckResult
	if err := g.do("check", "", &check); err != nil || !check.Clean() {
		t.Fatalf("%+v, %v", check, err)
	}
	r.end("n1")
	r.end("n2")
	eventually(t, "one node has all targets", func() bool { return online("n1", "n2") == 6 })
	put("after")
	for i, n := range sizes {
		for _, prefix := range []string{"before", "between", "after"} {
			g.mustGet(fmt.Sprint(prefix, i), n)
		}
	}
	if err := g.do("check", "", &check); err != nil || !check.Clean() || check.Orphans > 0 {
		t.Fatalf("%+v, %v", check, err)
	}
}

// Fault model: the file system of one target hangs while the node that had it ends. Its other
// targets are taken over meanwhile, and this one when the file system answers.
func TestTakeoverBesideHungTarget(t *testing.T) {
	r := sharedRig(t, 2, 2, "ec:2+2")
	for i := range r.file.Nodes {
		r.file.Nodes[i].Takeover = []string{"n0", "n1"}
	}
	r.all()
	g := r.gateway("gw0")
	eventually(t, "all targets", func() bool { return g.online() == 4 })
	r.end("n0")
	// Who opens a file of which another has a lease waits for it to be given back.
	f, err := os.OpenFile(filepath.Join(r.file.Nodes[0].Targets[0], extent.SuperblockName), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	eventually(t, "the lease on a file", func() bool {
		_, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK)
		return err == nil
	})
	served := func(target string) bool {
		s, err := g.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(s.Targets, func(x store.TargetState) bool {
			return x.Usable && x.Name == "n1:"+target
		})
	}
	eventually(t, "another node has the target that answers", func() bool { return served(r.file.Nodes[0].Targets[1]) })
	if served(r.file.Nodes[0].Targets[0]) {
		t.Error("a target is served whose superblock cannot be read")
	}
	f.Close()
	eventually(t, "it has the other, too", func() bool { return g.online("n0") == 4 })
}
