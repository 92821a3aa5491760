package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/weftstore/weft/cmd/weft/internal/adminsock"
	"github.com/weftstore/weft/cmd/weft/internal/settings"
	"github.com/weftstore/weft/metadata"
)

// newQuotaCommand sets quotas and shows them.
func newQuotaCommand(f *adminFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use: "quota", Short: "Bound what a bucket or an account may hold",
		Long: `A quota bounds the bytes and objects of a bucket, or of all buckets of an account,
exactly, whichever gateways write. All versions count, and parts of uploads under way.
A write that would go beyond is answered 403 QuotaExceeded. What is there is counted
when a quota is set; until that is done nothing is refused.`,
		Example: `  weft admin quota set --account physics --bytes 10TiB
  weft admin quota set --bucket results --bytes 500GiB --objects 1000000
  weft admin quota list`,
	}
	q := adminsock.Quota{}
	set := &cobra.Command{
		Use: "set", Short: "Set the quota of a bucket or an account; what is not given is not bounded", Args: cobra.NoArgs,
	}
	of := func(c *cobra.Command) {
		c.Flags().StringVar(&q.Bucket, "bucket", "", "bucket")
		c.Flags().StringVar(&q.Account, "account", "", "account, by id or name")
	}
	of(set)
	var bytes settings.Bytes
	set.Flags().Var(&bytes, "bytes", "bytes of user data")
	set.Flags().Int64Var(&q.Limit.Objects, "objects", 0, "objects, each version being one")
	change := func(cmd *cobra.Command) error {
		if (q.Bucket == "") == (q.Account == "") {
			return errors.New("give --bucket or --account")
		}
		return f.quiet(cmd, "quota", adminsock.Args{Quota: &q})
	}
	set.RunE = func(cmd *cobra.Command, _ []string) error {
		if q.Limit.Bytes = int64(bytes); q.Limit.Objects < 0 || q.Limit == (metadata.Quota{}) {
			return errors.New("give --bytes, --objects or both; `weft admin quota remove` ends a quota")
		}
		return change(cmd)
	}
	remove := &cobra.Command{Use: "remove", Short: "Remove the quota of a bucket or an account", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return change(cmd) }}
	of(remove)
	list := &cobra.Command{Use: "list", Short: "List quotas and what they count", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var all []metadata.QuotaState
			if err := f.callWith(cmd, "quota", adminsock.Args{}, &all); err != nil {
				return err
			}
			return show(f, cmd.OutOrStdout(), &all, printQuotas)
		}}
	cmd.AddCommand(set, remove, list)
	return cmd
}

func printQuotas(w io.Writer, all *[]metadata.QuotaState) {
	t := table(w)
	fmt.Fprintln(t, "BUCKET\tACCOUNT\tBYTES\tOF\tOBJECTS\tOF\t")
	for _, q := range *all {
		state := ""
		if q.Counting {
			state = "being counted: set it again to go on"
		}
		limit := func(n int64, text string) string {
			if n == 0 {
				return "-"
			}
			return text
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", q.Bucket, q.Account, size(q.Used.Bytes), limit(q.Limit.Bytes, size(q.Limit.Bytes)),
			q.Used.Objects, limit(q.Limit.Objects, fmt.Sprint(q.Limit.Objects)), state)
	}
	t.Flush()
}
