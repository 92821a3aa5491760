package fabric

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Rail is what one host should know of an interface of another that carries RDMA.
type Rail struct {
	Port     string         `json:"port"` // "mlx5_0/1"
	Netdev   string         `json:"netdev"`
	MTU      int            `json:"mtu"`
	Protocol string         `json:"protocol"` // "RoCE v2", "RoCE v1", "InfiniBand" or "iWARP"
	Addrs    []netip.Prefix `json:"addrs"`
}

// Rails are those of a host whose ports carry traffic.
func Rails(h *Host) []Rail {
	d := diagnosis{h: h}
	rails := []Rail{}
	for _, c := range d.carriers() {
		rails = append(rails, Rail{Port: c.where, Netdev: c.Name, MTU: c.MTU, Protocol: speaks(c.port), Addrs: c.Addrs})
	}
	return rails
}

// speaks is the best protocol that a port has.
func speaks(p *Port) string {
	switch {
	case p.IWARP:
		return "iWARP"
	case !p.RoCE():
		return "InfiniBand"
	case slices.ContainsFunc(p.GIDs, func(g GID) bool { return g.Type == "RoCE v2" }):
		return "RoCE v2"
	}
	return "RoCE v1"
}

// Mismatches compares the rails of two hosts that share a network, and looks whether
// addr, of the other host, is on one of its rails; the zero Addr is not looked for.
func Mismatches(here, there []Rail, addr netip.Addr) []Problem {
	d := diagnosis{problems: []Problem{}}
	if len(there) == 0 {
		d.wrong("the other host", "it has no RDMA port that carries traffic", "run `weft fabric devices` there")
		return d.problems
	}
	if addr.IsValid() && !slices.ContainsFunc(there, func(r Rail) bool { return r.has(addr) }) {
		d.wrong(addr.String(), "it is on no RDMA interface of the other host: what goes there goes over TCP", "use one of: "+addresses(there))
	}
	met := false
	for i := range here {
		for j := range there {
			a, b := &here[i], &there[j]
			network, ok := common(a.Addrs, b.Addrs)
			if !ok {
				continue
			}
			met = true
			where := fmt.Sprintf("%s here, %s there", a.Netdev, b.Netdev)
			if a.Protocol != b.Protocol {
				d.wrong(where, fmt.Sprintf("both are in %s, and one speaks %s, the other %s", network, a.Protocol, b.Protocol), protocolFix(a, b))
			}
			if a.MTU != b.MTU {
				smaller, host := a, "here"
				if b.MTU < a.MTU {
					smaller, host = b, "there"
				}
				d.wrong(where, fmt.Sprintf("both are in %s, with MTU %d and %d: long packets are lost", network, a.MTU, b.MTU),
					fmt.Sprintf("%s: ip link set %s mtu %d; and the switches between", host, smaller.Netdev, max(a.MTU, b.MTU)))
			}
		}
	}
	if !met && len(here) > 0 {
		d.advise("networks", "no RDMA interface of this host is in a network of the other: fine if there is a router for RoCE v2 between",
			fmt.Sprintf("addresses here: %s; there: %s", addresses(here), addresses(there)))
	}
	return d.problems
}

func protocolFix(a, b *Rail) string {
	if strings.HasPrefix(a.Protocol, "RoCE") && strings.HasPrefix(b.Protocol, "RoCE") {
		return "cma_roce_mode -d DEVICE -p 1 -m 2 on both, which makes RoCE v2 the default; a device that has v1 only cannot be used"
	}
	return "use devices of one kind on both hosts; one for both RoCE and iWARP is switched by devlink dev param (RDMA.md)"
}

func (r *Rail) has(addr netip.Addr) bool {
	return slices.ContainsFunc(r.Addrs, func(p netip.Prefix) bool { return p.Addr() == addr })
}

func addresses(rails []Rail) string {
	var list []string
	for _, r := range rails {
		for _, a := range r.Addrs {
			if !a.Addr().IsLinkLocalUnicast() {
				list = append(list, a.Addr().String())
			}
		}
	}
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

// common is an IPv4 or global IPv6 network in which both have an address.
func common(a, b []netip.Prefix) (netip.Prefix, bool) {
	for _, p := range a {
		for _, q := range b {
			if !p.Addr().IsLinkLocalUnicast() && p.Masked() == q.Masked() {
				return p.Masked(), true
			}
		}
	}
	return netip.Prefix{}, false
}
