// Command weft is an S3-compatible object store for supercomputers and AI
// factories: one binary that serves, administers and measures.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	noCoreFile()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newRootCommand().ExecuteContext(ctx)
	stop()
	if err == nil {
		return
	}
	if !errors.Is(err, errReported) {
		fmt.Fprintln(os.Stderr, "weft:", err)
	}
	os.Exit(1)
}

// noCoreFile has the system write no core file: keys are in memory. A limit of one byte
// holds also where a program takes core files from a pipe, which is asked in spite of a
// limit of zero (core(5), fs/coredump.c).
func noCoreFile() {
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{Cur: 1, Max: 1}) // less is always granted, but where it is 0 already
}

// errReported ends the process with status 1 without another message.
var errReported = errors.New("reported")

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "weft",
		Short: "S3-compatible, erasure-coded object storage on the directories you have",
		Long: `Weft stores S3 objects as erasure-coded chunks on directories: local disks or
a parallel filesystem.

  weft server DIR [DIR...]   serve S3 from these directories, in one process
  weft cluster init FILE     describe a store on several hosts
  weft node                  serve the targets of this host to gateways
  weft gateway               serve S3 from the nodes of a cluster
  weft admin ...             look at, check and mend a running server
  weft fabric ...            look at RDMA devices, measure the fabric
  weft bench s3 ...          measure any S3 endpoint`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version(),
	}
	root.AddCommand(newServerCommand(), newNodeCommand(), newGatewayCommand(), newClusterCommand(), newAdminCommand(), newFabricCommand(),
		newBenchCommand())
	refuseUnknown(root)
	return root
}

// refuseUnknown makes the unknown subcommand of a group an error, not only of the root, and
// has errors about arguments tell what is wanted.
func refuseUnknown(group *cobra.Command) {
	for _, c := range group.Commands() {
		if c.HasSubCommands() && !c.Runnable() {
			c.Args, c.DisableFlagsInUseLine = cobra.NoArgs, true
			c.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
		if check := c.Args; check != nil {
			c.Args = func(cmd *cobra.Command, args []string) error {
				err := check(cmd, args)
				switch {
				case err == nil:
					return nil
				case cmd.HasSubCommands():
					return fmt.Errorf("%w: see `%s --help`", err, cmd.CommandPath())
				}
				return fmt.Errorf("%w; usage: %s", err, cmd.UseLine())
			}
		}
		refuseUnknown(c)
	}
}
