package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weftstore/weft/cmd/weft/internal/cluster"
	"github.com/weftstore/weft/cmd/weft/internal/gateway"
	"github.com/weftstore/weft/cmd/weft/internal/server"
	"github.com/weftstore/weft/store"
)

func newRebuildCommand(f *adminFlags) *cobra.Command {
	var file string
	var acceptLoss bool
	cmd := &cobra.Command{
		Use:   "rebuild-metadata [DIR...]",
		Short: "Bring the metadata back from the targets alone; server or gateway must be stopped",
		Long: `Makes a new metadata database in an empty state directory from the newest
snapshot on the targets and from the chunks' own descriptions. Name every target
directory that is left, or with --cluster the cluster file: all of its nodes must be
up. docs/OPERATIONS.md says what cannot be known. When targets are missing and objects
lack shards for that, nothing is done, unless --accept-loss is given.`,
		Example: `  weft admin rebuild-metadata --state /var/lib/weft /data/1 /data/2 /data/3 /data/4
  weft admin rebuild-metadata --state /var/lib/weft --cluster /etc/weft/cluster.toml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if (file == "") == (len(args) == 0) {
				return errors.New("name the target directories, or the cluster file with --cluster")
			}
			log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
			report := newProgress(cmd.ErrOrStderr())
			var r *store.RebuildResult
			var err error
			if file != "" {
				r, err = rebuildCluster(cmd.Context(), file, f.state, acceptLoss, log, report)
			} else {
				cfg := server.DefaultConfig()
				cfg.State, cfg.Targets = f.state, args
				r, err = server.Rebuild(cmd.Context(), cfg, acceptLoss, log, report)
			}
			if r != nil {
				err = errors.Join(show(f, cmd.OutOrStdout(), r, printRebuild), err)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&file, "cluster", "", "cluster file, instead of directories")
	cmd.Flags().BoolVar(&acceptLoss, "accept-loss", false, "give up objects of which shards are missing, although targets are")
	return cmd
}

func rebuildCluster(ctx context.Context, file, state string, acceptLoss bool, log *slog.Logger, report store.Report) (_ *store.RebuildResult, err error) {
	cfg := gateway.ProcessConfig{Config: gateway.DefaultConfig(), Logger: log}
	cfg.State = state
	if cfg.Cluster, err = cluster.Load(file); err != nil {
		return nil, err
	}
	if cfg.Fabric, err = openFabric(cfg.Cluster, log); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, cfg.Fabric.Close()) }()
	return gateway.RebuildCluster(ctx, cfg, acceptLoss, report)
}

func printRebuild(w io.Writer, r *store.RebuildResult) {
	from := "no snapshot was found; everything comes from the chunks"
	if r.Snapshot {
		from = "restored a snapshot"
	}
	fmt.Fprintf(w, "%s\n%d chunks seen; %d versions and %d changes of locks imported beside it, %d buckets made\n", from, r.Chunks, r.Versions, r.Locks, r.Buckets)
	fmt.Fprintf(w, "%d parts are damaged and queued for repair, %d are lost; %d chunk sets were deleted or replaced before\n", r.Damaged, r.Lost, r.Ignored)
	if len(r.Missing) > 0 {
		fmt.Fprintf(w, "targets of the snapshot that are not there: %s\n", strings.Join(r.Missing, ", "))
	}
	printProblems(w, r.Problems)
}
