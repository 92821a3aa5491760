package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/weftstore/weft/cmd/weft/internal/metasize"
	"github.com/weftstore/weft/erasure"
)

func newBenchMetadataCommand() *cobra.Command {
	cfg := metasize.Config{}
	cmd := &cobra.Command{
		Use:   "metadata [flags]",
		Short: "Measure the bytes of metadata of an object",
		Long: `Puts objects into an empty metadata database and looks at its size: in a temporary bbolt
database, or in a member of etcd that has nothing else, which is compacted and
defragmented for it. With --group the puts of all clients are committed together, which is
many times as fast; a file of etcd is smaller then until its first compaction, as each
commit leaves a revision of a marker.`,
		Example: `  weft bench metadata --objects 1000000
  weft bench metadata --objects 1000000 --metadata etcd://127.0.0.1:2379/bench
  weft bench metadata --objects 10000000 --group --clients 500 --metadata etcd://127.0.0.1:2379/bench`,
		Args: cobra.NoArgs,
	}
	url := cmd.Flags().String("metadata", "", "etcd:// URL; by default bbolt is measured")
	layout := cmd.Flags().String("layout", "ec:4+2", "of the objects")
	cmd.Flags().Int64Var(&cfg.Objects, "objects", 1_000_000, "how many")
	cmd.Flags().IntVar(&cfg.Clients, "clients", 128, "how many put at once")
	cmd.Flags().BoolVar(&cfg.Group, "group", false, "commit the puts of all clients together")
	cmd.Flags().BoolVar(&cfg.JSON, "json", false, "print a line of JSON for each figure")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		if cfg.Layout, err = erasure.ParseLayout(*layout); err != nil {
			return err
		}
		if cfg.Objects < 1 || cfg.Clients < 1 {
			return errors.New("--objects and --clients: at least 1")
		}
		cfg.Out = cmd.OutOrStdout()
		cfg.Progress = func(n int64, took time.Duration) {
			if n > 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "%d objects after %.0f s\n", n, took.Seconds())
			}
		}
		if *url != "" {
			return metasize.Etcd(cmd.Context(), &cfg, *url)
		}
		dir, err := os.MkdirTemp("", "weft-bench-")
		if err != nil {
			return err
		}
		return errors.Join(metasize.Bolt(cmd.Context(), &cfg, dir), os.RemoveAll(dir))
	}
	return cmd
}
