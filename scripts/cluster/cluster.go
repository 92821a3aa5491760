package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/weftstore/weft/scripts/cluster/badfs"
)

// cluster is the processes under test and what outlives them.
type cluster struct {
	o              options
	dir            string
	access, secret string
	etcd           []*etcdCluster // the first is the home
	nodes          []*process
	gateways       []*process
	all            []*process
	addresses      []string  // of the gateways
	proxies        []*proxy  // between a gateway and the home
	bad            *badfs.FS // with --figures
	spaces         *spaces   // with --netns
}

// newCluster makes directories, files and namespaces and starts nothing. killAll takes away what it made, also when it
// fails.
func newCluster(o options, dir string) (*cluster, error) {
	c := &cluster{o: o, dir: dir, access: "cluster"}
	var b [20]byte
	_, _ = rand.Read(b[:]) // never fails
	c.secret = hex.EncodeToString(b[:])
	if o.netns {
		var err error
		if c.spaces, err = newSpaces(); err != nil {
			return c, err
		}
	}
	for range o.clusters {
		if err := c.addEtcd(); err != nil {
			return c, err
		}
	}
	if o.figures {
		if err := c.addBad(); err != nil {
			return c, err
		}
	}
	if err := c.addNodes(); err != nil {
		return c, err
	}
	return c, c.addGateways()
}

func (c *cluster) file() string { return filepath.Join(c.dir, "cluster.toml") }

// targetDir is the directory of a target.
func (c *cluster) targetDir(node, i int) string {
	name := fmt.Sprintf("n%d-%d", node, i)
	if c.o.targets != "" {
		return filepath.Join(c.o.targets, name)
	}
	return filepath.Join(c.dir, "targets", name)
}

// addBad puts a file system that can fail beneath the first target of the first node.
func (c *cluster) addBad() error {
	from, at := filepath.Join(c.dir, "beneath"), c.targetDir(0, 0)
	for _, dir := range []string{from, at} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	var err error
	c.bad, err = badfs.Mount(from, at)
	return err
}

func (c *cluster) addNodes() error {
	args := []string{"cluster", "init", c.file(), "--layout", "ec:2+2"}
	var addrs []string
	var places []place
	for i := range c.o.nodes {
		at, err := c.place(fmt.Sprint("n", i))
		if err != nil {
			return err
		}
		addr, err := at.listen(7400)
		if err != nil {
			return err
		}
		places = append(places, at)
		var dirs []string
		for j := range c.o.each {
			dirs = append(dirs, c.targetDir(i, j))
		}
		addrs = append(addrs, addr)
		args = append(args, "--node", fmt.Sprintf("n%d=%s=%s", i, addr, strings.Join(dirs, ",")))
	}
	if out, err := exec.Command(c.o.weft, args...).CombinedOutput(); err != nil { //nolint:gosec // this program's arguments
		return fmt.Errorf("weft cluster init: %w: %s", err, out)
	}
	text, err := os.ReadFile(c.file())
	if err != nil {
		return err
	}
	text = bytes.Replace(text, []byte(`transport = "auto"`), []byte(`transport = "tcp"`), 1)
	text = bytes.Replace(text, []byte("[fabric]"), []byte(`metadata = "`+c.etcd[0].url()+"\"\n\n[fabric]"), 1)
	for _, e := range c.etcd[1:] {
		text = fmt.Appendf(text, "\n[[metadata-cluster]]\nname = %q\nurl = %q\nbuckets = [%q]\n", e.name, e.url()+"?timeout=2s", e.bucket())
	}
	if c.o.takeover {
		text = bytes.ReplaceAll(text, []byte("\ntargets = ["), []byte("\ntakeover = [\"*\"]\ntargets = ["))
	}
	if err := os.WriteFile(c.file(), text, 0o600); err != nil { //nolint:gosec // of this run
		return err
	}
	for i, addr := range addrs {
		c.nodes = append(c.nodes, c.add(places[i], fmt.Sprint("n", i), dials(addr), nil, c.o.weft, "node", "--cluster", c.file(),
			"--name", fmt.Sprint("n", i), "--state", filepath.Join(c.dir, fmt.Sprint("node", i)), "--lease", c.o.lease.String()))
	}
	return nil
}

func (c *cluster) addGateways() error {
	env := []string{"WEFT_ROOT_ACCESS_KEY=" + c.access, "WEFT_ROOT_SECRET_KEY=" + c.secret}
	for i := range c.o.gateways {
		at, err := c.place(fmt.Sprint("gw", i))
		if err != nil {
			return err
		}
		addr, err := at.listen(9000)
		if err != nil {
			return err
		}
		through := c.etcd[0].clients
		if c.spaces == nil {
			p, err := newProxy(through)
			if err != nil {
				return err
			}
			c.proxies = append(c.proxies, p)
			through = p.addresses()
		}
		c.addresses = append(c.addresses, addr)
		c.gateways = append(c.gateways, c.add(at, fmt.Sprint("gw", i), answersOK("http://"+addr+"/healthz/ready"), env,
			c.o.weft, "gateway", "--cluster", c.file(), "--name", fmt.Sprint("gw", i), "--state", c.state(i), "--address", addr,
			"--memory", "128MiB", "--metadata", "etcd://"+strings.Join(through, ",")+"/test?timeout=2s", "--lease", c.o.lease.String(), "--lost-after", c.o.lostAfter().String()))
	}
	return nil
}

func (c *cluster) state(gateway int) string {
	return filepath.Join(c.dir, fmt.Sprint("gateway", gateway))
}

func (c *cluster) start(ctx context.Context) error {
	for _, list := range [][]*process{c.members(), c.nodes, c.gateways} {
		results := make(chan error, len(list))
		for _, p := range list { // members of etcd wait for each other
			go func() { results <- p.start(ctx) }()
		}
		var errs []error
		for range list {
			errs = append(errs, <-results)
		}
		if err := errors.Join(errs...); err != nil {
			return err
		}
	}
	return nil
}

// ready waits until every process is.
func (c *cluster) ready(ctx context.Context) error {
	for _, p := range c.all {
		if err := p.ready(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) killAll() {
	for _, p := range c.all {
		if p.cmd != nil && p.cmd.Process != nil {
			_ = p.kill() // an error if it has ended already
		}
	}
	for _, p := range c.proxies {
		p.close()
	}
	if c.spaces != nil {
		if err := c.spaces.close(); err != nil {
			log.Print(err)
		}
	}
	if c.bad != nil {
		if err := c.bad.Close(); err != nil {
			log.Print(err)
		}
	}
}

// admin runs an admin command at a gateway.
func (c *cluster) admin(ctx context.Context, gateway int, result any, args ...string) error {
	args = append([]string{"admin"}, append(args, "--json", "--state", c.state(gateway))...)
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, c.o.weft, args...) //nolint:gosec // this program's arguments
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		_ = json.Unmarshal(out, result) // a check that finds something says what, and fails
		return fmt.Errorf("weft %s: %w: %s%s", strings.Join(args, " "), err, out[:min(len(out), 2000)], stderr.Bytes())
	}
	return json.Unmarshal(out, result)
}

// checkDeep repairs at the gateway that leads, and then demands that nothing is wrong.
func (c *cluster) checkDeep(ctx context.Context) error {
	var err error
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); pause(ctx, time.Second) {
		for i := range c.gateways {
			var r struct{ Repaired, Waiting, Failed, Lost, Orphans int64 }
			if err = c.admin(ctx, i, &r, "repair"); err != nil {
				continue // another leads
			}
			if r.Waiting+r.Failed+r.Lost > 0 {
				err = fmt.Errorf("repair: %+v", r)
				continue
			}
			log.Printf("repair: %+v", r)
			var check struct{ Parts, Shards, Missing, Unreachable, Corrupt, Crowded, Misplaced, Chunks, Orphans, Garbage int64 }
			if err := c.admin(ctx, i, &check, "check", "--deep"); err != nil {
				return err
			}
			log.Printf("check: %+v", check)
			if check.Missing+check.Unreachable+check.Corrupt+check.Crowded+check.Misplaced > 0 {
				return fmt.Errorf("check: %+v", check)
			}
			return nil
		}
	}
	return err
}

// readLogs looks for what must never be in a log.
func (c *cluster) readLogs() error {
	for _, p := range c.all {
		text, err := os.ReadFile(p.log)
		if err != nil {
			return err
		}
		for _, bad := range []string{"\npanic:", "\nfatal error:", "WARNING: DATA RACE"} {
			if i := bytes.Index(text, []byte(bad)); i >= 0 {
				return fmt.Errorf("%s has: %s", p.log, text[i:min(len(text), i+3000)])
			}
		}
	}
	return nil
}
