package fabric

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Report is what `weft fabric devices` prints.
type Report struct {
	Host     *Host     `json:"host"`
	Problems []Problem `json:"problems"`
}

// Print writes the report for people.
func (r *Report) Print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i := range r.Host.Devices {
		printDevice(t, &r.Host.Devices[i])
	}
	printHost(t, r.Host)
	_ = t.Flush()
	if len(r.Problems) == 0 {
		fmt.Fprintln(w, "\nRDMA can be used.")
		return
	}
	PrintProblems(w, r.Problems)
	if !Wrong(r.Problems) {
		fmt.Fprintln(w, "\nRDMA can be used.")
	}
}

// PrintProblems writes each with its remedy, for people.
func PrintProblems(w io.Writer, problems []Problem) {
	for _, p := range problems {
		kind := "WRONG "
		if p.Advice {
			kind = "advice"
		}
		fmt.Fprintf(w, "\n%s  %s: %s\n        -> %s\n", kind, p.Where, p.What, p.Fix)
	}
}

func printDevice(w io.Writer, d *Device) {
	fmt.Fprintf(w, "%s\t%s\n", d.Name, strings.Join(nonEmpty(
		labelled("driver ", d.Driver), labelled("board ", d.Board), labelled("firmware ", d.Firmware), labelled("GUID ", d.NodeGUID), numa(d.NUMA)), ", "))
	for i := range d.Ports {
		p := &d.Ports[i]
		fmt.Fprintf(w, "  port %d\t%s (%s), %s, %s\n", p.Number, p.State, p.Physical, protocol(p), p.Rate)
		for _, n := range p.Netdevs {
			text := fmt.Sprintf("%s, MTU %d", n.State, n.MTU)
			if n.RDMA > 0 {
				text += fmt.Sprintf(" (RDMA packets of %d bytes)", n.RDMA)
			}
			for _, a := range n.Addrs {
				text += ", " + a.String()
			}
			fmt.Fprintf(w, "    %s\t%s\n", n.Name, text)
		}
		for _, g := range p.GIDs {
			fmt.Fprintf(w, "    GID %d\t%s %s %s\n", g.Index, g.Type, g.Addr, g.Netdev)
		}
	}
}

func printHost(w io.Writer, h *Host) {
	for _, l := range h.Libraries {
		fmt.Fprintf(w, "%s\t%s\n", l.Name, orElse(l.Path, "not found"))
	}
	fmt.Fprintf(w, "drivers\t%s\n", orElse(strings.Join(h.Drivers, " "), "none"))
	for _, m := range h.Modules {
		fmt.Fprintf(w, "module %s\t%s\n", m.Name, map[bool]string{true: "loaded", false: "not loaded"}[m.Loaded])
	}
	for _, c := range h.Nodes {
		fmt.Fprintf(w, "%s\t%s %s\n", c.Path, orElse(c.Error, "ok"), labelled("for ", c.Device))
	}
	limit := size(h.Memory.LockSoft)
	if h.Memory.IPCLock {
		limit += ", which CAP_IPC_LOCK lifts"
	}
	fmt.Fprintf(w, "memlock\t%s\n", limit)
	fmt.Fprintf(w, "huge pages\t%d of %d free, %s each\n", h.Memory.HugeFree, h.Memory.HugePages, size(h.Memory.HugePageSize))
}

// protocol is what a port speaks.
func protocol(p *Port) string {
	switch {
	case p.IWARP:
		return "iWARP"
	case p.RoCE():
		return "Ethernet (RoCE)"
	}
	return p.LinkLayer
}

func labelled(label, value string) string {
	if value == "" {
		return ""
	}
	return label + value
}

func numa(node int) string {
	if node < 0 {
		return ""
	}
	return fmt.Sprintf("NUMA node %d", node)
}

func nonEmpty(parts ...string) []string {
	var out []string
	for _, p := range parts {
		if p != "" {
			out = append(out, p)
		}
	}
	return out
}

func orElse(s, def string) string {
	if s == "" {
		return def
	}
	return s
}
