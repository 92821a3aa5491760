package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestClusterCheckReads: the files that the URLs of etcd name must be there and be good.
func TestClusterCheckReads(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.toml")
	if _, err := exec(t, newClusterInit(), file, "--node", "n1=10.0.0.7=/d"); err != nil {
		t.Fatal(err)
	}
	made, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ top, end, want string }{
		{`metadata = "etcd://127.0.0.1:1"`, "", ""},
		{`metadata = "etcd://127.0.0.1:1?user=u&password-file=/nonexist"`, "", "/nonexist"},
		{`metadata = "etcd://127.0.0.1:1?ca=` + file + `"`, "", "PEM"},
		{`metadata = "etcd://127.0.0.1:1"`, "\n[[metadata-cluster]]\nname = \"c\"\nurl = \"etcd://127.0.0.1:2?user=u&password-file=/nonexist\"\nbuckets = [\"x\"]\n", "/nonexist"},
	} {
		if err := os.WriteFile(file, []byte(c.top+"\n"+string(made)+c.end), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := exec(t, newClusterCheck(), file)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s%s: %v, want %q", c.top, c.end, err, c.want)
		}
	}
}
