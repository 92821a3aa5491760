package store

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weftstore/weft/erasure"
	"github.com/weftstore/weft/internal/checksum"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/node"
	"github.com/weftstore/weft/node/extent"
	"github.com/weftstore/weft/rdma"
)

// memKV is an engine in memory: one lock, copy on write.
type memKV struct {
	mu   sync.Mutex
	data map[string][]byte
	fail error // of the next updates

	views atomic.Int64
}

type memTxn struct{ data map[string][]byte }

func (t memTxn) Get(key []byte) ([]byte, error) { return t.data[string(key)], nil }
func (t memTxn) Put(k, v []byte) error          { t.data[string(k)] = bytes.Clone(v); return nil }
func (t memTxn) Delete(k []byte) error          { delete(t.data, string(k)); return nil }
func (t memTxn) Scan(from, to []byte, fn func(key, value []byte) bool) error {
	var keys []string
	for k := range t.data {
		if k >= string(from) && (to == nil || k < string(to)) {
			keys = append(keys, k)
		}
	}
	sort.Strings(keys)
	for _, k := range keys {
		if !fn([]byte(k), t.data[k]) {
			break
		}
	}
	return nil
}

func (kv *memKV) View(_ context.Context, fn func(metadata.Reader) error) error {
	kv.views.Add(1)
	kv.mu.Lock()
	t := memTxn{maps.Clone(kv.data)}
	kv.mu.Unlock()
	return fn(t)
}

func (kv *memKV) Update(_ context.Context, fn func(metadata.Txn) error) error {
	kv.mu.Lock()
	defer kv.mu.Unlock()
	if kv.fail != nil {
		return kv.fail
	}
	t := memTxn{maps.Clone(kv.data)}
	if t.data == nil {
		t.data = map[string][]byte{}
	}
	if err := fn(t); err != nil {
		return err
	}
	kv.data = t.data
	return nil
}

func (kv *memKV) Close() error { return nil }

// fakeFabric registers plain memory that fake targets can find by key.
type fakeFabric struct {
	rdma.Transport
	mu      sync.Mutex
	regions [][]byte
}

type fakeRegion struct {
	mem []byte
	key uint32
}

func (f *fakeFabric) Register(n int) (rdma.Region, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.regions = append(f.regions, make([]byte, n))
	return &fakeRegion{f.regions[len(f.regions)-1], uint32(len(f.regions) - 1)}, nil
}

func (r *fakeRegion) Bytes() []byte { return r.mem }
func (r *fakeRegion) Remote(off, n int) rdma.Remote {
	_ = r.mem[off : off+n]
	return rdma.Remote{Addr: uint64(off), RKey: r.key, Len: uint32(n)}
}
func (r *fakeRegion) Close() error { return nil }

func (f *fakeFabric) at(r rdma.Remote) []byte {
	if r.Len == 0 {
		return nil
	}
	return f.regions[r.RKey][r.Addr : r.Addr+uint64(r.Len)]
}

var errInjected = errors.New("injected fault")

// fakeTarget keeps chunks in memory and does what fault says before every
// operation: an error fails it, and the func may block.
type fakeTarget struct {
	f     *fakeFabric
	fault func(op string) error // set before use; nil is none

	mu      sync.Mutex
	chunks  map[extent.ID]*fakeChunk
	corrupt bool // every read finds corruption
}

type fakeChunk struct {
	data, meta []byte
	created    time.Time
	corrupt    bool
}

func newFakeTarget(f *fakeFabric) *fakeTarget {
	return &fakeTarget{f: f, chunks: map[extent.ID]*fakeChunk{}}
}

func (t *fakeTarget) op(name string) error {
	if t.fault != nil {
		return t.fault(name)
	}
	return nil
}

func checkCRCs(p []byte, crcs []uint64) error {
	if got := unitCRCs(nil, p); !slices.Equal(got, crcs) {
		return fmt.Errorf("unit checksums differ: %w", extent.ErrCorrupt)
	}
	return nil
}

func (t *fakeTarget) Append(_ context.Context, id extent.ID, meta []byte, data rdma.Remote, crcs []uint64) error {
	if err := t.op("append"); err != nil {
		return err
	}
	p := bytes.Clone(t.f.at(data))
	if err := checkCRCs(p, crcs); err != nil {
		return err
	}
	return t.add(id, &fakeChunk{data: p, meta: bytes.Clone(meta)})
}

func (t *fakeTarget) add(id extent.ID, c *fakeChunk) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.chunks[id] != nil {
		return extent.ErrExists
	}
	c.created = time.Now()
	t.chunks[id] = c
	return nil
}

func (t *fakeTarget) Create(_ context.Context, id extent.ID, length int64) (node.Writer, error) {
	if err := t.op("create"); err != nil {
		return nil, err
	}
	return &fakeWriter{t: t, id: id, data: make([]byte, length)}, nil
}

type fakeWriter struct {
	t       *fakeTarget
	id      extent.ID
	data    []byte
	written int64
}

func (w *fakeWriter) Write(_ context.Context, off int64, src rdma.Remote, crcs []uint64) error {
	if err := w.t.op("write"); err != nil {
		return err
	}
	p := w.t.f.at(src)
	if err := checkCRCs(p, crcs); err != nil {
		return err
	}
	w.written += int64(copy(w.data[off:], p))
	return nil
}

func (w *fakeWriter) Commit(_ context.Context, meta []byte) error {
	if err := w.t.op("commit"); err != nil {
		return err
	}
	if w.written != int64(len(w.data)) {
		return fmt.Errorf("%d of %d bytes written: %w", w.written, len(w.data), extent.ErrInvalid)
	}
	return w.t.add(w.id, &fakeChunk{data: w.data, meta: bytes.Clone(meta)})
}

func (w *fakeWriter) Abort() {}

func (t *fakeTarget) Read(_ context.Context, id extent.ID, off int64, dst rdma.Remote) error {
	if err := t.op("read"); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.chunks[id]
	switch {
	case c == nil:
		return extent.ErrNotFound
	case t.corrupt || c.corrupt:
		clear(t.f.at(dst)) // undefined after an error
		return extent.ErrCorrupt
	case off%erasure.Unit != 0 || off+int64(dst.Len) > int64(len(c.data)):
		return extent.ErrInvalid
	}
	copy(t.f.at(dst), c.data[off:])
	return nil
}

func (t *fakeTarget) Delete(_ context.Context, ids []extent.ID) error {
	if err := t.op("delete"); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range ids {
		delete(t.chunks, id)
	}
	return nil
}

func (t *fakeTarget) List(_ context.Context, after *extent.ID, limit int) ([]extent.Info, error) {
	if err := t.op("list"); err != nil {
		return nil, err
	}
	order := func(a, b extent.ID) int {
		return cmp.Or(bytes.Compare(a.Set[:], b.Set[:]), cmp.Compare(a.Index, b.Index))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []extent.Info
	for id, c := range t.chunks {
		if after == nil || order(id, *after) > 0 {
			list = append(list, extent.Info{ID: id, Length: int64(len(c.data)), Created: c.created})
		}
	}
	slices.SortFunc(list, func(a, b extent.Info) int { return order(a.ID, b.ID) })
	return list[:min(limit, len(list))], nil
}

func (t *fakeTarget) Verify(_ context.Context, id extent.ID) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.chunks[id]
	switch {
	case c == nil:
		return extent.ErrNotFound
	case c.corrupt:
		return extent.ErrCorrupt
	}
	return nil
}

func (t *fakeTarget) Meta(_ context.Context, id extent.ID) (extent.Info, []byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.chunks[id]; c != nil {
		return extent.Info{ID: id, Length: int64(len(c.data)), Created: c.created}, c.meta, nil
	}
	return extent.Info{}, nil, extent.ErrNotFound
}

func (t *fakeTarget) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.chunks)
}

// rig is a store on fake targets.
type rig struct {
	*Store
	t       fataler
	fabric  *fakeFabric
	kv      *memKV
	db      *metadata.DB
	pool    *rdma.Pool
	small   *rdma.Pool
	targets []*fakeTarget
}

type fataler interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

type rigOptions struct {
	layout  string
	targets int
	block   int // 0: 64 KiB, so that a few hundred KiB have several stripes
	blocks  int // 0: 64
	events  Events
}

// newRig makes a store with a bucket "b". Both pools are poisoned. Close it.
func newRig(t fataler, o rigOptions) *rig {
	t.Helper()
	l, err := erasure.ParseLayout(o.layout)
	if err != nil {
		t.Fatal(err)
	}
	if o.block == 0 {
		o.block = 64 << 10
	}
	if o.blocks == 0 {
		o.blocks = 64
	}
	r := &rig{t: t, fabric: &fakeFabric{}, kv: &memKV{}}
	r.db, _ = metadata.New(r.kv, metadata.Options{})
	r.pool, _ = rdma.NewPool(r.fabric, o.blocks*o.block, o.block)
	r.small, _ = rdma.NewPool(r.fabric, o.blocks*extent.MaxInline, extent.MaxInline)
	r.pool.Poison(true)
	r.small.Poison(true)
	cfg := DefaultConfig()
	cfg.Meta, cfg.Pool, cfg.Small, cfg.Layout = r.db, r.pool, r.small, l
	cfg.SmallMax, cfg.Events = 8<<10, o.events
	for i := range max(o.targets, l.Shards()) {
		ft := newFakeTarget(r.fabric)
		r.targets = append(r.targets, ft)
		cfg.Targets = append(cfg.Targets, TargetConfig{ID: metadata.TargetID(i + 1), Name: fmt.Sprint("t", i), Target: ft})
	}
	if _, err := r.db.CreateBucket(context.Background(), "b", ""); err != nil {
		t.Fatal(err)
	}
	if r.Store, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	return r
}

// close waits for everything and checks that no block is left behind.
func (r *rig) close() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := r.Store.Close(ctx); err != nil {
		r.t.Fatal(err)
	}
	if n, m := r.pool.Stats().InUse, r.small.Stats().InUse; n != 0 || m != 0 {
		r.t.Fatalf("%d blocks and %d small blocks were not released", n, m)
	}
}

// stored counts the chunks on all targets.
func (r *rig) stored() int {
	n := 0
	for _, t := range r.targets {
		n += t.count()
	}
	return n
}

// body makes n bytes that depend on seed and position.
func testBody(n int, seed uint64) []byte {
	p := make([]byte, n)
	x := seed*0x9e3779b97f4a7c15 + 1
	for i := range p {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		p[i] = byte(x)
	}
	return p
}

func (r *rig) put(key string, data []byte) error {
	_, err := r.Put(context.Background(), &PutRequest{
		Bucket: "b", Key: key, Size: int64(len(data)), Body: bytes.NewReader(data), Algorithm: checksum.CRC64NVME,
	})
	return err
}

// get reads a range the way that s3api does.
func (r *rig) get(key string, off, n int64) ([]byte, error) {
	o, err := r.Open(context.Background(), "b", key, "")
	if err != nil {
		return nil, err
	}
	defer o.Close()
	if n < 0 {
		n = o.Version.Size - off
	}
	st, err := o.Read(context.Background(), off, n)
	if err != nil {
		return nil, err
	}
	defer st.Close()
	var buf bytes.Buffer
	_, err = st.WriteTo(&buf)
	return buf.Bytes(), err
}

// mustGet compares an object with what it should be.
func (r *rig) mustGet(key string, want []byte) {
	r.t.Helper()
	got, err := r.get(key, 0, -1)
	if err != nil {
		r.t.Fatalf("get %s: %v", key, err)
	}
	if !bytes.Equal(got, want) {
		r.t.Fatalf("get %s: %d bytes differ from the %d put", key, len(got), len(want))
	}
}
