package server

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/weftstore/weft/cmd/weft/internal/gateway"
	"github.com/weftstore/weft/node"
)

// Fault model of this file: operators' mistakes (wrong directories, wrong
// settings, a lost state directory) and the loss of whole targets, up to as many
// as the layout survives, while the server runs and while it does not.

func TestFirstStart(t *testing.T) {
	cfg := testConfig(t, 4)
	var log bytes.Buffer
	r := start(t, cfg, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	r.makeBucket()
	o := object{key: "kept", n: 200 << 10, seed: 1}
	r.mustPut(o)
	r.Describe(&log)
	r.stop()
	info, err := os.Stat(filepath.Join(cfg.State, gateway.CredentialsFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("credentials: %v, %v", info, err)
	}
	if info, err := os.Stat(cfg.State); err != nil || info.Mode().Perm() != 0o700 {
		t.Fatalf("state: %v, %v", info, err)
	}
	file, err := os.ReadFile(filepath.Join(cfg.State, gateway.CredentialsFile))
	if err != nil || !bytes.Contains(file, []byte(r.secret())) || len(r.secret()) < 40 {
		t.Fatalf("the credentials file lacks the secret: %v", err)
	}
	if strings.Contains(log.String(), r.secret()) {
		t.Fatal("the secret is in the log or the description")
	}
	access := r.access()

	r = start(t, cfg, nil)
	if r.access() != access {
		t.Fatal("a restart made other credentials")
	}
	r.mustGet(o)
	r.mustBeClean()
}

// refused starts and expects an error with all the words in it.
func refused(t *testing.T, cfg Config, words ...string) {
	t.Helper()
	cfg.Targets = slices.Clone(cfg.Targets)
	s, err := New(t.Context(), cfg, nil)
	if err == nil {
		_ = s.close()
		t.Fatalf("started; want an error with %q", words)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q lacks %q", err, w)
		}
	}
}

func TestRefusals(t *testing.T) {
	cfg := testConfig(t, 4)
	r := start(t, cfg, nil)
	r.makeBucket()
	r.mustPut(object{key: "k", n: 1000})
	other := testConfig(t, 4)
	other.State = cfg.State
	refused(t, other, "in use", cfg.State)
	r.stop()

	r = start(t, testConfig(t, 2), nil)
	foreign := r.cfg.Targets
	r.stop()

	mixed := cfg
	mixed.Targets = []string{cfg.Targets[0], cfg.Targets[1], cfg.Targets[2], foreign[0]}
	refused(t, mixed, "different Weft stores", foreign[0])
	mixed.Targets = foreign
	refused(t, mixed, "another Weft store", "--state")

	full := testConfig(t, 2)
	if err := os.MkdirAll(full.Targets[1], 0o755); err != nil {
		t.Fatal(err)
	}
	precious := filepath.Join(full.Targets[1], "thesis.tex")
	if err := os.WriteFile(precious, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	refused(t, full, full.Targets[1], "empty directory")
	if names, err := os.ReadDir(full.Targets[1]); err != nil || len(names) != 1 {
		t.Fatalf("the refused directory was changed: %v, %v", names, err)
	}

	lost := cfg
	lost.State = filepath.Join(t.TempDir(), "new")
	refused(t, lost, "rebuild-metadata", lost.State)
	if err := os.Remove(filepath.Join(cfg.State, gateway.MetadataFile)); err != nil {
		t.Fatal(err)
	}
	refused(t, cfg, "rebuild-metadata", gateway.MetadataFile)
}

// TestRefusedBeforeFormat: what can be known to be wrong without the targets is refused before they
// are made.
func TestRefusedBeforeFormat(t *testing.T) {
	for word, edit := range map[string]func(*Config){
		"--notify": func(c *Config) { c.Notify = []string{"ok=http://127.0.0.1:1/x", "hook=gopher://x/y"} },
		"twice":    func(c *Config) { c.Notify = []string{"hook=http://127.0.0.1:1/x", "hook=http://127.0.0.1:1/y"} },
		"--tls-cert": func(c *Config) {
			c.TLSCert, c.TLSKey = filepath.Join(c.State, "absent.pem"), filepath.Join(c.State, "absent.key")
		},
	} {
		cfg := testConfig(t, 2)
		edit(&cfg)
		refused(t, cfg, word)
		for _, dir := range append(cfg.Targets, cfg.State) {
			if _, err := os.Stat(dir); !os.IsNotExist(err) {
				t.Errorf("%s: %s: %v", word, dir, err)
			}
		}
	}
}

func TestValidateListsAll(t *testing.T) {
	cfg := Config{
		Targets: []string{"/a", "/a"}, Layout: "ec:9+9",
		Config: gateway.Config{Address: "nowhere", Memory: 1, AccessKey: "only", TLSCert: "only"},
	}
	err := cfg.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	for _, w := range []string{"/a is named twice", "--layout", "--address", "--memory", "--state", "WEFT_ROOT_SECRET_KEY", "--tls-key"} {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q lacks %q", err, w)
		}
	}
	cfg = Config{Layout: "raid5"}
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "no target") || !strings.Contains(err.Error(), "--layout") {
		t.Error(err)
	}
	cfg = testConfig(t, 4)
	if err := cfg.Validate(); err != nil {
		t.Error(err)
	}
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weft.toml")
	write := func(s string) {
		if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("targets = ['/a', '/b']\nmemory = '2GiB'\nregion = 'file'\nlayout = 'replica:2'\nscrub-every = '1h'\n")
	cfg := DefaultConfig()
	cfg.Region, cfg.Layout = "flag", "stripe:2"
	if err := cfg.Load(path, func(name string) bool { return name == "region" || name == "layout" }); err != nil {
		t.Fatal(err)
	}
	want := DefaultConfig()
	want.Targets, want.Memory, want.Region, want.Layout, want.ScrubEvery = []string{"/a", "/b"}, 2<<30, "flag", "stripe:2", 3600e9
	if fmt.Sprint(cfg) != fmt.Sprint(want) {
		t.Fatalf("got %+v\nwant %+v", cfg, want)
	}
	for _, bad := range []string{"targetz = ['/a']", "memory = 'much'", "secret-key = 'x'", "not toml"} {
		write(bad)
		cfg := DefaultConfig()
		if err := cfg.Load(path, func(string) bool { return false }); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: %v", bad, err)
		}
		if fmt.Sprint(cfg) != fmt.Sprint(DefaultConfig()) {
			t.Errorf("%q: changed the settings", bad)
		}
	}
}

// sizes covers: nothing, inline, small, the first striped size, several blocks,
// several parts.
var sizes = []int64{0, 1, 4 << 10, 64<<10 + 1, 1 << 20, 9 << 20}

func objects(prefix string, seed uint64) (os []object) {
	for i, n := range sizes {
		os = append(os, object{key: fmt.Sprint(prefix, "/", n), n: n, seed: seed + uint64(i)})
	}
	return os
}

func TestLossOfTargets(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 5, 8} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			lose(t, n)
		})
	}
}

func offline(s node.State) bool { return s == node.Offline || s == node.Empty }
func online(s node.State) bool  { return s == node.Online }

func lose(t *testing.T, n int) {
	cfg := testConfig(t, n)
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	r := start(t, cfg, log)
	r.makeBucket()
	all := objects("before", uint64(n))
	r.mustPut(all...)
	m := int(r.layout.M)
	var first, second []int
	for i := range m {
		first, second = append(first, i), append(second, n-1-i)
	}
	for i, victim := range first {
		r.remove(victim)
		r.mustGet(all...) // noticed or not
		r.await(first[:i+1], offline)
		all = append(all, r.putDegraded(fmt.Sprint("without", i+1), n-i-1)...)
		r.mustGet(all...)
	}
	r.stop()
	r = start(t, cfg, log)
	r.mustGet(all...)
	if m == 0 {
		r.mustBeClean()
		return
	}
	for _, i := range first {
		if err := os.Mkdir(cfg.Targets[i], 0o700); err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
	}
	r.mustRepair()
	r.await(first, online)
	r.mustBeClean()
	for _, victim := range second {
		r.remove(victim)
	}
	r.await(second, offline)
	r.mustGet(all...)
}

func (r *rig) remove(target int) {
	r.t.Helper()
	if err := os.RemoveAll(r.cfg.Targets[target]); err != nil {
		r.t.Fatal(err)
	}
}

// putDegraded puts objects with so many targets left, no more than M being away:
// all must be acknowledged. The store learns of a target's end from its first
// refusal, so that a put may be answered 503 until it knows; SDKs try again.
func (r *rig) putDegraded(prefix string, left int) (done []object) {
	r.t.Helper()
	const tries = 4
	for _, o := range objects(prefix, uint64(100*left)) {
		var err error
		for range tries {
			if err = r.put(o); err == nil || minio.ToErrorResponse(err).StatusCode != http.StatusServiceUnavailable {
				break
			}
		}
		if err != nil {
			r.t.Fatalf("put %s with %d targets of %s: %v", o.key, left, r.layout, err)
		}
		done = append(done, o)
	}
	return done
}
