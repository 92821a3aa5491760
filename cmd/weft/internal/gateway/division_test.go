package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	miniocreds "github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/weftstore/weft/cmd/weft/internal/adminsock"
	"github.com/weftstore/weft/cmd/weft/internal/cluster"
	"github.com/weftstore/weft/cmd/weft/internal/gateway"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/metadata/etcdkv/etcdtest"
	"github.com/weftstore/weft/store"
)

// Fault model of this file: metadata in two etcd clusters of which one ends, or whose
// configuration is not that of the other gateways.

// divided is a cluster whose buckets with names that begin with "far" are in a second etcd.
func divided(t *testing.T) (r *rig, far *etcdtest.Server) {
	r = sharedRig(t, 2, 2, "ec:2+2")
	far = etcdtest.Start(t, "http")
	r.file.Division = cluster.Division{{Name: "far", URL: "etcd://" + far.Addr + "?timeout=1s", Buckets: []string{"far*"}}}
	return r, far
}

func (g *shared) putIn(bucket, key string, n int, o minio.PutObjectOptions) error {
	_, err := g.cl.PutObject(context.Background(), bucket, key, bytes.NewReader(body(key, n)), int64(n), o)
	return err
}

func (g *shared) getFrom(bucket, key string, n int) error {
	o, err := g.cl.GetObject(context.Background(), bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return err
	}
	defer o.Close()
	got, err := io.ReadAll(o)
	if err == nil && !bytes.Equal(got, body(key, n)) {
		err = fmt.Errorf("%s/%s: %d other bytes", bucket, key, len(got))
	}
	return err
}

func (g *shared) makeBucket(names ...string) {
	g.t.Helper()
	for _, name := range names {
		if err := g.cl.MakeBucket(context.Background(), name, minio.MakeBucketOptions{}); err != nil {
			g.t.Fatal(name, ": ", err)
		}
	}
}

func unavailable(err error) bool {
	return minio.ToErrorResponse(err).StatusCode == 503
}

// Two gateways use buckets in both clusters. When one cluster ends its buckets answer 503,
// the others go on, and all is there afterwards.
func TestMetadataClusters(t *testing.T) {
	r, far := divided(t)
	r.all()
	gws := []*shared{r.gateway("gw0"), r.gateway("gw1")}
	buckets := []string{"near", "far1", "far2"}
	gws[0].makeBucket(buckets...)
	const multipart = 6 << 20
	for i, b := range buckets {
		g, other := gws[i%2], gws[(i+1)%2]
		for j, n := range sizes {
			if err := g.putIn(b, fmt.Sprint("k", j), n, minio.PutObjectOptions{DisableMultipart: true}); err != nil {
				t.Fatal(err)
			}
			if err := other.getFrom(b, fmt.Sprint("k", j), n); err != nil {
				t.Fatal(err)
			}
		}
		if err := g.putIn(b, "multipart", multipart, minio.PutObjectOptions{PartSize: 5 << 20}); err != nil {
			t.Fatal(err)
		}
		if err := other.getFrom(b, "multipart", multipart); err != nil {
			t.Fatal(err)
		}
		var once minio.PutObjectOptions
		once.SetMatchETagExcept("*")
		if err := other.putIn(b, "k0", 1, once); minio.ToErrorResponse(err).StatusCode != 412 {
			t.Errorf("%s: If-None-Match: *: %v", b, err)
		}
		n := 0
		for o := range other.cl.ListObjects(t.Context(), b, minio.ListObjectsOptions{}) {
			if o.Err != nil {
				t.Fatal(o.Err)
			}
			n++
		}
		if n != len(sizes)+1 {
			t.Errorf("%s: %d objects are listed", b, n)
		}
	}
	for _, g := range gws {
		list, err := g.cl.ListBuckets(t.Context())
		if err != nil || len(list) != len(buckets) {
			t.Errorf("%d buckets are listed, %v", len(list), err)
		}
	}
	for _, b := range buckets {
		if err := gws[1].cl.RemoveObject(t.Context(), b, "k2", minio.RemoveObjectOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the garbage of both clusters is collected", func() bool { return gws[0].garbage() == 0 })

	far.Kill()
	eventually(t, "503 for what the cluster had", func() bool { return unavailable(gws[0].getFrom("far1", "k0", sizes[0])) })
	for i, g := range gws {
		if err := g.putIn("far2", "new", 100, minio.PutObjectOptions{}); !unavailable(err) {
			t.Errorf("put to a bucket of the cluster that ended: %v", err)
		}
		key := fmt.Sprint("while", i)
		if err := g.putIn("near", key, 100<<10, minio.PutObjectOptions{}); err != nil {
			t.Errorf("put to another bucket: %v", err)
		}
		if err := gws[1-i].getFrom("near", key, 100<<10); err != nil {
			t.Errorf("get from another bucket: %v", err)
		}
	}
	s, err := gws[0].Status(t.Context())
	if err != nil || len(s.Metadata) != 2 || s.Metadata[0].Error != "" || s.Metadata[1].Error == "" {
		t.Errorf("status %+v, %v", s, err)
	}
	far.Restart()
	for _, g := range gws {
		eventually(t, "the buckets of the cluster are back", func() bool { return g.putIn("far1", "after", 1000, minio.PutObjectOptions{}) == nil })
	}
	for _, b := range buckets {
		for j, n := range sizes {
			if j == 2 {
				continue
			}
			if err := gws[1].getFrom(b, fmt.Sprint("k", j), n); err != nil {
				t.Error(err)
			}
		}
		if err := gws[1].cl.RemoveObject(t.Context(), b, "k1", minio.RemoveObjectOptions{}); err != nil {
			t.Error(err)
		}
	}
	eventually(t, "garbage is collected again", func() bool { return gws[1].garbage() == 0 })
	var check store.CheckResult
	if err := gws[0].do("check", "", &check); err != nil || !check.Clean() || check.Orphans > 0 {
		t.Errorf("%+v, %v", check, err)
	}
}

// A target that lost everything is made whole for the buckets of both clusters.
func TestMetadataClustersRepair(t *testing.T) {
	r, _ := divided(t)
	r.all()
	g := r.gateway("gw0")
	g.makeBucket("near", "far1")
	for _, b := range []string{"near", "far1"} {
		for i, n := range sizes {
			if err := g.putIn(b, fmt.Sprint(i), n, minio.PutObjectOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := g.do("snapshot", "", new(struct{})); err != nil {
		t.Error(err)
	}
	r.end("n0")
	for _, b := range []string{"near", "far1"} { // notes damage, if the layout allows to write
		_ = g.putIn(b, "degraded", 1000, minio.PutObjectOptions{})
	}
	r.node("n0", r.file, "")
	eventually(t, "repaired", func() bool {
		var res store.RepairResult
		if err := g.do("repair", "", &res); err != nil {
			return false
		}
		var check store.CheckResult
		return g.do("check", "", &check) == nil && check.Clean()
	})
	for _, b := range []string{"near", "far1"} {
		for i, n := range sizes {
			if err := g.getFrom(b, fmt.Sprint(i), n); err != nil {
				t.Error(err)
			}
		}
	}
}

// An account's quota counts what it has in both clusters.
func TestMetadataClustersQuota(t *testing.T) {
	r, _ := divided(t)
	r.all()
	g := r.gateway("gw0")
	c := adminsock.Client{Socket: filepath.Join(g.state, adminsock.SocketFile)}
	do := func(op adminsock.Identity, result any) {
		t.Helper()
		if err := c.Do(t.Context(), "identity", adminsock.Args{Identity: &op}, nil, result); err != nil {
			t.Fatal(err)
		}
	}
	var key gateway.NewKey
	do(adminsock.Identity{Op: "account create", Name: "physics"}, new(struct{}))
	do(adminsock.Identity{Op: "key create", Account: "physics"}, &key)
	cl, err := minio.New(g.Addr(), &minio.Options{Creds: miniocreds.NewStaticV4(key.ID, key.Secret, ""), Region: "us-east-1", MaxRetries: 1})
	if err != nil {
		t.Fatal(err)
	}
	tenant := &shared{Process: g.Process, t: t, cl: cl}
	tenant.makeBucket("near", "far1")
	meta, err := gateway.OpenEtcd(t.Context(), r.file.Metadata, r.file.Deployment, r.file.Division)
	if err != nil {
		t.Fatal(err)
	}
	defer meta.Close()
	db := meta.DB
	b, err := db.Bucket(t.Context(), "far1")
	if err != nil {
		t.Fatal(err)
	}
	if err := db.SetQuota(t.Context(), metadata.QuotaOf{Account: b.Owner}, metadata.Quota{Bytes: 1000}); err != nil {
		t.Fatal(err)
	}
	if err := tenant.putIn("near", "k", 900, minio.PutObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other cluster knows", func() bool { return tenant.putIn("far1", "more", 200, minio.PutObjectOptions{}) != nil })
	if err := tenant.cl.RemoveObject(t.Context(), "near", "k", minio.RemoveObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "there is room again", func() bool { return tenant.putIn("far1", "more", 200, minio.PutObjectOptions{}) == nil })
}

// What is configured wrong is found at the start, and named.
func TestRefusedMetadataClusters(t *testing.T) {
	r, far := divided(t)
	r.all()
	first := r.gateway("gw0")
	home, url := r.file.Metadata, r.file.Division[0].URL
	start := func(name string, change func(*cluster.File)) error {
		t.Helper()
		cfg, file := r.config(), *r.file
		cfg.AccessKey, cfg.SecretKey, cfg.State, cfg.Cluster = "access", "secretsecret", filepath.Join(r.dir, name), &file
		change(&file)
		p, err := gateway.Start(t.Context(), cfg)
		if err == nil {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			err = p.Run(ctx)
		}
		return err
	}
	refused := func(what, say string, change func(*cluster.File)) {
		t.Helper()
		if err := start("other", change); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("another map beside a gateway", "gateway", func(f *cluster.File) {
		f.Division = cluster.Division{{Name: "far", URL: url, Buckets: []string{"other*"}}}
	})
	refused("a home alone", "far", func(f *cluster.File) { f.Division = nil })
	refused("the same cluster twice", "is \"home\"", func(f *cluster.File) {
		f.Division = cluster.Division{{Name: "far", URL: home, Buckets: []string{"far*"}}}
	})
	refused("clusters exchanged", "is \"far\"", func(f *cluster.File) {
		f.Metadata = "etcd://" + far.Addr
		f.Division = cluster.Division{{Name: "far", URL: home, Buckets: []string{"far*"}}}
	})
	refused("another name", "is \"far\"", func(f *cluster.File) {
		f.Division = cluster.Division{{Name: "away", URL: url, Buckets: []string{"far*"}}}
	})
	first.makeBucket("far1")
	meta, err := gateway.OpenEtcd(t.Context(), home, r.file.Deployment, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := meta.Whole(t.Context()); err == nil || !strings.Contains(err.Error(), "far") {
		t.Errorf("the home is read as if it were all: %v", err)
	}
	meta.Close()
	first.end()
	// Nobody is registered: the map of new buckets may change, but no cluster be left out.
	refused("left out", "migrate", func(f *cluster.File) { f.Division = nil })
	if err := start("changed", func(f *cluster.File) {
		f.Division = cluster.Division{{Name: "far", URL: url, Buckets: []string{"other*"}}}
	}); err != nil {
		t.Error("changed while no gateway runs: ", err)
	}
}
