package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"runtime/pprof"
	"testing"
	"time"

	"github.com/google/pprof/profile"
	"github.com/minio/minio-go/v7"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/mem"
	"github.com/weftstore/weft/rdma/network"
)

// That payload is not copied in user space on its way between the socket of an S3
// client and the files of the nodes is shown by a profile of a process that is a
// gateway and its nodes: the time in runtime.memmove, which is what copies bytes in
// Go, is compared with that of copying as many bytes once. The client is in the
// process too, and writes to and reads from its socket without a copy of its own.
// What makes the heap grow with the bytes that are served shows in the bytes that
// were ever allocated.

const (
	copiesBlock = 1 << 20
	// copiesBytes is what is put and got. Copying it once is some ten samples of a profile, of
	// which one or two may come from elsewhere.
	copiesBytes = 1 << 30
	// copiesMost is how often a byte may be copied, by the profile, whose samples are
	// few. copiesHeap is how much may be allocated for 1 MiB, in bytes.
	copiesMost = 0.5
	copiesHeap = 256 << 10
)

// moved is what a measured run did.
type moved struct {
	copying time.Duration // in runtime.memmove
	heap    uint64        // bytes allocated
	objects uint64        // bytes of live objects at most, by the metrics of the runtime
}

// profiled runs f and looks at its profile.
func profiled(t *testing.T, f func()) (m moved) {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "cpu"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	runtime.GC()
	allocated, _ := heapNow()
	peak := make(chan uint64)
	stop := make(chan struct{})
	go func() { peak <- watchObjects(stop) }()
	if err := pprof.StartCPUProfile(file); err != nil {
		t.Fatal(err)
	}
	f()
	pprof.StopCPUProfile()
	close(stop)
	m.objects = <-peak
	after, _ := heapNow()
	m.heap = after - allocated
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	p, err := profile.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, sample := range p.Sample { // the values are a count and nanoseconds
		if at := sample.Location; len(at) > 0 && len(at[0].Line) > 0 && at[0].Line[0].Function.Name == "runtime.memmove" {
			m.copying += time.Duration(sample.Value[1])
		}
	}
	return m
}

// heapNow is what was ever allocated, and the live objects.
func heapNow() (allocated, objects uint64) {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64(), s[1].Value.Uint64()
}

func watchObjects(stop <-chan struct{}) (most uint64) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return most
		case <-tick.C:
			_, n := heapNow()
			most = max(most, n)
		}
	}
}

// once is the time of copying so many bytes once, blocks of memory that is no longer
// in the caches. They are copied several times, since samples are 10 ms apart.
func once(t *testing.T, n int) time.Duration {
	t.Helper()
	const times = 8
	from, to := make([]byte, 64<<20), make([]byte, 64<<20)
	for i := range from { // its pages are there
		from[i], to[i] = 1, 2
	}
	m := profiled(t, func() {
		for off := 0; off < times*n; off += copiesBlock {
			at := off % len(from)
			copy(to[at:at+copiesBlock], from[at:at+copiesBlock])
		}
	})
	runtime.KeepAlive(to)
	if m.copying == 0 {
		t.Fatal("the profile does not show a copy")
	}
	return m.copying / times
}

// request sends a presigned request over a connection of its own, its body being n
// bytes of block over and over.
func request(t *testing.T, method string, u *url.URL, block []byte, n int) (net.Conn, *http.Response) {
	t.Helper()
	c, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n", method, u.RequestURI(), u.Host, n)
	for off := 0; off < n; off += len(block) {
		if _, err := c.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	resp, err := http.ReadResponse(bufio.NewReaderSize(c, 4096), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		t.Fatalf("%s: %s: %s", method, resp.Status, text)
	}
	return c, resp
}

// presigned is a URL for an object.
func (r *rig) presigned(method string) *url.URL {
	r.t.Helper()
	u, err := r.cl.Presign(r.t.Context(), method, bucket, "big", time.Hour, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return u
}

// check reads the body of a response and compares it with blocks.
func check(t *testing.T, resp *http.Response, block []byte, n int) {
	t.Helper()
	got := make([]byte, len(block))
	for off := 0; off < n; off += len(got) {
		if _, err := io.ReadFull(resp.Body, got); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, block) {
			t.Fatalf("wrong bytes in the MiB at %d", off)
		}
	}
}

// copiesRig is a cluster of three nodes over a transport.
func copiesRig(t *testing.T, open func(t *testing.T) (rdma.Transport, func(i int) string)) *rig {
	t.Helper()
	r := newRig(t, 3, 1, "ec:2+1")
	_ = r.fabric.Close()
	var addr func(i int) string
	r.fabric, addr = open(t)
	for i := range r.file.Nodes {
		r.file.Nodes[i].Addresses = []string{addr(i)}
	}
	r.all()
	r.start()
	r.usable(3)
	if err := r.cl.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	return r
}

// freeAddress is one of loopback on which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func fabricOf(t *testing.T, kind string) rdma.Transport {
	t.Helper()
	f, err := network.New(network.Config{Kind: kind, Options: rdma.Options{Secret: bytes.Repeat([]byte("s"), rdma.MinSecret)}})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// putBig and getBig move n bytes in and out and give what that did.
func (r *rig) putBig(block []byte, n int) moved {
	r.t.Helper()
	_, _ = rand.Read(block)
	r.warm(block)
	return profiled(r.t, func() { request(r.t, http.MethodPut, r.presigned(http.MethodPut), block, n) })
}

func (r *rig) getBig(block []byte, n int) moved {
	r.t.Helper()
	return profiled(r.t, func() {
		_, resp := request(r.t, http.MethodGet, r.presigned(http.MethodGet), nil, 0)
		check(r.t, resp, block, n)
	})
}

// warm makes what is made once.
func (r *rig) warm(block []byte) {
	r.t.Helper()
	for range 3 {
		request(r.t, http.MethodPut, r.presigned(http.MethodPut), block, 16*len(block))
		_, resp := request(r.t, http.MethodGet, r.presigned(http.MethodGet), nil, 0)
		check(r.t, resp, block, 16*len(block))
	}
}

func TestNoHiddenCopies(t *testing.T) {
	if testing.Short() {
		t.Skip("moves GiBs")
	}
	for name, open := range map[string]func(t *testing.T) (rdma.Transport, func(i int) string){
		"mem": func(*testing.T) (rdma.Transport, func(i int) string) {
			return mem.New(), func(i int) string { return fmt.Sprint("n", i) }
		},
		"tcp": func(t *testing.T) (rdma.Transport, func(i int) string) {
			return fabricOf(t, network.TCP), func(int) string { return freeAddress(t) }
		},
	} {
		t.Run(name, func(t *testing.T) { noHiddenCopies(t, copiesRig(t, open), copiesBytes) })
	}
}

// TestRDMANoHiddenCopies is the same over verbs, with fewer bytes since the machine is emulated.
func TestRDMANoHiddenCopies(t *testing.T) {
	if os.Getenv("WEFT_RDMA_TEST") == "" {
		t.Skip("needs RDMA devices: run it by scripts/rdma/test")
	}
	var f rdma.Transport
	r := copiesRig(t, func(t *testing.T) (rdma.Transport, func(i int) string) {
		f = fabricOf(t, network.Verbs)
		return f, func(i int) string { return fmt.Sprintf("10.0.0.2:%d", 7501+i) }
	})
	const n = 128 << 20
	noHiddenCopies(t, r, n)
	if s := f.Stats(); s.PulledBytes < n || s.PushedBytes < n {
		t.Errorf("verbs pulled %d bytes and pushed %d of %d", s.PulledBytes, s.PushedBytes, n)
	}
}

func noHiddenCopies(t *testing.T, r *rig, n int) {
	t.Helper()
	block := make([]byte, copiesBlock)
	put, get := r.putBig(block, n), r.getBig(block, n)
	one := once(t, n)
	for what, m := range map[string]moved{"put": put, "get": get} {
		copies, heap := m.copying.Seconds()/one.Seconds(), m.heap/(uint64(n)>>20)
		t.Logf("%s: %.2f copies of each byte (%s in memmove, one copy takes %s), %d bytes allocated for 1 MiB, at most %d KiB of objects",
			what, copies, m.copying, one, heap, m.objects>>10)
		if copies > copiesMost {
			t.Errorf("%s: each byte is copied %.2f times, want at most %.1f", what, copies, copiesMost)
		}
		if heap > copiesHeap {
			t.Errorf("%s: %d bytes are allocated for each MiB that is served, want at most %d", what, heap, copiesHeap)
		}
	}
}

// copying is a fabric with one copy too many at the answering end.
type copying struct{ rdma.Transport }

type copyingPeer struct{ rdma.Peer }

func (c copying) Serve(addr string, h rdma.Handler) (rdma.Server, error) {
	return c.Transport.Serve(addr, func(ctx context.Context, p rdma.Peer, req, rep []byte) int {
		return h(ctx, copyingPeer{p}, req, rep)
	})
}

func (p copyingPeer) Pull(ctx context.Context, src rdma.Remote, use func(p []byte) error) error {
	return p.Peer.Pull(ctx, src, func(b []byte) error {
		to := make([]byte, len(b))
		copy(to, b)
		return use(to)
	})
}

// TestHiddenCopiesAreFound: with one copy too many, of every byte, the same measure
// fails.
func TestHiddenCopiesAreFound(t *testing.T) {
	if testing.Short() {
		t.Skip("moves GiBs")
	}
	r := copiesRig(t, func(*testing.T) (rdma.Transport, func(i int) string) {
		return copying{mem.New()}, func(i int) string { return fmt.Sprint("n", i) }
	})
	put := r.putBig(make([]byte, copiesBlock), copiesBytes)
	copies, heap := put.copying.Seconds()/once(t, copiesBytes).Seconds(), put.heap/(copiesBytes>>20)
	if t.Logf("%.2f copies, %d bytes allocated for 1 MiB", copies, heap); copies <= copiesMost || heap <= copiesHeap {
		t.Errorf("a copy of each byte counts as %.2f, with %d bytes allocated for 1 MiB", copies, heap)
	}
}
