package main

import (
	"bytes"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/weftstore/weft/internal/freeport"
)

// TestCrashKeepsSecrets: a process that dies as hard as it can, with the system willing to
// keep its memory, leaves no core file and no secret in its last words.
func TestCrashKeepsSecrets(t *testing.T) {
	const secret = "secret-that-no-crash-may-tell"
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_CORE, &limit); err != nil || limit.Max == 0 {
		t.Skip("no core files on this system: raise the hard limit, ulimit -H -c unlimited")
	}
	addr, err := freeport.Address()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	target := filepath.Join(dir, "1")
	if err := os.Mkdir(target, 0o700); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := osexec.Command("/bin/sh", "-c", `ulimit -c "$(ulimit -H -c)" && exec "$0" "$@"`, //nolint:gosec // this very binary
		os.Args[0], "server", "--address", addr, "--state", filepath.Join(dir, "s"), "--memory", "64MiB", target)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), asWeft+"=1", envAccessKey+"=root", envSecretKey+"="+secret, "GOTRACEBACK=crash", "GORACE=atexit_sleep_ms=0")
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	deadline := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer deadline.Stop()
	client, err := minio.New(addr, &minio.Options{Creds: credentials.NewStaticV4("root", secret, ""), Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the server takes a bucket", func() bool { return client.MakeBucket(t.Context(), "bkt", minio.MakeBucketOptions{}) == nil })
	if err := cmd.Process.Signal(syscall.SIGABRT); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // always an error: it was aborted
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGABRT || !strings.Contains(log.String(), "goroutine ") {
		t.Fatalf("it did not crash: %v\n%s", cmd.ProcessState, log.String())
	}
	if status.CoreDump() {
		t.Error("its memory was kept in a core file")
	}
	if strings.Contains(log.String(), secret) {
		t.Error("the secret is in its last words")
	}
}
