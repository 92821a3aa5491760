// Package gate counts who is inside something and can be shut: then nobody
// enters any more and whoever shut it waits until the last has left. It is
// what closes memory under transfers and servers under handlers.
package gate

import "sync/atomic"

// shutBit in Gate.state lets nobody in any more.
const shutBit = 1 << 62

// Gate is open as its zero value. Safe for concurrent use.
type Gate struct {
	state atomic.Int64
	empty atomic.Pointer[chan struct{}] // made by Shut when it must wait
}

// Enter says whether the caller is in; then it must leave.
func (g *Gate) Enter() bool {
	for {
		n := g.state.Load()
		if n&shutBit != 0 {
			return false
		}
		if g.state.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Leave is called once for each Enter that returned true.
func (g *Gate) Leave() {
	if g.state.Add(-1) == shutBit {
		close(*g.empty.Load())
	}
}

// IsShut says whether Shut was called.
func (g *Gate) IsShut() bool { return g.state.Load()&shutBit != 0 }

// Shut closes the gate and waits until it is empty. Who calls it again waits too.
func (g *Gate) Shut() {
	if g.state.CompareAndSwap(0, shutBit) {
		return
	}
	ch := make(chan struct{})
	g.empty.CompareAndSwap(nil, &ch) // before the bit, so that Leave finds it
	if g.state.Or(shutBit)&^shutBit == 0 {
		return
	}
	<-*g.empty.Load()
}
