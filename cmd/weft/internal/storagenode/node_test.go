package storagenode

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weftstore/weft/cmd/weft/internal/cluster"
	"github.com/weftstore/weft/cmd/weft/internal/statedir"
	"github.com/weftstore/weft/node"
)

// Fault model of this file: directories that are empty because their disk did not
// mount or was replaced, copies, and a state directory that is lost.

type rig struct {
	t    *testing.T
	dir  string
	dirs []string
}

func newRig(t *testing.T, n int) *rig {
	r := &rig{t: t, dir: t.TempDir()}
	for i := range n {
		r.dirs = append(r.dirs, filepath.Join(r.dir, fmt.Sprint("t", i)))
	}
	return r
}

// open brings the node up, looks at its targets and closes it.
func (r *rig) open(dirs ...string) ([]node.TargetStatus, error) {
	r.t.Helper()
	st, err := statedir.Open(filepath.Join(r.dir, "state"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer st.Close() //nolint:errcheck // of a test
	n, err := Open(r.t.Context(), Config{
		State: st, Name: "n", Deployment: [16]byte{1}, Targets: dirs, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	list := n.Targets()
	return list, n.Close()
}

func (r *rig) mustOpen(dirs ...string) []node.TargetStatus {
	r.t.Helper()
	list, err := r.open(dirs...)
	if err != nil {
		r.t.Fatal(err)
	}
	return list
}

func (r *rig) empty(dir string) {
	r.t.Helper()
	if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700)); err != nil {
		r.t.Fatal(err)
	}
}

// TestLeftOut: a target of the store that is not named any more is told.
func TestLeftOut(t *testing.T) {
	r := newRig(t, 2)
	var rows []Known
	for i, s := range r.mustOpen(r.dirs...) {
		rows = append(rows, Known{UUID: s.ID, Path: r.dirs[i]})
	}
	st, err := statedir.Open(filepath.Join(r.dir, "state"))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close() //nolint:errcheck // of a test
	var log bytes.Buffer
	n, err := Open(t.Context(), Config{State: st, Name: "n", Deployment: [16]byte{1}, Targets: r.dirs[:1], Known: rows, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if got := log.String(); strings.Count(got, "level=WARN") != 1 || !strings.Contains(got, "dir="+r.dirs[1]) {
		t.Error(log.String())
	}
}

func TestKnownDirectoryIsNotFormattedAgain(t *testing.T) {
	r := newRig(t, 3)
	first := r.mustOpen(r.dirs[:2]...)
	r.empty(r.dirs[1])
	second := r.mustOpen(r.dirs...)
	if second[1].ID != first[1].ID || second[1].State != node.Empty || second[0].State != node.Online || second[2].State != node.Online {
		t.Errorf("%+v", second)
	}
	if _, err := ReadSuperblock(r.dirs[1]); err == nil {
		t.Error("it was formatted")
	}
}

func TestLostState(t *testing.T) {
	r := newRig(t, 2)
	first := r.mustOpen(r.dirs...)
	if err := os.RemoveAll(filepath.Join(r.dir, "state")); err != nil {
		t.Fatal(err)
	}
	r.empty(r.dirs[1])
	if _, err := r.open(r.dirs...); err == nil || !strings.Contains(err.Error(), r.dirs[0]) || !strings.Contains(err.Error(), r.dirs[1]) {
		t.Fatalf("one formatted and one empty, and nothing known: %v", err)
	}
	if list := r.mustOpen(r.dirs[0]); list[0].ID != first[0].ID {
		t.Errorf("%+v", list)
	}
	if list := r.mustOpen(r.dirs...); list[1].ID == first[1].ID || list[1].State != node.Online {
		t.Errorf("added after the others were known: %+v", list)
	}
}

func TestCopyAndMove(t *testing.T) {
	r := newRig(t, 2)
	first := r.mustOpen(r.dirs[0])
	if err := os.CopyFS(r.dirs[1], os.DirFS(r.dirs[0])); err != nil {
		t.Fatal(err)
	}
	if _, err := r.open(r.dirs...); err == nil || !strings.Contains(err.Error(), r.dirs[0]+" and "+r.dirs[1]) {
		t.Errorf("copy: %v", err)
	}
	if list := r.mustOpen(r.dirs[1]); list[0].ID != first[0].ID {
		t.Errorf("moved: %+v", list)
	}
}

func TestForeignAndFull(t *testing.T) {
	r := newRig(t, 1)
	if err := os.MkdirAll(r.dirs[0], 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.dirs[0], "thesis.tex"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.open(r.dirs[0]); err == nil || !strings.Contains(err.Error(), "empty directory") {
		t.Errorf("directory with files: %v", err)
	}
}

// Two processes with state directories of their own that name the same directory.
func TestServedByAnother(t *testing.T) {
	r := newRig(t, 1)
	r.mustOpen(r.dirs...)
	serve := func(state string) *Node {
		st, err := statedir.Open(filepath.Join(r.dir, state))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = st.Close() })
		n, err := Open(t.Context(), Config{
			State: st, Name: "n", Deployment: [16]byte{1}, Targets: r.dirs, CheckEvery: 10 * time.Millisecond, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	first, second := serve("state"), serve("other")
	defer second.Close() //nolint:errcheck // of a test
	if s := first.Targets()[0]; s.State != node.Online {
		t.Errorf("the first: %v, %s", s.State, s.Error)
	}
	if s := second.Targets()[0]; s.State != node.Offline || !strings.Contains(s.Error, "another process serves it") {
		t.Errorf("the second: %v, %s", s.State, s.Error)
	}
	if _, err := OpenFound(t.Context(), second.cfg); !errors.Is(err, node.ErrInUse) {
		t.Errorf("found by a third: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); second.Targets()[0].State != node.Online; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the first has ended: ", second.Targets()[0].Error)
		}
	}
}

// Without a home directory there is no default: nothing is made in the working directory.
func TestNoState(t *testing.T) {
	t.Chdir(t.TempDir())
	_, err := Start(t.Context(), ProcessConfig{Cluster: new(cluster.File), Name: "n", Logger: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "--state") {
		t.Error(err)
	}
	if list, err := os.ReadDir("."); err != nil || len(list) > 0 {
		t.Error(list, err)
	}
}
