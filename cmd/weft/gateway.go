package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/weftstore/weft/cmd/weft/internal/gateway"
)

func newGatewayCommand() *cobra.Command {
	cfg := gateway.ProcessConfig{Config: gateway.DefaultConfig()}
	cmd := &cobra.Command{
		Use:   "gateway [flags]",
		Short: "Serve S3 from the storage nodes of a cluster",
		Long: `Runs the S3 front end and the metadata store over the storage nodes that the
cluster file names. Nodes may be down at the start: they are taken in when they
answer. Run one gateway for each cluster: its metadata is in its state directory.

Root credentials come from WEFT_ROOT_ACCESS_KEY and WEFT_ROOT_SECRET_KEY, else they
are generated once and kept in the state directory, readable by you alone.`,
		Example: `  weft gateway --address 0.0.0.0:9000
  weft gateway --cluster /etc/weft/cluster.toml --memory 8GiB --metrics 127.0.0.1:9401
  weft admin status --state /var/lib/weft`,
		Args: cobra.NoArgs,
	}
	addGatewayFlags(cmd, &cfg.Config)
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
		p, err := gateway.Start(cmd.Context(), cfg)
		if err != nil {
			return err
		}
		p.Describe(cmd.OutOrStdout())
		return p.Run(cmd.Context())
	}
	return cmd
}
