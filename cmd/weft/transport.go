package main

import (
	"log/slog"

	"github.com/weftstore/weft/cmd/weft/internal/cluster"
	"github.com/weftstore/weft/node"
	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/network"
)

// transport is what processes speak over.
type transport interface {
	rdma.Transport
	// Describe tells which wires run, and why others do not.
	Describe() []string
	// Wires are those that run.
	Wires() []rdma.Counted
}

// openFabric makes the transport of a process in a cluster. It is the caller's to
// close.
func openFabric(f *cluster.File, log *slog.Logger) (transport, error) {
	secret, err := f.Secret()
	if err != nil {
		return nil, err
	}
	o := f.Fabric.Options(secret, log)
	o.Prompt = node.Prompt
	return openTransport(f.Fabric.Transport, o)
}

// openTransport makes a transport of a kind: "auto", "verbs" or "tcp".
func openTransport(kind string, o rdma.Options) (transport, error) {
	t, err := network.New(network.Config{Kind: kind, Options: o})
	if err != nil {
		return nil, err // and no transport that is a nil pointer
	}
	return t, nil
}
