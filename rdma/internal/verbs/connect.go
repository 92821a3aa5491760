package verbs

import (
	"context"
	"errors"
	"fmt"
	"syscall"
)

// CMEventType is what happened to a connection.
type CMEventType int32

// Events of rdma_cm, named rdma_cm_event_type in librdmacm.
const (
	CMAddrResolved   CMEventType = 0
	CMAddrError      CMEventType = 1
	CMRouteResolved  CMEventType = 2
	CMRouteError     CMEventType = 3
	CMConnectRequest CMEventType = 4
	CMConnectError   CMEventType = 6
	CMUnreachable    CMEventType = 7
	CMRejected       CMEventType = 8
	CMEstablished    CMEventType = 9
	CMDisconnected   CMEventType = 10
	CMDeviceRemoval  CMEventType = 11
	CMAddrChange     CMEventType = 14
	CMTimewaitExit   CMEventType = 15 // late packets can no longer arrive
)

func (t CMEventType) String() string {
	names := [...]string{
		"address resolved", "address not resolved", "route resolved", "route not resolved", "connection request",
		"connection response", "connection failed", "unreachable", "rejected", "established", "disconnected",
		"device removed", "multicast join", "multicast error", "address changed", "time wait over",
	}
	if t < 0 || int(t) >= len(names) {
		return fmt.Sprintf("rdma_cm event %d", int32(t))
	}
	return names[t]
}

// CMEvent is an event of a connection.
type CMEvent struct {
	Type    CMEventType
	Status  int // an errno below zero, or of CMRejected a reason
	Private []byte
}

// next waits for the next event of a channel.
func (id *ID) next(ctx context.Context, e *cmEvent) error {
	rc := 0
	var closed error
	err := id.w.wait(ctx, func() bool {
		if closed = id.enter(); closed != nil {
			return true
		}
		defer id.leave()
		id.op.Lock()
		defer id.op.Unlock()
		rc = cCMNext(id.channel, e)
		return !again(rc)
	})
	if err == nil {
		err = closed
	}
	if err == nil {
		err = failed(rc, "read events of", id.String(), "")
	}
	return err
}

// NextEvent waits for the next event: of a connection that is established, CMDisconnected and what follows it. The error is
// ctx's, ErrClosed or the device's.
func (id *ID) NextEvent(ctx context.Context) (CMEvent, error) {
	var e cmEvent
	if err := id.next(ctx, &e); err != nil {
		return CMEvent{}, err
	}
	return e.public(), nil
}

func (e *cmEvent) public() CMEvent {
	return CMEvent{CMEventType(e.typ), int(e.status), append([]byte(nil), e.conn.private[:e.conn.privateLen]...)}
}

// expect waits for an event and turns any other into an error.
func (id *ID) expect(ctx context.Context, want CMEventType) (CMEvent, error) {
	var raw cmEvent
	for {
		if err := id.next(ctx, &raw); err != nil {
			return CMEvent{}, err
		}
		e := raw.public()
		switch e.Type {
		case want:
			return e, nil
		case CMAddrChange, CMTimewaitExit:
			continue
		case CMRejected:
			return e, used("connect to", id.String(), &RejectError{Reason: e.Status, Private: e.Private})
		}
		return e, id.eventError(e)
	}
}

func (id *ID) eventError(e CMEvent) error {
	hint := ""
	switch e.Type {
	case CMAddrError, CMRouteError:
		hint = "no RDMA device reaches it: rdma link show, ip neigh"
	case CMUnreachable, CMConnectError:
		hint = "the other end does not answer: is its service running, does a firewall drop UDP port 4791?"
	}
	errno := syscall.ECONNABORTED
	if e.Status < 0 {
		errno = syscall.Errno(-e.Status)
	}
	return &Error{Op: "connect to", Name: id.String(), Err: fmt.Errorf("%s: %w", e.Type, errno), Hint: hint}
}

func (id *ID) conn(p Params) (cmConn, error) {
	c := cmConn{privateLen: uint32(len(p.Private)), retry: min(p.Retry, 7), rnrTry: min(p.RNRRetry, 7)}
	if len(p.Private) > MaxPrivate {
		return c, used("connect to", id.String(), fmt.Errorf("%d bytes of private data, the limit is %d", len(p.Private), MaxPrivate))
	}
	copy(c.private[:], p.Private)
	if id.qp.Load() == nil {
		return c, used("connect to", id.String(), errors.New("no queue pair"))
	}
	reads := uint8(min(max(p.Reads, 0), id.reads, 255))
	c.responder, c.initiator = reads, reads
	return c, nil
}

// Connect connects the queue pair of a resolved identifier and returns the private data of the answer, padded with
// zeros to a length of the transport's choice. A *RejectError has what Reject was given. Post receives before it: the
// other end may send at once.
func (id *ID) Connect(ctx context.Context, p Params) ([]byte, error) {
	c, err := id.conn(p)
	if err != nil {
		return nil, err
	}
	if err := id.try("connect to", "", func() int { return cCMConnect(id.id, &c) }); err != nil {
		return nil, err
	}
	e, err := id.expect(ctx, CMEstablished)
	if err != nil {
		return nil, err
	}
	return e.Private, id.setRNRTimer(p)
}

// Private is the private data of the request, padded with zeros, at the listening end.
func (id *ID) Private() []byte { return id.private }

// Accept connects the queue pair of an identifier that has come from a Listener, and waits until the other end knows.
// Post receives before it.
func (id *ID) Accept(ctx context.Context, p Params) error {
	c, err := id.conn(p)
	if err != nil {
		return err
	}
	c.responder = min(c.responder, id.asked.responder)
	c.initiator = min(c.initiator, id.asked.initiator)
	if err := id.try("accept connection of", "", func() int { return cCMAccept(id.id, &c) }); err != nil {
		return err
	}
	if err := id.setRNRTimer(p); err != nil {
		return err
	}
	_, err = id.expect(ctx, CMEstablished)
	return err
}

// setRNRTimer is for a queue pair that is connected: rdma_cm connects with the longest delay there is, 655 ms. A device
// that does not change it later keeps that.
func (id *ID) setRNRTimer(p Params) error {
	if p.RNRTimer == 0 {
		return nil
	}
	return id.try("set the RNR timer of", "", func() int {
		if q := id.qp.Load(); q != nil {
			if rc := cQPRNRTimer(q.qp, int(min(p.RNRTimer, 31))); rc != -int(syscall.EINVAL) && rc != -int(syscall.EOPNOTSUPP) {
				return rc
			}
		}
		return 0
	})
}

// Reject refuses a request. Close the identifier after it.
func (id *ID) Reject(private []byte) error {
	c := cmConn{privateLen: uint32(min(len(private), MaxPrivate))}
	copy(c.private[:MaxPrivate], private)
	return id.try("reject connection of", "", func() int { return cCMReject(id.id, &c) })
}

// Disconnect takes this end's queue pair to the error state and tells the other end, which gets CMDisconnected.
func (id *ID) Disconnect() error {
	return id.try("disconnect from", "", func() int {
		if rc := cCMDisconnect(id.id); rc != -int(syscall.EINVAL) {
			return rc
		}
		return 0 // is not connected any more
	})
}
