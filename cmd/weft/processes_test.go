package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/weftstore/weft/cmd/weft/internal/gateway"
	"github.com/weftstore/weft/internal/freeport"
)

// asWeft makes the test's binary be weft: with its arguments, until it ends.
const asWeft = "WEFT_TEST_RUN_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asWeft) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// process is a weft of its own.
type process struct {
	args []string
	cmd  *osexec.Cmd
	done chan error
	log  *os.File
}

// start runs weft. It is ended with the test, and must end well then.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	log, err := os.CreateTemp(t.TempDir(), "log")
	if err != nil {
		t.Fatal(err)
	}
	p := &process{args: args, log: log}
	p.run(t)
	t.Cleanup(func() {
		if err := p.stop(); err != nil {
			t.Errorf("weft %s: %v", args[0], err)
		}
		text, err := os.ReadFile(log.Name())
		if err != nil {
			t.Error(err)
		}
		if bad := bytes.Contains(text, []byte("DATA RACE")) || bytes.Contains(text, []byte("panic:")); bad || t.Failed() {
			t.Errorf("log of weft %s:\n%s", strings.Join(args, " "), text)
		}
	})
	return p
}

func (p *process) run(t *testing.T) {
	t.Helper()
	p.cmd = osexec.Command(os.Args[0], p.args...) //nolint:gosec // this very binary
	p.cmd.Env = append(os.Environ(), asWeft+"=1", envAccessKey+"=root", envSecretKey+"=rootsecret", "GORACE=atexit_sleep_ms=0")
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.done = make(chan error, 1)
	go func(cmd *osexec.Cmd, done chan error) { done <- cmd.Wait() }(p.cmd, p.done)
}

// kill ends it as a crash would.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.done //nolint:errcheck // always an error: it was killed
}

func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case err := <-p.done:
		return err
	case <-time.After(time.Minute):
		return errors.Join(errors.New("did not end"), p.cmd.Process.Kill())
	}
}

// processes is a cluster of three nodes and a gateway on loopback.
type processes struct {
	file    string   // cluster file
	state   string   // of the gateway
	addrs   []string // of the nodes
	tls     string   // flag of weft fabric
	nodes   []*process
	metrics []string // addresses: of the nodes, then of the gateway
	client  *minio.Client
}

// freePorts are ports that nobody listened at a moment ago.
func freePorts(t *testing.T, n int) []string {
	t.Helper()
	addrs := make([]string, n)
	for i := range addrs {
		var err error
		if addrs[i], err = freeport.Address(); err != nil {
			t.Fatal(err)
		}
	}
	return addrs
}

func startProcesses(t *testing.T, settings ...string) *processes {
	t.Helper()
	return startProcessesWith(t, nil, settings...)
}

// startProcessesWith gives flags to the nodes and the gateway.
func startProcessesWith(t *testing.T, flags []string, settings ...string) *processes {
	t.Helper()
	const nodes = 3
	dir := t.TempDir()
	c := &processes{file: filepath.Join(dir, "cluster.toml"), state: filepath.Join(dir, "gateway")}
	addrs := freePorts(t, 2*nodes+2)
	args := []string{"cluster", "init", c.file, "--layout", "ec:2+1"}
	for i := range nodes {
		args = append(args, "--node", fmt.Sprintf("n%d=%s=%s", i+1, addrs[i], filepath.Join(dir, fmt.Sprintf("t%d", i+1))))
	}
	c.addrs, c.metrics = addrs[:nodes], addrs[nodes:2*nodes+1]
	if _, err := exec(t, newRootCommand(), args...); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(c.file)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(settings); i += 2 {
		if !bytes.Contains(text, []byte(settings[i])) {
			t.Fatalf("the cluster file has no %q", settings[i])
		}
		text = bytes.Replace(text, []byte(settings[i]), []byte(settings[i+1]), 1)
	}
	if err := os.WriteFile(c.file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	for i := range nodes {
		name := fmt.Sprintf("n%d", i+1)
		c.nodes = append(c.nodes, start(t, append([]string{"node", "--cluster", c.file, "--name", name, "--state", filepath.Join(dir, name), "--metrics", c.metrics[i]}, flags...)...))
	}
	s3 := addrs[2*nodes+1]
	start(t, append([]string{"gateway", "--cluster", c.file, "--state", c.state, "--address", s3, "--memory", "128MiB", "--metrics", c.metrics[nodes]}, flags...)...)
	c.client, err = minio.New(s3, &minio.Options{Creds: credentials.NewStaticV4("root", "rootsecret", ""), Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the gateway is ready and all nodes are up", func() bool {
		res, err := http.Get("http://" + s3 + "/healthz/ready")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK && c.up(t) == nodes
	})
	return c
}

// until waits for something that takes seconds at most.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

// up counts the nodes that the gateway uses.
func (c *processes) up(t *testing.T) int {
	t.Helper()
	out, err := exec(t, newRootCommand(), "admin", "status", "--json", "--state", c.state)
	var st gateway.Status
	if err != nil || json.Unmarshal([]byte(out), &st) != nil {
		return 0
	}
	n := 0
	for _, s := range st.Nodes {
		if s.State == "up" {
			n++
		}
	}
	return n
}

// fabric is a metric of the fabric over tcp, of the i-th process.
func (c *processes) fabric(t *testing.T, i int, name string) float64 {
	t.Helper()
	res, err := http.Get("http://" + c.metrics[i] + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	p := expfmt.NewTextParser(model.UTF8Validation)
	families, err := p.TextToMetricFamilies(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range families["weft_fabric_"+name].GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName() == "transport" && l.GetValue() == "tcp" {
				return value(m)
			}
		}
	}
	t.Fatalf("process %d has no weft_fabric_%s for tcp", i, name)
	return 0
}

func value(m *dto.Metric) float64 { return m.GetCounter().GetValue() + m.GetGauge().GetValue() }

// ofNodes adds up what the nodes count.
func (c *processes) ofNodes(t *testing.T, name string) float64 {
	t.Helper()
	sum := 0.0
	for i := range c.nodes {
		sum += c.fabric(t, i, name)
	}
	return sum
}

// objects are put under seeded names.
func objects(sizes ...int) map[string][]byte {
	rng := rand.NewChaCha8([32]byte{1})
	all := map[string][]byte{}
	for i, size := range sizes {
		data := make([]byte, size)
		_, _ = rng.Read(data) // never fails
		all[fmt.Sprintf("o/%d-%d", i, size)] = data
	}
	return all
}

func (c *processes) put(t *testing.T, all map[string][]byte) (bytes float64) {
	t.Helper()
	for key, data := range all {
		opts := minio.PutObjectOptions{DisableMultipart: true}
		if _, err := c.client.PutObject(t.Context(), "bkt", key, newReader(data), int64(len(data)), opts); err != nil {
			t.Fatalf("put %s: %v", key, err)
		}
		bytes += float64(len(data))
	}
	return bytes
}

func newReader(p []byte) io.Reader { return bytes.NewReader(p) }

func (c *processes) get(t *testing.T, all map[string][]byte) {
	t.Helper()
	for key, want := range all {
		o, err := c.client.GetObject(t.Context(), "bkt", key, minio.GetObjectOptions{})
		if err != nil {
			t.Fatalf("get %s: %v", key, err)
		}
		got, err := io.ReadAll(o)
		o.Close()
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("get %s: %d bytes of %d, %v", key, len(got), len(want), err)
		}
	}
}

// TestProcesses runs a cluster as an operator does, over TCP: three nodes and a
// gateway, each a process. A node is killed and started again at the same address.
func TestProcesses(t *testing.T) {
	for name, tls := range map[string]string{"plain": "false", "TLS": "true"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startProcesses(t, `transport = "auto"`, `transport = "tcp"`, "tls = false", "tls = "+tls)
			c.tls = "--tls=" + tls
			if err := c.client.MakeBucket(t.Context(), "bkt", minio.MakeBucketOptions{}); err != nil {
				t.Fatal(err)
			}
			first := objects(0, 1, 40<<10, 300<<10, 5<<20, 9<<20+7)
			size := c.put(t, first)
			if pulled := c.ofNodes(t, "pulled_bytes_total"); pulled < 1.5*size {
				t.Errorf("the nodes pulled %.0f bytes for %.0f of objects with parity", pulled, size)
			}
			c.get(t, first)
			pushed, gw := c.ofNodes(t, "pushed_bytes_total"), c.fabric(t, len(c.nodes), "pushed_bytes_total")
			if pushed < size || gw < size {
				t.Errorf("the nodes pushed %.0f bytes and the gateway saw %.0f, for %.0f that were read", pushed, gw, size)
			}
			if lanes := c.fabric(t, len(c.nodes), "connections"); lanes < 2*3 {
				t.Errorf("%.0f lanes from the gateway", lanes)
			}
			c.operator(t)

			c.nodes[1].kill(t)
			c.get(t, first)
			second := objects(6<<20, 50<<10)
			c.put(t, second)
			c.get(t, second)
			c.nodes[1].run(t)
			until(t, "the node is back", func() bool { return c.up(t) == 3 })
			until(t, "everything is whole again", func() bool {
				if _, err := exec(t, newRootCommand(), "admin", "repair", "--state", c.state); err != nil {
					return false
				}
				_, err := exec(t, newRootCommand(), "admin", "check", "--deep", "--state", c.state)
				return err == nil
			})
			c.get(t, first)
			c.get(t, second)
			if n := c.fabric(t, len(c.nodes), "redials_total"); n == 0 {
				t.Error("no lane was made anew to the node that came back")
			}
		})
	}
}

// operator looks at the cluster from outside.
func (c *processes) operator(t *testing.T) {
	t.Helper()
	out, err := exec(t, newRootCommand(), "admin", "status", "--state", c.state)
	if err != nil || !strings.Contains(out, "tcp: ") {
		t.Errorf("status does not tell the wire: %v\n%s", err, out)
	}
	out, err = exec(t, newRootCommand(), "fabric", "ping", "--cluster", c.file, "--node", "n1", "--count", "50")
	if err != nil || !strings.Contains(out, "a storage node, over tcp") {
		t.Errorf("ping: %v\n%s", err, out)
	}
	stranger := secretFile(t)
	_, err = exec(t, newRootCommand(), "fabric", "ping", c.addrs[0], "--transport", "tcp", c.tls, "--secret-file", stranger)
	if err == nil || !strings.Contains(err.Error(), "another secret") {
		t.Errorf("ping with another secret: %v", err)
	}
	if n := c.fabric(t, 0, "auth_failures_total"); n == 0 {
		t.Error("the node does not count it")
	}
	out, err = exec(t, newRootCommand(), "fabric", "bench", "--cluster", c.file, "--node", "n2", "--size", "64KiB", "--depth", "4", "--lanes", "2", "--transfers", "40", "--json")
	var r benchReport
	if err != nil || json.Unmarshal([]byte(out), &r) != nil || len(r.Results) != 1 {
		t.Fatalf("bench: %v\n%s", err, out)
	}
	if b := r.Results[0]; b.Op != "chunks" || b.Transfers != 80 || b.Mismatches != 0 || len(b.Wires) != 1 || b.Wires[0] != "tcp" || b.Here["tcp PushedBytes"] < b.Bytes {
		t.Errorf("chunk reads: %+v", b)
	}
}
