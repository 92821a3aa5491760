package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"

	"github.com/spf13/cobra"

	"github.com/weftstore/weft/cmd/weft/internal/fabric"
	"github.com/weftstore/weft/cmd/weft/internal/fabric/bench"
)

// pingReport is what ping found out about one address.
type pingReport struct {
	Address string           `json:"address"`
	Peer    string           `json:"peer"` // "node" or "fabric" (weft fabric serve)
	Wires   []string         `json:"wires"`
	Fabric  []string         `json:"fabric"` // wires of this end, and why others do not run
	Sizes   []*bench.Latency `json:"sizes"`
	// Problems are what does not fit between the RDMA of both ends.
	Problems []fabric.Problem `json:"problems,omitempty"`
}

// fabricPing has the flags of weft fabric ping.
type fabricPing struct {
	endFlags
	look  func() *fabric.Host
	count int
	texts []string
	sizes []int
}

func newFabricPing(open opener, look func() *fabric.Host) *cobra.Command {
	f := &fabricPing{endFlags: endFlags{open: open}, look: look}
	cmd := &cobra.Command{
		Use:   "ping ADDRESS[,ADDRESS...] | --node NAME",
		Short: "Measure round trips to a storage node or to weft fabric serve",
		Long: `Sends requests one after the other and measures how long each answer takes. weft fabric
serve sends back as many bytes as came; a storage node answers each with a short refusal,
which takes it as long as a small request does. Times are in microseconds.

Each of several addresses of the other end, its rails, is measured apart. With weft fabric
serve it also compares the RDMA interfaces of both hosts: MTU, protocol, networks.`,
		Example: `  weft fabric ping --node node3
  weft fabric ping 10.0.0.7 --transport verbs --size 64 --count 10000
  weft fabric ping 10.0.0.7:7410,10.1.0.7:7410 --secret-file s --json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	f.add(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.node, "node", "", "name of a storage node in the cluster file, instead of an address")
	fl.IntVar(&f.count, "count", 1000, "pings of each size")
	fl.StringSliceVar(&f.texts, "size", []string{"64", "1KiB", "16KiB"}, "bytes of a request")
	return cmd
}

func (f *fabricPing) run(cmd *cobra.Command, args []string) (err error) {
	if f.sizes, err = sizesOf("size", f.texts); err != nil {
		return err
	}
	to, err := f.far(cmd, args)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if f.asJSON {
		out = io.Discard
	}
	var reports []*pingReport
	for _, addr := range to.addrs {
		r, err := f.ping(cmd.Context(), &far{to.kind, to.options, []string{addr}}, out)
		if err != nil {
			return err
		}
		reports = append(reports, r)
	}
	if f.asJSON {
		return printJSON(cmd.OutOrStdout(), reports)
	}
	return nil
}

// ping measures one address.
func (f *fabricPing) ping(ctx context.Context, to *far, out io.Writer) (_ *pingReport, err error) {
	p, err := f.connect(ctx, to, 1)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	r := &pingReport{Address: p.addr, Fabric: p.Describe(), Wires: p.wires()}
	for i, size := range f.sizes {
		l, err := bench.Ping(ctx, p.conn, f.count, size)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			r.Peer = l.Peer
			fmt.Fprintf(out, "%s is %s, over %s\n", p.addr, l.PeerName(), p.over(to))
			bench.PingHeader(out)
		}
		l.Print(out)
		r.Sizes = append(r.Sizes, l)
	}
	if to.kind != "tcp" && r.Peer == "fabric" {
		if r.Problems, err = f.compare(ctx, p); err != nil {
			return nil, err
		}
		fabric.PrintProblems(out, r.Problems)
	}
	return r, nil
}

// compare looks whether the RDMA of this host and of the other fit, if there is any here.
func (f *fabricPing) compare(ctx context.Context, p *peer) ([]fabric.Problem, error) {
	here := fabric.Rails(f.look())
	if len(here) == 0 {
		return nil, nil
	}
	there, err := bench.Rails(ctx, p.conn)
	if err != nil {
		return nil, err
	}
	host, _, _ := net.SplitHostPort(p.addr)
	addr, _ := netip.ParseAddr(host) // of a name none is looked for
	return fabric.Mismatches(here, there, addr), nil
}
