package e2e

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
)

// content reads size bytes that depend on nothing but size and seed: a random block again and again, whose pages of
// 4 KiB begin with where they are. To make all of them at random takes 12 s a GiB in an emulated machine.
type content struct {
	off, size int64
	block     []byte
}

func newContent(size int64, seed byte) *content {
	c := &content{size: size, block: make([]byte, mib)}
	src := rand.NewChaCha8([32]byte{seed, byte(size), byte(size >> 8), byte(size >> 16), byte(size >> 24)})
	_, _ = src.Read(c.block) // never fails
	return c
}

func (c *content) Read(p []byte) (int, error) {
	if c.off == c.size {
		return 0, io.EOF
	}
	n := 0
	for n < len(p) && c.off < c.size {
		at := c.off % mib
		for i := int64(0); at == 0 && i < mib; i += 4 * kib {
			binary.LittleEndian.PutUint64(c.block[i:], uint64(c.off+i))
		}
		k := copy(p[n:], c.block[at:min(mib, at+c.size-c.off)])
		n += k
		c.off += int64(k)
	}
	return n, nil
}

// checker is the end of a copy that compares with content.
type checker struct {
	want *content
	off  int64
	buf  []byte
	at   func(off int64) // told where it is; may be nil
}

func (c *checker) Write(p []byte) (int, error) {
	if len(c.buf) < len(p) {
		c.buf = make([]byte, len(p))
	}
	if n, err := io.ReadFull(c.want, c.buf[:len(p)]); err != nil || !bytes.Equal(c.buf[:n], p) {
		return 0, fmt.Errorf("bytes %d to %d are not those that were written", c.off, c.off+int64(len(p)))
	}
	c.off += int64(len(p))
	if c.at != nil {
		c.at(c.off)
	}
	return len(p), nil
}

// bucket is that of all clients.
const bucket = "rdma"

// s3 is a client that counts what it moves.
type s3 struct {
	t      *testing.T
	client *minio.Client
	moved
}

func newS3(t *testing.T) *s3 {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 8}
	t.Cleanup(transport.CloseIdleConnections)
	client, err := minio.New(s3Address, &minio.Options{
		Creds: credentials.NewStaticV4(accessKey, secretKey, ""), Region: "us-east-1", Transport: transport,
		BucketLookup: minio.BucketLookupPath, MaxRetries: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &s3{t: t, client: client}
	if err := client.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	return s
}

func key(size int64) string { return fmt.Sprintf("size/%d", size) }

// put writes an object of content.
func (s *s3) put(size int64) {
	s.t.Helper()
	if err := s.try(newContent(size, 1), size); err != nil {
		s.t.Fatalf("put %d bytes: %v", size, err)
	}
}

// try is put with a body; more than 64 MiB go up in parts of 16 MiB.
func (s *s3) try(body io.Reader, size int64) error {
	options := minio.PutObjectOptions{PartSize: 16 * mib, NumThreads: 2, DisableMultipart: size <= 64*mib, DisableContentSha256: true}
	_, err := s.client.PutObject(s.t.Context(), bucket, key(size), body, size, options)
	if err == nil {
		s.moved.put += size
	}
	return err
}

// get reads it and checks every byte. at is told how far it is, and may be nil.
func (s *s3) get(size int64, at func(off int64)) {
	s.t.Helper()
	object, err := s.client.GetObject(s.t.Context(), bucket, key(size), minio.GetObjectOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	defer object.Close()
	n, err := io.CopyBuffer(&checker{want: newContent(size, 1), at: at}, struct{ io.Reader }{object}, make([]byte, mib))
	if err != nil || n != size {
		s.t.Fatalf("get %d bytes: %d, %v", size, n, err)
	}
	s.moved.got += size
}

// TestRDMACluster: S3 over verbs through a gateway and its nodes, and what it does when a cable is pulled and a node killed. All in
// one cluster, since starting one takes long in an emulated machine.
func TestRDMACluster(t *testing.T) {
	skipOutside(t)
	since := time.Now()
	c := newCluster(t, "verbs", hosts(t))
	c.gateway.allowed = "code=ServiceUnavailable" // without the cable
	py := startBoto3(t)
	c.start()
	lap(t, &since, "started")
	s := newS3(t)
	pullCable(t, c, s)
	moveObjects(t, c, s, py)
	killNode(t, c, s)
}

// moveObjects writes and reads objects of all sizes, with proof of what carried them.
func moveObjects(t *testing.T, c *cluster, s *s3, py *python) {
	t.Helper()
	since := time.Now()
	before := c.read()
	s.moved = moved{}
	for _, size := range []int64{0, 1, 4*kib - 1, 64 * kib, 64*kib + 1, mib, 5*mib + 7, 64 * mib} {
		s.put(size)
		s.get(size, nil)
	}
	lap(t, &since, "minio-go: up to 64 MiB")
	s.put(gib)
	lap(t, &since, "minio-go: wrote 1 GiB")
	s.get(gib, nil)
	lap(t, &since, "minio-go: read 1 GiB")
	moves := py.run(t)
	s.moved.put, s.moved.got = s.moved.put+moves.put, s.moved.got+moves.got
	lap(t, &since, "boto3: wrote %d and read %d bytes", moves.put, moves.got)
	if err := prove(before, c.read(), s.moved, fabricSockets(t)); err != nil {
		t.Errorf("%d bytes written and %d read, but no proof that it was RDMA:\n%v", s.moved.put, s.moved.got, err)
	}
}

// killNode: a node is killed under a read; what it had is served from the others and written without it, and it comes back.
func killNode(t *testing.T, c *cluster, s *s3) {
	t.Helper()
	since := time.Now()
	objects := resources(t)
	victim := c.nodes[2]
	s.get(64*mib, func(off int64) {
		if off >= 16*mib && victim.cmd != nil {
			victim.kill()
		}
	})
	s.put(16 * mib)
	s.get(16*mib, nil)
	c.await("away", victim.name)
	lap(t, &since, "with a node killed")
	victim.start()
	c.await("up", victim.name)
	eventually(t, "queue pairs, regions and the rest are as many as before the node was killed", func() error { return differ(objects, resources(t)) })
	c.settle()
	lap(t, &since, "node back, repaired, all chunks verified")
}

// resources counts the RDMA objects of all processes.
func resources(t *testing.T) string {
	t.Helper()
	return string(run(t, "rdma", "resource", "show"))
}

func differ(before, now string) error {
	if now != before {
		return fmt.Errorf("before\n%snow\n%s", before, now)
	}
	return nil
}

// python is the Python client, which waits until it is told to begin: its imports take half a minute in an emulated machine.
type python struct {
	cmd   *exec.Cmd
	begin io.Closer
	out   bytes.Buffer
}

// startBoto3 starts it. The end of the test ends it.
func startBoto3(t *testing.T) *python {
	t.Helper()
	p := &python{cmd: exec.CommandContext(t.Context(), "../../../.venv/sdk/bin/python", "objects.py", bucket)}
	p.cmd.Env = append(os.Environ(), "WEFT_ENDPOINT=http://"+s3Address, "AWS_ACCESS_KEY_ID="+accessKey, "AWS_SECRET_ACCESS_KEY="+secretKey,
		"AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_EC2_METADATA_DISABLED=true", "PYTHONDONTWRITEBYTECODE=1")
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	var err error
	if p.begin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			_ = p.cmd.Wait() // the context has ended it
		}
	})
	return p
}

// run lets it begin and waits for its end.
func (p *python) run(t *testing.T) (m moved) {
	t.Helper()
	late := time.AfterFunc(10*time.Minute, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	err := errors.Join(p.begin.Close(), p.cmd.Wait())
	lines := strings.Split(strings.TrimSpace(p.out.String()), "\n")
	if err == nil {
		_, err = fmt.Sscanf(lines[len(lines)-1], "put %d got %d", &m.put, &m.got)
	}
	if err != nil {
		t.Fatalf("boto3: %v\n%s", err, p.out.String())
	}
	return m
}

// TestRDMAProofFails: what proves that RDMA carried the payload does not prove it for a cluster over TCP.
func TestRDMAProofFails(t *testing.T) {
	skipOutside(t)
	c := newCluster(t, "tcp", hosts(t))
	c.start()
	before := c.read()
	s := newS3(t)
	s.put(8 * mib)
	s.get(8*mib, nil)
	err := prove(before, c.read(), s.moved, fabricSockets(t))
	if err == nil {
		t.Fatal("TCP passes for RDMA")
	}
	for _, want := range []string{
		"bytes pulled by verbs: 0", "bytes pushed by verbs: 0", "pulled_bytes over tcp", "pushed_bytes over tcp", "calls over tcp",
		"packets sent by the gateway's rxe0: 0", "packets sent by rxe1: 0", "packets sent by the nodes' devices: 0", "a TCP connection",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in:\n%v", want, err)
		}
	}
}
