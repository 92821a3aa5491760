package fabric

import (
	"fmt"
	"net/netip"
	"slices"
)

// carrier is a network interface of a port that carries traffic.
type carrier struct {
	*Netdev
	port  *Port
	where string // the port's name
}

// carriers are those of all devices, each interface once.
func (d *diagnosis) carriers() []carrier {
	var out []carrier
	for i := range d.h.Devices {
		device := &d.h.Devices[i]
		for j := range device.Ports {
			port := &device.Ports[j]
			for k := range port.Netdevs {
				n := &port.Netdevs[k]
				if port.Active() && !slices.ContainsFunc(out, func(c carrier) bool { return c.Name == n.Name }) {
					out = append(out, carrier{n, port, fmt.Sprintf("%s/%d", device.Name, port.Number)})
				}
			}
		}
	}
	return out
}

// rails looks whether this host has RDMA in each network that it should.
func (d *diagnosis) rails() {
	carriers := d.carriers()
	used := map[string]netip.Prefix{} // by port
	for _, rail := range d.want.Rails {
		i := slices.IndexFunc(carriers, func(c carrier) bool { return c.within(rail) })
		if i < 0 {
			d.wrong("rail "+rail.String(), "no RDMA interface of this host has an address in it: connections there go over TCP, or not at all",
				fmt.Sprintf("ip addr add ADDRESS/%d dev %s, or correct fabric.rails in the cluster file", rail.Bits(), freeCarrier(carriers, d.want.Rails)))
			continue
		}
		port := carriers[i].where
		if other, ok := used[port]; ok {
			d.advise("rail "+rail.String(), fmt.Sprintf("shares port %s with rail %s: together they are no faster than one", port, other),
				"give each rail a port of its own")
		}
		used[port] = rail
	}
	d.sameNetwork(carriers)
}

func (n *Netdev) within(rail netip.Prefix) bool {
	return slices.ContainsFunc(n.Addrs, func(a netip.Prefix) bool { return rail.Contains(a.Addr()) })
}

// freeCarrier names an interface that is in no rail.
func freeCarrier(carriers []carrier, rails []netip.Prefix) string {
	for _, c := range carriers {
		if !slices.ContainsFunc(rails, c.within) {
			return c.Name
		}
	}
	return "INTERFACE"
}

// sameNetwork looks at pairs of interfaces in one IPv4 network. By default Linux answers
// ARP for any of its addresses on any interface, so that a peer's packets for one
// device arrive at the other, which drops them.
func (d *diagnosis) sameNetwork(carriers []carrier) {
	for i, a := range carriers {
		for _, b := range carriers[:i] {
			net, ok := common(a.Addrs, b.Addrs)
			if !ok || !net.Addr().Is4() {
				continue
			}
			where := a.Name + ", " + b.Name
			if a.ARPIgnore == 0 || b.ARPIgnore == 0 || a.ARPAnnounce == 0 || b.ARPAnnounce == 0 {
				d.advise(where, fmt.Sprintf("both are in %s, and each answers ARP for the other's address: RDMA to one of them may fail", net),
					"sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2, for good in /etc/sysctl.d/weft.conf; "+
						"each also needs a route of its own, see RDMA.md; or a network for each")
			}
			if a.MTU != b.MTU {
				d.advise(where, fmt.Sprintf("both are in %s, with MTU %d and %d: long packets from one to the other are lost", net, a.MTU, b.MTU),
					fmt.Sprintf("ip link set %s mtu %d", map[bool]string{true: a.Name, false: b.Name}[a.MTU < b.MTU], max(a.MTU, b.MTU)))
			}
		}
	}
}
