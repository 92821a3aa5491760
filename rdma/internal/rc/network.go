package rc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/Mellanox/rdmamap"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/internal/region"
	"github.com/weftstore/weft/rdma/internal/verbs"
	"github.com/weftstore/weft/rdma/internal/wire"
)

// Network implements wire.Network.
type Network struct {
	cfg     wire.Config
	devices []*verbs.Device
	names   []string // of devices, with their network interfaces
	cookies *cookies
	qps     [2]atomic.Int64 // connected; in the error state
	watches sync.WaitGroup
	stop    context.CancelFunc // of the watches of devices

	refusals wire.Refusals

	mu     sync.Mutex
	closed bool
	memory map[*memory]struct{}
	keys   map[uint32]*memory
}

// ipoibAddress is the length of the hardware address of an interface of IP over InfiniBand (RFC 4391, 9.1.1).
const ipoibAddress = 20

// States of queue pairs that are counted.
const (
	qpConnected = 0
	qpError     = 1
)

// New opens all RDMA devices of this host. The error tells what is missing.
func New(cfg wire.Config) (wire.Network, error) {
	infos, err := verbs.Devices()
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	n := &Network{cfg: cfg, cookies: newCookies(), stop: stop, memory: map[*memory]struct{}{}, keys: map[uint32]*memory{}}
	var errs []error
	for _, info := range infos {
		dev, err := verbs.Open(info.Name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		n.devices = append(n.devices, dev)
		n.names = append(n.names, named(info))
		n.watches.Go(func() { watchDevice(ctx, dev, cfg.Log) })
	}
	if len(n.devices) == 0 {
		stop()
		if len(errs) == 0 {
			errs = append(errs, errors.New("this host has no RDMA device: weft fabric devices tells more"))
		}
		return nil, errors.Join(errs...)
	}
	for _, err := range errs {
		cfg.Log.Warn("an RDMA device is not used", "err", err)
	}
	return n, nil
}

// watchDevice tells the log what happens to a device.
func watchDevice(ctx context.Context, dev *verbs.Device, log *slog.Logger) {
	for {
		e, err := dev.NextEvent(ctx)
		if err != nil {
			if ctx.Err() == nil && !errors.Is(err, verbs.ErrClosed) {
				log.Error("events of an RDMA device are lost", "device", dev.Name(), "err", err)
			}
			return
		}
		switch e.Type {
		case verbs.EventPortActive:
			log.Info("RDMA port is up", "device", dev.Name(), "port", e.Port)
		case verbs.EventPortError, verbs.EventDevice, verbs.EventCQ:
			log.Warn("RDMA device: "+e.Type.String(), "device", dev.Name(), "port", e.Port)
		}
	}
}

// Name implements wire.Network.
func (n *Network) Name() string { return "verbs" }

// Describe implements wire.Network: devices with their network interfaces.
func (n *Network) Describe() string { return "on " + strings.Join(n.names, ", ") }

// named is a device with its network interfaces: those in its tables of GIDs, or of InfiniBand, whose tables
// have none, those that belong to the device.
func named(d verbs.Info) string {
	var on []string
	for _, p := range d.Ports {
		for _, g := range p.GIDs {
			on = append(on, g.Netdev)
		}
	}
	interfaces, _ := net.Interfaces() // without them only the device is told
	for _, i := range interfaces {
		if len(i.HardwareAddr) != ipoibAddress { // of others it would read the tables once more for each
			continue
		}
		if dev, err := rdmamap.GetRdmaDeviceForNetdevice(i.Name); err == nil && dev == d.Name {
			on = append(on, i.Name)
		}
	}
	slices.Sort(on)
	on = slices.DeleteFunc(slices.Compact(on), func(name string) bool { return name == "" })
	if len(on) == 0 {
		return d.Name
	}
	return d.Name + " (" + strings.Join(on, ", ") + ")"
}

// device finds an open device.
func (n *Network) device(name string) (*verbs.Device, error) {
	for _, d := range n.devices {
		if d.Name() == name {
			return d, nil
		}
	}
	return nil, fmt.Errorf("RDMA device %q came after the start: restart weft to use it", name)
}

// memory is memory registered on every device.
type memory struct {
	n    *Network
	key  uint32
	base uint64
	len  uint64
	mrs  map[*verbs.Device]*verbs.MR

	once sync.Once
	err  error
}

// Register implements wire.Network.
func (n *Network) Register(key uint32, mem []byte) (wire.Memory, error) {
	access := verbs.LocalWrite
	if key != 0 {
		access |= verbs.RemoteRead | verbs.RemoteWrite
	}
	m := &memory{n: n, key: key, base: region.Addr(mem), len: uint64(len(mem)), mrs: map[*verbs.Device]*verbs.MR{}}
	n.mu.Lock()
	n.memory[m] = struct{}{}
	n.mu.Unlock()
	for _, d := range n.devices {
		mr, err := d.Register(mem, access)
		if err != nil {
			return nil, errors.Join(err, m.Close())
		}
		m.mrs[d] = mr
	}
	if key != 0 {
		n.mu.Lock()
		n.keys[key] = m
		n.mu.Unlock()
	}
	return m, nil
}

// Close implements wire.Memory.
func (m *memory) Close() error {
	m.once.Do(func() {
		m.n.mu.Lock()
		if m.n.keys[m.key] == m {
			delete(m.n.keys, m.key)
		}
		m.n.mu.Unlock()
		var errs []error
		for _, mr := range m.mrs {
			errs = append(errs, mr.Close())
		}
		m.err = errors.Join(errs...)
		m.n.forget(m)
	})
	return m.err
}

// find is the memory under a key, nil when there is none.
func (n *Network) find(key uint32) *memory {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.keys[key]
}

func (n *Network) forget(m *memory) {
	n.mu.Lock()
	delete(n.memory, m)
	last := n.closed && len(n.memory) == 0
	n.mu.Unlock()
	if last {
		if err := n.closeDevices(); err != nil {
			n.cfg.Log.Error("RDMA devices could not be closed", "err", err)
		}
	}
}

// Gauges implements wire.Network.
func (n *Network) Gauges(s *rdma.Stats) {
	s.QueuePairs = map[string]int64{"connected": n.qps[qpConnected].Load(), "error": n.qps[qpError].Load()}
}

// Close implements wire.Network. Devices stay open while memory is registered.
func (n *Network) Close() error {
	n.mu.Lock()
	n.closed = true
	empty := len(n.memory) == 0
	n.mu.Unlock()
	if empty {
		return n.closeDevices()
	}
	return nil
}

func (n *Network) closeDevices() error {
	n.stop()
	n.watches.Wait()
	var errs []error
	for _, d := range slices.Backward(n.devices) {
		errs = append(errs, d.Close())
	}
	return errors.Join(errs...)
}
