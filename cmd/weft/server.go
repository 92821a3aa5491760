package main

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"
	"github.com/weftstore/weft/cmd/weft/internal/server"
)

// Environment variables that hold the root credentials.
const (
	envAccessKey = "WEFT_ROOT_ACCESS_KEY"
	envSecretKey = "WEFT_ROOT_SECRET_KEY" //nolint:gosec // the name of a variable
)

func newServerCommand() *cobra.Command {
	cfg := server.DefaultConfig()
	var file, logLevel string
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
			cfg.AccessKey, cfg.SecretKey = os.Getenv(envAccessKey), os.Getenv(envSecretKey)
			if err := cfg.Validate(); err != nil {
				return err
			}
			var level slog.Level
			if err := level.UnmarshalText([]byte(logLevel)); err != nil {
				return fmt.Errorf("--log-level: %w", err)
			}
			log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
			srv, err := server.New(cmd.Context(), cfg, log)
			if err != nil {
				return err
			}
			srv.Describe(cmd.OutOrStdout())
			return srv.Run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Address, "address", cfg.Address, "address to serve S3 on")
	f.StringVar(&cfg.Layout, "layout", cfg.Layout, "layout of new objects: ec:K+M, replica:N or stripe:K (default by the number of targets)")
	f.Var(&cfg.Memory, "memory", "registered memory for object data in flight")
	f.StringVar(&cfg.State, "state", cfg.State, "directory of metadata, credentials and caches; put it on a reliable local disk")
	f.StringSliceVar(&cfg.Domains, "domain", nil, "domain of virtual-hosted requests (BUCKET.DOMAIN); repeatable")
	f.StringVar(&cfg.Region, "region", cfg.Region, "region that clients sign for")
	f.StringVar(&cfg.TLSCert, "tls-cert", "", "certificate chain (PEM); with --tls-key serves https")
	f.StringVar(&cfg.TLSKey, "tls-key", "", "private key (PEM)")
	f.StringVar(&file, "config", "", "TOML file with the same names as these flags; flags win")
	f.StringVar(&logLevel, "log-level", "info", "debug, info, warn or error")
	return cmd
}
