package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weftstore/weft/identity"
)

// TestAdminRoles makes, shows, changes and deletes roles and providers.
func TestAdminRoles(t *testing.T) {
	dir := t.TempDir()
	state, addr := filepath.Join(dir, "state"), freePorts(t, 1)[0]
	start(t, "server", "--state", state, "--address", addr, "--memory", "64MiB", filepath.Join(dir, "t"))
	until(t, "the server is ready", func() bool {
		res, err := http.Get("http://" + addr + "/healthz/ready")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	admin := func(want string, args ...string) string {
		t.Helper()
		out, err := exec(t, newRootCommand(), append(append([]string{"admin"}, args...), "--state", state)...)
		switch {
		case want == "" && err != nil:
			t.Fatalf("weft admin %s: %v", strings.Join(args, " "), err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("weft admin %s: %v, want %q", strings.Join(args, " "), err, want)
		}
		return out
	}
	for _, list := range []string{"account list", "key list", "user list", "repair status"} { // when there is nothing
		if out := admin("", append(strings.Fields(list), "--json")...); strings.Contains(out, "null") {
			t.Errorf("weft admin %s --json: %s", list, out)
		}
	}
	admin("", "account", "create", "physics")
	in := func(args ...string) []string { return append(args, "--account", "physics") }
	trust := func(client string) string {
		path := filepath.Join(dir, client)
		doc := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"` + client + `"}}]}`
		if err := os.WriteFile(path, []byte(doc), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if arn := admin("", in("role", "create", "climate", trust("111111111111"), "--for", "models", "--session", "4h")...); !strings.HasSuffix(strings.TrimSpace(arn), ":role/climate") {
		t.Errorf("made %q", arn)
	}
	admin("policy", in("role", "create", "other", trust("not-an-account"))...)
	admin("between an hour", in("role", "create", "other", trust("111111111111"), "--session", "24h")...)
	admin("exists", in("role", "create", "climate", trust("111111111111"))...)
	if out := admin("", in("role", "trust", "climate", trust("222222222222"), "--json")...); out != "{}\n" {
		t.Errorf("without a result: %q", out)
	}
	admin("one of", in("policy", "attach", "AmazonS3ReadOnlyAccess", "--role", "climate", "--user", "x")...)
	admin("", in("policy", "attach", "AmazonS3ReadOnlyAccess", "--role", "climate")...)
	admin("", in("provider", "create", "https://sso.example.org/hpc", "--client", "a", "--client", "b")...)
	admin("want https", in("provider", "create", "http://sso.example.org")...)
	admin("", in("provider", "clients", "https://sso.example.org/hpc", "--client", "c")...)

	var v identity.View
	if err := json.Unmarshal([]byte(admin("", in("role", "list", "--json")...)), &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Roles) != 1 || v.Roles[0].MaxSession.Hours() != 4 || v.Roles[0].Description != "models" || len(v.Roles[0].Policies) != 1 || !strings.Contains(v.Roles[0].Trust, "222222222222") {
		t.Errorf("roles %+v", v.Roles)
	}
	if len(v.OIDC) != 1 || len(v.OIDC[0].Clients) != 1 || v.OIDC[0].Clients[0] != "c" {
		t.Errorf("providers %+v", v.OIDC)
	}
	if out := admin("", in("role", "list")...); !strings.Contains(out, "4h0m0s, policies: AmazonS3ReadOnlyAccess\nmodels\n") {
		t.Errorf("shown as %q", out)
	}
	if out := admin("", in("provider", "list")...); !strings.Contains(out, ":oidc-provider/sso.example.org/hpc") {
		t.Errorf("shown as %q", out)
	}
	admin("detach", in("role", "delete", "climate")...)
	admin("", in("policy", "detach", "AmazonS3ReadOnlyAccess", "--role", "climate")...)
	admin("", in("role", "delete", "climate")...)
	admin("", in("provider", "delete", "https://sso.example.org/hpc")...)
	admin("no such identity", in("provider", "delete", "https://sso.example.org/hpc")...)
}
