package rc

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/internal/verbs"
	"github.com/weftstore/weft/rdma/internal/wire"
)

// lookup finds the addresses of HOST:PORT.
func lookup(ctx context.Context, addr string) ([]netip.AddrPort, error) {
	host, service, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("port %q: want a number", service)
	}
	if host == "" {
		return []netip.AddrPort{netip.AddrPortFrom(netip.IPv6Unspecified(), uint16(port))}, nil
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	var list []netip.AddrPort
	for _, ip := range ips {
		list = append(list, netip.AddrPortFrom(ip.Unmap(), uint16(port)))
	}
	return list, nil
}

// Dial implements wire.Network.
func (n *Network) Dial(ctx context.Context, addr string) (wire.Lane, error) {
	list, err := lookup(ctx, addr)
	var errs []error
	for _, to := range list {
		l, err := n.dial(ctx, to)
		if err == nil {
			return l, nil
		}
		errs = append(errs, err)
	}
	switch err = errors.Join(append(errs, err)...); {
	case ctx.Err() != nil:
		err = errors.Join(ctx.Err(), err)
	case !errors.Is(err, rdma.ErrPeer):
		err = fmt.Errorf("%w: %w", rdma.ErrPeer, err)
	}
	return nil, fmt.Errorf("connect to %s: %w", addr, err)
}

func (n *Network) dial(ctx context.Context, to netip.AddrPort) (*lane, error) {
	mine := &hello{kind: helloAsk, slots: n.cfg.Slots, session: n.cfg.Session}
	_, _ = rand.Read(mine.nonce[:]) // never fails since Go 1.24
	cookie, err := n.ask(ctx, to, mine)
	if err != nil {
		return nil, err
	}
	mine.kind, mine.cookie = helloProve, cookie
	mine.prove(n.cfg.Secret)
	id, err := verbs.Resolve(ctx, netip.Addr{}, to, verbs.DefaultOptions())
	if err != nil {
		return nil, err
	}
	l, err := newLane(n, id, mine.slots, false, nil)
	if err != nil {
		return nil, errors.Join(err, id.Close())
	}
	theirs, err := n.join(ctx, id, mine)
	if err != nil {
		l.Break(err)
		return nil, err
	}
	l.info.Session = theirs.session
	l.info.Slots = min(mine.slots, theirs.slots)
	return l, nil
}

// ask gets a cookie.
func (n *Network) ask(ctx context.Context, to netip.AddrPort, h *hello) (cookie [cookieSize]byte, err error) {
	id, err := verbs.Resolve(ctx, netip.Addr{}, to, verbs.DefaultOptions())
	if err != nil {
		return cookie, err
	}
	defer id.Close()
	dev, err := n.device(id.DeviceName())
	if err != nil {
		return cookie, err
	}
	cq, err := dev.NewCQ(4, 0)
	if err != nil {
		return cookie, err
	}
	defer cq.Close()
	qp, err := id.NewQP(dev, cq, verbs.QPConfig{Send: 1, Recv: 1})
	if err != nil {
		return cookie, err
	}
	defer qp.Close() // it is never used
	p := verbs.DefaultParams()
	p.Private = h.encode()
	_, err = id.Connect(ctx, p)
	if err == nil {
		return cookie, errNotWeft // nobody accepts who has not proved anything
	}
	answer, err := refusal(err)
	if err != nil {
		return cookie, err
	}
	if answer.kind != helloCookie || answer.nonce != h.nonce {
		return cookie, errNotWeft
	}
	return answer.cookie, nil
}

// refusal is the hello in a rejection, or the error that it stands for.
func refusal(err error) (*hello, error) {
	var reject *verbs.RejectError
	if !errors.As(err, &reject) {
		return nil, err
	}
	if reject.Reason != verbs.RejectConsumer {
		return nil, fmt.Errorf("%w: %w", rdma.ErrPeer, err)
	}
	h := &hello{}
	switch err := h.decode(reject.Private); {
	case errors.Is(err, errVersion):
		return nil, errRefused(reasonVersion)
	case err != nil:
		return nil, err
	case h.kind == helloRefuse:
		return nil, errRefused(h.reason)
	}
	return h, nil
}

// join connects a lane's queue pair.
func (n *Network) join(ctx context.Context, id *verbs.ID, mine *hello) (*hello, error) {
	p := verbs.DefaultParams()
	p.Private = mine.encode()
	private, err := id.Connect(ctx, p)
	if err != nil {
		if _, refused := refusal(err); refused != nil {
			return nil, refused
		}
		return nil, err
	}
	theirs := &hello{}
	if err := theirs.decode(private); err != nil {
		return nil, err
	}
	if theirs.kind != helloAccept || !theirs.provedTo(mine, n.cfg.Secret) {
		n.cfg.Counters.AuthFailures.Add(1)
		return nil, errRefused(reasonProof)
	}
	return theirs, nil
}
