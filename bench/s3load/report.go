package s3load

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// WriteText prints the document for people: per case a table of medians over the rounds, the first errors,
// and the ratios of the first endpoint to the others with their spread.
func (d *Document) WriteText(w io.Writer) error {
	e := d.Environment
	b := &strings.Builder{}
	fmt.Fprintf(b, "%s, %d cores, Linux %s, commit %s, %s\n", e.CPU, e.Cores, e.Kernel, orUnknown(e.Commit), d.Started.Format(time.DateTime))
	fmt.Fprintf(b, "%d workers, %d rounds of %gs, figures are medians over the rounds\n",
		d.Settings.Concurrency, d.Settings.Rounds, d.Settings.SliceSeconds)
	for i := range d.Cases {
		b.WriteByte('\n')
		d.Cases[i].writeText(b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

func (c *CaseResult) writeText(b *strings.Builder) {
	fmt.Fprintf(b, "%s\n", c.Name)
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	head := []string{"", "ops/s", "MiB/s", "p50", "p90", "p99", "max", "ttfb p50", "p99", "errors", "cpu/op", "cpu/GiB", "peak RSS", "client cpu/op"}
	list := c.Op == OpList
	if list {
		head = append(head, "keys/s", "keys/cpu s")
	}
	row := func(cells ...string) { fmt.Fprintln(t, strings.Join(cells, "\t")+"\t") }
	row(head...)
	for _, e := range c.Endpoints {
		m := e.Median
		cpuOp, cpuGiB, rss := "-", "-", "-"
		if m.ServerCPU > 0 {
			cpuOp = formatUs(m.CPUPerOpUs)
			cpuGiB = fmt.Sprintf("%.3gs", m.CPUPerGiB)
		}
		if m.PeakRSS > 0 {
			rss = fmt.Sprintf("%.0f MiB", m.PeakRSS/(1<<20))
			if !m.PeakIsSlice {
				rss += "*"
			}
		}
		cells := []string{
			e.Name, fmt.Sprintf("%.0f", m.OpsPerSec), fmt.Sprintf("%.1f", m.MiBPerSec), formatUs(m.P50Us), formatUs(m.P90Us), formatUs(m.P99Us),
			formatUs(m.MaxUs), formatUs(m.TTFBP50Us), formatUs(m.TTFBP99Us), fmt.Sprint(m.Errors), cpuOp, cpuGiB, rss, formatUs(m.ClientCPUOpUs),
		}
		if list {
			cells = append(cells, fmt.Sprintf("%.0f", m.KeysPerSec), fmt.Sprintf("%.0f", m.KeysPerCPU))
		}
		row(cells...)
	}
	_ = t.Flush() // a strings.Builder does not fail
	c.writePerOp(b)
	for _, e := range c.Endpoints {
		if e.Median.Wrong > 0 {
			fmt.Fprintf(b, "  %s: WRONG BYTES in %d answers\n", e.Name, e.Median.Wrong)
		}
		for _, text := range e.Median.FirstErrors {
			fmt.Fprintf(b, "  %s: %s\n", e.Name, text)
		}
		if e.Median.Reconnects > 0 {
			fmt.Fprintf(b, "  %s: closed %d connections, which were opened anew\n", e.Name, e.Median.Reconnects)
		}
	}
	for _, r := range c.Ratios {
		fmt.Fprintf(b, "  %s / %s, %s: %.3g (%.3g to %.3g)\n", c.Endpoints[0].Name, r.Against, r.Metric, r.Median, r.Min, r.Max)
	}
}

func (c *CaseResult) writePerOp(b *strings.Builder) {
	for _, e := range c.Endpoints {
		if len(e.Rounds) == 0 || len(e.Rounds[0].PerOp) == 0 {
			continue
		}
		fmt.Fprintf(b, "  %s, by operation:", e.Name)
		for _, op := range Ops() {
			p50 := column(e.Rounds, func(r *Round) float64 { return r.PerOp[op].P50Us })
			p99 := column(e.Rounds, func(r *Round) float64 { return r.PerOp[op].P99Us })
			if slices.Max(p50) > 0 {
				fmt.Fprintf(b, "  %s p50 %s p99 %s", op, formatUs(median(p50)), formatUs(median(p99)))
			}
		}
		b.WriteByte('\n')
	}
}

// formatUs prints microseconds with three digits in a unit that fits.
func formatUs(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.3gs", v/1e6)
	case v >= 1e3:
		return fmt.Sprintf("%.3gms", v/1e3)
	}
	return fmt.Sprintf("%.3gus", v)
}
