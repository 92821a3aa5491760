package fabric

import (
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/Mellanox/rdmamap"
	"golang.org/x/sys/unix"
)

// Source is where Look finds the facts. LocalSource is this host.
type Source struct {
	// Root of the tree with sys, dev, proc and etc in it.
	Root string
	// DeviceOf names the RDMA device of a network interface.
	DeviceOf func(netdev string) (string, error)
	// Addrs are the addresses of a network interface.
	Addrs func(netdev string) []netip.Prefix
	// Open tries to open a character device for reading and writing.
	Open func(path string) error
	// Memlock is RLIMIT_MEMLOCK of this process.
	Memlock func() (soft, hard uint64)
	// LibraryDirs are searched besides what the linker's cache names.
	LibraryDirs []string
	// Cgo says whether this binary can use RDMA libraries at all.
	Cgo bool
}

// LocalSource is the host that this process runs on.
func LocalSource() Source {
	return Source{
		Root: "/", DeviceOf: rdmamap.GetRdmaDeviceForNetdevice, Addrs: interfaceAddrs, Open: openDevice,
		Memlock: memlock, LibraryDirs: libraryDirs(), Cgo: cgoEnabled,
	}
}

func interfaceAddrs(netdev string) []netip.Prefix {
	i, err := net.InterfaceByName(netdev)
	if err != nil {
		return nil
	}
	addrs, err := i.Addrs()
	if err != nil {
		return nil
	}
	var out []netip.Prefix
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, p)
		}
	}
	return out
}

// openDevice opens as libibverbs would: what a container's device rules forbid
// shows in no permission bits.
func openDevice(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

func memlock() (soft, hard uint64) {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &l); err != nil {
		return 0, 0
	}
	return l.Cur, l.Max
}

// Unlimited is an RLIMIT_MEMLOCK that does not limit.
const Unlimited = uint64(unix.RLIM_INFINITY)

// Host is what was found.
type Host struct {
	Cgo       bool         `json:"cgo"`
	Libraries []Library    `json:"libraries"`
	Drivers   []string     `json:"drivers"` // of libibverbs, such as "mlx5"
	Modules   []Module     `json:"modules"`
	Nodes     []CharDevice `json:"char_devices"`
	Memory    Memory       `json:"memory"`
	Devices   []Device     `json:"devices"`
}

// Library is a shared library that RDMA needs.
type Library struct {
	Name string `json:"name"`
	Path string `json:"path,omitempty"` // "" when it was not found
}

// Module is a part of the kernel that RDMA needs.
type Module struct {
	Name   string `json:"name"`
	Loaded bool   `json:"loaded"` // or built in
}

// CharDevice is a node that RDMA programs open.
type CharDevice struct {
	Path   string `json:"path"`
	Device string `json:"device,omitempty"` // "" for rdma_cm
	Error  string `json:"error,omitempty"`  // why it cannot be opened

	missing bool
}

// Memory limits what can be registered. Sizes in bytes.
type Memory struct {
	LockSoft     uint64 `json:"memlock_soft"` // Unlimited when there is no limit
	LockHard     uint64 `json:"memlock_hard"`
	IPCLock      bool   `json:"cap_ipc_lock"` // the limit does not hold for this process
	HugePageSize uint64 `json:"huge_page_size"`
	HugePages    uint64 `json:"huge_pages"`
	HugeFree     uint64 `json:"huge_pages_free"`
}

// Device is an RDMA device.
type Device struct {
	Name     string `json:"name"`
	Driver   string `json:"driver,omitempty"` // of the PCI device; "" for one in software
	Board    string `json:"board,omitempty"`
	Firmware string `json:"firmware,omitempty"`
	NodeGUID string `json:"node_guid,omitempty"`
	NUMA     int    `json:"numa_node"` // -1 when there is none
	Ports    []Port `json:"ports"`
}

// Port of a device.
type Port struct {
	Number    int      `json:"port"`
	State     string   `json:"state"`      // "ACTIVE", "DOWN", "INIT", "ARMED"
	Physical  string   `json:"phys_state"` // "LinkUp", "Polling", "Disabled"
	LinkLayer string   `json:"link_layer"` // "Ethernet", "InfiniBand"
	IWARP     bool     `json:"iwarp,omitempty"`
	Rate      string   `json:"rate"` // as the kernel says: "100 Gb/sec (4X EDR)"
	LID       int      `json:"lid,omitempty"`
	GIDs      []GID    `json:"gids"`
	Netdevs   []Netdev `json:"netdevs"`
}

// Active says whether the port carries traffic.
func (p *Port) Active() bool { return p.State == "ACTIVE" }

// RoCE says whether the port speaks RoCE: the other protocol on Ethernet is iWARP.
func (p *Port) RoCE() bool { return p.LinkLayer == "Ethernet" && !p.IWARP }

// GID is an entry of a port's table, empty ones left out.
type GID struct {
	Index  int        `json:"index"`
	Type   string     `json:"type"` // "IB", "RoCE v1", "RoCE v2", "iWARP"
	Addr   netip.Addr `json:"addr"` // IPv4 where the GID maps one
	Netdev string     `json:"netdev,omitempty"`
}

// Netdev is a network interface of a port.
type Netdev struct {
	Name  string         `json:"name"`
	State string         `json:"state"` // "up", "down", "unknown"
	MTU   int            `json:"mtu"`
	RDMA  int            `json:"rdma_mtu,omitempty"` // payload of a RoCE packet that fits
	Addrs []netip.Prefix `json:"addrs"`
	// ARPIgnore and ARPAnnounce are as in net.ipv4.conf, the greater of the interface's
	// and of all's.
	ARPIgnore   int `json:"arp_ignore"`
	ARPAnnounce int `json:"arp_announce"`
}

// Look gathers the facts. What cannot be read is left zero: a host without RDMA is
// no error.
func Look(src Source) *Host {
	h := &Host{Cgo: src.Cgo}
	h.Libraries, h.Drivers = src.libraries(), src.drivers()
	h.Modules, h.Nodes = src.modules(), src.charDevices()
	h.Memory = src.memory()
	netdevs := src.netdevs()
	for _, name := range src.list("sys/class/infiniband") {
		h.Devices = append(h.Devices, src.device(name, netdevs))
	}
	return h
}

// read is a file without the spaces around it; "" when it cannot be read.
func (s *Source) read(path ...string) string {
	b, err := os.ReadFile(filepath.Join(append([]string{s.Root}, path...)...))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// number is a file with a decimal number, def when there is none.
func (s *Source) number(def int, path ...string) int {
	if n, err := strconv.Atoi(s.read(path...)); err == nil {
		return n
	}
	return def
}

// list is the names in a directory, sorted.
func (s *Source) list(path ...string) []string {
	entries, err := os.ReadDir(filepath.Join(append([]string{s.Root}, path...)...))
	if err != nil {
		return nil
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names
}

func (s *Source) exists(path ...string) bool {
	_, err := fs.Stat(os.DirFS(s.Root), filepath.Join(path...))
	return err == nil
}
