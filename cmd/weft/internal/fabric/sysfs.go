package fabric

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const infiniband = "sys/class/infiniband"

// device reads one device. netdevs are the host's, by the device that they belong to.
func (s *Source) device(name string, netdevs map[string][]string) Device {
	d := Device{
		Name:     name,
		Board:    s.read(infiniband, name, "board_id"),
		Firmware: s.read(infiniband, name, "fw_ver"),
		NodeGUID: s.read(infiniband, name, "node_guid"),
		NUMA:     s.number(-1, infiniband, name, "device", "numa_node"),
	}
	if link, err := os.Readlink(filepath.Join(s.Root, infiniband, name, "device", "driver")); err == nil {
		d.Driver = filepath.Base(link)
	}
	iwarp := afterColon(s.read(infiniband, name, "node_type")) == "RNIC"
	for _, number := range s.list(infiniband, name, "ports") {
		if n, err := strconv.Atoi(number); err == nil {
			d.Ports = append(d.Ports, s.port(name, n, netdevs[name], iwarp))
		}
	}
	slices.SortFunc(d.Ports, func(a, b Port) int { return a.Number - b.Number })
	return d
}

func (s *Source) port(device string, number int, netdevs []string, iwarp bool) Port {
	dir := filepath.Join(infiniband, device, "ports", strconv.Itoa(number))
	p := Port{
		Number: number, State: afterColon(s.read(dir, "state")), Physical: afterColon(s.read(dir, "phys_state")),
		LinkLayer: s.read(dir, "link_layer"), Rate: s.read(dir, "rate"), IWARP: iwarp,
	}
	if lid, err := strconv.ParseUint(s.read(dir, "lid"), 0, 16); err == nil {
		p.LID = int(lid)
	}
	p.GIDs = s.gids(dir, &p)
	// The table of GIDs tells the interfaces of a RoCE port also when it has none in use.
	var names []string
	for _, index := range s.list(dir, "gid_attrs", "ndevs") {
		names = append(names, s.read(dir, "gid_attrs", "ndevs", index))
	}
	if !p.RoCE() {
		names = append(names, s.ofPort(netdevs, number)...)
	} else if !slices.ContainsFunc(names, func(n string) bool { return n != "" }) {
		names = append(names, netdevs...)
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if name != "" {
			p.Netdevs = append(p.Netdevs, s.netdev(name, p.RoCE()))
		}
	}
	return p
}

// ofPort picks the interfaces of a port; dev_port counts from 0.
func (s *Source) ofPort(netdevs []string, number int) []string {
	var out []string
	for _, name := range netdevs {
		if s.number(0, "sys/class/net", name, "dev_port") == number-1 {
			out = append(out, name)
		}
	}
	return out
}

// gids are the entries in use: an empty one has no type.
func (s *Source) gids(dir string, p *Port) []GID {
	var out []GID
	for _, name := range s.list(dir, "gids") {
		index, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		addr, err := netip.ParseAddr(s.read(dir, "gids", name))
		if err != nil || addr.IsUnspecified() {
			continue
		}
		g := GID{Index: index, Type: "IB", Addr: addr.Unmap(), Netdev: s.read(dir, "gid_attrs/ndevs", name)}
		switch kind := s.read(dir, "gid_attrs/types", name); {
		case kind == "":
			continue
		case kind == "RoCE v2":
			g.Type = kind
		case p.RoCE():
			g.Type = "RoCE v1"
		case p.IWARP:
			g.Type = "iWARP"
		}
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b GID) int { return a.Index - b.Index })
	return out
}

// netdevs are the interfaces with an RDMA device, by device.
func (s *Source) netdevs() map[string][]string {
	out := map[string][]string{}
	if !s.exists(infiniband) {
		return out
	}
	for _, name := range s.list("sys/class/net") {
		if device, err := s.DeviceOf(name); err == nil && device != "" {
			out[device] = append(out[device], name)
		}
	}
	return out
}

func (s *Source) netdev(name string, roce bool) Netdev {
	n := Netdev{
		Name: name, State: s.read("sys/class/net", name, "operstate"),
		MTU: s.number(0, "sys/class/net", name, "mtu"), Addrs: s.Addrs(name),
	}
	n.ARPIgnore, n.ARPAnnounce = s.arp(name, "arp_ignore"), s.arp(name, "arp_announce")
	if roce {
		n.RDMA = roceMTU(n.MTU)
	}
	return n
}

// arp is a setting of an interface: the greater of its own and of all's counts.
func (s *Source) arp(netdev, setting string) int {
	const dir = "proc/sys/net/ipv4/conf"
	return max(s.number(0, dir, netdev, setting), s.number(0, dir, "all", setting))
}

// roceHeaders is what the kernel sets aside of an Ethernet frame's payload for the
// longest headers of RoCE: GRH 40, UDP 8, BTH 12, XRC 4, atomics 28, ICRC 4 (iboe_get_mtu).
const roceHeaders = 96

// roceMTU is the largest MTU of RDMA that fits an interface's; 0 when none does.
func roceMTU(mtu int) int {
	for m := 4096; m >= 256; m /= 2 {
		if mtu-roceHeaders >= m {
			return m
		}
	}
	return 0
}

// afterColon cuts the number off "4: ACTIVE".
func afterColon(s string) string {
	_, name, ok := strings.Cut(s, ":")
	if !ok {
		return s
	}
	return strings.TrimSpace(name)
}
