package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weftstore/weft/cmd/weft/internal/adminsock"
	"github.com/weftstore/weft/cmd/weft/internal/gateway"
	"github.com/weftstore/weft/identity"
)

// identityFlags are those of one command on identities.
type identityFlags struct {
	*adminFlags
	adminsock.Identity
	file string        // of a policy
	in   time.Duration // until a key expires
}

// identityCommand is one command; run shows the result.
type identityCommand struct {
	use, short string
	args       int
	flags      string // those that it takes besides --account, separated by blanks
	run        func(f *identityFlags, cmd *cobra.Command, args []string) error
}

func newIdentityCommands(f *adminFlags) []*cobra.Command {
	group := func(use, short, long, example string, list []identityCommand) *cobra.Command {
		parent := &cobra.Command{Use: use, Short: short, Long: long, Example: example}
		for _, c := range list {
			parent.AddCommand(c.build(f, use != "account"))
		}
		return parent
	}
	return []*cobra.Command{
		group("account", "Make and list tenants", "An account owns buckets and users. Without accounts everything belongs to the\nroot account, 000000000000.",
			"  weft admin account create physics\n  weft admin account list --json", accountCommands()),
		group("user", "Make and list users", "A user may do nothing until a policy that is attached to it, or to a group of it,\nor a bucket's policy, allows it.",
			"  weft admin user create --account physics alice\n  weft admin user list --account physics", userCommands()),
		group("group", "Make groups of users", "", "  weft admin group create --account physics analysts\n  weft admin group add --account physics analysts alice", groupCommands()),
		group("policy", "Keep policies", "Policies are documents in the language of AWS IAM. Built in are AdministratorAccess,\nAmazonS3FullAccess and AmazonS3ReadOnlyAccess.",
			"  weft admin policy set --account physics readers policy.json\n  weft admin policy attach --account physics readers --role climate", policyCommands()),
		group("role", "Make roles, which are assumed with AssumeRole and AssumeRoleWithWebIdentity", "A role's trust policy says who may assume it, and the policies that are attached to\nit what its sessions may do.",
			"  weft admin role create --account physics climate trust.json --session 4h\n  weft admin policy attach --account physics readers --role climate\n  weft admin role list --account physics --json", roleCommands()),
		group("provider", "Name the OpenID Connect providers whose tokens an account trusts", "Trust policies of roles name a provider by its ARN and say which of its people may\nassume them.",
			"  weft admin provider create --account physics https://sso.example.org/realms/hpc --client weft\n  weft admin provider list --account physics", providerCommands()),
		group("key", "Make, rotate, disable and delete access keys", "", "  weft admin key create --account physics --user alice --in 2160h > alice.credentials\n  weft admin key rotate KEY --in 24h", keyCommands()),
	}
}

// build makes the command; within is of those that work within an account.
func (c identityCommand) build(a *adminFlags, within bool) *cobra.Command {
	f := &identityFlags{adminFlags: a}
	cmd := &cobra.Command{Use: c.use, Short: c.short, Args: cobra.ExactArgs(c.args),
		RunE: func(cmd *cobra.Command, args []string) error { return c.run(f, cmd, args) }}
	if within {
		cmd.Flags().StringVar(&f.Account, "account", "", "account, by id or name (default the root account)")
	}
	for _, name := range strings.Fields(c.flags) {
		switch name {
		case "user":
			cmd.Flags().StringVar(&f.User, "user", "", "user")
		case "group":
			cmd.Flags().StringVar(&f.Group, "group", "", "group")
		case "policy":
			cmd.Flags().StringVar(&f.file, "policy", "", "file with a policy that limits the key")
		case "for":
			cmd.Flags().StringVar(&f.Name, "for", "", "what it is for")
		case "role":
			cmd.Flags().StringVar(&f.Role, "role", "", "role")
		case "session":
			cmd.Flags().DurationVar(&f.Longest, "session", identity.DefaultRoleSession, "longest session, 1h to 12h")
		case "client":
			cmd.Flags().StringSliceVar(&f.Clients, "client", nil, "client id that tokens are for (their audience); repeatable")
		case "in":
			cmd.Flags().DurationVar(&f.in, "in", 0, "time from now, as in 720h")
		}
	}
	return cmd
}

// do runs the operation in the server.
func (f *identityFlags) do(cmd *cobra.Command, op string, result any) error {
	return f.callWith(cmd, "identity", f.args(op), result)
}

// quiet is for operations without a result.
func (f *identityFlags) quiet(cmd *cobra.Command, op string) error {
	return f.adminFlags.quiet(cmd, "identity", f.args(op))
}

func (f *identityFlags) args(op string) adminsock.Args {
	f.Op = op
	if f.in > 0 {
		f.Expires = time.Now().Add(f.in)
	}
	return adminsock.Args{Identity: &f.Identity}
}

// read takes a document from a file; "-" is standard input.
func (f *identityFlags) read(cmd *cobra.Command, path string) (err error) {
	var b []byte
	if path == "-" {
		b, err = io.ReadAll(cmd.InOrStdin())
	} else {
		b, err = os.ReadFile(path)
	}
	f.Document = string(b)
	return err
}

func accountCommands() []identityCommand {
	return []identityCommand{
		{"create NAME", "Make an account", 1, "", func(f *identityFlags, cmd *cobra.Command, args []string) error {
			f.Name = args[0]
			var a identity.Account
			if err := f.do(cmd, "account create", &a); err != nil {
				return err
			}
			return show(f.adminFlags, cmd.OutOrStdout(), &a, func(w io.Writer, a *identity.Account) { fmt.Fprintln(w, a.ID) })
		}},
		{"list", "List accounts", 0, "", func(f *identityFlags, cmd *cobra.Command, _ []string) error {
			var all []identity.Account
			if err := f.do(cmd, "account list", &all); err != nil {
				return err
			}
			return show(f.adminFlags, cmd.OutOrStdout(), &all, printAccounts)
		}},
		{"delete NAME", "Delete an account that owns nothing", 1, "", func(f *identityFlags, cmd *cobra.Command, args []string) error {
			f.Account = args[0]
			return f.quiet(cmd, "account delete")
		}},
	}
}

func userCommands() []identityCommand {
	return []identityCommand{
		{"create NAME", "Make a user", 1, "", func(f *identityFlags, cmd *cobra.Command, args []string) error {
			f.User = args[0]
			var u identity.User
			if err := f.do(cmd, "user create", &u); err != nil {
				return err
			}
			return show(f.adminFlags, cmd.OutOrStdout(), &u, func(w io.Writer, u *identity.User) { fmt.Fprintln(w, identity.UserARN(u.Account, u.Name)) })
		}},
		viewCommand("List users with their groups, policies and number of keys", printUsers),
		{"delete NAME", "Delete a user and its keys", 1, "", func(f *identityFlags, cmd *cobra.Command, args []string) error {
			f.User = args[0]
			return f.quiet(cmd, "user delete")
		}},
	}
}

func viewCommand(short string, people func(io.Writer, *identity.View)) identityCommand {
	return identityCommand{"list", short, 0, "", func(f *identityFlags, cmd *cobra.Command, _ []string) error {
		var v identity.View
		if err := f.do(cmd, "view", &v); err != nil {
			return err
		}
		return show(f.adminFlags, cmd.OutOrStdout(), &v, people)
	}}
}

func groupCommands() []identityCommand {
	member := func(use, short string, in bool) identityCommand {
		return identityCommand{use, short, 2, "", func(f *identityFlags, cmd *cobra.Command, args []string) error {
			f.Group, f.User, f.On = args[0], args[1], in
			return f.quiet(cmd, "group member")
		}}
	}
	return []identityCommand{
		{"create NAME", "Make a group", 1, "", func(f *identityFlags, cmd *cobra.Command, args []string) error {
			f.Group = args[0]
			return f.quiet(cmd, "group create")
		}},
		viewCommand("List groups and their policies", printGroups),
		{"delete NAME", "Delete a group without users", 1, "", func(f *identityFlags, cmd *cobra.Command, args []string) error {
			f.Group = args[0]
			return f.quiet(cmd, "group delete")
		}},
		member("add GROUP USER", "Put a user into a group", true),
		member("remove GROUP USER", "Take a user out of a group", false),
	}
}

func policyCommands() []identityCommand {
	attach := func(use, short string, on bool) identityCommand {
		return identityCommand{use, short, 1, "user group role", func(f *identityFlags, cmd *cobra.Command, args []string) error {
			if given := slices.DeleteFunc([]string{f.User, f.Group, f.Role}, func(s string) bool { return s == "" }); len(given) != 1 {
				return errors.New("give one of --user, --group and --role")
			}
			f.Name, f.On = args[0], on
			return f.quiet(cmd, "policy attach")
		}}
	}
	return []identityCommand{
		{"set NAME FILE", "Make a policy, or replace its document; - is standard input", 2, "", func(f *identityFlags, cmd *cobra.Command, args []string) error {
			f.Name = args[0]
			if err := f.read(cmd, args[1]); err != nil {
				return err
			}
			return f.quiet(cmd, "policy set")
		}},
		viewCommand("List policies and their documents", printPolicies),
		{"delete NAME", "Delete a policy that is attached to nothing", 1, "", func(f *identityFlags, cmd *cobra.Command, args []string) error {
			f.Name = args[0]
			return f.quiet(cmd, "policy delete")
		}},
		attach("attach NAME", "Attach a policy to a user, a group or a role", true),
		attach("detach NAME", "Detach a policy from a user, a group or a role", false),
	}
}

func keyCommands() []identityCommand {
	one := func(use, short, flags, op string, on bool) identityCommand {
		return identityCommand{use, short, 1, flags, func(f *identityFlags, cmd *cobra.Command, args []string) error {
			f.Key, f.On = args[0], on
			return f.quiet(cmd, op)
		}}
	}
	return []identityCommand{
		{"create", "Make an access key of a user, or of an account's root; its secret is shown this once", 0, "user policy for in", func(f *identityFlags, cmd *cobra.Command, _ []string) error {
			if f.file != "" {
				if err := f.read(cmd, f.file); err != nil {
					return err
				}
			}
			return f.newKey(cmd, "key create")
		}},
		{"list", "List access keys of a user, or of an account's root", 0, "user", func(f *identityFlags, cmd *cobra.Command, _ []string) error {
			var keys []identity.Key
			if err := f.do(cmd, "key list", &keys); err != nil {
				return err
			}
			return show(f.adminFlags, cmd.OutOrStdout(), &keys, printKeys)
		}},
		{"rotate KEY", "Make another key like this one, which ends after --in (24h)", 1, "in", func(f *identityFlags, cmd *cobra.Command, args []string) error {
			if f.Key = args[0]; f.in == 0 {
				f.in = 24 * time.Hour
			}
			return f.newKey(cmd, "key rotate")
		}},
		{"session KEY", "Make temporary credentials that may do what a key may, for --in (1h)", 1, "in", func(f *identityFlags, cmd *cobra.Command, args []string) error {
			if f.Key = args[0]; f.in == 0 {
				f.in = time.Hour
			}
			var s identity.Session
			if err := f.do(cmd, "key session", &s); err != nil {
				return err
			}
			return show(f.adminFlags, cmd.OutOrStdout(), &s, func(w io.Writer, s *identity.Session) {
				fmt.Fprintf(w, "[default]\naws_access_key_id = %s\naws_secret_access_key = %s\naws_session_token = %s\n", s.AccessKey, s.Secret, s.Token)
			})
		}},
		one("disable KEY", "Disable a key", "", "key disable", true),
		one("enable KEY", "Enable a disabled key", "", "key disable", false),
		one("expire KEY", "Let a key end after --in; without it, never", "in", "key expire", false),
		one("delete KEY", "Delete a key", "", "key delete", false),
	}
}

func (f *identityFlags) newKey(cmd *cobra.Command, op string) error {
	var k gateway.NewKey
	if err := f.do(cmd, op, &k); err != nil {
		return err
	}
	return show(f.adminFlags, cmd.OutOrStdout(), &k, func(w io.Writer, k *gateway.NewKey) {
		fmt.Fprintf(w, "[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", k.ID, k.Secret)
	})
}
