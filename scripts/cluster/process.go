package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// process is one that can be killed, frozen and started again.
type process struct {
	name   string
	place  place
	args   []string
	env    []string
	probe  func() error // nil when it is ready
	log    string
	cmd    *exec.Cmd
	exited chan struct{}
}

// start runs it and waits until it is ready.
func (p *process) start(ctx context.Context) error {
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	p.cmd = exec.Command(p.args[0], p.args[1:]...) //nolint:gosec // this program's own arguments
	p.cmd.Env = append(os.Environ(), p.env...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	p.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan struct{}) {
		_ = cmd.Wait() // how it ended is in its log
		close(exited)
	}(p.cmd, p.exited)
	return p.ready(ctx)
}

func (p *process) ready(ctx context.Context) error {
	var err error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); pause(ctx, 20*time.Millisecond) {
		if err = p.probe(); err == nil {
			return nil
		}
		select {
		case <-p.exited:
			return fmt.Errorf("%s ended, its log ends with\n%s", p.name, p.tail())
		default:
		}
	}
	return fmt.Errorf("%s is not ready after a minute: %w, its log ends with\n%s", p.name, err, p.tail())
}

// tail is the end of the log.
func (p *process) tail() []byte {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return []byte(err.Error())
	}
	return text[max(0, len(text)-4000):]
}

func (p *process) kill() error {
	err := p.cmd.Process.Signal(syscall.SIGKILL)
	<-p.exited
	return err
}

// stop asks it to end and waits until it has.
func (p *process) stop(ctx context.Context) error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	select {
	case <-p.exited:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Minute):
		return fmt.Errorf("%s has not ended a minute after it was asked to, its log ends with\n%s", p.name, p.tail())
	}
}

func (p *process) freeze() error { return p.cmd.Process.Signal(syscall.SIGSTOP) }
func (p *process) thaw() error   { return p.cmd.Process.Signal(syscall.SIGCONT) }

// dials says that something listens.
func dials(addr string) func() error {
	return func() error {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			err = c.Close()
		}
		return err
	}
}

// answersOK says that a URL answers 200.
func answersOK(url string) func() error {
	client := http.Client{Timeout: 2 * time.Second}
	return func() error {
		r, err := client.Get(url)
		if err != nil {
			return err
		}
		defer r.Body.Close()
		if r.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s", url, r.Status)
		}
		return nil
	}
}

func (c *cluster) add(at place, name string, probe func() error, env []string, args ...string) *process {
	if at.space >= 0 {
		args = append([]string{"ip", "netns", "exec", c.spaces.space(at.space)}, args...) // it becomes the process
	}
	p := &process{name: name, place: at, args: args, env: env, probe: probe, log: filepath.Join(c.dir, name+".log")}
	c.all = append(c.all, p)
	return p
}
