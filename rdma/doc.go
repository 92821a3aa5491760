// Package rdma is the fabric between gateways, storage nodes and clients: small
// request-reply messages, and bulk bytes moved by one-sided operations between
// regions of registered memory.
//
// A server's Handler is given a request and the Peer that sent it. Bulk bytes
// move only at the handler's side: Peer.Pull reads the caller's memory (RDMA
// READ), Peer.Push writes into it (RDMA WRITE). The caller names memory with a
// Remote, which it may hand out only for regions of its own.
//
// Pull and Push lend the handler a slice for the time of a callback. Where both
// ends share an address space the slice is the caller's memory itself and
// nothing is copied; elsewhere it is a staging buffer of the transport, which
// knows when no work request may touch it any more.
//
// Implementations: package mem (function calls in one process) and package network
// (between processes, over TCP or RDMA verbs). One conformance suite, package
// rdmatest, is run by each, over every wire.
//
// Transports, connections and servers are safe for concurrent use. A Remote
// holds a memory key and is a secret: it is never logged.
package rdma
