// Package etcdtest starts etcd for tests: one process on free loopback ports, with its
// data in a temporary directory and its default limits.
//
// Safe for concurrent use but for Kill and Restart. Errors end the test.
package etcdtest

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weftstore/weft/internal/freeport"
)

// Server is an etcd process that a test started.
type Server struct {
	Addr string // host:port of clients

	t    testing.TB
	args []string
	cmd  *exec.Cmd
	log  string
}

func freePort(t testing.TB) string {
	t.Helper()
	addr, err := freeport.Address()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// Start runs one etcd until the test ends; scheme is http or https, extra are further
// flags. Without the program the test is skipped, or fails where CI is set.
func Start(t testing.TB, scheme string, extra ...string) *Server {
	t.Helper()
	return StartMembers(t, 1, scheme, extra...)[0]
}

// StartMembers is Start for a cluster of n.
func StartMembers(t testing.TB, n int, scheme string, extra ...string) []*Server {
	t.Helper()
	path, err := exec.LookPath("etcd")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("no etcd; install it with: scripts/tools etcd")
		}
		t.Skip("no etcd; install it with: scripts/tools etcd")
	}
	peers, cluster := make([]string, n), make([]string, n)
	for i := range n {
		peers[i] = "http://" + freePort(t)
		cluster[i] = string(rune('a'+i)) + "=" + peers[i]
	}
	list := make([]*Server, n)
	for i := range n {
		dir := t.TempDir()
		s := &Server{t: t, Addr: freePort(t), log: filepath.Join(dir, "log")}
		url := scheme + "://" + s.Addr
		s.args = append([]string{path, "--name", string(rune('a' + i)), "--data-dir", filepath.Join(dir, "data"),
			"--listen-client-urls", url, "--advertise-client-urls", url,
			"--listen-peer-urls", peers[i], "--initial-advertise-peer-urls", peers[i], "--initial-cluster", strings.Join(cluster, ",")}, extra...)
		list[i] = s
		t.Cleanup(s.Kill)
	}
	var started sync.WaitGroup
	for _, s := range list { // a member takes connections when most are there
		started.Go(s.Restart)
	}
	started.Wait()
	return list
}

// Restart starts the process again after Kill, on the same data, and returns when it
// takes connections.
func (s *Server) Restart() {
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	s.cmd = exec.Command(s.args[0], s.args[1:]...) //nolint:gosec // etcd, found in PATH
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	for {
		c, err := net.Dial("tcp", s.Addr)
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			out, _ := os.ReadFile(s.log)
			s.t.Fatalf("etcd does not answer: %v\n%s", err, out)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Kill ends the process at once.
func (s *Server) Kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}
