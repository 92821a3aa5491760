package bench

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weftstore/weft/cmd/weft/internal/fabric"
	"github.com/weftstore/weft/erasure"
	"github.com/weftstore/weft/internal/checksum"
	"github.com/weftstore/weft/node"
	"github.com/weftstore/weft/node/extent"
	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/mem"
)

// rig is a bench over mem against a handler; nil is a Server.
func rig(t *testing.T, h rdma.Handler) *Bench {
	t.Helper()
	fabric := mem.New()
	t.Cleanup(func() { fabric.Close() })
	wires := func() []rdma.Counted { return []rdma.Counted{fabric} }
	if h == nil {
		s := NewServer(wires)
		s.root = t.TempDir()
		h = s.Handler()
	}
	srv, err := fabric.Serve("", h)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := fabric.Dial(t.Context(), srv.Addr())
	if err != nil {
		t.Fatal(err)
	}
	return &Bench{Conn: conn, Transport: fabric, Wires: wires, root: t.TempDir()}
}

func TestPing(t *testing.T) {
	b := rig(t, nil)
	l, err := Ping(t.Context(), b.Conn, 100, 64)
	if err != nil {
		t.Fatal(err)
	}
	if l.Peer != "fabric" || l.Count != 100 || l.Min <= 0 || l.Min > l.P50 || l.P50 > l.P90 || l.P90 > l.P99 || l.P99 > l.P999 || l.P999 > l.Max {
		t.Errorf("latency %+v", l)
	}
	if _, err := Rails(t.Context(), b.Conn); err != nil {
		t.Error(err)
	}
	for _, size := range []int{headSize - 1, rdma.MaxMessage + 1} {
		if _, err := Ping(t.Context(), b.Conn, 1, size); err == nil {
			t.Errorf("a ping of %d bytes", size)
		}
	}
	if _, err := Ping(t.Context(), b.Conn, 1, rdma.MaxMessage); err != nil {
		t.Error(err)
	}
	short := rig(t, func(_ context.Context, _ rdma.Peer, req, rep []byte) int { return copy(rep, req) - 1 })
	if _, err := Ping(t.Context(), short.Conn, 1, 64); err == nil {
		t.Error("an answer that is cut short passes")
	}
}

func TestRun(t *testing.T) {
	b := rig(t, nil)
	var told int
	b.Each = func(*Result) { told++ }
	cfg := Config{Verbs: []Verb{Push, Pull}, Blocks: []int{4096, 1 << 20}, Depths: []int{1, 8}, Lanes: []int{1, 2}, Transfers: 20}
	results, err := b.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != 16 || told != 16 {
		t.Fatalf("%d results, %d told", len(results), told)
	}
	for _, r := range results {
		n := uint64(20 * r.Lanes)
		if r.Transfers != n || r.Bytes != n*uint64(r.Block) || r.Mismatches != 0 || r.MiBps <= 0 || !slices.Equal(r.Wires, []string{"mem"}) {
			t.Errorf("result %+v", r)
		}
		name := map[string]string{"push": "mem PushedBytes", "pull": "mem PulledBytes"}[r.Op]
		if r.Here[name] != r.Bytes || r.There[name] != r.Bytes {
			t.Errorf("%s: counted %d here and %d there of %d", name, r.Here[name], r.There[name], r.Bytes)
		}
	}
	var out bytes.Buffer
	Header(&out)
	results[0].Print(&out)
	PrintCounters(&out, results)
	if !strings.Contains(out.String(), "4KiB") || !strings.Contains(out.String(), "counters, other end") {
		t.Errorf("table:\n%s", out.String())
	}
}

// TestRunByTime: a run ends when its time is over, and no earlier.
func TestRunByTime(t *testing.T) {
	b := rig(t, nil)
	cfg := Config{Verbs: []Verb{Push}, Blocks: []int{4096}, Depths: []int{2}, Lanes: []int{1}, Time: 30 * time.Millisecond}
	results, err := b.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r := results[0]; r.Seconds < 0.03 || r.Transfers == 0 {
		t.Errorf("result %+v", r)
	}
}

// TestLies: a peer that says it moved bytes and did not, or moved others, is found
// out, in both directions.
func TestLies(t *testing.T) {
	s := NewServer(func() []rdma.Counted { return nil })
	honest := func(ctx context.Context, p rdma.Peer, r *run) *moved {
		m, err := s.run(ctx, p, r)
		if err != nil {
			t.Error(err)
			return &moved{}
		}
		return m
	}
	type liar func(ctx context.Context, p rdma.Peer, r *run) *moved
	for name, c := range map[string]struct {
		verb Verb
		lie  liar
		want uint64
	}{
		"honest push": {Push, honest, 0},
		"honest pull": {Pull, honest, 0},
		"pushes nothing": {Push, func(_ context.Context, _ rdma.Peer, r *run) *moved {
			return &moved{transfers: 8, bytes: 8 * uint64(r.block)}
		}, 8},
		"one push fewer": {Push, func(ctx context.Context, p rdma.Peer, r *run) *moved {
			r.transfers--
			m := honest(ctx, p, r)
			m.transfers, m.bytes = m.transfers+1, m.bytes+uint64(r.block)
			return m
		}, 1},
		"pushes the first half": {Push, func(ctx context.Context, p rdma.Peer, r *run) *moved {
			m := honest(ctx, p, r)
			half := r.slot(0)
			half.Len /= 2
			if err := p.Push(ctx, half, func(b []byte) error { stamp(b, 1); return nil }); err != nil {
				t.Error(err)
			}
			return m
		}, 1},
		"pushes other blocks": {Push, func(ctx context.Context, p rdma.Peer, r *run) *moved { r.seed += 1 << 40; return honest(ctx, p, r) }, 8},
		"pulls other blocks":  {Pull, func(ctx context.Context, p rdma.Peer, r *run) *moved { r.seed++; return honest(ctx, p, r) }, 8},
		"writes on a pull": {Pull, func(ctx context.Context, p rdma.Peer, r *run) *moved {
			m := honest(ctx, p, r)
			r.verb = Push
			honest(ctx, p, r)
			return m
		}, 1},
	} {
		b := rig(t, func(ctx context.Context, p rdma.Peer, req, rep []byte) int {
			var r run
			if r.decode(req) != nil {
				return 0
			}
			return c.lie(ctx, p, &r).encode(rep)
		})
		cfg := Config{Verbs: []Verb{c.verb}, Blocks: []int{4096}, Depths: []int{4}, Lanes: []int{1}, Transfers: 8}
		results, err := b.Run(t.Context(), cfg)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := results[0].Mismatches; got < c.want || (got > 0) != (c.want > 0) {
			t.Errorf("%s: %d mismatches, want %d", name, got, c.want)
		}
	}
}

func TestRefused(t *testing.T) {
	b := rig(t, nil)
	cfg := Config{Verbs: []Verb{Push}, Blocks: []int{4096}, Depths: []int{1}, Lanes: []int{1}, Transfers: 1}
	stranger := rig(t, func(_ context.Context, _ rdma.Peer, _, rep []byte) int { return copy(rep, "what?") })
	if _, err := stranger.Run(t.Context(), cfg); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "weft fabric serve") {
		t.Errorf("a stranger: %v", err)
	}
	bad := run{verb: Push, depth: 1, block: 4096, transfers: 1, memory: rdma.Remote{Addr: 4096, RKey: 1, Len: 4096}}
	if _, err := b.call(t.Context(), &bad, make([]byte, 4096)); !errors.Is(err, ErrRefused) || strings.Contains(err.Error(), "4096") {
		t.Errorf("memory that is not there: %v", err)
	}
	for _, change := range []func(*Config){
		func(c *Config) { c.Blocks = []int{MinBlock - 1} }, func(c *Config) { c.Blocks = []int{rdma.MaxBulk + 1} },
		func(c *Config) { c.Depths = []int{MaxDepth + 1} }, func(c *Config) { c.Lanes = nil },
		func(c *Config) { c.Transfers = 0 },
		func(c *Config) {
			c.Blocks, c.Depths, c.Lanes = []int{rdma.MaxBulk}, []int{MaxDepth}, []int{MaxRuns}
		},
	} {
		c := cfg
		change(&c)
		if _, err := b.Run(t.Context(), c); err == nil {
			t.Errorf("%+v passes", c)
		}
	}
}

// TestTooManyRuns: what a server has under way is bounded.
func TestTooManyRuns(t *testing.T) {
	s := NewServer(func() []rdma.Counted { return nil })
	for range MaxRuns {
		s.runs <- struct{}{}
	}
	if _, err := s.run(t.Context(), nil, &run{verb: Push, depth: 1, block: 4096}); err == nil {
		t.Error("one run too many")
	}
}

// TestChunks reads from a real node with a real target.
func TestChunks(t *testing.T) {
	service := node.New(node.Config{IndexDir: t.TempDir()})
	defer service.Close()
	dir := t.TempDir()
	id := extent.Identity{Deployment: [16]byte{1}, Target: [16]byte{2}}
	if err := service.Format(dir, id, node.FormatOptions{}); err != nil {
		t.Fatal(err)
	}
	uuid, err := service.Add(t.Context(), dir, node.AddOptions{})
	if err != nil {
		t.Fatal(err)
	}
	b := rig(t, service.Handler())
	if _, err := Rails(t.Context(), b.Conn); !errors.Is(err, ErrRefused) {
		t.Errorf("rails of a node: %v", err)
	}
	if l, err := Ping(t.Context(), b.Conn, 10, 64); err != nil || l.Peer != "node" {
		t.Errorf("ping of a node: %+v, %v", l, err)
	}
	cfg := Config{Blocks: []int{erasure.Unit, 64 << 10}, Depths: []int{2}, Lanes: []int{2}, Transfers: 10}
	if _, err := b.RunChunks(t.Context(), cfg, ""); err == nil {
		t.Error("a node without chunks was measured")
	}
	region, err := b.Transport.Register(extent.MaxInline)
	if err != nil {
		t.Fatal(err)
	}
	defer region.Close()
	copy(region.Bytes(), strings.Repeat("some bytes ", extent.MaxInline/11))
	var crcs []uint64
	for off := 0; off < extent.MaxInline; off += erasure.Unit {
		crcs = append(crcs, checksum.CRC64(region.Bytes()[off:off+erasure.Unit]))
	}
	target := node.NewClient(b.Conn).Target(uuid)
	for i := range 3 {
		err := target.Append(t.Context(), extent.ID{Set: extent.SetID{9}, Index: uint8(i)}, nil, region.Remote(0, extent.MaxInline), crcs)
		if err != nil {
			t.Fatal(err)
		}
	}
	results, err := b.RunChunks(t.Context(), cfg, uuid.String()[:8])
	if err != nil || len(results) != 2 {
		t.Fatalf("%v, %+v", err, results)
	}
	for _, r := range results {
		if r.Transfers != 20 || r.Here["mem PushedBytes"] != r.Bytes || r.Op != "chunks" {
			t.Errorf("result %+v", r)
		}
	}
	cfg.Blocks = []int{1 << 20}
	if _, err := b.RunChunks(t.Context(), cfg, ""); err == nil || !strings.Contains(err.Error(), "larger objects") {
		t.Errorf("blocks longer than any chunk: %v", err)
	}
	if _, err := b.RunChunks(t.Context(), cfg, "ffff"); err == nil {
		t.Error("a target that is not there was measured")
	}
}

// TestRails: what the other end tells is told on, and nothing that a terminal obeys.
func TestRails(t *testing.T) {
	told := []fabric.Rail{{Port: "mlx5_0/1", Netdev: "ens\x1b[2J1", MTU: 9000, Protocol: "RoCE v2", Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.7/24")}}}
	b := rig(t, func(_ context.Context, _ rdma.Peer, _, rep []byte) int { return reply(rep, opRails, told) })
	got, err := Rails(t.Context(), b.Conn)
	if err != nil || len(got) != 1 || got[0].MTU != 9000 || got[0].Addrs[0] != told[0].Addrs[0] || got[0].Netdev != "ens?[2J1" {
		t.Errorf("%+v, %v", got, err)
	}
	long := rig(t, func(_ context.Context, _ rdma.Peer, _, rep []byte) int {
		return reply(rep, opRails, make([]fabric.Rail, 1000))
	})
	if _, err := Rails(t.Context(), long.Conn); !errors.Is(err, ErrRefused) {
		t.Errorf("more than a message holds: %v", err)
	}
	wrong := rig(t, func(_ context.Context, _ rdma.Peer, _, rep []byte) int { return reply(rep, opRails, "what?") })
	if _, err := Rails(t.Context(), wrong.Conn); err == nil {
		t.Error("an answer of another shape passes")
	}
}

func FuzzServer(f *testing.F) {
	var p [runSize]byte
	r := run{verb: Push, depth: 2, block: 4096, transfers: 3, memory: rdma.Remote{Addr: 1 << 40, RKey: 5, Len: 8192}}
	f.Add(append([]byte(nil), p[:r.encode(p[:])]...))
	head(p[:], opPing, 0)
	f.Add(p[:64%len(p)+headSize])
	head(p[:], opCounters, 0)
	f.Add(p[:headSize])
	f.Add([]byte("WFB1"))
	root, err := os.MkdirTemp("", "weft-fuzz")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { os.RemoveAll(root) })
	s := NewServer(func() []rdma.Counted { return nil })
	s.root = root
	s.look = func() *fabric.Host { return &fabric.Host{} }
	f.Fuzz(func(t *testing.T, req []byte) {
		if len(req) > rdma.MaxMessage {
			return
		}
		rep := make([]byte, rdma.MaxMessage)
		if n := s.handle(t.Context(), refusing{}, req, rep); n < 0 || n > len(rep) {
			t.Errorf("answer of %d bytes", n)
		}
		var got run
		if op, _, ok := known(req); !ok || op != opRun || got.decode(req) != nil {
			return
		}
		again := make([]byte, runSize)
		if got.encode(again); !bytes.Equal(again, req) {
			t.Errorf("%x became %x", req, again)
		}
		if end := got.slot(got.depth - 1); end.Addr+uint64(end.Len) != got.memory.Addr+uint64(got.memory.Len) {
			t.Error("slots do not end with the memory")
		}
	})
}

func FuzzAnswer(f *testing.F) {
	var p [resultSize]byte
	f.Add(p[:(&moved{transfers: 1, bytes: 2, time: 3, mismatches: 4}).encode(p[:])])
	var e [headSize + maxText]byte
	f.Add(e[:refuse(e[:], opRun, errors.New(strings.Repeat("x", 300)))])
	f.Fuzz(func(_ *testing.T, rep []byte) {
		var m moved
		if answer(rep, opRun) == nil {
			_ = m.decode(rep)
		}
		_ = answer(rep, opCounters)
	})
}

// refusing is a peer without memory.
type refusing struct{ rdma.Peer }

func (refusing) Pull(context.Context, rdma.Remote, func([]byte) error) error { return rdma.ErrRemote }
func (refusing) Push(context.Context, rdma.Remote, func([]byte) error) error { return rdma.ErrRemote }
