package mem

import "sync/atomic"

// gateShut is the bit in gate.state that lets nobody in any more.
const gateShut = 1 << 62

// gate counts who is inside, and can be shut: then nobody enters and shut
// returns when the last one has left. The zero gate is open.
type gate struct {
	state atomic.Int64
	empty atomic.Pointer[chan struct{}] // made by shut when it must wait
}

// enter says whether the caller is in; then it must leave.
func (g *gate) enter() bool {
	for {
		n := g.state.Load()
		if n&gateShut != 0 {
			return false
		}
		if g.state.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (g *gate) leave() {
	if g.state.Add(-1) == gateShut {
		close(*g.empty.Load())
	}
}

// isShut says whether shut was called.
func (g *gate) isShut() bool { return g.state.Load()&gateShut != 0 }

// shut closes the gate and waits until it is empty. Who calls it again waits too.
func (g *gate) shut() {
	if g.state.CompareAndSwap(0, gateShut) {
		return
	}
	ch := make(chan struct{})
	g.empty.CompareAndSwap(nil, &ch) // before the bit, so that leave finds it
	if g.state.Or(gateShut)&^gateShut == 0 {
		return
	}
	<-*g.empty.Load()
}
