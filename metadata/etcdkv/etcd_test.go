package etcdkv

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// server is an etcd process that a test started.
type server struct {
	t          testing.TB
	args       []string
	cmd        *exec.Cmd
	client     string // host:port
	clientURL  string
	log        string
	prefixes   atomic.Int64
	configured Config
}

func freePort(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// startEtcd runs one etcd with its default limits. Without the program the test is
// skipped, or fails where CI is set.
func startEtcd(t testing.TB, scheme string, extra ...string) *server {
	t.Helper()
	path, err := exec.LookPath("etcd")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("no etcd; install it with: scripts/tools etcd")
		}
		t.Skip("no etcd; install it with: scripts/tools etcd")
	}
	dir := t.TempDir()
	s := &server{t: t, client: freePort(t), log: filepath.Join(dir, "log")}
	s.clientURL = scheme + "://" + s.client
	peer := "http://" + freePort(t)
	s.args = append([]string{path, "--name", "a", "--data-dir", filepath.Join(dir, "data"), "--unsafe-no-fsync",
		"--listen-client-urls", s.clientURL, "--advertise-client-urls", s.clientURL,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "a=" + peer}, extra...)
	if out, _ := exec.Command(path, "--help").CombinedOutput(); !strings.Contains(string(out), "unsafe-no-fsync") {
		s.args = append(s.args[:5:5], s.args[6:]...)
	}
	s.configured = Config{Endpoints: []string{s.client}}
	s.start()
	t.Cleanup(s.kill)
	return s
}

func (s *server) start() {
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	s.cmd = exec.Command(s.args[0], s.args[1:]...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	for {
		c, err := net.Dial("tcp", s.client)
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

func (s *server) kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

// open makes a DB on an empty prefix.
func (s *server) open(t testing.TB) *DB {
	cfg := s.configured
	cfg.Prefix = fmt.Sprintf("/%s/%d/", t.Name(), s.prefixes.Add(1))
	return s.openWith(t, cfg)
}

func (s *server) openWith(t testing.TB, cfg Config) *DB {
	t.Helper()
	cfg.DialTimeout = time.Minute // a test does not fail because a machine is slow
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	d, err := Open(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}
