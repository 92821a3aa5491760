package verbs

import (
	"context"
	"fmt"
	"syscall"
)

// Device is an open device with its one protection domain: memory registered on it serves all its queue pairs.
type Device struct {
	guard
	info    Info
	list    handle // holds the context
	ctx, pd handle
	events  *waiter
}

// Open opens a device for connections of rdma_cm. Open it once and share it: device events go to one of several
// handles only.
func Open(name string) (*Device, error) {
	if err := Load(); err != nil {
		return nil, err
	}
	list, n, rc := cCMDevices()
	if rc < 0 {
		return nil, failed(rc, "open device", name, cmHint(rc))
	}
	for i := range n {
		ctx := cCMDevice(list, i)
		var d deviceInfo
		if rc := cCtxInfo(ctx, &d); rc < 0 || text(d.name[:]) != name {
			continue
		}
		dev, err := newDevice(ctx, name)
		if err != nil {
			cCMDevicesFree(list)
			return nil, err
		}
		dev.list = list
		return dev, nil
	}
	cCMDevicesFree(list)
	return nil, &Error{Op: "open device", Name: name, Err: syscall.ENODEV, Hint: "no such RDMA device, or no permission to use it: rdma link show"}
}

func newDevice(ctx handle, name string) (*Device, error) {
	dev := &Device{ctx: ctx, info: describe(ctx, name)}
	if dev.info.Err != nil {
		return nil, dev.info.Err
	}
	fd := cAsyncFD(ctx)
	if fd < 0 {
		return nil, failed(fd, "watch device", name, "")
	}
	var err error
	if dev.events, err = newWaiter(fd, name); err != nil {
		return nil, err
	}
	pd, rc := cPDAlloc(ctx)
	if rc < 0 {
		dev.events.close()
		return nil, failed(rc, "allocate protection domain of", name, "")
	}
	dev.pd = pd
	return dev, nil
}

// cmHint says what the failure to reach rdma_cm calls for.
func cmHint(rc int) string {
	switch syscall.Errno(-rc) {
	case syscall.ENODEV, syscall.ENOENT, syscall.ENOSYS:
		return "modprobe rdma_ucm; in a container pass /dev/infiniband/rdma_cm; rdma link show lists devices"
	case syscall.EACCES, syscall.EPERM:
		return "allow this user to open /dev/infiniband/rdma_cm and uverbs*, by group rdma or a udev rule"
	case syscall.EMFILE, syscall.ENFILE:
		return "raise the limit of open files (ulimit -n)"
	}
	return ""
}

// Info is what the device was when it was opened, without GIDs.
func (d *Device) Info() Info { return d.info }

// Name of the device.
func (d *Device) Name() string { return d.info.Name }

// Close frees the protection domain. ErrBusy while there are regions, completion queues or queue pairs.
func (d *Device) Close() error {
	ok, err := d.shut()
	if err != nil {
		return used("close device", d.info.Name, err)
	}
	if !ok {
		return nil
	}
	d.events.close()
	err = failed(cPDFree(d.pd), "free protection domain of", d.info.Name, "")
	cCMDevicesFree(d.list)
	return err
}

// EventType is what happened to a device.
type EventType int32

// Events of a device, named ibv_event_type in libibverbs.
const (
	EventCQ         EventType = 0 // a completion queue overflowed
	EventQPFatal    EventType = 1
	EventQPRequest  EventType = 2
	EventQPAccess   EventType = 3
	EventDevice     EventType = 8 // the device failed: everything on it is lost
	EventPortActive EventType = 9
	EventPortError  EventType = 10 // the link went down
	EventGIDChange  EventType = 18
)

func (t EventType) String() string {
	names := [...]string{
		"completion queue error", "queue pair failed", "invalid request at a queue pair", "access violation at a queue pair",
		"communication established", "send queue drained", "path migrated", "path migration failed", "device failed",
		"port active", "port down", "LID changed", "partition keys changed", "subnet manager changed",
		"shared receive queue error", "shared receive queue limit", "last receive of a queue pair", "client reregister",
		"GID table changed", "work queue failed",
	}
	if t < 0 || int(t) >= len(names) {
		return fmt.Sprintf("device event %d", int32(t))
	}
	return names[t]
}

// DeviceEvent is something that happened outside the completion queues.
type DeviceEvent struct {
	Type EventType
	Port int    // of port events, otherwise 0
	QPN  uint32 // of queue pair events, otherwise 0
}

// NextEvent waits for an event of the device. Its error is ctx's, ErrClosed or the device's.
func (d *Device) NextEvent(ctx context.Context) (DeviceEvent, error) {
	var e asyncEvent
	rc := 0
	var closed error
	err := d.events.wait(ctx, func() bool {
		if closed = d.enter(); closed != nil {
			return true
		}
		defer d.leave()
		rc = cAsyncNext(d.ctx, &e)
		return !again(rc)
	})
	if err == nil {
		err = closed
	}
	if err == nil {
		err = failed(rc, "read events of", d.info.Name, "")
	}
	return DeviceEvent{Type: EventType(e.typ), Port: int(e.port), QPN: e.qpn}, err
}

func again(rc int) bool { return rc == -int(syscall.EAGAIN) || rc == -int(syscall.EINTR) }
