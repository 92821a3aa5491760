package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what must come. It is no measure of speed.
const patience = 5 * time.Minute

// process is one weft process with a log file.
type process struct {
	t       *testing.T
	name    string
	args    []string
	env     []string
	metrics string // address
	log     string
	allowed string        // what an error in the log may have, if anything
	cmd     *exec.Cmd     // nil when it does not run
	done    chan struct{} // closed when it has ended
}

// start runs it, again after it has ended.
func (p *process) start() {
	p.t.Helper()
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		p.t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(weft(p.t), p.args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), p.env...), log, log
	if err := cmd.Start(); err != nil {
		p.t.Fatalf("start %s: %v", p.name, err)
	}
	done := make(chan struct{})
	p.cmd, p.done = cmd, done
	go func() {
		defer close(done)
		_ = cmd.Wait() // ProcessState tells
	}()
}

// kill ends it as a crash would.
func (p *process) kill() {
	p.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Errorf("kill %s: %v", p.name, err)
	}
	<-p.done
	p.cmd = nil
}

var broken = regexp.MustCompile(`(?m)^.*(level=ERROR|^panic:|^fatal error:|DATA RACE).*$`)

// stop asks it to end and looks at how it did. Before, it ends nothing that has ended.
func (p *process) stop() {
	p.t.Helper()
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended, which is seen below
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Errorf("%s does not stop", p.name)
		_ = p.cmd.Process.Signal(syscall.SIGQUIT) // its stacks go to the log
		<-p.done
	}
	if s := p.cmd.ProcessState; s.ExitCode() != 0 {
		p.t.Errorf("%s: %s", p.name, s)
	}
	p.cmd = nil
	log, err := os.ReadFile(p.log)
	if err != nil {
		p.t.Error(err)
	}
	for _, bad := range broken.FindAllString(string(log), -1) {
		if p.allowed == "" || !strings.Contains(bad, p.allowed) {
			p.t.Errorf("log of %s: %s", p.name, bad)
		}
	}
	if p.t.Failed() {
		p.t.Logf("log of %s:\n%s", p.name, bytes.Join(last(bytes.Split(log, []byte("\n")), 40), []byte("\n")))
	}
}

func last[T any](s []T, n int) []T { return s[max(0, len(s)-n):] }

// weft is the binary.
func weft(t *testing.T) string {
	t.Helper()
	path := os.Getenv("WEFT_BIN")
	if path == "" {
		t.Fatal("WEFT_BIN does not name the weft binary: run it by scripts/rdma/test")
	}
	return path
}

// run runs a command to its end.
func run(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(name), args, err, out)
	}
	return out
}

// eventually waits until check returns nil.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	late := time.After(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("not within %s: %s: %v", patience, what, err)
		}
	}
}
