package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	miniocreds "github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/weftstore/weft/cmd/weft/internal/adminsock"
	"github.com/weftstore/weft/cmd/weft/internal/gateway"
	"github.com/weftstore/weft/node"
	"github.com/weftstore/weft/store"
)

// rig is a running server with a client.
type rig struct {
	*Server
	t      *testing.T
	cl     *minio.Client
	trans  *http.Transport
	cancel context.CancelFunc
	done   chan error
}

// testConfig names n target directories that are not there yet.
func testConfig(t *testing.T, n int) Config {
	dir := t.TempDir()
	cfg := DefaultConfig()
	cfg.Address, cfg.Memory = "127.0.0.1:0", gateway.MinMemory
	cfg.checkEvery = 200 * time.Millisecond
	cfg.State = filepath.Join(dir, "state")
	for i := range n {
		cfg.Targets = append(cfg.Targets, filepath.Join(dir, fmt.Sprint("t", i)))
	}
	return cfg
}

// start serves until stop, or until the test ends.
func start(t *testing.T, cfg Config, log *slog.Logger) *rig {
	t.Helper()
	cfg.Targets = slices.Clone(cfg.Targets)
	s, err := New(context.Background(), cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &rig{Server: s, t: t, cancel: cancel, done: make(chan error, 1)}
	go func() { r.done <- s.Run(ctx) }()
	t.Cleanup(r.stop)
	r.trans = &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}
	r.cl, err = minio.New(s.Addr(), &minio.Options{
		Creds:      miniocreds.NewStaticV4(r.access(), r.secret(), ""),
		Region:     cfg.Region,
		Transport:  r.trans,
		MaxRetries: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) access() string { a, _ := r.gateway.Credentials(); return a }
func (r *rig) secret() string { _, s := r.gateway.Credentials(); return s }

// stop ends the server in order. More than once is fine.
func (r *rig) stop() {
	r.t.Helper()
	if r.done == nil {
		return
	}
	r.trans.CloseIdleConnections()
	r.cancel()
	if err := <-r.done; err != nil {
		r.t.Errorf("stop: %v", err)
	}
	r.done = nil
}

const testBucket = "bucket"

func (r *rig) makeBucket() {
	r.t.Helper()
	if err := r.cl.MakeBucket(r.t.Context(), testBucket, minio.MakeBucketOptions{}); err != nil {
		r.t.Fatal(err)
	}
}

// object is what was put under a key: n bytes that follow from the seed.
type object struct {
	key  string
	n    int64
	seed uint64
}

func (o object) body() io.Reader {
	var seed [32]byte
	seed[0], seed[1], seed[2] = byte(o.seed), byte(o.seed>>8), byte(o.seed>>16)
	return io.LimitReader(rand.NewChaCha8(seed), o.n)
}

// put uploads o; what is longer than 5 MiB goes in parts of 5 MiB.
func (r *rig) put(o object) error {
	_, err := r.cl.PutObject(r.t.Context(), testBucket, o.key, o.body(), o.n, minio.PutObjectOptions{PartSize: 5 << 20, NumThreads: 2})
	return err
}

// get is an error when the bytes are not those of o.
func (r *rig) get(o object) error {
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
	defer cancel()
	got, err := r.cl.GetObject(ctx, testBucket, o.key, minio.GetObjectOptions{})
	if err != nil {
		return err
	}
	defer got.Close()
	return sameBytes(got, o)
}

var (
	errWrongBytes = errors.New("wrong bytes")
	errCutShort   = errors.New("cut short")
)

func sameBytes(got io.Reader, o object) error {
	want := o.body()
	a, b := make([]byte, 64<<10), make([]byte, 64<<10)
	for off := int64(0); ; {
		n, err := io.ReadFull(got, a)
		m, _ := io.ReadFull(want, b)
		if !bytes.Equal(a[:n], b[:min(n, m)]) {
			return fmt.Errorf("get %s: %w at %d", o.key, errWrongBytes, off)
		}
		off += int64(n)
		switch {
		case err == nil:
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			if off != o.n {
				return fmt.Errorf("get %s: %w: %d of %d", o.key, errCutShort, off, o.n)
			}
			return nil
		default:
			return fmt.Errorf("get %s: %w", o.key, err)
		}
	}
}

func (r *rig) mustPut(os ...object) {
	r.t.Helper()
	r.each(os, r.put)
}

func (r *rig) mustGet(os ...object) {
	r.t.Helper()
	r.each(os, r.get)
}

// each calls fn for all objects, a few at once.
func (r *rig) each(os []object, fn func(object) error) {
	r.t.Helper()
	var mu sync.Mutex
	var errs []error
	var wg sync.WaitGroup
	slots := make(chan struct{}, 8)
	for _, o := range os {
		slots <- struct{}{}
		wg.Go(func() {
			if err := fn(o); err != nil {
				mu.Lock()
				errs = append(errs, fmt.Errorf("%s (%d bytes): %w", o.key, o.n, err))
				mu.Unlock()
			}
			<-slots
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		r.t.Fatal(err)
	}
}

// admin runs an operation over the socket, as the command line does.
func (r *rig) admin(op string, args adminsock.Args, result any) {
	r.t.Helper()
	c := adminsock.Client{Socket: r.state.Path(adminsock.SocketFile)}
	if err := c.Do(r.t.Context(), op, args, nil, result); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) check(deep bool) (res store.CheckResult) {
	r.t.Helper()
	r.admin("check", adminsock.Args{Deep: deep}, &res)
	return res
}

func (r *rig) mustBeClean() {
	r.t.Helper()
	if res := r.check(true); !res.Clean() {
		r.t.Fatalf("check: %+v", res)
	}
}

func (r *rig) mustRepair() (res store.RepairResult) {
	r.t.Helper()
	r.admin("repair", adminsock.Args{}, &res)
	if res.Failed+res.Lost+res.Waiting != 0 {
		r.t.Fatalf("repair: %+v", res)
	}
	return res
}

// await polls until the targets with these numbers are in a state that ok takes.
func (r *rig) await(targets []int, ok func(node.State) bool) {
	r.t.Helper()
	r.until(15*time.Second, func() bool {
		all := r.node.Targets()
		return !slices.ContainsFunc(targets, func(i int) bool { return !ok(all[i].State) })
	})
}

// until polls cond.
func (r *rig) until(d time.Duration, cond func() bool) {
	r.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(d); !cond(); <-tick.C {
		if time.Now().After(end) {
			r.t.Fatalf("not within %v; targets: %+v", d, r.node.Targets())
		}
	}
}
