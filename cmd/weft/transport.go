package main

import (
	"errors"
	"log/slog"

	"github.com/weftstore/weft/cmd/weft/internal/cluster"
	"github.com/weftstore/weft/rdma"
)

// openFabric makes the transport of a process in a cluster; describe tells which
// transports run and why. The transport is the caller's to close.
func openFabric(f *cluster.File, _ *slog.Logger) (fabric rdma.Transport, describe func() []string, err error) {
	if _, err := f.Secret(); err != nil {
		return nil, nil, err
	}
	return nil, nil, errors.New("this build has no network transport: only `weft server` can run")
}
