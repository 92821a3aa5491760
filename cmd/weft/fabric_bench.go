package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weftstore/weft/cmd/weft/internal/fabric/bench"
	"github.com/weftstore/weft/cmd/weft/internal/settings"
)

// benchReport is what bench prints as JSON.
type benchReport struct {
	Address string         `json:"address"`
	Peer    string         `json:"peer"` // "node" or "fabric" (weft fabric serve)
	Fabric  []string       `json:"fabric"`
	Results []bench.Result `json:"results"`
}

// fabricBench has the flags of weft fabric bench.
type fabricBench struct {
	endFlags
	ops    []string
	sizes  []string
	target string
	cfg    bench.Config
}

const fabricBenchLong = `Measures bandwidth, by block size, depth (transfers under way on each lane) and lanes
(connections, each with transfers of its own).

From weft fabric serve, memory to memory: push is how reads of objects move (RDMA WRITE
into this host), pull how writes move (RDMA READ out of it). Blocks are stamped and
checked, so that bytes which did not arrive show. From a storage node: chunks reads
chunks that are stored there, whose bytes are compared with their checksums once before
and are then in its page cache; the node verifies every read.

The last column is the wire that carried it. Under the table stands what was counted
meanwhile: by Weft at both ends (weft fabric serve tells its own), and by the RDMA
devices, whose packets are the proof that it was RDMA.

The exit status is not 0 when a block had wrong bytes.`

func newFabricBench(open opener) *cobra.Command {
	b := &fabricBench{endFlags: endFlags{open: open}}
	cmd := &cobra.Command{
		Use:   "bench ADDRESS[,ADDRESS...] | --node NAME",
		Short: "Measure bandwidth to weft fabric serve, or chunk reads of a storage node",
		Long:  fabricBenchLong,
		Example: `  weft fabric bench 10.0.0.7:7410
  weft fabric bench 10.0.0.7:7410,10.1.0.7:7410 --secret-file s --size 1MiB --depth 16 --lanes 1,2,4
  weft fabric bench --node node3 --size 512KiB --depth 4,16 --time 10s --json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return b.run(cmd, args) },
	}
	b.add(cmd)
	fl := cmd.Flags()
	fl.StringVar(&b.node, "node", "", "name of a storage node in the cluster file, instead of an address")
	fl.StringSliceVar(&b.ops, "op", nil, "push, pull, chunks (default: what the other end can do)")
	fl.StringSliceVar(&b.sizes, "size", []string{"64KiB", "1MiB"}, "bytes of a block")
	fl.IntSliceVar(&b.cfg.Depths, "depth", []int{1, 16}, "transfers under way on each lane")
	fl.IntSliceVar(&b.cfg.Lanes, "lanes", []int{1}, "connections used at once")
	fl.DurationVar(&b.cfg.Time, "time", 3*time.Second, "length of each measurement")
	fl.Uint64Var(&b.cfg.Transfers, "transfers", 0, "transfers of each lane, instead of --time")
	fl.StringVar(&b.target, "target", "", "read chunks of this target only: its UUID or the beginning of it")
	return cmd
}

func (b *fabricBench) run(cmd *cobra.Command, args []string) (err error) {
	if b.cfg.Blocks, err = sizesOf("size", b.sizes); err != nil {
		return err
	}
	if err := b.cfg.Validate(); err != nil {
		return err
	}
	lanes := slices.Max(b.cfg.Lanes)
	to, err := b.far(cmd, args)
	if err != nil {
		return err
	}
	p, err := b.connect(cmd.Context(), to, lanes)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	first, err := bench.Ping(cmd.Context(), p.conn, 1, bench.MinPing)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	r := benchReport{Address: p.addr, Peer: first.Peer, Fabric: p.Describe()}
	run := &bench.Bench{Conn: p.conn, Transport: p, Wires: p.Wires}
	if !b.asJSON {
		fmt.Fprintf(out, "%s is %s, over %s\n", p.addr, first.PeerName(), p.over(to))
		bench.Header(out)
		run.Each = func(r *bench.Result) { r.Print(out) }
	}
	r.Results, err = b.measure(cmd.Context(), run, first.Peer)
	return errors.Join(err, b.show(out, &r))
}

// measure does what --op says, or what the other end can.
func (b *fabricBench) measure(ctx context.Context, run *bench.Bench, peer string) ([]bench.Result, error) {
	ops := b.ops
	if len(ops) == 0 {
		ops = map[string][]string{"node": {"chunks"}, "fabric": {"push", "pull"}}[peer]
	}
	cfg, chunks := b.cfg, false
	for _, op := range ops {
		switch {
		case op == "push" && peer == "fabric":
			cfg.Verbs = append(cfg.Verbs, bench.Push)
		case op == "pull" && peer == "fabric":
			cfg.Verbs = append(cfg.Verbs, bench.Pull)
		case op == "chunks" && peer == "node":
			chunks = true
		case op == "push" || op == "pull":
			return nil, fmt.Errorf("--op %s: a storage node moves chunks only: run `weft fabric serve` on its host and name that", op)
		case op == "chunks":
			return nil, errors.New("--op chunks: `weft fabric serve` has no chunks: name a storage node")
		default:
			return nil, fmt.Errorf("--op %q: want push, pull or chunks", op)
		}
	}
	if chunks {
		return run.RunChunks(ctx, cfg, b.target)
	}
	return run.Run(ctx, cfg)
}

var errWrongBytes = errors.New("blocks with wrong bytes: the fabric is not to be trusted; look at docs/RDMA.md, and report it with the output of `weft fabric devices --json`")

func (b *fabricBench) show(out io.Writer, r *benchReport) error {
	var err error
	switch {
	case b.asJSON:
		err = printJSON(out, r)
	case len(r.Results) > 0:
		bench.PrintCounters(out, r.Results)
	}
	for i := range r.Results {
		if r.Results[i].Mismatches > 0 {
			return errors.Join(err, errWrongBytes)
		}
	}
	return err
}

// sizesOf reads sizes such as 64KiB.
func sizesOf(flag string, texts []string) ([]int, error) {
	sizes := make([]int, len(texts))
	var errs []error
	for i, s := range texts {
		var n settings.Bytes
		if err := n.Set(strings.TrimSpace(s)); err != nil {
			errs = append(errs, fmt.Errorf("--%s: %w", flag, err))
		}
		sizes[i] = int(n)
	}
	return sizes, errors.Join(errs...)
}
