package cluster

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/weftstore/weft/cmd/weft/internal/settings"
	"github.com/weftstore/weft/rdma"
)

const good = `
deployment = "000102030405060708090a0b0c0d0e0f"
layout = "ec:4+2"
secret-file = "weft.secret"
[[node]]
name = "node[09-11]"
address = ["10.0.0.[9-11]", "10.1.0.[9-11]:7500"]
targets = ["/mnt/ost0", "/mnt/ost1/"]
[[node]]
name = "big"
address = ["[fd00::1]:7400"]
domain = "rack2"
targets = ["/d"]
`

func TestParse(t *testing.T) {
	f, err := Parse([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	want := Node{Name: "node10", Addresses: []string{"10.0.0.10:7400", "10.1.0.10:7500"}, Domain: "node10", Targets: []string{"/mnt/ost0", "/mnt/ost1"}}
	if len(f.Nodes) != 4 || !reflect.DeepEqual(f.Nodes[1], want) || f.Targets() != 7 {
		t.Errorf("got %+v", f.Nodes)
	}
	if n, ok := f.Node("big"); !ok || n.Domain != "rack2" || n.Addresses[0] != "[fd00::1]:7400" {
		t.Errorf("big: %+v, %v", n, ok)
	}
	want2 := Fabric{Transport: "auto", Lanes: 2, Slots: 32, Staging: 64 << 20, KeepAlive: settings.Duration(5 * time.Second), Spin: settings.Duration(20 * time.Microsecond)}
	if !reflect.DeepEqual(f.Fabric, want2) || f.Layout.K != 4 {
		t.Errorf("%+v", f)
	}
}

func TestParseListsAllProblems(t *testing.T) {
	_, err := Parse([]byte(`
deployment = "00"
layout = "ec:12+6"
colour = "red"
[fabric]
transport = "pigeon"
lanes = 1000
slots = 5000
staging = "1MiB"
keep-alive = "1h"
[[node]]
name = "a b"
targets = ["relative", "/x", "/x/"]
[[node]]
name = "n[1-3]"
address = ["same:1"]
targets = []
[[node]]
name = "twice"
address = ["h:99999"]
targets = ["/y"]
[[node]]
name = "twice"
address = ["n7"]
targets = ["/y"]
[[node]]
name = "n7"
targets = ["/y"]
[[node]]
name = "n[9-1]"
targets = ["/y"]
`))
	if err == nil {
		t.Fatal("no error")
	}
	for _, w := range []string{
		"deployment:", `"colour"`, "secret-file", "pigeon", "fabric.lanes", "fabric.slots", "fabric.staging 1MiB", "fabric.keep-alive 1h0m0s",
		`"a b"`, `"relative"`, `"/x" is named twice`,
		"same for 3 nodes", "0 targets", "h:99999", `"twice" is there twice`, `node "twice" and of node "n7"`, "[9-1]", "needs 18 targets",
	} {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%v\nlacks %q", err, w)
		}
	}
}

// TestFabric: what is set arrives at the transport, and its limits are those of
// package rdma.
func TestFabric(t *testing.T) {
	for _, c := range []Fabric{
		defaultFabric(),
		{Transport: "tcp", TLS: true, Lanes: maxLanes, Slots: maxSlots, Staging: maxStaging, HugePages: true, KeepAlive: settings.Duration(maxKeepAlive)},
		{Transport: "verbs", Lanes: 1, Slots: 1, Staging: minStaging, KeepAlive: settings.Duration(minKeepAlive)},
	} {
		var p problems
		if c.check(&p); len(p.list) > 0 {
			t.Errorf("%+v: %v", c, p.list)
		}
		o, err := c.Options(make([]byte, rdma.MinSecret), nil).Complete()
		if err != nil {
			t.Errorf("package rdma refuses what the file allows: %v", err)
		}
		if len(o.Secret) != rdma.MinSecret || o.Lanes != c.Lanes || o.Slots != c.Slots || o.Staging != int(c.Staging) ||
			o.TLS != c.TLS || o.HugePages != c.HugePages || o.KeepAlive != time.Duration(c.KeepAlive) {
			t.Errorf("%+v became other options", c)
		}
	}
	d, err := rdma.Options{Secret: make([]byte, rdma.MinSecret)}.Complete()
	if c := defaultFabric(); err != nil || d.Lanes != c.Lanes || d.Slots != c.Slots || d.Staging != int(c.Staging) || d.KeepAlive != time.Duration(c.KeepAlive) {
		t.Errorf("the defaults are not those of package rdma: %v", err)
	}
}

func TestRails(t *testing.T) {
	parse := func(rails, addresses string) error {
		_, err := Parse([]byte("deployment = \"000102030405060708090a0b0c0d0e0f\"\nsecret-file = \"s\"\n[fabric]\nrails = " + rails +
			"\n[[node]]\nname = \"n[1-2]\"\ntargets = [\"/d\"]\naddress = " + addresses + "\n"))
		return err
	}
	if err := parse(`["10.0.0.0/24", "fd01::/64"]`, `["[fd01::[1-2]]:7400", "10.0.0.[1-2]"]`); err != nil {
		t.Error(err)
	}
	for _, bad := range [][3]string{
		{`["10.0.0.0/24", "10.1.0.0/24"]`, `["10.0.0.[1-2]"]`, "0 addresses in rail 10.1.0.0/24"},
		{`["10.0.0.0/24"]`, `["10.0.0.[1-2]", "10.0.0.[3-4]"]`, "2 addresses in rail"},
		{`["10.0.0.0/24"]`, `["10.0.0.[1-2]", "10.9.0.[1-2]"]`, "none of fabric.rails"},
		{`["10.0.0.0/24"]`, `["n[1-2]"]`, "want an IP address"},
		{`["10.0.0.0/24", "10.0.0.128/25"]`, `["10.0.0.[1-2]"]`, "overlap"},
		{`["10.0.0.0/99"]`, `["10.0.0.[1-2]"]`, "10.0.0.0/99"},
	} {
		if err := parse(bad[0], bad[1]); err == nil || !strings.Contains(err.Error(), bad[2]) {
			t.Errorf("%s %s: %v", bad[0], bad[1], err)
		}
	}
}

func TestInit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "site.toml")
	spec, err := ParseSpec("node[1-6]@rack1=10.0.0.[1-6],10.1.0.[1-6]=/mnt/ost0,/mnt/ost1")
	if err != nil {
		t.Fatal(err)
	}
	made, err := Init(path, "ec:4+2", []Spec{spec})
	if err != nil {
		t.Fatal(err)
	}
	f, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(f, made) || len(f.Nodes) != 6 || f.Nodes[5].Domain != "rack1" || f.Nodes[5].Addresses[1] != "10.1.0.6:7400" {
		t.Errorf("loaded %+v\nmade %+v", f, made)
	}
	secret, err := f.Secret()
	if err != nil || len(secret) < 60 {
		t.Fatalf("secret of %d bytes, %v", len(secret), err)
	}
	if b, err := os.ReadFile(path); err != nil || strings.Contains(string(b), string(secret)) {
		t.Errorf("the secret is in the file, or: %v", err)
	}
	if _, err := Init(path, "", nil); err == nil {
		t.Error("wrote over a file")
	}
	if again, err := f.Secret(); err != nil || string(again) != string(secret) {
		t.Errorf("the refused init changed the secret: %v", err)
	}
	if err := os.Chmod(f.SecretFile, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Secret(); err == nil || !strings.Contains(err.Error(), "chmod 600") || strings.Contains(err.Error(), string(secret)) {
		t.Errorf("secret that others can read: %v", err)
	}
	if err := os.WriteFile(f.SecretFile, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(f.SecretFile, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Secret(); err == nil || strings.Contains(err.Error(), "short\"") {
		t.Errorf("short secret: %v", err)
	}
}

func TestParseSpec(t *testing.T) {
	for _, bad := range []string{"", "name", "=/d", "a=b=c=d"} {
		if s, err := ParseSpec(bad); err == nil {
			t.Errorf("%q: %+v", bad, s)
		}
	}
	if s, err := ParseSpec("n1=/a,/b"); err != nil || s.Address != nil || len(s.Targets) != 2 {
		t.Errorf("%+v, %v", s, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("deployment = 1\n[[node]]\nname='n[0-9]'\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := Parse(b)
		if err != nil {
			if len(err.Error()) > 4*len(b)+64<<10 {
				t.Fatalf("error of %d bytes", len(err.Error()))
			}
			return
		}
		if n := len(file.Nodes); n == 0 || n > maxNodes || file.Targets() > maxTargets || !file.Layout.Valid() || file.Layout.Shards() > file.Targets() {
			t.Fatalf("accepted %+v", file)
		}
		for _, n := range file.Nodes {
			if len(n.Addresses) == 0 || len(n.Targets) == 0 || strings.ContainsAny(n.Name, ":/") {
				t.Fatalf("accepted node %+v", n)
			}
		}
	})
}
