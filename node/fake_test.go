package node

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weftstore/weft/erasure"
	"github.com/weftstore/weft/internal/checksum"
	"github.com/weftstore/weft/node/extent"
	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/mem"
)

// fakeBackend keeps chunks in memory. fault fails operations by name.
type fakeBackend struct {
	id    extent.Identity
	fault atomic.Pointer[func(op string) error]

	mu      sync.Mutex
	chunks  map[extent.ID]fakeChunk
	aborted int
	closed  bool
}

type fakeChunk struct{ meta, data []byte }

func (f *fakeBackend) fail(op string) error {
	if p := f.fault.Load(); p != nil {
		return (*p)(op)
	}
	return nil
}

// inject sets what fails: fn gives the error of an operation.
func (f *fakeBackend) inject(fn func(op string) error) { f.fault.Store(&fn) }

func newFake(target [16]byte) *fakeBackend {
	return &fakeBackend{id: extent.Identity{Target: target}, chunks: map[extent.ID]fakeChunk{}}
}

func sums(p []byte) []uint64 {
	var crcs []uint64
	for unit := range slices.Chunk(p, erasure.Unit) {
		crcs = append(crcs, checksum.CRC64(unit))
	}
	return crcs
}

func (f *fakeBackend) Append(_ context.Context, id extent.ID, meta, data []byte, crcs []uint64) error {
	if err := f.fail("append"); err != nil {
		return err
	}
	if !slices.Equal(crcs, sums(data)) {
		return extent.ErrCorrupt
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.chunks[id]; ok {
		return extent.ErrExists
	}
	f.chunks[id] = fakeChunk{bytes.Clone(meta), bytes.Clone(data)}
	return nil
}

func (f *fakeBackend) Create(_ context.Context, id extent.ID, length int64) (ChunkWriter, error) {
	return &fakeWriter{f: f, id: id, data: make([]byte, length)}, f.fail("create")
}

func (f *fakeBackend) get(op string, id extent.ID) (fakeChunk, error) {
	if err := f.fail(op); err != nil {
		return fakeChunk{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	c, ok := f.chunks[id]
	if !ok {
		return c, extent.ErrNotFound
	}
	return c, nil
}

func (f *fakeBackend) ReadAt(_ context.Context, id extent.ID, p []byte, off int64) error {
	c, err := f.get("read", id)
	if err != nil {
		return err
	}
	if off+int64(len(p)) > int64(len(c.data)) {
		return extent.ErrInvalid
	}
	copy(p, c.data[off:])
	return nil
}

func (f *fakeBackend) CRCs(_ context.Context, id extent.ID, off, n int64) ([]uint64, error) {
	c, err := f.get("crcs", id)
	if err != nil {
		return nil, err
	}
	return sums(c.data[off : off+n]), nil
}

func (f *fakeBackend) Stat(id extent.ID) (extent.Info, error) {
	c, err := f.get("stat", id)
	return extent.Info{ID: id, Length: int64(len(c.data))}, err
}

func (f *fakeBackend) Meta(_ context.Context, id extent.ID) (extent.Info, []byte, error) {
	c, err := f.get("meta", id)
	return extent.Info{ID: id, Length: int64(len(c.data))}, c.meta, err
}

func (f *fakeBackend) Delete(_ context.Context, ids []extent.ID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range ids {
		delete(f.chunks, id)
	}
	return f.fail("delete")
}

func compareIDs(a, b extent.ID) int {
	return cmp.Or(bytes.Compare(a.Set[:], b.Set[:]), cmp.Compare(a.Index, b.Index))
}

func (f *fakeBackend) List(_ context.Context, after *extent.ID, limit int) ([]extent.Info, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var infos []extent.Info
	for id, c := range f.chunks {
		if after == nil || compareIDs(id, *after) > 0 {
			infos = append(infos, extent.Info{ID: id, Length: int64(len(c.data))})
		}
	}
	slices.SortFunc(infos, func(a, b extent.Info) int { return compareIDs(a.ID, b.ID) })
	return infos[:min(limit, len(infos))], f.fail("list")
}

func (f *fakeBackend) Verify(_ context.Context, id extent.ID) error {
	_, err := f.get("verify", id)
	return err
}

// errLong makes a compaction go on until its context ends.
var errLong = errors.New("takes long")

// compactsLong is a fault for inject.
func compactsLong(op string) error {
	if op == "compact" {
		return errLong
	}
	return nil
}

func (f *fakeBackend) Compact(ctx context.Context, _ int64) (int64, error) {
	err := f.fail("compact")
	if err == errLong {
		<-ctx.Done()
		err = ctx.Err()
	}
	return 4711, err
}

func (f *fakeBackend) Usage() (extent.Usage, error) {
	return extent.Usage{Total: 1000, Free: 10}, f.fail("usage")
}

func (f *fakeBackend) Check(context.Context) error { return f.fail("check") }
func (f *fakeBackend) Checkpoint() error           { return f.fail("checkpoint") }

func (f *fakeBackend) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return f.fail("close")
}

type fakeWriter struct {
	f    *fakeBackend
	id   extent.ID
	data []byte
}

func (w *fakeWriter) WriteAt(_ context.Context, p []byte, off int64, crcs []uint64) error {
	if err := w.f.fail("write"); err != nil {
		return err
	}
	if !slices.Equal(crcs, sums(p)) {
		return extent.ErrCorrupt
	}
	copy(w.data[off:], p)
	return nil
}

func (w *fakeWriter) Commit(ctx context.Context, meta []byte) error {
	if err := w.f.fail("commit"); err != nil {
		return err
	}
	return w.f.Append(ctx, w.id, meta, w.data, sums(w.data))
}

func (w *fakeWriter) Abort() {
	_ = w.f.fail("abort")
	w.f.mu.Lock()
	defer w.f.mu.Unlock()
	w.f.aborted++
}

// rig is a service with one fake target, a client and registered memory.
type rig struct {
	s       *Service
	fake    *fakeBackend
	fabric  *mem.Transport
	server  rdma.Server
	client  *Client
	target  *Target
	region  rdma.Region
	opened  atomic.Pointer[fakeBackend] // what Open finds
	dirInfo atomic.Pointer[dirAnswer]
	opens   atomic.Int64 // of targets that tests added
}

type dirAnswer struct {
	info DirInfo
	err  error
}

func testID(n byte) extent.ID { return extent.ID{Set: extent.SetID{n}, Index: n} }

// newRig starts a rig. change alters the configuration.
func newRig(t testing.TB, change func(c *Config)) *rig {
	t.Helper()
	r := &rig{fabric: mem.New()}
	r.fake = newFake(seq(1))
	r.opened.Store(r.fake)
	r.dirInfo.Store(&dirAnswer{})
	cfg := Config{
		Open: func(dir string, _ OpenOptions) (Backend, extent.Identity, error) {
			if dir != "dir" {
				r.opens.Add(1)
			}
			f := r.opened.Load()
			if err := f.fail("open"); err != nil {
				return nil, extent.Identity{}, err
			}
			return f, f.id, nil
		},
		Inspect: func(string) (DirInfo, error) { a := r.dirInfo.Load(); return a.info, a.err },
		// Checks are asked for by the tests that want them.
		CheckEvery: time.Hour,
	}
	if change != nil {
		change(&cfg)
	}
	r.s = New(cfg)
	t.Cleanup(func() {
		if err := r.s.Close(); err != nil {
			t.Errorf("close service: %v", err)
		}
		_ = r.fabric.Close()
	})
	uuid, err := r.s.Add(t.Context(), "dir", AddOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if r.server, err = r.fabric.Serve("", r.s.Handler()); err != nil {
		t.Fatal(err)
	}
	r.client = r.dial(t)
	r.target = r.client.Target(uuid)
	if r.region, err = r.fabric.Register(1 << 20); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.region.Close() })
	return r
}

func (r *rig) dial(t testing.TB) *Client {
	t.Helper()
	conn, err := r.fabric.Dial(t.Context(), r.server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	return NewClient(conn)
}

// data fills the first n bytes of the region and gives them with their checksums.
func (r *rig) data(n int) (rdma.Remote, []uint64) {
	p := r.region.Bytes()[:n]
	for i := range p {
		p[i] = byte(i * 7)
	}
	return r.region.Remote(0, n), sums(p)
}
