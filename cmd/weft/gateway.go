package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/weftstore/weft/cmd/weft/internal/gateway"
	"github.com/weftstore/weft/cmd/weft/internal/member"
	"github.com/weftstore/weft/cmd/weft/internal/telemetry"
)

func newGatewayCommand() *cobra.Command {
	cfg := gateway.ProcessConfig{Config: gateway.DefaultConfig()}
	cmd := &cobra.Command{
		Use:   "gateway [flags]",
		Short: "Serve S3 from the storage nodes of a cluster",
		Long: `Runs the S3 front end and the metadata store over the storage nodes that the
cluster file names. Nodes may be down at the start: they are taken in when they
answer.

With --metadata, or metadata in the cluster file, the metadata is in etcd and any number
of gateways serve the same buckets; one of them, elected, does the background work.
Without it the metadata is in the state directory: run one gateway then.

Root credentials come from WEFT_ROOT_ACCESS_KEY and WEFT_ROOT_SECRET_KEY, else from the
state directory, where they are readable by you alone. They are made once: at random, or,
with etcd, from the cluster's secret, so that all gateways have the same.`,
		Example: `  weft gateway --address 0.0.0.0:9000
  weft gateway --metadata etcd://etcd1:2379,etcd2:2379,etcd3:2379
  weft gateway --metadata 'etcd://etcd1:2379/prod?ca=/etc/weft/ca.pem&user=weft&password-file=/etc/weft/etcd.pass'
  weft gateway --cluster /etc/weft/cluster.toml --memory 8GiB --metrics 127.0.0.1:9401
  weft admin status --state /var/lib/weft`,
		Args: cobra.NoArgs,
	}
	addGatewayFlags(cmd, &cfg.Config)
	cmd.Flags().StringVar(&cfg.Metadata, "metadata", "", "etcd:// URL of metadata that several gateways share (default: what the cluster file says, else the state directory)")
	cmd.Flags().DurationVar(&cfg.TTL, "lease", member.DefaultTTL, "how long a gateway that etcd does not hear of counts as alive, in whole seconds")
	cmd.Flags().StringVar(&cfg.Name, "name", "", "name of this gateway among others (default the host's)")
	file, logger := addClusterFlag(cmd), addLogFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		rootCredentials(&cfg.Config)
		if err := cfg.Validate(); err != nil {
			return err
		}
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
		cfg.Fabric, cfg.Describe, cfg.Wires = fabric, fabric.Describe, fabric.Wires
		cfg.Metrics = counters(cfg.Config.Metrics)
		traces, err := telemetry.Start(cmd.Context(), cfg.Settings, "weft-gateway", version(), cfg.Logger)
		if err != nil {
			return err
		}
		defer traces.Close()
		cfg.Tracer = traces.Tracer()
		defer reserveHeap()()
		p, err := gateway.Start(cmd.Context(), cfg)
		if err != nil {
			return err
		}
		p.Describe(cmd.OutOrStdout())
		return p.Run(cmd.Context())
	}
	return cmd
}
