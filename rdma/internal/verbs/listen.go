package verbs

import (
	"context"
	"net/netip"
)

// Listener takes requests for connections at an address.
type Listener struct {
	id      *ID
	options Options
}

// Listen listens at addr: an unspecified IP means those of all devices, port 0 a free one. backlog bounds the requests
// that wait for Accept.
func Listen(addr netip.AddrPort, backlog int, o Options) (*Listener, error) {
	id, err := newID(addr.String())
	if err != nil {
		return nil, err
	}
	id.remote = addr // names it in errors
	a := toAddr(addr)
	err = id.try("reuse address", "", func() int { return cCMOption(id.id, optionReuse, 1) })
	if err == nil {
		err = id.try("bind", "the address must be that of a network interface with an RDMA device: rdma link show", func() int {
			return cCMBind(id.id, &a)
		})
	}
	if err == nil {
		err = id.try("listen at", "", func() int { return cCMListen(id.id, backlog) })
	}
	if err != nil {
		return nil, joinClose(err, id)
	}
	var local, remote cmAddr
	cCMAddrs(id.id, &local, &remote)
	id.local = fromAddr(local)
	return &Listener{id: id, options: o}, nil
}

// Addr is where it listens, with the port that was chosen.
func (l *Listener) Addr() netip.AddrPort { return l.id.local }

// Accept waits for a request. The caller answers it with NewQP and ID.Accept, or Reject, and closes it. An error that
// is not ctx's nor ErrClosed concerns one request.
func (l *Listener) Accept(ctx context.Context) (*ID, error) {
	for {
		var e cmEvent
		if err := l.id.next(ctx, &e); err != nil {
			return nil, err
		}
		if CMEventType(e.typ) != CMConnectRequest {
			if CMEventType(e.typ) == CMDeviceRemoval {
				return nil, l.id.eventError(e.public())
			}
			continue
		}
		return l.take(&e)
	}
}

// take gives the identifier of a request an event channel of its own.
func (l *Listener) take(e *cmEvent) (*ID, error) {
	channel, w, err := newChannel(l.id.String())
	if err != nil {
		cCMDestroy(e.id) // rejects
		return nil, err
	}
	id := &ID{channel: channel, id: e.id, w: w, asked: e.conn, private: e.public().Private}
	err = id.try("take connection of", "", func() int { return cCMMigrate(id.id, channel) })
	if err == nil {
		err = id.describe()
	}
	if err == nil {
		err = id.setOptions(l.options)
	}
	if err != nil {
		return nil, joinClose(err, id)
	}
	return id, nil
}

// Close stops listening and rejects what waits for Accept.
func (l *Listener) Close() error { return l.id.Close() }
