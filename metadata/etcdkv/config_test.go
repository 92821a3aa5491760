package etcdkv

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/weftstore/weft/metadata/etcdkv/etcdtest"
)

func TestParseURL(t *testing.T) {
	for in, want := range map[string]Config{
		"etcd://a:2379":                     {Endpoints: []string{"a:2379"}},
		"etcd://a:2379,[::1]:2380/":         {Endpoints: []string{"a:2379", "[::1]:2380"}},
		"etcd://10.0.0.1:2379/weft/%61":     {Endpoints: []string{"10.0.0.1:2379"}, Prefix: "/weft/a/"},
		"etcd://a:1/w/?tls=true&timeout=2s": {Endpoints: []string{"a:1"}, Prefix: "/w/", TLS: true, RequestTimeout: 2 * time.Second},
		"etcd://a:1?ca=/c&cert=/d&key=/e":   {Endpoints: []string{"a:1"}, CA: "/c", Cert: "/d", Key: "/e"},
		"etcd://a:1/?user=u&password-file=/f": {
			Endpoints: []string{"a:1"}, Username: "u", PasswordFile: "/f",
		},
	} {
		if got, err := ParseURL(in); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{
		"", "http://a:1", "etcd://", "etcd://a", "etcd://a:0", "etcd://a:99999", "etcd://a:1,", "etcd://u:secret@a:1",
		"etcd://a:1?password=secret", "etcd://a:1?x=secret", "etcd://a:1?cert=/c", "etcd://a:1?user=u", "etcd://a:1/%zz",
		"etcd://a:1?password-file=/f", "etcd://a:1?tls=secret", "etcd://a:1?timeout=-1s", "etcd://a:1?%zz",
	} {
		if _, err := ParseURL(in); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", in, err)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	for _, s := range []string{"etcd://a:1,b:2/p?ca=c&tls=1", "etcd://[::1]:2379/%2f", "etcd://a:1/?user=u&password-file=f&timeout=1s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		cfg, err := ParseURL(s)
		if err != nil {
			return
		}
		if err := cfg.Validate(); err != nil {
			t.Errorf("%q parses to what is not valid: %v", s, err)
		}
		if cfg.Password != "" || cfg.Prefix != "" && (cfg.Prefix[0] != '/' || cfg.Prefix[len(cfg.Prefix)-1] != '/') {
			t.Errorf("%q: %+v", s, cfg)
		}
	})
}

func configOf(a *etcdtest.Authority, s *server, client string) Config {
	return Config{Endpoints: []string{s.Addr}, Prefix: "/tls/", CA: a.Path("ca.crt"), Cert: a.Path(client + ".crt"), Key: a.Path(client + ".key")}
}

// refuses wants Open to fail without the password in its error.
func refuses(t *testing.T, cfg Config) {
	t.Helper()
	cfg.DialTimeout = 2 * time.Second
	d, err := Open(t.Context(), cfg)
	if err == nil {
		d.Close()
		t.Error("opened")
	} else if strings.Contains(err.Error(), "opensesame") {
		t.Errorf("the error tells the password: %v", err)
	}
}

func TestTLSAndPassword(t *testing.T) {
	a := etcdtest.NewAuthority(t)
	a.Issue("server")
	a.Issue("gateway")
	s := startEtcd(t, "https", "--trusted-ca-file", a.Path("ca.crt"), "--client-cert-auth",
		"--cert-file", a.Path("server.crt"), "--key-file", a.Path("server.key"))
	d := s.openWith(t, configOf(a, s, "gateway"))
	if err := increment(t.Context(), d, "n"); err != nil {
		t.Fatal(err)
	}
	stranger := etcdtest.NewAuthority(t)
	stranger.Issue("gateway")
	refuses(t, configOf(stranger, s, "gateway"))
	refuses(t, Config{Endpoints: []string{s.Addr}})

	ctx := t.Context()
	etcdtest.AddUser(t, d.Client(), "weft", "opensesame", "/tls/")
	withPassword := func(prefix, password string) Config {
		cfg := configOf(a, s, "gateway")
		file := filepath.Join(t.TempDir(), "password")
		if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg.Prefix, cfg.Username, cfg.PasswordFile = prefix, "weft", file
		return cfg
	}
	d2 := s.openWith(t, withPassword("/tls/", "opensesame"))
	if err := increment(ctx, d2, "n"); err != nil {
		t.Fatal(err)
	}
	wantCount(t, d2, "n", 2)
	refuses(t, withPassword("/tls/", "opensesame?"))
	refuses(t, withPassword("/other/", "opensesame"))
}

func TestClosed(t *testing.T) {
	s := startEtcd(t, "http")
	d := s.open(t)
	if err := increment(t.Context(), d, "n"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := increment(context.Background(), d, "n"); err == nil {
		t.Error("update after Close")
	}
}
