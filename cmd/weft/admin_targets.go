package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weftstore/weft/cmd/weft/internal/adminsock"
	"github.com/weftstore/weft/cmd/weft/internal/gateway"
	"github.com/weftstore/weft/cmd/weft/internal/roster"
)

// newTargetsCommand is `admin target` or `admin node`: what is done to a target or to all
// of a node.
func newTargetsCommand(f *adminFlags, what, example, added string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   what,
		Short: "Add, drain and remove " + what + "s",
		Long: `Draining moves what is on a target to others while everything goes on; the target takes
nothing new. One that is dead is drained too: its shards are made anew from the others.
When nothing is left it can be removed.

With metadata in etcd the cluster map is there, and what is added or removed is used or let
go at once everywhere; the cluster file is only what the map began with. Without etcd name
new targets in the cluster file and restart what reads it, one process after the other.`,
		Example: fmt.Sprintf("  weft admin %[1]s add %[3]s\n  weft admin %[1]s drain %[2]s\n  weft admin %[1]s remove %[2]s", what, example, added),
	}
	cmd.AddCommand(addCommand(f, what, added))
	if what == "node" {
		cmd.AddCommand(mapCommand(f))
	}
	for _, c := range []struct{ op, short string }{
		{"drain", "Move everything elsewhere"}, {"undrain", "Use it again"}, {"remove", "Forget it when it is empty"},
	} {
		cmd.AddCommand(&cobra.Command{
			Use: c.op + " NAME", Short: c.short, Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				return changeTargets(f, cmd, c.op, adminsock.Args{Name: args[0], Rate: int64(f.rate)})
			},
		})
	}
	return cmd
}

func changeTargets(f *adminFlags, cmd *cobra.Command, op string, a adminsock.Args) error {
	var r gateway.TargetsResult
	if err := f.callWith(cmd, op, a, &r); err != nil {
		return err
	}
	return show(f, cmd.OutOrStdout(), &r, func(w io.Writer, r *gateway.TargetsResult) {
		fmt.Fprintf(w, "%s: %s\n", op, strings.Join(r.Targets, ", "))
		if r.Moved != nil {
			printRepair(w, r.Moved)
		}
		if r.Note != "" {
			fmt.Fprintln(w, r.Note)
		}
	})
}

// addCommand enters a target or nodes in the cluster map.
func addCommand(f *adminFlags, what, form string) *cobra.Command {
	var takeover []string
	cmd := &cobra.Command{
		Use: "add " + form, Short: "Enter it in the cluster map", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (what == "node") != strings.Contains(args[0], "=") {
				return fmt.Errorf("%q: want the form %s", args[0], form)
			}
			return changeTargets(f, cmd, "add", adminsock.Args{Name: args[0], Takeover: takeover})
		},
	}
	if what == "node" {
		cmd.Long = `The form is that of "weft cluster init": NAME[@DOMAIN][=ADDRESS[,ADDRESS...]]=DIR[,DIR...].
A node that is there already gets the new address, domain and directories, and the
takeover if one is given; it is stopped before when it had none.`
		cmd.Flags().StringSliceVar(&takeover, "takeover", nil, "nodes that see the same directories and take them over, or *")
	}
	return cmd
}

func mapCommand(f *adminFlags) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "The cluster map, with what each node tells of its targets", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var list []roster.Listed
			if err := f.call(cmd, "map", &list); err != nil {
				return err
			}
			return show(f, cmd.OutOrStdout(), &list, printMap)
		},
	}
}

func printMap(w io.Writer, list *[]roster.Listed) {
	t := table(w)
	defer t.Flush()
	fmt.Fprintln(t, "NODE\tDOMAIN\tADDRESS\tTARGET\tSTATE\tFREE\tSIZE")
	for _, n := range *list {
		told := map[string]roster.Has{}
		for _, h := range n.Has {
			told[h.Dir] = h
		}
		for _, dir := range n.Targets {
			h, ok := told[dir]
			delete(told, dir)
			state := h.State
			switch {
			case !n.Alive:
				state = "node is away"
			case !ok:
				state = "not here"
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", n.Name, n.Domain, strings.Join(n.Addresses, ","), dir, state, size(h.Free), size(h.Total))
		}
		for dir, h := range told {
			fmt.Fprintf(t, "%s\t\t\t%s\t%s, taken over\t%s\t%s\n", n.Name, dir, h.State, size(h.Free), size(h.Total))
		}
	}
}
