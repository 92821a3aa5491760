package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/weftstore/weft/internal/freeport"
)

// server is the process under test and the directories that outlive it.
type server struct {
	binary, dir, address string
	targets              int
	environment          []string
	access, secret       string
	command              *exec.Cmd
	done                 chan error // gets what Wait returned, when the process has ended
	log                  *os.File
}

func newServer(binary, dir string, targets int) (*server, error) {
	address, err := freeport.Address()
	if err != nil {
		return nil, err
	}
	s := &server{binary: binary, dir: dir, address: address, targets: targets, access: "soak"}
	var secret [20]byte
	_, _ = rand.Read(secret[:]) // never fails
	s.secret = hex.EncodeToString(secret[:])
	s.environment = append(os.Environ(), "WEFT_ROOT_ACCESS_KEY="+s.access, "WEFT_ROOT_SECRET_KEY="+s.secret)
	s.log, err = os.OpenFile(filepath.Join(dir, "server.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	return s, err
}

// start runs the server and waits until it is ready.
func (s *server) start(ctx context.Context) error {
	arguments := []string{"server", "--address", s.address, "--state", filepath.Join(s.dir, "state")}
	for i := range s.targets {
		target := filepath.Join(s.dir, fmt.Sprintf("t%d", i+1))
		if err := os.MkdirAll(target, 0o750); err != nil {
			return err
		}
		arguments = append(arguments, target)
	}
	s.command = exec.CommandContext(ctx, s.binary, arguments...) //nolint:gosec // the binary is this program's argument
	s.command.Env, s.command.Stdout, s.command.Stderr = s.environment, s.log, s.log
	if err := s.command.Start(); err != nil {
		return err
	}
	command, done := s.command, make(chan error, 1)
	s.done = done
	go func() { done <- command.Wait() }()
	deadline := time.Now().Add(60 * time.Second)
	for time.Now().Before(deadline) {
		response, err := http.Get("http://" + s.address + "/healthz/ready")
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case err := <-done:
			return fmt.Errorf("server ended before it was ready: %v, see %s", err, s.log.Name())
		case <-time.After(20 * time.Millisecond):
		}
	}
	return fmt.Errorf("server not ready within 60 s, see %s", s.log.Name())
}

// kill ends the server as a crash of the process would.
func (s *server) kill() error {
	if err := s.command.Process.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-s.done //nolint:errcheck // always an error: it was killed
	return nil
}

// stop asks the server to end and reports how it did.
func (s *server) stop() error {
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return <-s.done
}

// check runs `weft admin check` against the running server.
func (s *server) check(ctx context.Context, deep bool) error {
	arguments := []string{"admin", "check", "--json", "--state", filepath.Join(s.dir, "state")}
	if deep {
		arguments = append(arguments, "--deep")
	}
	command := exec.CommandContext(ctx, s.binary, arguments...) //nolint:gosec // the binary is this program's argument
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("admin check: %w: %s", err, out)
	}
	return nil
}
