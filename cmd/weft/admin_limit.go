package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/weftstore/weft/cmd/weft/internal/settings"
)

// newLimitCommand sets rates and weights; `account list` shows them.
func newLimitCommand(a *adminFlags) *cobra.Command {
	f := &identityFlags{adminFlags: a}
	var bandwidth settings.Bytes
	cmd := &cobra.Command{
		Use: "limit", Short: "Bound requests and bandwidth of an account or a key; weigh accounts", Args: cobra.NoArgs,
		Long: `Sets all limits of an account (--account) or an access key (--key) at each gateway; what
is not given is not limited. Requests that come too early wait, and are answered
503 SlowDown when that would take more than 5 s. When accounts contend for a gateway,
each gets a share of it in proportion to its weight. What was set holds after 5 s at
most. ` + "`weft admin account list` shows it.",
		Example: `  weft admin limit --account physics --requests 2000 --bandwidth 2GiB --weight 2
  weft admin limit --key AKIA... --requests 50`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if (f.Account == "") == (f.Key == "") {
				return errors.New("give --account or --key")
			}
			f.Limits.Bandwidth = float64(bandwidth)
			return f.quiet(cmd, "limit")
		},
	}
	cmd.Flags().StringVar(&f.Account, "account", "", "account, by id or name")
	cmd.Flags().StringVar(&f.Key, "key", "", "access key")
	cmd.Flags().Float64Var(&f.Limits.Requests, "requests", 0, "requests each second")
	cmd.Flags().Var(&bandwidth, "bandwidth", "bytes each second, both ways together, at least 64KiB")
	cmd.Flags().Float64Var(&f.Weight, "weight", 0, "share in relation to other accounts (default 1)")
	return cmd
}
