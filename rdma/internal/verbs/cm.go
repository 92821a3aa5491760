package verbs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// MaxPrivate is how many bytes of private data a connection request, its answer and a rejection can all carry on every
// transport.
const MaxPrivate = 56

// Options of a connection's packets.
type Options struct {
	// TOS is the IP type of service of RoCE v2 and iWARP packets: DSCP in the upper six bits. 0 leaves the default.
	TOS uint8
	// AckTimeout is how long the device waits for an acknowledgement before it retries: 4.096 us * 2^AckTimeout,
	// 1..31. 0 leaves the kernel's choice, and so does a kernel before 5.1.
	AckTimeout uint8
}

// DefaultOptions are an acknowledgement timeout of 268 ms: with seven retries a peer is given up after some 2 s, and
// one that is only slow to answer is not sent everything again.
func DefaultOptions() Options { return Options{AckTimeout: 16} }

// Params of a connection.
type Params struct {
	Private  []byte // for the other end's eyes, at most MaxPrivate bytes
	Reads    int    // READs outstanding in each direction, bounded by both devices
	Retry    uint8  // retries after AckTimeout, 0..7; the connecting end decides for both
	RNRRetry uint8  // retries that the other end makes when this one has no receive posted, 0..6; 7 is for ever
	RNRTimer uint8  // code of the delay that this end asks for then, 1..31: 12 is 0.64 ms. 0 leaves the kernel's choice
}

// DefaultParams retry seven times and wait for receives for ever.
func DefaultParams() Params { return Params{Reads: 16, Retry: 7, RNRRetry: 7, RNRTimer: 12} }

// ID is a connection identifier of rdma_cm, with an event channel of its own.
type ID struct {
	guard
	channel, id   handle
	w             *waiter
	local, remote netip.AddrPort
	device        string
	private       []byte // of the request, at the listening end
	asked         cmConn
	reads         int // bound of the device, since NewQP

	op sync.Mutex // librdmacm's view of the queue pair is not safe for concurrent use
	qp atomic.Pointer[QP]
}

func newChannel(name string) (handle, *waiter, error) {
	channel, fd, rc := cCMChannel()
	if rc < 0 {
		return nil, nil, failed(rc, "open event channel for", name, cmHint(rc))
	}
	w, err := newWaiter(fd, "rdma_cm")
	if err != nil {
		cCMChannelFree(channel)
		return nil, nil, err
	}
	return channel, w, nil
}

func newID(name string) (*ID, error) {
	if err := Load(); err != nil {
		return nil, err
	}
	channel, w, err := newChannel(name)
	if err != nil {
		return nil, err
	}
	id, rc := cCMCreate(channel)
	if rc < 0 {
		w.close()
		cCMChannelFree(channel)
		return nil, failed(rc, "create identifier for", name, cmHint(rc))
	}
	return &ID{channel: channel, id: id, w: w}, nil
}

// Resolve finds the device and the route to remote, from the address local if that is valid. The ID then has a device
// and waits for NewQP and Connect.
func Resolve(ctx context.Context, local netip.Addr, remote netip.AddrPort, o Options) (*ID, error) {
	id, err := newID(remote.String())
	if err != nil {
		return nil, err
	}
	id.remote = remote
	if err := id.resolve(ctx, local, remote, o); err != nil {
		return nil, joinClose(err, id)
	}
	return id, nil
}

func joinClose(err error, id *ID) error {
	_ = id.Close() // the first error is the one that tells
	return err
}

func (id *ID) resolve(ctx context.Context, local netip.Addr, remote netip.AddrPort, o Options) error {
	err := id.resolveAddr(ctx, local, remote)
	if err == nil {
		err = id.setOptions(o) // before the route, whose timeouts follow from them
	}
	if err == nil {
		ms := int(resolveTimeout(ctx) / time.Millisecond)
		err = id.try("resolve route to", "", func() int { return cCMResolveRoute(id.id, ms) })
	}
	if err == nil {
		_, err = id.expect(ctx, CMRouteResolved)
	}
	if err == nil {
		err = id.describe()
	}
	return err
}

// resolveAddr asks in short tries: the kernel misses an answer of ARP that comes before it listens for one, and looks
// again only when the time of the try is over.
func (id *ID) resolveAddr(ctx context.Context, local netip.Addr, remote netip.AddrPort) error {
	from, to := toAddr(netip.AddrPortFrom(local, 0)), toAddr(remote)
	left := resolveTimeout(ctx)
	for step := firstResolve; ; step *= 2 {
		step = min(step, left)
		left -= step
		err := id.try("resolve", "no RDMA device has a route to it: ip route get, rdma link show", func() int {
			return cCMResolveAddr(id.id, &from, &to, int(step/time.Millisecond))
		})
		if err == nil {
			_, err = id.expect(ctx, CMAddrResolved)
		}
		if left < time.Millisecond || !errors.Is(err, syscall.ETIMEDOUT) {
			return err
		}
	}
}

// firstResolve is the time of the first try to resolve an address. ARP takes less than a millisecond.
const firstResolve = 50 * time.Millisecond

// resolveTimeout is what is left of ctx, from 1 ms to 10 s.
func resolveTimeout(ctx context.Context) time.Duration {
	left := 10 * time.Second
	if deadline, ok := ctx.Deadline(); ok {
		left = min(left, time.Until(deadline))
	}
	return max(left, time.Millisecond)
}

func (id *ID) setOptions(o Options) error {
	for option, value := range map[int]uint8{optionTOS: o.TOS, optionAckTimeout: o.AckTimeout} {
		if value == 0 {
			continue
		}
		err := id.try("set option of", "", func() int {
			rc := cCMOption(id.id, option, int(value))
			if option == optionAckTimeout && (rc == -int(syscall.ENOSYS) || rc == -int(syscall.EINVAL)) {
				return 0 // a kernel that does not have it
			}
			return rc
		})
		if err != nil {
			return err
		}
	}
	return nil
}

const (
	optionTOS        = 0
	optionReuse      = 1
	optionAckTimeout = 3
)

// try makes one call on the identifier.
func (id *ID) try(op, hint string, call func() int) error {
	if err := id.enter(); err != nil {
		return err
	}
	defer id.leave()
	id.op.Lock()
	defer id.op.Unlock()
	rc := call()
	if hint == "" && rc < 0 {
		hint = cmHint(rc)
	}
	return failed(rc, op, id.String(), hint)
}

// describe notes the addresses and the device.
func (id *ID) describe() error {
	return id.try("find device of", "", func() int {
		var local, remote cmAddr
		cCMAddrs(id.id, &local, &remote)
		id.local, id.remote = fromAddr(local), fromAddr(remote)
		name, rc := cCMDeviceName(id.id)
		id.device = name
		return rc
	})
}

// DeviceName is the device that the connection is on. Open it for NewQP.
func (id *ID) DeviceName() string { return id.device }

// LocalAddr is this end's address.
func (id *ID) LocalAddr() netip.AddrPort { return id.local }

// RemoteAddr is the other end's address.
func (id *ID) RemoteAddr() netip.AddrPort { return id.remote }

func (id *ID) String() string { return id.remote.String() }

// destroyQP is called by the QP, once.
func (id *ID) destroyQP() {
	id.op.Lock()
	defer id.op.Unlock()
	cCMQPDestroy(id.id)
	id.qp.Store(nil)
}

// Close destroys the identifier and ends the connection if there is one. ErrBusy while it has a QP.
func (id *ID) Close() error {
	ok, err := id.shut()
	if err != nil {
		return used("close connection to", id.String(), err)
	}
	if !ok {
		return nil
	}
	id.w.close()
	rc := cCMDestroy(id.id)
	cCMChannelFree(id.channel)
	return failed(rc, "destroy identifier of", id.String(), "")
}

func toAddr(a netip.AddrPort) cmAddr {
	out := cmAddr{port: a.Port()}
	ip := a.Addr().Unmap()
	switch {
	case ip.Is4():
		out.family = 4
		four := ip.As4()
		copy(out.ip[:], four[:])
	case ip.Is6():
		out.family, out.ip = 6, ip.As16()
		out.scope = scope(ip.Zone())
	}
	return out
}

// scope is the index of the interface that a zone names, 0 for none.
func scope(zone string) uint32 {
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n)
	}
	if i, err := net.InterfaceByName(zone); zone != "" && err == nil {
		return uint32(i.Index)
	}
	return 0
}

func fromAddr(a cmAddr) netip.AddrPort {
	switch a.family {
	case 4:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(a.ip[:4])), a.port)
	case 6:
		ip := netip.AddrFrom16(a.ip)
		if a.scope != 0 {
			ip = ip.WithZone(fmt.Sprint(a.scope))
		}
		return netip.AddrPortFrom(ip, a.port)
	}
	return netip.AddrPort{}
}
