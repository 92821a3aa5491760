package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/weftstore/weft/cmd/weft/internal/server"
)

// TestFlagsWin: every flag of `weft server` is a setting of the file too, and wins over it.
func TestFlagsWin(t *testing.T) {
	values := map[string][2]string{ // of each type: in the file, and of the flag
		"string": {`"file"`, "flag"}, "bool": {"true", "false"}, "int": {"3", "5"}, "float64": {"0.25", "0.5"},
		"duration": {`"7m"`, "9m0s"}, "size": {`"96MiB"`, "80MiB"}, "stringSlice": {`["file"]`, "flag"}, "stringArray": {`["file"]`, "flag"},
	}
	path := filepath.Join(t.TempDir(), "weft.toml")
	var names []string
	newServerCommand().Flags().VisitAll(func(f *pflag.Flag) {
		if f.Name != "config" && f.Name != "log-level" && f.Name != "layout" {
			names = append(names, f.Name)
		}
	})
	for _, name := range names {
		load := func(given bool) (before, after string) {
			cfg := server.DefaultConfig()
			cmd := new(cobra.Command)
			addGatewayFlags(cmd, &cfg.Config)
			f := cmd.Flags().Lookup(name)
			v, ok := values[f.Value.Type()]
			if !ok {
				t.Fatalf("--%s: no value of type %s", name, f.Value.Type())
			}
			if err := os.WriteFile(path, fmt.Appendf(nil, "%s = %s\n", name, v[0]), 0o600); err != nil {
				t.Fatal(err)
			}
			if given {
				if err := cmd.Flags().Set(name, v[1]); err != nil {
					t.Fatal(err)
				}
			}
			before = f.Value.String()
			if err := cfg.Load(path, cmd.Flags().Changed); err != nil {
				t.Errorf("--%s: %v", name, err)
			}
			return before, f.Value.String()
		}
		if before, after := load(false); before == after {
			t.Errorf("--%s is %s and not what the file says", name, after)
		}
		if before, after := load(true); before != after {
			t.Errorf("--%s %s became %s, as the file says", name, before, after)
		}
	}
}
