package bench

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/weftstore/weft/cmd/weft/internal/fabric"
)

// Header is the first line of the table.
func Header(w io.Writer) {
	fmt.Fprintf(w, "%-8s%10s%7s%7s%12s%12s%12s  %s\n", "op", "size", "depth", "lanes", "transfers", "MiB/s", "per second", "over")
}

// Print is a line of the table.
func (r *Result) Print(w io.Writer) {
	rate := 0.0
	if r.Seconds > 0 {
		rate = float64(r.Transfers) / r.Seconds
	}
	fmt.Fprintf(w, "%-8s%10s%7d%7d%12d%12.1f%12.0f  %s\n",
		r.Op, sizeText(r.Block), r.Depth, r.Lanes, r.Transfers, r.MiBps, rate, strings.Join(r.Wires, "+"))
	if r.Mismatches > 0 {
		fmt.Fprintf(w, "  WRONG BYTES: %d transfers are not in the memory they were made to or from\n", r.Mismatches)
	}
}

// PrintCounters shows what moved in all results together.
func PrintCounters(w io.Writer, results []Result) {
	here, there := fabric.Counters{}, fabric.Counters{}
	for _, r := range results {
		for name, v := range r.Here {
			here[name] += v
		}
		for name, v := range r.There {
			there[name] += v
		}
	}
	for _, end := range []struct {
		name string
		c    fabric.Counters
	}{{"this end", here}, {"other end", there}} {
		if len(end.c) > 0 {
			fmt.Fprintf(w, "\ncounters, %s:\n", end.name)
		}
		for _, name := range end.c.Names() {
			fmt.Fprintf(w, "  %-40s %d\n", name, end.c[name])
		}
	}
}

// PeerName says what answered, for people.
func (l *Latency) PeerName() string {
	if l.Peer == "node" {
		return "a storage node"
	}
	return "`weft fabric serve`"
}

// PingHeader is the first line of the table of pings; the times are in microseconds.
func PingHeader(w io.Writer) {
	fmt.Fprintf(w, "%8s%8s%10s%10s%10s%10s%10s%10s%10s\n", "size", "pings", "min us", "mean", "p50", "p90", "p99", "p99.9", "max")
}

// Print is a line of that table.
func (l *Latency) Print(w io.Writer) {
	fmt.Fprintf(w, "%8s%8d", sizeText(l.Size), l.Count)
	for _, d := range []time.Duration{l.Min, l.Mean, l.P50, l.P90, l.P99, l.P999, l.Max} {
		fmt.Fprintf(w, "%10.1f", float64(d)/float64(time.Microsecond))
	}
	fmt.Fprintln(w)
}

func sizeText(n int) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%dMiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%dKiB", n>>10)
	}
	return fmt.Sprintf("%dB", n)
}
