package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	s3Address  = "127.0.0.1:9000"
	accessKey  = "weft-rdma"
	secretKey  = "weft-rdma-secret-key"
	nodeCount  = 6
	layoutText = "ec:4+2"
	stored     = 1.5 // bytes stored for each byte of an object with that layout
)

// cluster is a gateway and its storage nodes, of which the gateway's own traffic goes by the first device and that of the
// nodes by the others in turn.
type cluster struct {
	t       *testing.T
	dir     string
	file    string
	gateway *process
	nodes   []*process
	metrics []string // addresses: of the gateway first, then of the nodes
}

// skipOutside skips where there are no devices for it.
func skipOutside(t *testing.T) {
	t.Helper()
	if os.Getenv("WEFT_RDMA_TEST") == "" {
		t.Skip("needs RDMA devices: scripts/rdma/test")
	}
}

// hosts are the addresses of the devices but the first.
func hosts(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("/sys/class/infiniband/rxe*")
	if err != nil || len(names) < 4 {
		t.Fatalf("four RDMA devices are needed: %v, %v", names, err)
	}
	var list []string
	for i := range len(names) - 1 {
		list = append(list, fmt.Sprintf("10.0.0.%d", i+2))
	}
	return list
}

// newCluster writes the files of a cluster over the transport and starts nothing.
func newCluster(t *testing.T, transport string, where []string) *cluster {
	t.Helper()
	dir, err := os.MkdirTemp("", "cluster") // on the scratch disk
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	c := &cluster{t: t, dir: dir, file: filepath.Join(dir, "cluster.toml"), metrics: []string{"127.0.0.1:9400"}}
	init := []string{"cluster", "init", c.file, "--layout", layoutText}
	for i := range nodeCount {
		name := fmt.Sprintf("n%d", i+1)
		target := filepath.Join(dir, name, "target")
		if err := os.MkdirAll(target, 0o750); err != nil {
			t.Fatal(err)
		}
		init = append(init, "--node", fmt.Sprintf("%s=%s:%d=%s", name, where[i%len(where)], 7401+i, target))
		c.metrics = append(c.metrics, fmt.Sprintf("127.0.0.1:%d", 9401+i))
		c.nodes = append(c.nodes, c.process(name, "node", "--name", name))
	}
	run(t, weft(t), init...)
	c.setTransport(transport)
	c.gateway = c.process("gateway", "gateway", "--address", s3Address, "--memory", "256MiB")
	c.gateway.env = []string{"WEFT_ROOT_ACCESS_KEY=" + accessKey, "WEFT_ROOT_SECRET_KEY=" + secretKey}
	return c
}

func (c *cluster) setTransport(transport string) {
	c.t.Helper()
	b, err := os.ReadFile(c.file)
	if err != nil {
		c.t.Fatal(err)
	}
	text := strings.Replace(string(b), `transport = "auto"`, fmt.Sprintf("transport = %q", transport), 1)
	if text == string(b) {
		c.t.Fatalf("no transport to set in\n%s", b)
	}
	if err := os.WriteFile(c.file, []byte(text), 0o640); err != nil {
		c.t.Fatal(err)
	}
}

// process is one of the cluster, the next in c.metrics.
func (c *cluster) process(name, command string, args ...string) *process {
	dir := filepath.Join(c.dir, name)
	metrics := c.metrics[0]
	if command == "node" {
		metrics = c.metrics[len(c.metrics)-1]
	}
	args = append([]string{command, "--cluster", c.file, "--state", filepath.Join(dir, "state"), "--metrics", metrics}, args...)
	return &process{t: c.t, name: name, args: args, log: filepath.Join(c.dir, name+".log")}
}

// start starts everything and waits until all nodes are up. The end of the test stops it.
func (c *cluster) start() {
	c.t.Helper()
	c.t.Cleanup(c.stop)
	for _, n := range c.nodes {
		n.start()
	}
	c.gateway.start()
	eventually(c.t, "the gateway is ready", func() error {
		select {
		case <-c.gateway.done:
			c.t.Fatal("the gateway has ended") // c.stop shows its log
		default:
		}
		resp, err := http.Get("http://" + s3Address + "/healthz/ready")
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return errors.New(resp.Status)
		}
		return nil
	})
	c.await("up", c.nodes...)
}

// stop ends the gateway first, so that nobody misses the nodes.
func (c *cluster) stop() {
	c.t.Helper()
	for _, p := range append([]*process{c.gateway}, c.nodes...) {
		p.stop()
	}
}

// await waits until the gateway says that the nodes are in a state.
func (c *cluster) await(state string, nodes ...*process) {
	c.t.Helper()
	eventually(c.t, fmt.Sprintf("nodes are %s", state), func() error {
		var st struct {
			Nodes []struct{ Name, State, Error string }
		}
		c.admin(&st, "status")
		is := map[string]string{}
		for _, n := range st.Nodes {
			is[n.Name] = n.State
		}
		for _, n := range nodes {
			if is[n.name] != state {
				return fmt.Errorf("%+v", st.Nodes)
			}
		}
		return nil
	})
}

// admin runs an admin command on the gateway.
func (c *cluster) admin(out any, args ...string) {
	c.t.Helper()
	args = append([]string{"admin"}, args...)
	b := run(c.t, weft(c.t), append(args, "--json", "--state", filepath.Join(c.dir, "gateway", "state"))...)
	if err := json.Unmarshal(b, out); err != nil {
		c.t.Fatalf("%v: %v\n%s", args, err, b)
	}
}

// lap logs how long a step took and begins the next.
func lap(t *testing.T, since *time.Time, format string, args ...any) {
	t.Helper()
	t.Logf("%6.1f s  %s", time.Since(*since).Seconds(), fmt.Sprintf(format, args...))
	*since = time.Now()
}
