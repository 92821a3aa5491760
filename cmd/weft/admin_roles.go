package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weftstore/weft/identity"
)

func roleCommands() []identityCommand {
	return []identityCommand{
		{"create NAME FILE", "Make a role with the trust policy in FILE; - is standard input", 2, "for session", func(f *identityFlags, cmd *cobra.Command, args []string) error {
			f.Role = args[0]
			if err := f.read(cmd, args[1]); err != nil {
				return err
			}
			var v identity.Role
			if err := f.do(cmd, "role create", &v); err != nil {
				return err
			}
			return show(f.adminFlags, cmd.OutOrStdout(), &v, func(w io.Writer, v *identity.Role) { fmt.Fprintln(w, identity.RoleARN(v.Account, v.Name)) })
		}},
		viewCommand("List roles with their policies and whom they trust", printRoles),
		{"trust NAME FILE", "Replace the trust policy of a role; - is standard input", 2, "", func(f *identityFlags, cmd *cobra.Command, args []string) error {
			f.Role = args[0]
			if err := f.read(cmd, args[1]); err != nil {
				return err
			}
			return f.quiet(cmd, "role trust")
		}},
		{"delete NAME", "Delete a role without policies; its sessions end", 1, "", func(f *identityFlags, cmd *cobra.Command, args []string) error {
			f.Role = args[0]
			return f.quiet(cmd, "role delete")
		}},
	}
}

func providerCommands() []identityCommand {
	return []identityCommand{
		{"create URL", "Trust the tokens of the provider at https://HOST/PATH that are for --client", 1, "client", func(f *identityFlags, cmd *cobra.Command, args []string) error {
			f.URL = args[0]
			var v identity.Provider
			if err := f.do(cmd, "provider create", &v); err != nil {
				return err
			}
			return show(f.adminFlags, cmd.OutOrStdout(), &v, func(w io.Writer, v *identity.Provider) { fmt.Fprintln(w, identity.ProviderARN(v.Account, v.URL)) })
		}},
		viewCommand("List providers and their client ids", printProviders),
		{"clients URL", "Replace the client ids of a provider by those of --client", 1, "client", func(f *identityFlags, cmd *cobra.Command, args []string) error {
			f.URL = args[0]
			return f.quiet(cmd, "provider clients")
		}},
		{"delete URL", "Trust a provider no longer; sessions that began with its tokens go on to their end", 1, "", func(f *identityFlags, cmd *cobra.Command, args []string) error {
			f.URL = args[0]
			return f.quiet(cmd, "provider delete")
		}},
	}
}

func printRoles(w io.Writer, v *identity.View) {
	for _, r := range v.Roles {
		fmt.Fprintf(w, "%s, created %s, sessions of at most %s, policies: %s\n", identity.RoleARN(r.Account, r.Name), r.Created.Format(time.DateOnly), r.MaxSession, strings.Join(r.Policies, ","))
		if r.Description != "" {
			fmt.Fprintln(w, r.Description)
		}
		fmt.Fprintf(w, "%s\n\n", strings.TrimSpace(r.Trust))
	}
}

func printProviders(w io.Writer, v *identity.View) {
	t := table(w)
	fmt.Fprintln(t, "PROVIDER\tCREATED\tCLIENTS\tARN")
	for _, p := range v.OIDC {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", p.URL, p.Created.Format(time.DateOnly), strings.Join(p.Clients, ","), identity.ProviderARN(p.Account, p.URL))
	}
	t.Flush()
}
