package main

import (
	"log/slog"

	"github.com/spf13/cobra"
	"github.com/weftstore/weft/cmd/weft/internal/server"
	"github.com/weftstore/weft/cmd/weft/internal/telemetry"
)

func newServerCommand() *cobra.Command {
	cfg := server.DefaultConfig()
	var file string
	var logger func() (*slog.Logger, error)
	cmd := &cobra.Command{
		Use:   "server [flags] DIR [DIR...]",
		Short: "Serve S3 from one or more directories",
		Long: `Runs the S3 front end, the storage node and the metadata store in one process.

Each DIR is a target: a unit of placement, failure and capacity. Give each its
own disk, or its own place on a parallel filesystem. With 4 or more targets any
two may be lost; see --layout. Root credentials come from WEFT_ROOT_ACCESS_KEY
and WEFT_ROOT_SECRET_KEY, else they are generated once and kept in the state
directory, readable by you alone.`,
		Example: `  weft server /data/1 /data/2 /data/3 /data/4
  weft server --layout ec:6+2 --memory 4GiB --address 0.0.0.0:9000 /mnt/ost*
  weft server --config /etc/weft.toml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if file != "" {
				if err := cfg.Load(file, cmd.Flags().Changed); err != nil {
					return err
				}
			}
			if len(args) > 0 {
				cfg.Targets = args
			}
			rootCredentials(&cfg.Config)
			if err := cfg.Validate(); err != nil {
				return err
			}
			log, err := logger()
			if err != nil {
				return err
			}
			cfg.Counters = counters(cfg.Metrics)
			traces, err := telemetry.Start(cmd.Context(), cfg.Settings, "weft-server", version(), log)
			if err != nil {
				return err
			}
			defer traces.Close()
			cfg.Tracer = traces.Tracer()
			defer reserveHeap()()
			srv, err := server.New(cmd.Context(), cfg, log)
			if err != nil {
				return err
			}
			srv.Describe(cmd.OutOrStdout())
			return srv.Run(cmd.Context())
		},
	}
	addGatewayFlags(cmd, &cfg.Config)
	logger = addLogFlag(cmd)
	f := cmd.Flags()
	f.StringVar(&cfg.Layout, "layout", cfg.Layout, "layout of new objects: ec:K+M, replica:N or stripe:K (default by the number of targets)")
	f.StringVar(&file, "config", "", "TOML file with the same names as these flags but --log-level, and with snapshot-every and scrub-every; flags win")
	return cmd
}
