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
	nodes   []*process // of this machine
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
	c := emptyCluster(t, dir)
	c.file = filepath.Join(c.dir, "cluster.toml")
	init := []string{"cluster", "init", c.file, "--layout", layoutText}
	for i := range nodeCount {
		n := c.addNode(fmt.Sprintf("n%d", i+1))
		init = append(init, "--node", fmt.Sprintf("%s=%s:%d=%s", n.name, where[i%len(where)], 7401+i, filepath.Join(c.dir, n.name, "target")))
	}
	run(t, weft(t), init...)
	setTransport(t, c.file, transport)
	return c
}

// emptyCluster has a gateway and no nodes; the cluster file is to be named.
func emptyCluster(t *testing.T, dir string) *cluster {
	t.Helper()
	c := &cluster{t: t, dir: dir}
	c.gateway = c.process("gateway", "gateway", "--address", s3Address, "--memory", "128MiB")
	c.gateway.env = []string{"WEFT_ROOT_ACCESS_KEY=" + accessKey, "WEFT_ROOT_SECRET_KEY=" + secretKey}
	return c
}

// addNode adds one that runs in this machine, with an empty target.
func (c *cluster) addNode(name string) *process {
	c.t.Helper()
	if err := os.MkdirAll(filepath.Join(c.dir, name, "target"), 0o750); err != nil {
		c.t.Fatal(err)
	}
	n := c.process(name, "node", "--name", name)
	c.nodes = append(c.nodes, n)
	return n
}

// setTransport also sets what makes the cluster small.
func setTransport(t *testing.T, file, transport string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for was, is := range map[string]string{
		`transport = "auto"`:  fmt.Sprintf("transport = %q", transport),
		`# staging = "64MiB"`: `staging = "16MiB"`, // registering memory takes long in an emulated machine
	} {
		if !strings.Contains(text, was) {
			t.Fatalf("no %s to replace in\n%s", was, text)
		}
		text = strings.Replace(text, was, is, 1)
	}
	if err := os.WriteFile(file, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
}

// process is one of the cluster, whose metrics are at the next address.
func (c *cluster) process(name, command string, args ...string) *process {
	dir := filepath.Join(c.dir, name)
	metrics := fmt.Sprintf("127.0.0.1:%d", 9400+len(c.nodes))
	if command == "node" {
		metrics = fmt.Sprintf("127.0.0.1:%d", 9401+len(c.nodes))
	}
	args = append([]string{command, "--state", filepath.Join(dir, "state"), "--metrics", metrics}, args...)
	return &process{t: c.t, name: name, args: args, metrics: metrics, log: filepath.Join(c.dir, name+".log")}
}

// start starts everything and waits until all nodes are up. The end of the test stops it.
func (c *cluster) start() {
	c.t.Helper()
	c.t.Cleanup(c.stop)
	var names []string
	for _, n := range c.nodes {
		names = append(names, n.name)
	}
	for _, p := range c.all() {
		p.args = append(p.args, "--cluster", c.file)
		p.start()
	}
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
	c.await("up", names...)
}

// all are its processes, the gateway first.
func (c *cluster) all() []*process { return append([]*process{c.gateway}, c.nodes...) }

// stop ends the gateway first, so that nobody misses the nodes.
func (c *cluster) stop() {
	c.t.Helper()
	for _, p := range c.all() {
		p.stop()
	}
}

// await waits until the gateway says that the nodes are in a state.
func (c *cluster) await(state string, nodes ...string) {
	c.t.Helper()
	eventually(c.t, fmt.Sprintf("nodes %v are %s", nodes, state), func() error {
		var st struct {
			Nodes []struct{ Name, State, Error string }
		}
		c.admin(&st, "status")
		is := map[string]string{}
		for _, n := range st.Nodes {
			is[n.Name] = n.State
		}
		for _, n := range nodes {
			if is[n] != state {
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

// settle repairs everything and verifies every chunk.
func (c *cluster) settle() {
	c.t.Helper()
	var ignored any
	c.admin(&ignored, "repair")
	c.admin(&ignored, "check", "--deep") // its status says when anything is wrong
}
