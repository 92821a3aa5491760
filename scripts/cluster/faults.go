package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
)

// fault is something that goes wrong for half a round.
type fault struct {
	name  string
	begin func() error
	hold  func(ctx context.Context) error // while it lasts; nil: half the round
	end   func(ctx context.Context) error
}

// faults are all there are, each once.
func (c *cluster) faults() []fault {
	var list []fault
	for _, group := range [][]*process{c.gateways, c.nodes, c.members()} {
		for _, p := range group {
			list = append(list,
				fault{name: "kill " + p.name, begin: p.kill, end: p.start},
				fault{name: "freeze " + p.name, begin: p.freeze, end: func(context.Context) error { return p.thaw() }})
		}
	}
	for i, p := range c.proxies {
		list = append(list, fault{name: fmt.Sprintf("cut gw%d off from etcd", i), begin: p.cut, end: func(context.Context) error { return p.mend() }})
	}
	return append(list, c.cuts()...)
}

// proxy passes on what one gateway says to the members of etcd, unless it is cut.
type proxy struct {
	listeners []net.Listener

	mu   sync.Mutex
	open chan struct{} // closed while bytes pass
	cuts bool
}

func newProxy(members []string) (*proxy, error) {
	p := &proxy{open: make(chan struct{})}
	close(p.open)
	for _, m := range members {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, errors.Join(err, p.closeAll())
		}
		p.listeners = append(p.listeners, l)
		go p.serve(l, m)
	}
	return p, nil
}

func (p *proxy) addresses() (list []string) {
	for _, l := range p.listeners {
		list = append(list, l.Addr().String())
	}
	return list
}

func (p *proxy) cut() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open, p.cuts = make(chan struct{}), true
	return nil
}

func (p *proxy) mend() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.open)
	p.cuts = false
	return nil
}

func (p *proxy) close() {
	p.mu.Lock()
	if p.cuts {
		close(p.open)
		p.cuts = false
	}
	p.mu.Unlock()
	_ = p.closeAll()
}

func (p *proxy) closeAll() error {
	var errs []error
	for _, l := range p.listeners {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

func (p *proxy) serve(l net.Listener, member string) {
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer in.Close()
			p.wait()
			out, err := net.Dial("tcp", member)
			if err != nil {
				return
			}
			defer out.Close()
			var both sync.WaitGroup
			both.Go(func() { p.pass(out, in) })
			both.Go(func() { p.pass(in, out) })
			both.Wait()
		}()
	}
}

// wait returns when the proxy is not cut.
func (p *proxy) wait() {
	p.mu.Lock()
	open := p.open
	p.mu.Unlock()
	<-open
}

// pass copies until one end closes; both do then.
func (p *proxy) pass(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		p.wait()
		if n > 0 {
			if _, werr := to.Write(buf[:n]); werr != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
