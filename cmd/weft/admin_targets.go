package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weftstore/weft/cmd/weft/internal/adminsock"
	"github.com/weftstore/weft/cmd/weft/internal/gateway"
)

// newTargetsCommand is `admin target` or `admin node`: what is done to a target or to all
// of a node.
func newTargetsCommand(f *adminFlags, what, example string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   what,
		Short: "Drain and remove " + map[string]string{"target": "targets", "node": "all targets of nodes"}[what],
		Long: `Draining moves what is on a target to others while everything goes on; the target takes
nothing new. One that is dead is drained too: its shards are made anew from the others.
When nothing is left it can be removed. To add targets or nodes, name them in the cluster
file and restart what reads it, one process after the other.`,
		Example: fmt.Sprintf("  weft admin %[1]s drain %[2]s\n  weft admin %[1]s remove %[2]s", what, example),
	}
	for _, c := range []struct{ op, short string }{
		{"drain", "Move everything elsewhere"}, {"undrain", "Use it again"}, {"remove", "Forget it when it is empty"},
	} {
		cmd.AddCommand(&cobra.Command{
			Use: c.op + " NAME", Short: c.short, Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				var r gateway.TargetsResult
				client := adminsock.Client{Socket: filepath.Join(f.state, adminsock.SocketFile)}
				err := client.Do(cmd.Context(), c.op, adminsock.Args{Name: args[0], Rate: int64(f.rate)}, newProgress(cmd.ErrOrStderr()), &r)
				if err != nil {
					return err
				}
				return show(f, cmd.OutOrStdout(), &r, func(w io.Writer, r *gateway.TargetsResult) {
					fmt.Fprintf(w, "%s: %s\n", c.op, strings.Join(r.Targets, ", "))
					if r.Moved != nil {
						printRepair(w, r.Moved)
					}
					if r.Note != "" {
						fmt.Fprintln(w, r.Note)
					}
				})
			},
		})
	}
	return cmd
}
