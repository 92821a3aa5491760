// Command fabric compares the fabric with the tools that measure the network beneath it: over verbs with perftest's
// ib_write_bw, ib_read_bw and ib_send_lat, over TCP with iperf3, and reads of chunks through a storage node with memory to
// memory. It runs on a host with two RDMA devices, such as the machine that bench/fabric.sh boots, and starts both ends of
// everything itself.
//
// What is compared takes turns, in rounds whose order alternates. Ratios are formed within a round. Raw output of every run
// and the summary are files of --out; the exit status is 1 when a bar is missed.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	met, err := run(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "fabric:", err)
		os.Exit(2)
	}
	if !met {
		os.Exit(1)
	}
}

func run(ctx context.Context) (met bool, err error) {
	var l lab
	var only string
	rounds := flag.Int("rounds", 5, "rounds, each with one run of every side")
	flag.StringVar(&l.out, "out", "", "directory for raw output and the summary")
	flag.StringVar(&l.weft, "weft", "bin/weft", "the weft binary")
	flag.StringVar(&l.near, "near", "10.0.0.1", "address of the calling end")
	flag.StringVar(&l.far, "far", "10.0.0.2", "address of the answering end")
	flag.StringVar(&l.nearDevice, "near-device", "rxe0", "RDMA device of the calling end")
	flag.StringVar(&l.farDevice, "far-device", "rxe1", "RDMA device of the answering end")
	flag.IntVar(&l.qps, "qps", 2, "queue pairs, or streams of TCP")
	flag.IntVar(&l.depth, "depth", 16, "transfers under way on each")
	flag.IntVar(&l.transfers, "transfers", 256, "transfers of 1 MiB on each in a run over verbs")
	flag.IntVar(&l.tcpTransfers, "tcp-transfers", 1024, "the same over TCP")
	flag.IntVar(&l.pings, "pings", 10000, "round trips of 64 bytes in a run")
	flag.StringVar(&only, "only", "", "comparisons to run, separated by commas (default all)")
	flag.Parse()
	if l.out == "" || *rounds < 1 || flag.NArg() > 0 {
		flag.Usage()
		return false, fmt.Errorf("--out is needed, and --rounds of at least 1")
	}
	if err := os.MkdirAll(l.out, 0o750); err != nil {
		return false, err
	}
	list := l.comparisons()
	if only != "" {
		names := strings.Split(only, ",")
		list = slices.DeleteFunc(list, func(c *comparison) bool { return !slices.Contains(names, c.name) })
	}
	if err := l.start(ctx, list); err != nil {
		l.stop()
		return false, err
	}
	defer l.stop()
	for round := range *rounds {
		for _, c := range list {
			if err := c.turn(ctx, &l, round); err != nil {
				return false, err
			}
		}
	}
	return report(list, l.out, os.Stdout)
}
