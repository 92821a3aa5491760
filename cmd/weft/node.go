package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"github.com/spf13/cobra"

	"github.com/weftstore/weft/cmd/weft/internal/member"
	"github.com/weftstore/weft/cmd/weft/internal/metrics"
	"github.com/weftstore/weft/cmd/weft/internal/settings"
	"github.com/weftstore/weft/cmd/weft/internal/storagenode"
	"github.com/weftstore/weft/cmd/weft/internal/telemetry"
)

func newNodeCommand() *cobra.Command {
	cfg := storagenode.ProcessConfig{Name: storagenode.DefaultName()}
	cmd := &cobra.Command{
		Use:   "node [flags]",
		Short: "Serve the targets of this host to gateways",
		Long: `Runs a storage node: it serves the target directories that the cluster file
gives to this host, over RDMA where both ends have it, else TCP. New empty
directories become targets. A known directory that is empty is a disk that did not
mount, or a replaced one: it waits for the disk, or for ` + "`weft admin repair`" + ` on the gateway.`,
		Example: `  weft node
  weft node --cluster /etc/weft/cluster.toml --name node7 --state /var/lib/weft
  weft node --listen 0.0.0.0:7400 --metrics 127.0.0.1:9400`,
		Args: cobra.NoArgs,
	}
	file, logger := addClusterFlag(cmd), addLogFlag(cmd)
	f := cmd.Flags()
	f.DurationVar(&cfg.TTL, "lease", member.DefaultTTL, "how long the node keeps targets that others may take over when etcd does not hear of it, in whole seconds")
	f.StringVar(&cfg.Name, "name", cfg.Name, "name of this node in the cluster file")
	f.StringVar(&cfg.State, "state", settings.DefaultState(), "directory of indexes and of the list of known targets; a fast local disk is best")
	f.StringVar(&cfg.Listen, "listen", "", "addresses to serve the fabric on, separated by commas (default: those in the cluster file)")
	var metricsAddr string
	addMetricsFlag(cmd, &metricsAddr)
	var trace telemetry.Settings
	addTraceFlag(cmd, &trace)
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		if cfg.Cluster, err = file(); err != nil {
			return err
		}
		if cfg.Logger, err = logger(); err != nil {
			return err
		}
		fabric, err := openFabric(cfg.Cluster, cfg.Logger)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, fabric.Close()) }()
		cfg.Fabric, cfg.Describe = fabric, fabric.Describe
		traces, err := telemetry.Start(cmd.Context(), trace, "weft-node", version(), cfg.Logger)
		if err != nil {
			return err
		}
		defer traces.Close()
		cfg.Tracer = traces.Tracer()
		defer reserveHeap()()
		p, err := storagenode.Start(cmd.Context(), cfg)
		if err != nil {
			return err
		}
		p.Describe(cmd.OutOrStdout())
		ctx, cancel := context.WithCancel(cmd.Context())
		defer cancel()
		if m := counters(metricsAddr); m != nil {
			m.Fabric(fabric.Wires)
			m.Targets(p.Targets)
			if err := serveMetrics(ctx, m, metricsAddr, cfg.Logger); err != nil {
				cancel()
				return errors.Join(err, p.Run(ctx))
			}
		}
		return p.Run(ctx)
	}
	return cmd
}

// serveMetrics listens, and serves until ctx ends.
func serveMetrics(ctx context.Context, m *metrics.Set, addr string, log *slog.Logger) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("serve metrics: %w", err)
	}
	go func() {
		if err := m.ServeOn(ctx, l, log); err != nil {
			log.Error("metrics are not served any more", "err", err)
		}
	}()
	return nil
}
