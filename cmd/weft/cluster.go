package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weftstore/weft/cmd/weft/internal/cluster"
)

func newClusterCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cluster",
		Short: "Make and check the file that describes a cluster",
		Long: `The cluster file names the storage nodes of a store, their targets and how they
are reached. It is the same on every host that runs weft node or weft gateway.`,
	}
	cmd.AddCommand(newClusterInit(), newClusterCheck())
	return cmd
}

func newClusterInit() *cobra.Command {
	var specs []string
	var layout string
	cmd := &cobra.Command{
		Use:   "init FILE",
		Short: "Write a new cluster file, with a secret beside it",
		Long: `Writes a commented file with a new deployment id, and the cluster's secret beside it
with mode 0600. Copy both to every host. Nothing is written over.

A node is NAME[@DOMAIN][=ADDRESS[,ADDRESS...]]=DIR[,DIR...]. NAME and ADDRESS may have
a range: node[01-16] stands for sixteen nodes. ADDRESS is HOST or HOST:PORT, one for
each rail; without it the name is the host, the port is 7400. DOMAIN is what fails as a
whole, such as a rack; without it that is the node. With (K+M)/M domains or more the loss
of one loses nothing.`,
		Example: `  weft cluster init /etc/weft/cluster.toml --node 'node[1-6]=/mnt/ost0,/mnt/ost1'
  weft cluster init site.toml --layout ec:4+4 \
    --node 'a[01-16]@rack1=10.0.0.[1-16],10.1.0.[1-16]=/nvme/0,/nvme/1' \
    --node 'b[01-16]@rack2=10.0.1.[1-16],10.1.1.[1-16]=/nvme/0,/nvme/1'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var nodes []cluster.Spec
			var errs []error
			for _, s := range specs {
				n, err := cluster.ParseSpec(s)
				nodes, errs = append(nodes, n), append(errs, err)
			}
			if err := errors.Join(errs...); err != nil {
				return err
			}
			f, err := cluster.Init(args[0], layout, nodes)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "wrote %s: %s\nwrote %s: the secret, readable by you alone\n", f.Path, summary(f), f.SecretFile)
			fmt.Fprintln(cmd.OutOrStdout(), "Copy both to every host; then run `weft node` on the nodes and `weft gateway` on one host.")
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&specs, "node", nil, "a storage node or a range of them; repeatable (default an example)")
	cmd.Flags().StringVar(&layout, "layout", "", "layout of new objects: ec:K+M, replica:N or stripe:K (default by the number of targets)")
	return cmd
}

func newClusterCheck() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "check FILE",
		Short:   "Check a cluster file, its secret and what etcd needs, and list every problem",
		Example: `  weft cluster check /etc/weft/cluster.toml`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := cluster.Load(args[0])
			if err != nil {
				return err
			}
			_, err = f.Secret()
			if err := errors.Join(err, f.CheckMetadata()); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), map[string]any{
					"deployment": hex.EncodeToString(f.Deployment[:]), "layout": f.Layout.String(), "fabric": f.Fabric, "nodes": f.Nodes,
				})
			}
			t := table(cmd.OutOrStdout())
			fmt.Fprintln(t, "NODE\tDOMAIN\tADDRESSES\tTARGETS")
			for _, n := range f.Nodes {
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", n.Name, n.Domain, strings.Join(n.Addresses, " "), strings.Join(n.Targets, " "))
			}
			t.Flush()
			fmt.Fprintf(cmd.OutOrStdout(), "\n%s\n%s\n", summary(f), f.Fabric.String())
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return cmd
}

func summary(f *cluster.File) string {
	domains := map[string]bool{}
	for _, n := range f.Nodes {
		domains[n.Domain] = true
	}
	return fmt.Sprintf("%d nodes in %d failure domains, %d targets, layout %s", len(f.Nodes), len(domains), f.Targets(), f.Layout)
}
