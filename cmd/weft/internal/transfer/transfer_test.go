package transfer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weftstore/weft/cmd/weft/internal/cluster"
	"github.com/weftstore/weft/cmd/weft/internal/gateway"
	"github.com/weftstore/weft/cmd/weft/internal/member"
	"github.com/weftstore/weft/cmd/weft/internal/statedir"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/metadata/etcdkv/etcdtest"
)

// Fault model of this file: transfers that are cut short and run again, places that are
// in use or hold something else.

type rig struct {
	t    *testing.T
	dir  string
	etcd Place
}

func newRig(t *testing.T, clusters int) *rig {
	r := &rig{t: t, dir: t.TempDir(), etcd: Place{URL: "etcd://" + etcdtest.Start(t, "http").Addr, Deployment: [16]byte{7}}}
	for i := 1; i < clusters; i++ {
		r.etcd.Division = append(r.etcd.Division, cluster.MetadataCluster{
			Name: fmt.Sprint("c", i), URL: "etcd://" + etcdtest.Start(t, "http").Addr, Buckets: []string{fmt.Sprint("bucket", i, "*")},
		})
	}
	return r
}

// overClusters runs a test with etcd as one cluster, and as two.
func overClusters(t *testing.T, test func(*testing.T, *rig)) {
	for n := 1; n <= 2; n++ {
		t.Run(fmt.Sprint("clusters=", n), func(t *testing.T) { test(t, newRig(t, n)) })
	}
}

func (r *rig) state(name string) Place {
	return Place{State: filepath.Join(r.dir, name), Deployment: [16]byte{7}}
}

// fill makes metadata in a state directory.
func (r *rig) fill(p Place) {
	r.t.Helper()
	r.with(p, func(m *gateway.Metadata) {
		for i := range 30 {
			if _, err := m.DB.CreateBucket(r.t.Context(), fmt.Sprint("bucket", i), ""); err != nil {
				r.t.Fatal(err)
			}
		}
	})
}

func (r *rig) with(p Place, fn func(*gateway.Metadata)) {
	r.t.Helper()
	d, err := statedir.Open(p.State)
	if err != nil {
		r.t.Fatal(err)
	}
	defer d.Close()
	m, err := gateway.OpenMetadata(d.Path(gateway.MetadataFile))
	if err != nil {
		r.t.Fatal(err)
	}
	defer m.Close()
	fn(m)
}

func (r *rig) buckets(m *gateway.Metadata) int {
	r.t.Helper()
	list, err := m.DB.Buckets(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return len(list)
}

// bucketsInEtcd counts what each cluster has, and all.
func (r *rig) bucketsInEtcd() int {
	r.t.Helper()
	m, err := gateway.OpenEtcd(r.t.Context(), r.etcd.URL, r.etcd.Deployment, r.etcd.Division)
	if err != nil {
		r.t.Fatal(err)
	}
	defer m.Close()
	for i, kv := range m.Engines() {
		one, err := metadata.New(kv, metadata.Options{})
		if err != nil {
			r.t.Fatal(err)
		}
		list, err := one.Buckets(r.t.Context())
		if err != nil {
			r.t.Fatal(err)
		}
		for _, b := range list {
			if at := r.etcd.Division.Place(b.Name); at != i {
				r.t.Errorf("%s is in cluster %d, not %d", b.Name, i, at)
			}
		}
		if len(list) == 0 {
			r.t.Errorf("cluster %d has no bucket", i)
		}
	}
	return r.buckets(m)
}

// cutAfter is a context that ends after some reports.
func cutAfter(ctx context.Context, n int) (context.Context, Report) {
	ctx, cancel := context.WithCancel(ctx)
	return ctx, func(string, metadata.Copied) {
		if n--; n <= 0 {
			cancel()
		}
	}
}

func (r *rig) join() error {
	m, err := gateway.OpenEtcd(r.t.Context(), r.etcd.URL, r.etcd.Deployment, r.etcd.Division)
	if err != nil {
		r.t.Fatal(err)
	}
	defer m.Close()
	for _, c := range m.Clusters {
		mem, err := member.Join(r.t.Context(), member.Config{Client: c.KV.Client(), Prefix: c.Prefix, Deployment: r.etcd.Deployment})
		if err != nil {
			return err
		}
		if err := mem.Close(); err != nil {
			return err
		}
	}
	return nil
}

// To etcd and back, cut short once on each way: nobody can use what is incomplete or
// left behind, and all is there at the end.
func TestMigrate(t *testing.T) { overClusters(t, testMigrate) }

func testMigrate(t *testing.T, r *rig) {
	from, back := r.state("from"), r.state("back")
	r.fill(from)
	ctx, report := cutAfter(t.Context(), 1)
	if _, err := Migrate(ctx, from, r.etcd, report); err == nil {
		t.Fatal("was not cut short")
	}
	if err := r.join(); !errors.Is(err, member.ErrClosed) {
		t.Fatal("joined what is incomplete: ", err)
	}
	c, err := Migrate(t.Context(), from, r.etcd, nil)
	if err != nil || c.Pairs == 0 {
		t.Fatalf("%+v, %v", c, err)
	}
	if n := r.bucketsInEtcd(); n != 30 {
		t.Fatalf("%d buckets in etcd", n)
	}
	if err := r.join(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(from.State, gateway.MetadataFile)); !errors.Is(err, os.ErrNotExist) {
		t.Fatal("the database is still where it was: ", err)
	}
	if _, err := Migrate(t.Context(), from, r.etcd, nil); err == nil {
		t.Fatal("moved twice")
	}
	if err := r.join(); err != nil {
		t.Fatal(err)
	}
	used := r.state("used")
	r.fill(used)
	if _, err := Migrate(t.Context(), r.etcd, used, nil); err == nil {
		t.Fatal("moved to where there is metadata")
	}
	if err := r.join(); err != nil {
		t.Fatal("a move that was refused closed etcd: ", err)
	}
	ctx, report = cutAfter(t.Context(), 1)
	if _, err := Migrate(ctx, r.etcd, back, report); err == nil {
		t.Fatal("was not cut short")
	}
	if _, err := Migrate(t.Context(), r.etcd, back, nil); err != nil {
		t.Fatal(err)
	}
	r.with(back, func(m *gateway.Metadata) {
		if n := r.buckets(m); n != 30 {
			t.Fatalf("%d buckets came back", n)
		}
	})
	if err := r.join(); !errors.Is(err, member.ErrClosed) {
		t.Fatal("joined what moved away: ", err)
	}
}

func TestExportImport(t *testing.T) { overClusters(t, testExportImport) }

func testExportImport(t *testing.T, r *rig) {
	from, to := r.state("from"), r.state("to")
	r.fill(from)
	file := filepath.Join(r.dir, "export")
	if _, err := Export(t.Context(), from, file, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := Export(t.Context(), from, file, nil); err == nil {
		t.Fatal("exported over a file")
	}
	for _, p := range []Place{to, r.etcd} {
		ctx, report := cutAfter(t.Context(), 1)
		if _, err := Import(ctx, file, p, report); err == nil {
			t.Fatal("was not cut short")
		}
		if c, err := Import(t.Context(), file, p, nil); err != nil || c.Pairs < 30 {
			t.Fatalf("%+v, %v", c, err)
		}
	}
	r.with(to, func(m *gateway.Metadata) {
		if n := r.buckets(m); n != 30 {
			t.Fatalf("%d buckets", n)
		}
	})
	if n := r.bucketsInEtcd(); n != 30 {
		t.Fatalf("%d buckets in etcd", n)
	}
	if _, err := Import(t.Context(), file, to, nil); err == nil {
		t.Fatal("imported over metadata")
	}
	again := filepath.Join(r.dir, "again")
	if _, err := Export(t.Context(), r.etcd, again, nil); err != nil {
		t.Fatal(err)
	}
	a, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(again)
	if err != nil || string(a) != string(b) {
		t.Fatal("what came through etcd is another: ", err)
	}
	wrong := r.etcd
	wrong.URL += "/wrong"
	if _, err := Export(t.Context(), wrong, filepath.Join(r.dir, "nothing"), nil); err == nil || !strings.Contains(err.Error(), "no metadata") {
		t.Fatal("exported what is not there: ", err)
	}
	// etcd that is in use is left as it was, and usable.
	r.with(from, func(m *gateway.Metadata) {
		if _, err := m.DB.CreateBucket(t.Context(), "another", ""); err != nil {
			t.Fatal(err)
		}
	})
	other := filepath.Join(r.dir, "other")
	if _, err := Export(t.Context(), from, other, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := Import(t.Context(), other, r.etcd, nil); !errors.Is(err, metadata.ErrOther) {
		t.Fatal("imported over metadata in etcd: ", err)
	}
	if err := r.join(); err != nil || r.bucketsInEtcd() != 30 {
		t.Fatal(err)
	}
}

// TestExportOfNothing: a state directory that is not there is not made.
func TestExportOfNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "typo")
	if _, err := Export(t.Context(), Place{State: dir}, dir+".meta", nil); err == nil || !strings.Contains(err.Error(), "no metadata in "+dir) {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s: %v", dir, err)
	}
}
