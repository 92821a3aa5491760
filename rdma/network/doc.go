// Package network is the fabric between processes: it makes of lanes (package wire)
// the transport of package rdma, over RDMA verbs, TCP, or the best that both ends
// have.
//
// # Lanes
//
// A connection has several lanes, spread over the addresses that were dialed: one
// address for each rail of the other host, "10.0.0.7:7400,10.1.0.7:7400". A call takes
// a slot on the lane that has most of them free and waits in turn when there is
// none; slots are the credits of the protocol. A lane that dies ends its calls
// with rdma.ErrPeer and is dialed again, at growing intervals, for as long as the
// connection is open. Calls on a connection without any lane fail at once.
//
// With kind "auto" each lane is made over verbs where that works and else over
// TCP, and tries verbs again every now and then.
//
// # The end of a call
//
// A call whose context ends tells the other end, whose handler's context ends too,
// and still waits for the reply, which comes when no transfer touches the caller's
// memory any more: after half of Options.Grace it does not wait for the handler. When it
// does not come within Options.Grace the lane is broken, which has the same effect. Only
// then Call returns.
//
// # Memory
//
// Regions are mapped once and registered with all wires under one random key.
// Handlers' transfers pass through staging memory, which is made by the first Serve
// and lent in order of arrival, but to a caller that has its share.
package network
