package gateway_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/weftstore/weft/cmd/weft/internal/cluster"
	"github.com/weftstore/weft/cmd/weft/internal/gateway"
	"github.com/weftstore/weft/cmd/weft/internal/transfer"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/metadata/etcdkv/etcdtest"
	"github.com/weftstore/weft/store"
)

// Fault model of this file: none; what is there is moved from one etcd cluster to two, as an operator does it.

// objectsIn lists the names of a bucket.
func (g *shared) objectsIn(bucket string) (names []string) {
	g.t.Helper()
	for o := range g.cl.ListObjects(g.t.Context(), bucket, minio.ListObjectsOptions{Recursive: true, WithVersions: true}) {
		if o.Err != nil {
			g.t.Fatal(o.Err)
		}
		names = append(names, o.Key+" "+o.VersionID+" "+o.ETag)
	}
	return names
}

// wantBuckets wants each cluster to have these buckets and no others.
func (r *rig) wantBuckets(each ...[]string) {
	r.t.Helper()
	meta, err := gateway.OpenEtcd(r.t.Context(), r.file.Metadata, r.file.Deployment, r.file.Division)
	if err != nil {
		r.t.Fatal(err)
	}
	defer meta.Close()
	for i, want := range each {
		db, err := metadata.New(meta.Engines()[i], metadata.Options{})
		if err != nil {
			r.t.Fatal(err)
		}
		list, err := db.Buckets(r.t.Context())
		if err != nil {
			r.t.Fatal(err)
		}
		var have []string
		for _, b := range list {
			have = append(have, b.Name)
		}
		if !slices.Equal(have, want) {
			r.t.Errorf("cluster %d has %q, not %q", i, have, want)
		}
	}
}

// One etcd that has buckets is divided by `migrate` to a state directory and from there to two clusters: nothing is
// lost, each bucket is in the cluster that the patterns say, and all goes on.
func TestDivideMetadata(t *testing.T) {
	r := sharedRig(t, 2, 2, "ec:2+2")
	r.all()
	g := r.gateway("gw0")
	buckets := []string{"far1", "far2", "near"}
	g.makeBucket(buckets...)
	if err := g.cl.EnableVersioning(t.Context(), "far2"); err != nil {
		t.Fatal(err)
	}
	const multipart = 6 << 20
	before := map[string][]string{}
	uploads := map[string]string{}
	core := minio.Core{Client: g.cl}
	for _, b := range buckets {
		for range 2 { // the second is another version where those are kept, and else leaves garbage
			for i, n := range sizes {
				if err := g.putIn(b, fmt.Sprint("k", i), n, minio.PutObjectOptions{DisableMultipart: true}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := g.putIn(b, "multipart", multipart, minio.PutObjectOptions{PartSize: 5 << 20}); err != nil {
			t.Fatal(err)
		}
		id, err := core.NewMultipartUpload(t.Context(), b, "begun", minio.PutObjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		before[b], uploads[b] = g.objectsIn(b), id
	}
	g.end()
	for name := range r.nodes {
		r.end(name)
	}

	one, dir := r.file.Metadata, filepath.Join(r.dir, "move")
	far := etcdtest.Start(t, "http")
	if _, err := transfer.Migrate(t.Context(), transfer.Place{URL: one, Deployment: r.file.Deployment}, transfer.Place{State: dir}, nil); err != nil {
		t.Fatal(err)
	}
	r.file.Metadata = one + "/divided"
	r.file.Division = cluster.Division{{Name: "far", URL: "etcd://" + far.Addr, Buckets: []string{"far*"}}}
	to := transfer.Place{URL: r.file.Metadata, Division: r.file.Division, Deployment: r.file.Deployment}
	if _, err := transfer.Migrate(t.Context(), transfer.Place{State: dir}, to, nil); err != nil {
		t.Fatal(err)
	}

	r.all()
	gws := []*shared{r.gateway("gw0"), r.gateway("gw1")}
	if list, err := gws[1].cl.ListBuckets(t.Context()); err != nil || len(list) != len(buckets) {
		t.Errorf("%d buckets are listed, %v", len(list), err)
	}
	for i, b := range buckets {
		g, other := gws[i%2], gws[(i+1)%2]
		if after := other.objectsIn(b); !slices.Equal(after, before[b]) {
			t.Errorf("%s has\n%s\nand had\n%s", b, strings.Join(after, "\n"), strings.Join(before[b], "\n"))
		}
		for j, n := range sizes {
			if err := g.getFrom(b, fmt.Sprint("k", j), n); err != nil {
				t.Error(err)
			}
		}
		if err := g.getFrom(b, "multipart", multipart); err != nil {
			t.Error(err)
		}
		core := minio.Core{Client: g.cl}
		part, err := core.PutObjectPart(t.Context(), b, "begun", uploads[b], 1, strings.NewReader("part"), 4, minio.PutObjectPartOptions{})
		if err == nil {
			_, err = core.CompleteMultipartUpload(t.Context(), b, "begun", uploads[b], []minio.CompletePart{{PartNumber: 1, ETag: part.ETag}}, minio.PutObjectOptions{})
		}
		if err != nil {
			t.Errorf("%s: an upload that was begun before: %v", b, err)
		}
		if err := g.putIn(b, "k0", 100<<10, minio.PutObjectOptions{}); err != nil {
			t.Error(err)
		}
		if err := other.getFrom(b, "k0", 100<<10); err != nil {
			t.Error(err)
		}
	}
	gws[0].makeBucket("far3")
	eventually(t, "the garbage of both clusters is collected", func() bool { return gws[0].garbage() == 0 })
	var check store.CheckResult
	if err := gws[0].do("check", "", &check); err != nil || !check.Clean() || check.Orphans > 0 {
		t.Errorf("%+v, %v", check, err)
	}

	r.wantBuckets([]string{"near"}, []string{"far1", "far2", "far3"})
	// The cluster that had all is of no use any more.
	cfg, old := r.config(), *r.file
	old.Metadata, old.Division = one, nil
	cfg.AccessKey, cfg.SecretKey, cfg.State, cfg.Cluster = "access", "secretsecret", filepath.Join(r.dir, "old"), &old
	if p, err := gateway.Start(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "moved to the state directory") {
		t.Errorf("a gateway of the cluster that was moved away: %v, %v", p, err)
	}
}
