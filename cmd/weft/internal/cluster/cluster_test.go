package cluster

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
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
	if f.Fabric != (Fabric{Transport: "auto", Lanes: 2}) || f.Layout.K != 4 {
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
		"deployment:", `"colour"`, "secret-file", "pigeon", "fabric.lanes", `"a b"`, `"relative"`, `"/x" is named twice`,
		"same for 3 nodes", "0 targets", "h:99999", `"twice" is there twice`, `node "twice" and of node "n7"`, "[9-1]", "needs 18 targets",
	} {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%v\nlacks %q", err, w)
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
