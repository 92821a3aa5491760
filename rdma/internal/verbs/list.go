package verbs

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Transport of a device.
type Transport int32

// Transports, named ibv_transport_type in libibverbs.
const (
	TransportIB    Transport = 0 // InfiniBand and RoCE
	TransportIWARP Transport = 1
)

func (t Transport) String() string {
	switch t {
	case TransportIB:
		return "IB"
	case TransportIWARP:
		return "iWARP"
	}
	return fmt.Sprintf("transport %d", int32(t))
}

// Info describes a device.
type Info struct {
	Name         string
	Firmware     string
	NodeGUID     uint64
	Transport    Transport
	Vectors      int // completion vectors: interrupts that CQs can be spread over
	MaxQP        int
	MaxQPWR      int // work requests a queue
	MaxSGE       int
	MaxCQE       int // entries a CQ
	MaxMR        int
	MaxMRSize    uint64 // bytes
	MaxReads     int    // READs of a peer that a queue pair answers at a time
	MaxInitReads int    // READs that a queue pair has outstanding
	Ports        []Port
	Err          error // why the device could not be opened; then only Name is set
}

// Port describes a port.
type Port struct {
	Number    int // from 1
	State     PortState
	LinkLayer string // "InfiniBand" or "Ethernet"
	MTU       int    // active, bytes of payload a packet
	LID       int    // InfiniBand's address within the subnet
	GIDs      []GID  // without empty entries; of Devices only, since reading a table of a thousand entries takes time
}

// PortState is the state of a port.
type PortState int32

// States of a port, named ibv_port_state in libibverbs.
const (
	PortDown   PortState = 1
	PortInit   PortState = 2
	PortArmed  PortState = 3
	PortActive PortState = 4
)

func (s PortState) String() string {
	switch s {
	case PortDown:
		return "down"
	case PortInit:
		return "init"
	case PortArmed:
		return "armed"
	case PortActive:
		return "active"
	}
	return fmt.Sprintf("state %d", int32(s))
}

// Devices lists the RDMA devices of this machine: none is no error.
func Devices() ([]Info, error) {
	if err := Load(); err != nil {
		return nil, err
	}
	list, n, rc := cList()
	switch {
	case rc == -int(syscall.ENOSYS):
		return nil, nil // no RDMA in this kernel, or none of its modules loaded
	case rc < 0:
		return nil, failed(rc, "list devices", "", "")
	}
	defer cListFree(list)
	infos := make([]Info, n)
	for i := range infos {
		name := cListName(list, i)
		ctx, rc := cListOpen(list, i)
		if rc < 0 {
			infos[i] = Info{Name: name, Err: openError(rc, name)}
			continue
		}
		infos[i] = describe(ctx, name)
		for j := range infos[i].Ports {
			p := &infos[i].Ports[j]
			p.GIDs = gids(os.DirFS("/sys/class/infiniband"), name, p.Number, p.LinkLayer)
		}
		if err := failed(cCtxClose(ctx), "close device", name, ""); err != nil && infos[i].Err == nil {
			infos[i].Err = err
		}
	}
	return infos, nil
}

func openError(rc int, name string) error {
	hint := "look at dmesg"
	switch syscall.Errno(-rc) {
	case syscall.EACCES, syscall.EPERM:
		hint = "allow this user to open /dev/infiniband/uverbs*, by group rdma or a udev rule"
	case syscall.ENOENT, syscall.ENODEV, syscall.ENXIO:
		hint = "modprobe ib_uverbs; in a container pass /dev/infiniband"
	}
	return failed(rc, "open device", name, hint)
}

func describe(ctx handle, name string) Info {
	var d deviceInfo
	if rc := cCtxInfo(ctx, &d); rc < 0 {
		return Info{Name: name, Err: failed(rc, "query device", name, "")}
	}
	info := Info{
		Name: text(d.name[:]), Firmware: text(d.firmware[:]), NodeGUID: d.nodeGUID, Transport: Transport(d.transport),
		Vectors: int(d.vectors), MaxQP: int(d.maxQP), MaxQPWR: int(d.maxQPWR), MaxSGE: int(d.maxSGE),
		MaxCQE: int(d.maxCQE), MaxMR: int(d.maxMR), MaxMRSize: d.maxMRSize,
		MaxReads: int(d.maxRDAtom), MaxInitReads: int(d.maxInitRDAtom),
	}
	for number := 1; number <= int(d.ports); number++ {
		var p portInfo
		if rc := cCtxPort(ctx, number, &p); rc < 0 {
			info.Err = errors.Join(info.Err, failed(rc, "query port", fmt.Sprintf("%s/%d", name, number), ""))
			continue
		}
		layer := "InfiniBand" // also where it is not specified, as before RoCE
		if p.linkLayer == 2 {
			layer = "Ethernet"
		}
		info.Ports = append(info.Ports, Port{
			Number: number, State: PortState(p.state), LinkLayer: layer, MTU: int(p.mtu), LID: int(p.lid),
		})
	}
	return info
}
