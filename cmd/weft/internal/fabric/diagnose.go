package fabric

import (
	"fmt"
	"net/netip"
	"strings"
)

// Problem is something that keeps RDMA from working, or from working well.
type Problem struct {
	// Advice: RDMA works, but less well than it could, or on fewer ports.
	Advice bool   `json:"advice,omitempty"`
	Where  string `json:"where,omitempty"` // device, port or interface
	What   string `json:"what"`
	Fix    string `json:"fix"` // a command or a setting
}

// Want is what the caller means to use.
type Want struct {
	Memory    uint64 // bytes to register
	HugePages bool
	Rails     []netip.Prefix // networks in which this host should have RDMA
}

// comfortable is the least MTU of an Ethernet interface that carries RDMA packets of 4096 bytes.
const comfortable = 4096 + roceHeaders

// Diagnose says what is wrong with a host, what must be mended first coming first.
func Diagnose(h *Host, want Want) []Problem {
	d := &diagnosis{h: h, want: want, problems: []Problem{}}
	d.software()
	d.nodes()
	d.memory()
	d.devices()
	d.rails()
	return d.problems
}

// Wrong says whether there is more than advice.
func Wrong(problems []Problem) bool {
	for _, p := range problems {
		if !p.Advice {
			return true
		}
	}
	return false
}

type diagnosis struct {
	h        *Host
	want     Want
	problems []Problem
}

func (d *diagnosis) wrong(where, what, fix string) {
	d.problems = append(d.problems, Problem{Where: where, What: what, Fix: fix})
}

func (d *diagnosis) advise(where, what, fix string) {
	d.problems = append(d.problems, Problem{Advice: true, Where: where, What: what, Fix: fix})
}

func (d *diagnosis) software() {
	if !d.h.Cgo {
		d.wrong("weft", "this binary was built without cgo and cannot use RDMA", "build it on Linux with a C compiler: CGO_ENABLED=1 go build ./cmd/weft")
	}
	var missing []string
	for _, l := range d.h.Libraries {
		if l.Path == "" {
			missing = append(missing, l.Name)
		}
	}
	switch {
	case len(missing) > 0:
		d.wrong("libraries", "not found: "+strings.Join(missing, ", "),
			"Debian, Ubuntu: apt install libibverbs1 librdmacm1 ibverbs-providers; RHEL, Rocky, Fedora: dnf install libibverbs librdmacm; SUSE: zypper install libibverbs1 librdmacm1")
	case len(d.h.Drivers) == 0:
		d.wrong("libraries", "libibverbs has no drivers (/etc/libibverbs.d is empty)", "Debian, Ubuntu: apt install ibverbs-providers; RHEL, Rocky, Fedora: dnf install libibverbs")
	}
	for _, m := range d.h.Modules {
		if !m.Loaded {
			d.wrong("kernel", "module "+m.Name+" is not loaded",
				fmt.Sprintf("modprobe %s, and for good: echo %s > /etc/modules-load.d/weft-%s.conf", m.Name, m.Name, m.Name))
		}
	}
}

func (d *diagnosis) nodes() {
	var missing []string
	for _, c := range d.h.Nodes {
		switch {
		case c.Error == "":
		case c.missing:
			missing = append(missing, c.Path)
		default:
			d.wrong(c.Path, "cannot be opened: "+c.Error,
				fmt.Sprintf("chmod 666 %s, as the udev rules of rdma-core do (the file guards nothing: each process has its own queues); in a container allow the device: --device %s", c.Path, c.Path))
		}
	}
	if len(missing) > 0 {
		d.wrong("/dev/infiniband", "missing: "+strings.Join(missing, ", "),
			"in a container: docker run --device "+strings.Join(missing, " --device ")+"; on a host: udevadm trigger --subsystem-match=infiniband_verbs --subsystem-match=misc")
	}
}

func (d *diagnosis) memory() {
	m := d.h.Memory
	if m.LockSoft < d.want.Memory && !m.IPCLock {
		d.wrong("memory", fmt.Sprintf("RLIMIT_MEMLOCK is %s, and %s are to be registered", size(m.LockSoft), size(d.want.Memory)),
			"systemd: LimitMEMLOCK=infinity in the unit; shells: \"* - memlock unlimited\" in /etc/security/limits.d/weft.conf; containers: --ulimit memlock=-1 (or --cap-add IPC_LOCK); Slurm: LimitMEMLOCK=infinity for slurmd")
	}
	if d.want.HugePages {
		if free := m.HugeFree * m.HugePageSize; free < d.want.Memory {
			pages := uint64(0)
			if m.HugePageSize > 0 {
				pages = m.HugePages - m.HugeFree + (d.want.Memory+m.HugePageSize-1)/m.HugePageSize
			}
			d.advise("memory", fmt.Sprintf("%s of huge pages are free, and %s are wanted: ordinary ones are taken", size(free), size(d.want.Memory)),
				fmt.Sprintf("sysctl -w vm.nr_hugepages=%d, and for good in /etc/sysctl.d/weft.conf", pages))
		}
	}
}

func (d *diagnosis) devices() {
	if len(d.h.Devices) == 0 {
		d.wrong("devices", "this host has no RDMA devices",
			"with a network card for RDMA: load its driver (modprobe mlx5_ib, bnxt_re, irdma, ...); without: modprobe rdma_rxe && rdma link add rxe0 type rxe netdev INTERFACE, which is slow; in a container: see `rdma system` for the namespace mode")
		return
	}
	usable := 0
	var found []Problem
	for i := range d.h.Devices {
		for j := range d.h.Devices[i].Ports {
			device, port := &d.h.Devices[i], &d.h.Devices[i].Ports[j]
			sub := diagnosis{h: d.h}
			sub.port(fmt.Sprintf("%s/%d", device.Name, port.Number), port)
			if !Wrong(sub.problems) {
				usable++
			}
			found = append(found, sub.problems...)
		}
	}
	for _, p := range found {
		p.Advice = p.Advice || usable > 0 // a second port without a cable keeps nobody from working
		d.problems = append(d.problems, p)
	}
}

func (d *diagnosis) port(where string, p *Port) {
	if !p.Active() {
		d.wrong(where, fmt.Sprintf("port is %s (%s)", orUnknown(p.State), orUnknown(p.Physical)), inactiveFix(p))
		return
	}
	if !p.RoCE() {
		d.address(where, p)
		return
	}
	routable := false
	for _, g := range p.GIDs {
		routable = routable || g.Type == "RoCE v2" && (g.Addr.Is4() || g.Addr.IsGlobalUnicast())
	}
	if !routable {
		d.wrong(where, "no GID for RoCE v2 with an address: the interface has none", fmt.Sprintf("ip addr add ADDRESS/PREFIX dev %s", netdevName(p)))
	}
	for _, n := range p.Netdevs {
		switch {
		case n.MTU > 0 && n.RDMA == 0:
			d.wrong(where, fmt.Sprintf("MTU %d of %s is too small for RDMA", n.MTU, n.Name), fmt.Sprintf("ip link set %s mtu 9000", n.Name))
		case n.MTU > 0 && n.MTU < comfortable:
			d.advise(where, fmt.Sprintf("MTU %d of %s allows RDMA packets of %d bytes only", n.MTU, n.Name, n.RDMA),
				fmt.Sprintf("ip link set %s mtu 9000, on switches and other hosts as well (%d is enough for packets of 4096)", n.Name, comfortable))
		}
	}
}

// address: rdma_cm finds ports of InfiniBand and iWARP by the IP addresses of their interfaces.
func (d *diagnosis) address(where string, p *Port) {
	if len(p.Netdevs) == 0 && p.IWARP {
		d.wrong(where, "no network interface: connections are made by IP address", "load the Ethernet driver of the same card (dmesg, lspci -k)")
		return
	}
	if len(p.Netdevs) == 0 {
		d.wrong(where, "no IPoIB interface: connections are made by IP address", "modprobe ib_ipoib, then give the interface an address: ip addr add ADDRESS/PREFIX dev ib0")
		return
	}
	for _, n := range p.Netdevs {
		for _, a := range n.Addrs {
			if a.Addr().Is4() || a.Addr().IsGlobalUnicast() {
				return
			}
		}
	}
	d.wrong(where, "the interface has no address: connections are made by IP address",
		fmt.Sprintf("ip addr add ADDRESS/PREFIX dev %s && ip link set %s up", p.Netdevs[0].Name, p.Netdevs[0].Name))
}

func inactiveFix(p *Port) string {
	switch {
	case p.LinkLayer == "Ethernet":
		return fmt.Sprintf("ip link set %s up; if it is: cable, switch port, transceiver (ethtool %s)", netdevName(p), netdevName(p))
	case p.State == "INIT":
		return "no subnet manager answers: enable that of a switch, or systemctl start opensm on one host"
	case p.Physical == "Disabled":
		return "ibportstate -D 0 " + fmt.Sprint(p.Number) + " enable"
	default:
		return "cable, switch port, transceiver (ibstat, iblinkinfo)"
	}
}

func netdevName(p *Port) string {
	if len(p.Netdevs) > 0 {
		return p.Netdevs[0].Name
	}
	return "INTERFACE"
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

// size prints bytes in a binary unit.
func size(n uint64) string {
	switch {
	case n == Unlimited:
		return "unlimited"
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	default:
		return fmt.Sprintf("%d KiB", n>>10)
	}
}
