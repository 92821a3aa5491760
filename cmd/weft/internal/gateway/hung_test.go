package gateway_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weftstore/weft/cmd/weft/internal/gateway"
	"github.com/weftstore/weft/node/extent"
)

// hang has who opens a file wait until the func is called: another has a lease on it.
func hang(t *testing.T, path string) func() {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	eventually(t, "the lease on a file", func() bool {
		_, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK)
		return err == nil
	})
	return func() { _ = f.Close() }
}

// Fault model: the file system of a target of another node hangs. A node starts and serves
// its own, and it stops.
func TestStartBesideHungTarget(t *testing.T) {
	r := sharedRig(t, 2, 2, "ec:2+2")
	for i := range r.file.Nodes {
		r.file.Nodes[i].Takeover = []string{"*"}
	}
	r.all()
	g := r.gateway("gw0")
	eventually(t, "all targets", func() bool { return g.online() == 4 })
	r.end("n0")
	r.end("n1")
	answer := hang(t, filepath.Join(r.file.Nodes[0].Targets[0], extent.SuperblockName))
	begun := time.Now()
	r.node("n1", r.file, "")
	eventually(t, "its own targets", func() bool { return g.online("n0") >= 2 })
	r.end("n1")
	if d := time.Since(begun); d > 30*time.Second { // the system ends a lease after 45 s
		t.Errorf("it took %v to start and to stop", d)
	}
	answer()
	r.node("n1", r.file, "")
	eventually(t, "one node has all targets", func() bool { return g.online("n0") == 4 })
}

// Fault model: the file system of a target of the node itself hangs, and then that of a new one.
// It starts beside the first and serves what answers, and it stops beside the second.
func TestStartBesideOwnHungTarget(t *testing.T) {
	r := sharedRig(t, 1, 2, "replica:2")
	r.all()
	g := r.gateway("gw0")
	eventually(t, "all targets", func() bool { return g.names() == "n0/t0 n0/t1" })
	r.end("n0")
	answer := hang(t, filepath.Join(r.file.Nodes[0].Targets[0], extent.SuperblockName))
	r.node("n0", r.file, "")
	eventually(t, "the one that answers", func() bool { return g.names() == "n0/t1" })
	answer()
	eventually(t, "both", func() bool { return g.names() == "n0/t0 n0/t1" })

	next := filepath.Join(r.dir, "n0", "t2")
	block := filepath.Join(next, extent.SuperblockName)
	if err := errors.Join(os.Mkdir(next, 0o700), os.WriteFile(block, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	hang(t, block)
	begun := time.Now()
	if err := g.do("add", "n0:"+next, new(gateway.TargetsResult)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the node tells of it", func() bool { return r.log.count("its file system hangs") > 0 })
	r.end("n0")
	if d := time.Since(begun); d > 30*time.Second { // the system ends a lease after 45 s
		t.Errorf("it took %v to stop", d)
	}
}
