package gateway_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/weftstore/weft/cmd/weft/internal/adminsock"
	"github.com/weftstore/weft/cmd/weft/internal/gateway"
	"github.com/weftstore/weft/cmd/weft/internal/roster"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/store"
)

// names are the usable targets, without the directory that all have in common.
func (g *shared) names() string {
	g.t.Helper()
	s, err := g.Status(context.Background())
	if err != nil {
		g.t.Fatal(err)
	}
	var list []string
	for _, x := range s.Targets {
		if x.Usable {
			host, dir, _ := strings.Cut(x.Name, ":")
			list = append(list, host+"/"+filepath.Base(dir))
		}
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// Targets and nodes are added, drained and removed while the gateways and nodes run, and
// none is started again but the node that is new. A gateway that starts later, from the
// old cluster file, sees the same.
func TestClusterMap(t *testing.T) {
	r := sharedRig(t, 4, 1, "ec:2+2")
	r.all()
	a, b := r.gateway("a"), r.gateway("b")
	everywhere := func(want string) {
		t.Helper()
		for _, g := range []*shared{a, b} {
			eventually(t, want+" at every gateway", func() bool { return g.names() == want })
		}
	}
	everywhere("n0/t0 n1/t0 n2/t0 n3/t0")
	if err := a.cl.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	for i, n := range sizes {
		a.mustPut(fmt.Sprint(i), n)
	}
	must := func(g *shared, op, name string, result any) {
		t.Helper()
		if err := g.do(op, name, result); err != nil {
			t.Fatal(op, " ", name, ": ", err)
		}
	}
	must(a, "add", "n0:"+filepath.Join(r.dir, "n0", "t1"), new(gateway.TargetsResult))
	everywhere("n0/t0 n0/t1 n1/t0 n2/t0 n3/t0")
	must(b, "add", "n4=n4:1="+filepath.Join(r.dir, "n4", "t0"), new(gateway.TargetsResult))
	r.node("n4", r.file, "") // the file does not have it
	everywhere("n0/t0 n0/t1 n1/t0 n2/t0 n3/t0 n4/t0")

	for _, bad := range []string{"n0:" + filepath.Join(r.dir, "n0", "t1"), "n9:/x", "n5=n4:1=/x", "n5=n5:1=relative"} {
		if err := a.do("add", bad, new(gateway.TargetsResult)); err == nil {
			t.Errorf("added %s", bad)
		}
	}
	for _, name := range []string{"n1", "n0:" + filepath.Join(r.dir, "n0", "t0")} {
		eventually(t, name+" is drained and removed", func() bool {
			var res gateway.TargetsResult
			must(a, "drain", name, &res)
			must(b, "drain", name, &res)
			return a.do("remove", name, &res) == nil
		})
	}
	everywhere("n0/t1 n2/t0 n3/t0 n4/t0")
	c := r.gateway("c")
	eventually(t, "the same at a new gateway", func() bool { return c.names() == "n0/t1 n2/t0 n3/t0 n4/t0" })
	for i, n := range sizes {
		c.mustGet(fmt.Sprint(i), n)
	}
	var check store.CheckResult
	must(c, "check", "", &check)
	if !check.Clean() {
		t.Errorf("%+v", check)
	}
	told := func() (s string) {
		var list []roster.Listed
		must(c, "map", "", &list)
		for _, n := range list {
			for _, h := range n.Has {
				s += fmt.Sprint(n.Name, "/", filepath.Base(h.Dir), " ", h.State, " ", h.Total > 0, " ")
			}
		}
		return s
	}
	eventually(t, "what the nodes tell", func() bool {
		return told() == "n0/t1 online true n2/t0 online true n3/t0 online true n4/t0 online true "
	})
	// Without etcd the map is what a gateway kept of it.
	c.end()
	cfg := r.config()
	cfg.State = c.state
	if res, err := gateway.RebuildCluster(t.Context(), cfg, false, nil); err != nil || res.Lost != 0 || res.Damaged != 0 || res.Versions != int64(len(sizes)) {
		t.Errorf("%+v, %v", res, err)
	}
	if s, err := a.Status(t.Context()); err != nil || len(s.Nodes) != 4 {
		t.Errorf("%+v, %v", s.Nodes, err)
	}
}

// Fault model: nodes end, and another has their targets. A node is not removed before what is
// on its targets is elsewhere, whoever has them, and who has them is drained of its own
// alone; when it is removed it lets go of the rest.
func TestRemoveBesideTakeover(t *testing.T) {
	r := sharedRig(t, 3, 2, "ec:2+2")
	for i := range r.file.Nodes {
		r.file.Nodes[i].Takeover = []string{"*"}
	}
	r.all()
	g := r.gateway("gw0")
	eventually(t, "all targets", func() bool { return g.online() == 6 })
	if err := g.cl.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	for i, n := range sizes {
		g.mustPut(fmt.Sprint(i), n)
	}
	r.end("n0")
	r.end("n2")
	eventually(t, "one node has all targets", func() bool { return g.online("n0", "n2") == 6 })
	var res gateway.TargetsResult
	if err := g.do("remove", "n0", &res); err == nil || !strings.Contains(err.Error(), "drain it first") {
		t.Fatalf("a node whose targets are in use was removed: %+v, %v", res, err)
	}
	r.node("n2", r.file, "")
	eventually(t, "it is drained and removed", func() bool {
		if err := g.do("drain", "n1", &res); err != nil || len(res.Targets) != 2 {
			t.Fatalf("%+v, %v", res, err)
		}
		return g.do("remove", "n1", &res) == nil
	})
	eventually(t, "what it had of others is with another", func() bool { return g.names() == "n2/t0 n2/t0 n2/t1 n2/t1" })
	for i, n := range sizes {
		g.mustGet(fmt.Sprint(i), n)
	}
}

// A node that is there keeps who takes over from it when something else of it is changed, and
// goes on serving. It gets such only while it is stopped: it would not know that it has to hold its targets.
func TestChangeNode(t *testing.T) {
	r := sharedRig(t, 2, 1, "replica:2")
	r.file.Nodes[0].Takeover = []string{"*"}
	r.all()
	g := r.gateway("gw0")
	eventually(t, "all targets", func() bool { return g.names() == "n0/t0 n1/t0" })
	change := func(name string, takeover ...string) error {
		c := adminsock.Client{Socket: filepath.Join(g.state, adminsock.SocketFile)}
		spec := fmt.Sprintf("%[1]s@rack=%[1]s:1=%[2]s", name, filepath.Join(r.dir, name, "t0"))
		return c.Do(t.Context(), "add", adminsock.Args{Name: spec, Takeover: takeover}, nil, new(gateway.TargetsResult))
	}
	nodes := func() (list []roster.Listed) {
		if err := g.do("map", "", &list); err != nil {
			t.Fatal(err)
		}
		return list
	}
	if err := change("n0"); err != nil {
		t.Fatal(err)
	}
	if n := nodes()[0]; n.Domain != "rack" || !slices.Equal(n.Takeover, []string{"*"}) {
		t.Errorf("%+v", n)
	}
	eventually(t, "the nodes tell what they have", func() bool { n := nodes(); return n[0].Alive && n[1].Alive })
	if err := change("n1", "n0"); err == nil || !strings.Contains(err.Error(), "stop it") {
		t.Errorf("another takes over from a node that runs and does not know: %v", err)
	}
	r.end("n1")
	eventually(t, "it is gone", func() bool { return !nodes()[1].Alive })
	if err := change("n1", "n0"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another has its target", func() bool { return g.names() == "n0/t0 n0/t0" })
}

// Fault model: etcd is away after a target was removed and before the map is changed. The
// command does the rest when it is run again.
func TestRemoveCutShort(t *testing.T) {
	r := sharedRig(t, 2, 2, "replica:2")
	r.all()
	g := r.gateway("gw0")
	eventually(t, "all targets", func() bool { return g.names() == "n0/t0 n0/t1 n1/t0 n1/t1" })
	meta, err := gateway.OpenEtcd(t.Context(), r.file.Metadata, r.file.Deployment, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer meta.Close()
	rows, err := meta.DB.Targets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	name := "n0:" + r.file.Nodes[0].Targets[0]
	for _, row := range rows {
		if row.Path != name {
			continue
		}
		if _, err := meta.DB.UpdateTarget(t.Context(), row.ID, func(t *metadata.Target) error { t.Draining, t.Retired = true, true; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "it is removed", func() bool { return g.names() == "n0/t1 n1/t0 n1/t1" })
	var res gateway.TargetsResult
	if err := g.do("remove", name, &res); err != nil || !slices.Equal(res.Targets, []string{name}) {
		t.Fatalf("%+v, %v", res, err)
	}
	var list []roster.Listed
	if err := g.do("map", "", &list); err != nil || len(list[0].Targets) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
}
