package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/weftstore/weft/cmd/weft/internal/adminsock"
	"github.com/weftstore/weft/cmd/weft/internal/gateway"
	"github.com/weftstore/weft/cmd/weft/internal/settings"
	"github.com/weftstore/weft/cmd/weft/internal/storagenode"
	"github.com/weftstore/weft/store"
)

// adminFlags are shared by the admin commands.
type adminFlags struct {
	state string
	json  bool
	rate  settings.Bytes
	deep  bool
}

func newAdminCommand() *cobra.Command {
	var f adminFlags
	cmd := &cobra.Command{
		Use:   "admin",
		Short: "Look at, check and mend a running server",
		Long: `Talks to the server through the socket in its state directory, so that whoever
may write there may administer, and nobody else.`,
		Example: `  weft admin status
  weft admin check --deep --state /var/lib/weft
  weft admin scrub --rate 200MiB --json`,
	}
	cmd.PersistentFlags().StringVar(&f.state, "state", settings.DefaultState(), "state directory of the server, gateway or node")
	cmd.PersistentFlags().BoolVar(&f.json, "json", false, "print the result as JSON")
	cmd.AddCommand(
		statusCommand(&f), usageCommand(&f), scrubCommand(&f), repairCommand(&f), checkCommand(&f),
		snapshotCommand(&f), newRebuildCommand(&f), newMetadataCommand(&f),
		newTargetsCommand(&f, "target", "node3:/mnt/ost0", "node3:/mnt/ost2"), newTargetsCommand(&f, "node", "node3", "node7=/mnt/ost0,/mnt/ost1"))
	cmd.AddCommand(newIdentityCommands(&f)...)
	cmd.AddCommand(newLimitCommand(&f), newQuotaCommand(&f))
	return cmd
}

func statusCommand(f *adminFlags) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Nodes, targets, space and redundancy; of a storage node, its targets", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var raw json.RawMessage
			if err := f.call(cmd, "status", &raw); err != nil {
				return err
			}
			if f.json {
				return show(f, cmd.OutOrStdout(), &raw, nil)
			}
			var n storagenode.Status
			if err := json.Unmarshal(raw, &n); err == nil && n.Node != "" {
				printNodeStatus(cmd.OutOrStdout(), &n)
				return nil
			}
			var st gateway.Status
			if err := json.Unmarshal(raw, &st); err != nil {
				return err
			}
			printStatus(cmd.OutOrStdout(), &st)
			return nil
		},
	}
}

func usageCommand(f *adminFlags) *cobra.Command {
	return &cobra.Command{
		Use: "usage", Short: "Objects and bytes of each bucket", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var u store.UsageReport
			if err := f.call(cmd, "usage", &u); err != nil {
				return err
			}
			return show(f, cmd.OutOrStdout(), &u, printUsage)
		},
	}
}

func scrubCommand(f *adminFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use: "scrub", Short: "Read and verify every chunk on every target", Args: cobra.NoArgs,
		Long: `Reads every chunk and compares it with its checksums. What does not match is
queued for repair, which the server does by itself in the background.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var r store.ScrubResult
			if err := f.call(cmd, "scrub", &r); err != nil {
				return err
			}
			return show(f, cmd.OutOrStdout(), &r, func(w io.Writer, r *store.ScrubResult) {
				fmt.Fprintf(w, "verified %d chunks, %s; %d corrupt and %d missing, queued for repair\n", r.Chunks, size(r.Bytes), r.Corrupt, r.Missing)
			})
		},
	}
	cmd.Flags().Var(&f.rate, "rate", "bytes per second to read at most; 0 is no limit")
	return cmd
}

func repairCommand(f *adminFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use: "repair", Short: "Restore full redundancy now", Args: cobra.NoArgs,
		Long: `Formats target directories that were put back empty, finds every part with
missing or damaged shards, those with the fewest survivors first, and rebuilds
them. A directory that was a mount point and is none now is left alone: mount
the disk first.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var r store.RepairResult
			if err := f.call(cmd, "repair", &r); err != nil {
				return err
			}
			if err := show(f, cmd.OutOrStdout(), &r, printRepair); err != nil {
				return err
			}
			if r.Failed > 0 {
				return errReported
			}
			return nil
		},
	}
	cmd.Flags().Var(&f.rate, "rate", "bytes per second to write at most; 0 is no limit")
	cmd.AddCommand(repairStatusCommand(f))
	return cmd
}

func repairStatusCommand(f *adminFlags) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "What waits for repair, progress, rate and time left", Args: cobra.NoArgs,
		Long: `The server repairs by itself; this shows how it gets on. With several gateways ask the
one that leads.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var st store.RepairStatus
			if err := f.call(cmd, "repair-status", &st); err != nil {
				return err
			}
			return show(f, cmd.OutOrStdout(), &st, printRepairStatus)
		},
	}
}

func checkCommand(f *adminFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use: "check", Short: "Compare the metadata with the chunks on the targets", Args: cobra.NoArgs,
		Long: `Looks for shards that the metadata expects and no target has, and for chunks
that nothing refers to. With --deep it also reads and verifies every byte. Exits
with status 1 when it finds a problem.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var r store.CheckResult
			if err := f.call(cmd, "check", &r); err != nil {
				return err
			}
			if err := show(f, cmd.OutOrStdout(), &r, printCheck); err != nil {
				return err
			}
			if !r.Clean() {
				return errReported
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&f.deep, "deep", false, "read and verify every byte")
	return cmd
}

func snapshotCommand(f *adminFlags) *cobra.Command {
	return &cobra.Command{
		Use: "snapshot", Short: "Copy the metadata to the targets now", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.quiet(cmd, "snapshot", adminsock.Args{})
		},
	}
}

// call runs one operation in the server, with progress on a terminal.
func (f *adminFlags) call(cmd *cobra.Command, op string, result any) error {
	return f.callWith(cmd, op, adminsock.Args{Rate: int64(f.rate), Deep: f.deep}, result)
}

func (f *adminFlags) callWith(cmd *cobra.Command, op string, args adminsock.Args, result any) error {
	c := adminsock.Client{Socket: filepath.Join(f.state, adminsock.SocketFile)}
	return c.Do(cmd.Context(), op, args, newProgress(cmd.ErrOrStderr()), result)
}

// quiet is for operations without a result: it prints nothing, or an empty object.
func (f *adminFlags) quiet(cmd *cobra.Command, op string, args adminsock.Args) error {
	var r struct{}
	if err := f.callWith(cmd, op, args, &r); err != nil {
		return err
	}
	return show(f, cmd.OutOrStdout(), &r, func(io.Writer, *struct{}) {})
}

// show writes a result as JSON, or as people prints it.
func show[T any](f *adminFlags, w io.Writer, v *T, people func(io.Writer, *T)) error {
	if !f.json {
		people(w, v)
		return nil
	}
	return printJSON(w, v)
}

// newProgress prints a line a second to a terminal, and nothing elsewhere.
func newProgress(w io.Writer) store.Report {
	f, ok := w.(*os.File)
	if !ok {
		return nil
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	var last time.Time
	return func(p store.Progress) {
		if time.Since(last) < time.Second {
			return
		}
		last = time.Now()
		if p.Total > 0 {
			fmt.Fprintf(f, "%s: %d of %d (%d %%), %s\n", p.Phase, p.Done, p.Total, 100*p.Done/p.Total, size(p.Bytes))
			return
		}
		fmt.Fprintf(f, "%s: %d, %s\n", p.Phase, p.Done, size(p.Bytes))
	}
}

func table(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 0, 2, ' ', 0) }

// size prints bytes with one decimal in a binary unit.
func size[T int64 | uint64](n T) string {
	f := float64(n)
	for _, u := range []string{"B", "KiB", "MiB", "GiB", "TiB"} {
		if f < 1024 || u == "TiB" {
			if u == "B" {
				return fmt.Sprintf("%d B", int64(f))
			}
			return fmt.Sprintf("%.1f %s", f, u)
		}
		f /= 1024
	}
	return ""
}
