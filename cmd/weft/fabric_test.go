package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/cobra"

	"github.com/weftstore/weft/cmd/weft/internal/fabric"
	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/mem"
)

// inProcess is mem as a transport whose ends are opened one by one.
type inProcess struct{ *mem.Transport }

func (inProcess) Close() error            { return nil }
func (inProcess) Describe() []string      { return []string{"mem: within this process"} }
func (t inProcess) Wires() []rdma.Counted { return []rdma.Counted{t} }

// opened is an opener that records how it was called.
type opened struct {
	mem     *mem.Transport
	mu      sync.Mutex
	kind    string
	options rdma.Options
}

func (o *opened) open(kind string, options rdma.Options) (transport, error) {
	if _, err := options.Complete(); err != nil {
		return nil, err
	}
	o.mu.Lock()
	o.kind, o.options = kind, options
	o.mu.Unlock()
	return inProcess{o.mem}, nil
}

func newOpened(t *testing.T) *opened {
	t.Helper()
	o := &opened{mem: mem.New()}
	t.Cleanup(func() { o.mem.Close() })
	return o
}

// exec runs a command and returns what it printed.
func exec(t *testing.T, cmd *cobra.Command, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(args)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func secretFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(strings.Repeat("s", 48)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// said is a writer that tells when something was written.
type said struct {
	bytes.Buffer
	once  sync.Once
	ready chan struct{}
}

func (s *said) Write(p []byte) (int, error) {
	defer s.once.Do(func() { close(s.ready) })
	return s.Buffer.Write(p)
}

// serve runs weft fabric serve until the test ends.
func serve(t *testing.T, open opener, args ...string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	out := &said{ready: make(chan struct{})}
	cmd := newFabricServe(open)
	cmd.SetOut(out)
	cmd.SetErr(out)
	cmd.SetArgs(args)
	done := make(chan error, 1)
	go func() { done <- cmd.ExecuteContext(ctx) }()
	select {
	case <-out.ready:
	case err := <-done:
		t.Fatalf("serve ended: %v", err)
	}
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
}

// nothing is a host without RDMA.
func nothing() *fabric.Host { return &fabric.Host{} }

func TestFabricPing(t *testing.T) {
	o, secret := newOpened(t), secretFile(t)
	for _, addr := range []string{"10.0.0.7:7410", "10.1.0.7:7410"} {
		serve(t, o.open, "--secret-file", secret, "--listen", addr)
	}
	out, err := exec(t, newFabricPing(o.open, nothing), "10.0.0.7:7410,10.1.0.7:7410", "--secret-file", secret, "--count", "20", "--size", "64,16KiB", "--json")
	var reports []pingReport
	if err != nil || json.Unmarshal([]byte(out), &reports) != nil || len(reports) != 2 {
		t.Fatalf("%v: %s", err, out)
	}
	for i, addr := range []string{"10.0.0.7:7410", "10.1.0.7:7410"} {
		r := reports[i]
		if r.Address != addr || r.Peer != "fabric" || len(r.Wires) != 1 || len(r.Sizes) != 2 || r.Sizes[1].Size != 16<<10 || r.Sizes[0].Count != 20 {
			t.Errorf("report %+v", r)
		}
	}
	out, err = exec(t, newFabricPing(o.open, nothing), "10.0.0.7:7410", "--secret-file", secret, "--count", "1")
	if err != nil || !strings.Contains(out, "p99.9") || !strings.Contains(out, "over mem") || strings.Contains(out, "WRONG") {
		t.Errorf("%v:\n%s", err, out)
	}
	with := func() *fabric.Host {
		port := fabric.Port{State: "ACTIVE", LinkLayer: "Ethernet", Netdevs: []fabric.Netdev{{Name: "ens1", MTU: 9000}}}
		return &fabric.Host{Devices: []fabric.Device{{Name: "mlx5_0", Ports: []fabric.Port{port}}}}
	}
	out, err = exec(t, newFabricPing(o.open, with), "10.0.0.7:7410", "--secret-file", secret, "--count", "1")
	if err != nil || !strings.Contains(out, "WRONG") {
		t.Errorf("this test's host has no interface at 10.0.0.7: %v:\n%s", err, out)
	}
}

func TestFabricBench(t *testing.T) {
	o, secret := newOpened(t), secretFile(t)
	serve(t, o.open, "--secret-file", secret, "--listen", "host:7400", "--staging", "32MiB")
	out, err := exec(t, newFabricBench(o.open), "host", "--secret-file", secret, "--size", "4KiB", "--depth", "1,4", "--transfers", "8", "--tls", "--json")
	var r benchReport
	if err != nil || json.Unmarshal([]byte(out), &r) != nil || len(r.Results) != 4 {
		t.Fatalf("%v: %s", err, out)
	}
	for _, c := range r.Results {
		if c.Transfers != 8 || c.Mismatches != 0 || c.Wires[0] != "mem" || c.There["mem Calls"] == 0 {
			t.Errorf("result %+v", c)
		}
	}
	if !o.options.TLS || o.options.Lanes != 1 || o.kind != "auto" {
		t.Errorf("made with %q %v %d", o.kind, o.options.TLS, o.options.Lanes)
	}
	out, err = exec(t, newFabricBench(o.open), "host", "--secret-file", secret, "--op", "pull", "--size", "4KiB", "--transfers", "8")
	if err != nil || strings.Contains(out, "push ") || !strings.Contains(out, "counters, other end") {
		t.Errorf("%v:\n%s", err, out)
	}
}

// TestFabricMistakes: what an operator does wrong is told with what to do about it.
func TestFabricMistakes(t *testing.T) {
	o, secret := newOpened(t), secretFile(t)
	serve(t, o.open, "--secret-file", secret, "--listen", "10.0.0.7:7400")
	open := filepath.Join(t.TempDir(), "open")
	if err := os.WriteFile(open, []byte(strings.Repeat("s", 48)), 0o644); err != nil {
		t.Fatal(err)
	}
	cluster := filepath.Join(t.TempDir(), "c.toml")
	if _, err := exec(t, newClusterInit(), cluster, "--node", "n1=10.0.0.7=/d"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"10.0.0.7", "--cluster", ""}, "no such file"},
		{[]string{"--secret-file", secret}, "--node NAME"},
		{[]string{"10.0.0.7", "--node", "n1", "--cluster", cluster}, "--node NAME"},
		{[]string{"--node", "n2", "--cluster", cluster}, "weft cluster check"},
		{[]string{"10.0.0.7", "--cluster", cluster + "x"}, "no such file"},
		{[]string{"10.0.0.7", "--secret-file", open}, "chmod 600"},
		{[]string{"10.0.0.7", "--secret-file", secret + "x"}, "/dev/urandom"},
		{[]string{"10.0.0.7", "--secret-file", secret, "--transport", "pigeon"}, "auto, verbs or tcp"},
		{[]string{"10.0.0.7:x", "--secret-file", secret}, "HOST:PORT"},
		{[]string{"10.0.0.8", "--secret-file", secret}, "firewall"},
		{[]string{"10.0.0.7", "--secret-file", secret, "--size", "17KiB"}, "16384"},
		{[]string{"10.0.0.7", "--secret-file", secret, "--size", "big"}, "--size"},
	} {
		_, err := exec(t, newFabricPing(o.open, nothing), append(c.args, "--count", "1")...)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v\nwant %s", c.args, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "ssss") {
			t.Errorf("the secret is in the error: %v", err)
		}
	}
	for _, c := range []struct {
		op, want string
	}{{"chunks", "name a storage node"}, {"pusch", "push, pull or chunks"}} {
		_, err := exec(t, newFabricBench(o.open), "10.0.0.7", "--secret-file", secret, "--op", c.op, "--transfers", "1")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("--op %s: %v", c.op, err)
		}
	}
	if _, err := exec(t, newFabricPing(o.open, nothing), "--node", "n1", "--cluster", cluster, "--count", "1"); err != nil {
		t.Errorf("a node of a cluster: %v", err)
	}
}

func TestFabricDevices(t *testing.T) {
	look := func() *fabric.Host { return &fabric.Host{Cgo: true} }
	out, err := exec(t, newFabricDevices(look), "--memory", "4GiB", "--json")
	var r fabric.Report
	if !errors.Is(err, errReported) || json.Unmarshal([]byte(out), &r) != nil || !fabric.Wrong(r.Problems) {
		t.Errorf("%v: %s", err, out)
	}
	cluster := filepath.Join(t.TempDir(), "c.toml")
	text := "deployment = \"000102030405060708090a0b0c0d0e0f\"\nsecret-file = \"s\"\n[fabric]\nrails = [\"10.9.0.0/16\"]\n" +
		"[[node]]\nname = \"n\"\naddress = [\"10.9.0.1\"]\ntargets = [\"/d\"]\n"
	if err := os.WriteFile(cluster, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err = exec(t, newFabricDevices(look), "--cluster", cluster); !errors.Is(err, errReported) || !strings.Contains(out, "rail 10.9.0.0/16") {
		t.Errorf("%v: %s", err, out)
	}
}
