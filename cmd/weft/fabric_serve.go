package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weftstore/weft/cmd/weft/internal/fabric/bench"
	"github.com/weftstore/weft/cmd/weft/internal/settings"
)

// servePort of weft fabric serve; that of nodes is cluster.DefaultPort.
const servePort = "7410"

func newFabricServe(open opener) *cobra.Command {
	f := endFlags{open: open}
	staging := settings.Bytes(64 << 20)
	listen := "0.0.0.0:" + servePort
	cmd := &cobra.Command{
		Use:   "serve [flags]",
		Short: "Answer weft fabric ping and bench of other hosts",
		Long: `Answers pings and moves bytes for benches, between its memory and that of the other end,
until it is interrupted. It has no data and needs no directories. Whoever has the secret
may use it; what it uses is bounded.`,
		Example: `  weft fabric serve
  weft fabric serve --secret-file s --listen 10.0.0.7:7410,10.1.0.7:7410 --transport verbs`,
		Args: cobra.NoArgs,
	}
	f.add(cmd)
	cmd.Flags().StringVar(&listen, "listen", listen, "address to serve; several, one for each rail, separated by commas")
	cmd.Flags().Var(&staging, "staging", "registered memory for transfers under way")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		kind, o, _, err := f.options(cmd)
		if err != nil {
			return err
		}
		if cmd.Flags().Changed("staging") {
			o.Staging = int(staging)
		}
		o.Prompt = bench.Prompt
		t, err := f.open(kind, o)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, t.Close()) }()
		srv, err := t.Serve(listen, bench.NewServer(t.Wires).Handler())
		if err != nil {
			return fmt.Errorf("%w (--listen names other addresses)", err)
		}
		defer func() { err = errors.Join(err, srv.Close()) }()
		if f.asJSON {
			if err := printJSON(cmd.OutOrStdout(), map[string]any{"address": srv.Addr(), "fabric": t.Describe()}); err != nil {
				return err
			}
		} else {
			fmt.Fprintf(cmd.OutOrStdout(), "Weft fabric serves at %s\n  %s\nOn another host: weft fabric bench HOST:PORT, with the same secret. Interrupt to end.\n",
				srv.Addr(), strings.Join(t.Describe(), "\n  "))
		}
		<-cmd.Context().Done()
		return nil
	}
	return cmd
}
