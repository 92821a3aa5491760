package s3load

import (
	"fmt"

	"github.com/weftstore/weft/bench/plot"
)

// Chart draws the document: a row for each case with throughput and, where process ids were given, server
// CPU per request (for listings: keys per CPU second). Bars are means over the rounds, whiskers their 95 %
// confidence intervals, dots the rounds.
func (d *Document) Chart() plot.Chart {
	e := d.Environment
	ch := plot.Chart{
		Title: "S3 endpoints compared",
		Subtitle: fmt.Sprintf("%s, %d cores, Linux %s, commit %s. %d workers, %d interleaved rounds of %g s.",
			e.CPU, e.Cores, e.Kernel, orUnknown(e.Commit), d.Settings.Concurrency, d.Settings.Rounds, d.Settings.SliceSeconds),
		Footer: "Bar: mean over the rounds. Whisker: 95 % confidence interval of the mean. Dots: rounds.",
	}
	for i := range d.Cases {
		c := &d.Cases[i]
		if i == 0 {
			for _, ep := range c.Endpoints {
				ch.Series = append(ch.Series, ep.Name)
			}
		}
		ch.Rows = append(ch.Rows, c.row())
	}
	return ch
}

func (c *CaseResult) row() plot.Row {
	row := plot.Row{Title: c.Name}
	moved := c.Size // bytes a request
	if c.Op == OpRange {
		moved = c.RangeSize
	}
	switch {
	case c.Op == OpList:
		row.Panels = append(row.Panels, c.panel("keys/s, more is better", func(r *Round) float64 { return r.KeysPerSec }))
	case c.Op != OpHead && c.Op != OpDelete && moved >= 64<<10:
		row.Panels = append(row.Panels, c.panel("MiB/s, more is better", func(r *Round) float64 { return r.MiBPerSec }))
	default:
		row.Panels = append(row.Panels, c.panel("requests/s, more is better", func(r *Round) float64 { return r.OpsPerSec }))
	}
	if c.hasCPU() {
		if c.Op == OpList {
			row.Panels = append(row.Panels, c.panel("keys per server CPU second, more is better", func(r *Round) float64 { return r.KeysPerCPU }))
		} else {
			row.Panels = append(row.Panels, c.panel("server CPU, us a request, less is better", func(r *Round) float64 { return r.CPUPerOpUs }))
		}
	}
	return row
}

func (c *CaseResult) hasCPU() bool {
	for _, e := range c.Endpoints {
		if e.Median.ServerCPU > 0 {
			return true
		}
	}
	return false
}

func (c *CaseResult) panel(title string, get func(*Round) float64) plot.Panel {
	p := plot.Panel{Title: title}
	for i, e := range c.Endpoints {
		b := plot.Bar{Series: i, Points: column(e.Rounds, get)}
		b.Value, b.Error = meanCI(b.Points)
		p.Bars = append(p.Bars, b)
	}
	return p
}
