package main

import "runtime"

// reserve is kept on the heap of a server and never touched, so that it takes no memory. The collector
// runs when the heap has doubled: that of a server is a few MiB, since payload is outside it, and would
// be collected many times a second under load. With the reserve it is after 32 MiB of garbage, which is
// also the most that it can cost. GOGC would have multiplied a large heap too, of a node with many chunks.
const reserve = 32 << 20

// reserveHeap holds the reserve until the returned function is called.
func reserveHeap() (release func()) {
	b := make([]byte, reserve)
	return func() { runtime.KeepAlive(b) }
}
