package main

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/weftstore/weft/cmd/weft/internal/settings"
	"github.com/weftstore/weft/cmd/weft/internal/transfer"
	"github.com/weftstore/weft/metadata"
)

func newMetadataCommand(f *adminFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "metadata",
		Short: "Export, import and move the metadata between a state directory and etcd",
		Long: `Each of these compares every record when it has written all, and may be run again
when it was cut short. What is in a state directory can be read and written only while
its server or gateway is stopped; what is in etcd can be exported at any time, and
written while no gateway is registered. In place of an etcd:// URL the word "cluster"
means what the cluster file says, with all [[metadata-cluster]] that it has.`,
	}
	cmd.AddCommand(metadataExport(f), metadataImport(f), metadataMigrate(f))
	return cmd
}

// byFile stands for what the cluster file says, in place of an etcd:// URL.
const byFile = "cluster"

// place is the state directory, or etcd when there is a URL.
func (f *adminFlags) place(url, file string) (transfer.Place, error) {
	p := transfer.Place{State: f.state, URL: url}
	if url == "" {
		return p, nil
	}
	c, err := loadCluster(file)
	if err != nil {
		return p, err
	}
	p.Deployment = c.Deployment
	if url == byFile {
		if p.URL, p.Division = c.Metadata, c.Division; p.URL == "" {
			err = fmt.Errorf("%s names no metadata in etcd", file)
		}
		return p, err
	}
	if len(c.Division) > 0 {
		return p, fmt.Errorf("%s has %d [[metadata-cluster]] beside one: give %q in place of the URL to mean them all", file, len(c.Division), byFile)
	}
	return p, nil
}

func metadataExport(f *adminFlags) *cobra.Command {
	var url, file string
	cmd := &cobra.Command{
		Use: "export FILE", Short: "Write the metadata, as it is at one moment, to a new file", Args: cobra.ExactArgs(1),
		Example: `  weft admin metadata export --state /var/lib/weft /backup/weft.meta
  weft admin metadata export --from etcd://etcd1:2379,etcd2:2379 /backup/weft.meta
  weft admin metadata export --from cluster /backup/weft.meta`,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := f.place(url, file)
			if err != nil {
				return err
			}
			c, err := transfer.Export(cmd.Context(), p, args[0], copyProgress(cmd.ErrOrStderr()))
			return showCopied(f, cmd, "exported", c, err)
		},
	}
	cmd.Flags().StringVar(&url, "from", "", `etcd:// URL, or "cluster", to read from (default the state directory)`)
	cmd.Flags().StringVar(&file, "cluster", defaultCluster, "cluster file, for etcd")
	return cmd
}

func metadataImport(f *adminFlags) *cobra.Command {
	var url, file string
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Read an exported file into a state directory or etcd that has no metadata", Args: cobra.ExactArgs(1),
		Example: `  weft admin metadata import --state /var/lib/weft /backup/weft.meta
  weft admin metadata import --to etcd://etcd1:2379,etcd2:2379 /backup/weft.meta
  weft admin metadata import --to cluster /backup/weft.meta`,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := f.place(url, file)
			if err != nil {
				return err
			}
			c, err := transfer.Import(cmd.Context(), args[0], p, copyProgress(cmd.ErrOrStderr()))
			return showCopied(f, cmd, "imported", c, err)
		},
	}
	cmd.Flags().StringVar(&url, "to", "", `etcd:// URL, or "cluster", to write to (default the state directory)`)
	cmd.Flags().StringVar(&file, "cluster", defaultCluster, "cluster file, for etcd")
	return cmd
}

func metadataMigrate(f *adminFlags) *cobra.Command {
	var from, to, file string
	cmd := &cobra.Command{
		Use: "migrate", Short: "Move the metadata from the state directory to etcd, or back", Args: cobra.NoArgs,
		Long: `With --to, moves the metadata of the state directory to etcd: the database is renamed
to metadata.db.migrated and may be removed when gateways serve from etcd. With --from,
moves it from etcd to the state directory: no gateway can use what is left in etcd.`,
		Example: `  weft admin metadata migrate --state /var/lib/weft --to etcd://etcd1:2379,etcd2:2379,etcd3:2379
  weft admin metadata migrate --state /var/lib/weft --from etcd://etcd1:2379,etcd2:2379,etcd3:2379
  weft admin metadata migrate --state /var/lib/weft --to cluster`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if (from == "") == (to == "") {
				return errors.New("give --to or --from")
			}
			src, err := f.place(from, file)
			if err != nil {
				return err
			}
			dst, err := f.place(to, file)
			if err != nil {
				return err
			}
			c, err := transfer.Migrate(cmd.Context(), src, dst, copyProgress(cmd.ErrOrStderr()))
			return showCopied(f, cmd, "moved", c, err)
		},
	}
	cmd.Flags().StringVar(&from, "from", "", `etcd:// URL, or "cluster", to move from, into the state directory`)
	cmd.Flags().StringVar(&to, "to", "", `etcd:// URL, or "cluster", to move to, from the state directory`)
	cmd.Flags().StringVar(&file, "cluster", defaultCluster, "cluster file")
	return cmd
}

func showCopied(f *adminFlags, cmd *cobra.Command, what string, c metadata.Copied, err error) error {
	if err != nil {
		return err
	}
	return show(f, cmd.OutOrStdout(), &c, func(w io.Writer, c *metadata.Copied) {
		fmt.Fprintf(w, "%s %d records, %s, and compared every one\n", what, c.Pairs, settings.Bytes(c.Bytes))
	})
}

// copyProgress prints a line a second.
func copyProgress(w io.Writer) transfer.Report {
	var mu sync.Mutex
	var last time.Time
	return func(phase string, c metadata.Copied) {
		mu.Lock()
		defer mu.Unlock()
		if now := time.Now(); now.Sub(last) >= time.Second {
			last = now
			if c.Pairs == 0 { // an export counts them when it has them
				fmt.Fprintf(w, "%s: %s\n", phase, settings.Bytes(c.Bytes))
				return
			}
			fmt.Fprintf(w, "%s: %d records, %s\n", phase, c.Pairs, settings.Bytes(c.Bytes))
		}
	}
}
