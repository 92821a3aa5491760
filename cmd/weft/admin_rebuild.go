package main

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/weftstore/weft/cmd/weft/internal/server"
	"github.com/weftstore/weft/store"
)

func newRebuildCommand(f *adminFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "rebuild-metadata DIR [DIR...]",
		Short: "Bring the metadata back from the targets alone; the server must be stopped",
		Long: `Makes a new metadata database in an empty state directory from the newest
snapshot on the targets and from the chunks' own descriptions. Name every target
directory that is left. docs/OPERATIONS.md says what cannot be known.`,
		Example: `  weft admin rebuild-metadata --state /var/lib/weft /data/1 /data/2 /data/3 /data/4`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg := server.DefaultConfig()
			cfg.State, cfg.Targets = f.state, args
			log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
			r, err := server.Rebuild(cmd.Context(), cfg, log, newProgress(cmd.ErrOrStderr()))
			if err != nil {
				return err
			}
			return show(f, cmd.OutOrStdout(), r, printRebuild)
		},
	}
}

func printRebuild(w io.Writer, r *store.RebuildResult) {
	from := "no snapshot was found; everything comes from the chunks"
	if r.Snapshot {
		from = "restored a snapshot"
	}
	fmt.Fprintf(w, "%s\n%d chunks seen; %d versions imported beside it, %d buckets made\n", from, r.Chunks, r.Versions, r.Buckets)
	fmt.Fprintf(w, "%d parts are damaged and queued for repair, %d are lost; %d chunk sets were deleted or replaced before\n", r.Damaged, r.Lost, r.Ignored)
	printProblems(w, r.Problems)
}
