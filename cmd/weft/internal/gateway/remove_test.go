package gateway_test

import (
	"bytes"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/weftstore/weft/cmd/weft/internal/adminsock"
	"github.com/weftstore/weft/cmd/weft/internal/gateway"
	"github.com/weftstore/weft/store"
)

// An upload that began before a target was drained goes on for long: the target is not removed
// before it has ended and what it left there is moved.
func TestRemoveUnderUpload(t *testing.T) {
	const size = 48 << 20
	r := newRig(t, 5, 1, "ec:2+2")
	for _, n := range r.file.Nodes[:4] {
		r.node(n.Name, r.file, "")
	}
	r.start()
	r.usable(4)
	if err := r.cl.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	from, to := io.Pipe()
	put := make(chan error, 1)
	go func() {
		_, err := r.cl.PutObject(t.Context(), bucket, "slow", from, size, minio.PutObjectOptions{DisableMultipart: true})
		put <- err
	}()
	b := body("slow", size)
	if _, err := to.Write(b[:size/2]); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the upload has a file on every target", func() bool {
		files, err := filepath.Glob(filepath.Join(r.dir, "n0", "t0", "*", "*"))
		return err == nil && len(files) > 0
	})
	r.node("n4", r.file, "")
	r.usable(5)
	name := "n0:" + r.file.Nodes[0].Targets[0]
	c := adminsock.Client{Socket: filepath.Join(r.dir, "gateway", adminsock.SocketFile)}
	do := func(op string) error {
		return c.Do(t.Context(), op, adminsock.Args{Name: name}, nil, new(gateway.TargetsResult))
	}
	if err := do("drain"); err != nil {
		t.Fatal(err)
	}
	if err := do("remove"); err == nil || !strings.Contains(err.Error(), "uploads") {
		t.Errorf("removed under an upload: %v", err)
	}
	if _, err := io.Copy(to, bytes.NewReader(b[size/2:])); err != nil {
		t.Fatal(err)
	}
	_ = to.Close()
	if err := <-put; err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is drained and removed", func() bool { return do("drain") == nil && do("remove") == nil })
	r.end("n0")
	var check store.CheckResult
	if r.admin("check", true, &check); !check.Clean() {
		t.Errorf("%+v", check)
	}
	if err := r.get("slow", size); err != nil {
		t.Error(err)
	}
}

// A node comes, and the gateway that is asked to remove it has not heard yet that another uses its target.
func TestRemoveWhatAnotherUses(t *testing.T) {
	r := sharedRig(t, 3, 1, "replica:2")
	for _, n := range r.file.Nodes[:2] {
		r.node(n.Name, r.file, "")
	}
	b := r.gateway("b")
	eventually(t, "two targets", func() bool { return b.names() == "n0/t0 n1/t0" })
	r.pollEvery = time.Hour
	a := r.gateway("a")
	r.node("n2", r.file, "")
	eventually(t, "the third at one gateway", func() bool { return b.names() == "n0/t0 n1/t0 n2/t0" })
	if err := a.do("remove", "n2", new(gateway.TargetsResult)); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("removed a node whose target is in use: %v", err)
	}
}
