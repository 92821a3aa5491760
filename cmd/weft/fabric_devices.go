package main

import (
	"github.com/spf13/cobra"

	"github.com/weftstore/weft/cmd/weft/internal/cluster"
	"github.com/weftstore/weft/cmd/weft/internal/fabric"
	"github.com/weftstore/weft/cmd/weft/internal/settings"
)

func newFabricDevices(look func() *fabric.Host) *cobra.Command {
	memory := settings.Bytes(1 << 30)
	var file string
	var huge, asJSON bool
	cmd := &cobra.Command{
		Use:   "devices",
		Short: "The RDMA devices of this host, and what is wrong with them",
		Long: `Shows the RDMA devices of this host with their ports, GIDs, network interfaces and MTU,
and what the software needs: libraries, kernel modules, device files, memory limits. What
is wrong comes after it, each with the command that mends it. It changes nothing and does
not need the RDMA libraries.

With --cluster it looks as well whether this host has RDMA in each network of
fabric.rails, and whether there are huge pages if the file asks for them.

The exit status is not 0 when RDMA cannot be used here. What is only advice does not
count.`,
		Example: `  weft fabric devices
  weft fabric devices --memory 64GiB --cluster /etc/weft/cluster.toml
  weft fabric devices --json | jq .problems`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			want := fabric.Want{Memory: uint64(memory), HugePages: huge}
			if file != "" {
				f, err := cluster.Load(file)
				if err != nil {
					return err
				}
				want.Rails, want.HugePages = f.Fabric.Rails, huge || f.Fabric.HugePages
			}
			h := look()
			r := fabric.Report{Host: h, Problems: fabric.Diagnose(h, want)}
			if asJSON {
				if err := printJSON(cmd.OutOrStdout(), &r); err != nil {
					return err
				}
			} else {
				r.Print(cmd.OutOrStdout())
			}
			if fabric.Wrong(r.Problems) {
				return errReported
			}
			return nil
		},
	}
	fl := cmd.Flags()
	fl.Var(&memory, "memory", "memory that is to be registered here, such as the gateway's --memory")
	fl.BoolVar(&huge, "huge-pages", false, "from huge pages")
	fl.StringVar(&file, "cluster", "", "cluster file, whose rails are looked for")
	fl.BoolVar(&asJSON, "json", false, "print the result as JSON")
	return cmd
}
