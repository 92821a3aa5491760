package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/weftstore/weft/bench/plot"
	"github.com/weftstore/weft/bench/s3load"
)

// newBenchCommand returns `weft bench`.
func newBenchCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "bench", Short: "Measure S3 endpoints, and the size of the metadata"}
	cmd.AddCommand(newBenchS3Command(), newBenchMetadataCommand())
	return cmd
}

const benchS3Long = `Drive one or several S3 endpoints with load and measure them.

OPERATION is one or more of: get head range put delete multipart list mixed.

Several endpoints are measured in one run: short slices on each in turn, repeated for --rounds rounds, so
that noise of the machine meets all of them; the ratios printed are those of the first endpoint to each
other one, formed within a round.

Credentials: --access-key and --secret-key, as KEY for all endpoints or NAME=KEY for one; else the environment
variables WEFT_BENCH_<NAME>_ACCESS_KEY and WEFT_BENCH_<NAME>_SECRET_KEY (name in capitals, '-' and '.' as '_');
else AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. Flags are visible to other users of the machine.
With WEFT_BENCH_<NAME>_CUSTOMER_KEY (32 bytes in base64) an endpoint encrypts objects with that key (SSE-C).

Everything is written below the key prefix "weftbench/" and removed at the end, and the bucket too if this
command created it; --keep leaves prepared objects for the next run. The exit status is not 0 when any answer
had wrong bytes or an endpoint answered no request of a round.`

const benchS3Example = `  # one server, 4 KiB and 1 MiB reads and writes
  weft bench s3 get put --endpoint http://127.0.0.1:9000

  # two servers side by side, with the CPU time of both, raw figures and a picture
  weft bench s3 get --size 4KiB --concurrency 16 --rounds 5 \
    --endpoint weft=http://127.0.0.1:9000 --pid weft=$(pidof weft) \
    --endpoint other=http://127.0.0.1:9100 --pid other=4711 \
    --json result.json --plot result.svg

  # random 64 KiB ranges of four objects of 1 GiB
  weft bench s3 range --size 1GiB --range-size 64KiB --objects 4 --endpoint http://127.0.0.1:9000

  # list 100,000 keys with another 100,000 elsewhere in the bucket
  weft bench s3 list --keys 100000 --elsewhere 100000 --concurrency 1 --keep --endpoint http://127.0.0.1:9000`

// benchFlags holds the flags that are not fields of s3load.Config as they are.
type benchFlags struct {
	cfg                           s3load.Config
	endpoints, accessKeys         []string
	secretKeys, pids, sizes       []string
	rangeSize, partSize, mix      string
	jsonPath, plotPath, commitArg string
	quiet                         bool
	procs                         int
}

func newBenchS3Command() *cobra.Command {
	f := &benchFlags{cfg: s3load.DefaultConfig()}
	cmd := &cobra.Command{
		Use: "s3 OPERATION...", Short: "Load generator for S3 endpoints", Long: benchS3Long, Example: benchS3Example,
		Args: cobra.MinimumNArgs(1), SilenceUsage: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return f.run(ctx, args, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	c, fs := &f.cfg, cmd.Flags()
	fs.StringArrayVar(&f.endpoints, "endpoint", nil, "URL or NAME=URL of an endpoint; repeat to compare")
	fs.StringArrayVar(&f.accessKeys, "access-key", nil, "access key, for all endpoints or NAME=KEY")
	fs.StringArrayVar(&f.secretKeys, "secret-key", nil, "secret key, for all endpoints or NAME=KEY")
	fs.StringArrayVar(&f.pids, "pid", nil, "server process whose CPU and memory to count, PID or NAME=PID; repeatable")
	fs.StringVar(&c.Region, "region", c.Region, "region to sign for")
	fs.StringVar(&c.Bucket, "bucket", c.Bucket, "bucket, created when absent")
	fs.StringSliceVar(&f.sizes, "size", []string{"4KiB", "1MiB"}, "object sizes")
	fs.StringVar(&f.rangeSize, "range-size", s3load.FormatSize(c.RangeSize), "bytes per range read")
	fs.StringVar(&f.partSize, "part-size", s3load.FormatSize(c.PartSize), "bytes per part of multipart uploads")
	fs.IntVar(&c.Concurrency, "concurrency", c.Concurrency, "workers, each with one connection")
	fs.DurationVar(&c.Duration, "duration", c.Duration, "length of a slice")
	fs.DurationVar(&c.Warmup, "warmup", c.Warmup, "unmeasured slice before the first round")
	fs.IntVar(&c.Rounds, "rounds", c.Rounds, "slices per case and endpoint")
	fs.IntVar(&c.Objects, "objects", c.Objects, "objects prepared per size")
	fs.IntVar(&c.Keys, "keys", c.Keys, "keys to list")
	fs.IntVar(&c.Elsewhere, "elsewhere", c.Elsewhere, "keys elsewhere in the bucket during list")
	fs.IntVar(&c.PageSize, "page-size", c.PageSize, "max-keys of a listing request")
	fs.StringVar(&f.mix, "mix", "get=60,put=25,head=10,delete=5", "weights of the operations of mixed")
	fs.IntVar(&c.Verify, "verify", c.Verify, "compare the bytes of every n-th read; 1: all, 0: none")
	fs.BoolVar(&c.SignPayload, "sign-payload", c.SignPayload, "sign the SHA-256 of bodies instead of UNSIGNED-PAYLOAD")
	fs.BoolVar(&c.Keep, "keep", c.Keep, "leave the bucket and the prepared objects, to be used again")
	fs.BoolVar(&c.Sync, "sync", c.Sync, "sync(2) before each slice: no endpoint pays for data another left unwritten")
	fs.BoolVar(&c.Insecure, "insecure", c.Insecure, "accept any TLS certificate")
	fs.DurationVar(&c.Timeout, "timeout", c.Timeout, "per request")
	fs.Uint64Var(&c.Seed, "seed", c.Seed, "of the choice of objects and offsets")
	fs.StringVar(&f.commitArg, "commit", "", "commit of the software under test, for the report (default: that of this binary)")
	fs.StringVar(&c.Note, "note", "", "free text for the report")
	fs.StringVar(&f.jsonPath, "json", "", "write the document with all raw figures to this file ('-': standard output, instead of the text)")
	fs.StringVar(&f.plotPath, "plot", "", "write an SVG chart to this file")
	fs.IntVar(&f.procs, "procs", 0, "processors this client may use; 1 is cheapest for small objects (0: all)")
	fs.BoolVar(&f.quiet, "quiet", false, "no progress on standard error")
	return cmd
}

func (f *benchFlags) run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if err := f.complete(args); err != nil {
		return err
	}
	if f.procs > 0 {
		runtime.GOMAXPROCS(f.procs)
	}
	var ev s3load.Events
	if !f.quiet {
		ev.Progress = func(text string) { fmt.Fprintln(stderr, text) }
	}
	doc, err := s3load.Run(ctx, f.cfg, ev)
	if doc == nil || len(doc.Cases) == 0 {
		return err
	}
	return errors.Join(err, f.write(doc, stdout))
}

// write puts the results where the flags say.
func (f *benchFlags) write(doc *s3load.Document, stdout io.Writer) error {
	if f.plotPath != "" {
		if err := writeFile(f.plotPath, func(w io.Writer) error { return plot.Write(w, doc.Chart()) }); err != nil {
			return err
		}
	}
	asJSON := func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetIndent("", " ")
		return enc.Encode(doc)
	}
	switch f.jsonPath {
	case "-":
		return asJSON(stdout)
	case "":
	default:
		if err := writeFile(f.jsonPath, asJSON); err != nil {
			return err
		}
	}
	return doc.WriteText(stdout)
}

func writeFile(path string, fill func(io.Writer) error) error {
	w, err := os.Create(path) //nolint:gosec // the user names the file
	if err != nil {
		return err
	}
	return errors.Join(fill(w), w.Close())
}

// complete turns the flags into the configuration; it lists every problem.
func (f *benchFlags) complete(args []string) error {
	c := &f.cfg
	var errs []error
	for _, a := range args {
		for op := range strings.SplitSeq(a, ",") {
			c.Ops = append(c.Ops, s3load.Op(op))
		}
	}
	size := func(flag, s string) int64 {
		n, err := s3load.ParseSize(s)
		if err != nil {
			errs = append(errs, fmt.Errorf("--%s: %w", flag, err))
		}
		return n
	}
	c.Sizes = nil
	for _, s := range f.sizes {
		c.Sizes = append(c.Sizes, size("size", s))
	}
	c.RangeSize, c.PartSize = size("range-size", f.rangeSize), size("part-size", f.partSize)
	errs = append(errs, f.completeEndpoints(), f.completeMix())
	c.Commit = f.commitArg
	if c.Commit == "" {
		c.Commit = buildCommit()
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return c.Validate()
}

func (f *benchFlags) completeEndpoints() error {
	c := &f.cfg
	var errs []error
	c.Endpoints = nil
	for i, s := range f.endpoints {
		e := s3load.Endpoint{URL: s, Name: "s3"}
		if name, url, ok := strings.Cut(s, "="); ok && !strings.Contains(name, "/") {
			e.Name, e.URL = name, url
		} else if len(f.endpoints) > 1 {
			e.Name = "s3-" + strconv.Itoa(i+1)
		}
		env := "WEFT_BENCH_" + strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(e.Name))
		e.AccessKey = firstSet(keyFor(f.accessKeys, e.Name, f.endpoints), os.Getenv(env+"_ACCESS_KEY"), os.Getenv("AWS_ACCESS_KEY_ID"))
		e.SecretKey = firstSet(keyFor(f.secretKeys, e.Name, f.endpoints), os.Getenv(env+"_SECRET_KEY"), os.Getenv("AWS_SECRET_ACCESS_KEY"))
		if v := os.Getenv(env + "_CUSTOMER_KEY"); v != "" {
			var err error
			if e.CustomerKey, err = base64.StdEncoding.DecodeString(v); err != nil {
				errs = append(errs, fmt.Errorf("%s_CUSTOMER_KEY: want 32 bytes in base64", env))
			}
		}
		c.Endpoints = append(c.Endpoints, e)
	}
	for _, s := range f.pids {
		name, digits, named := strings.Cut(s, "=")
		if !named {
			digits = s
		}
		pid, err := strconv.Atoi(digits)
		found := false
		for i := range c.Endpoints {
			if e := &c.Endpoints[i]; e.Name == name || !named && len(c.Endpoints) == 1 {
				e.PIDs = append(e.PIDs, pid)
				found = true
			}
		}
		if err != nil || !found {
			errs = append(errs, fmt.Errorf("--pid %q: want NAME=PID with the name of an endpoint", s))
		}
	}
	return errors.Join(errs...)
}

// keyFor picks the value for an endpoint out of values that are KEY or NAME=KEY. A '=' only separates a name
// when an endpoint is called so, because keys may hold one.
func keyFor(values []string, name string, endpoints []string) string {
	general := ""
	for _, v := range values {
		before, key, ok := strings.Cut(v, "=")
		if ok && before == name {
			return key
		}
		other := false
		for _, e := range endpoints {
			other = other || ok && strings.HasPrefix(e, before+"=")
		}
		if !other {
			general = v
		}
	}
	return general
}

func firstSet(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

func (f *benchFlags) completeMix() error {
	var m s3load.Mix
	fields := map[string]*int{"get": &m.Get, "put": &m.Put, "head": &m.Head, "delete": &m.Delete}
	for part := range strings.SplitSeq(f.mix, ",") {
		name, weight, _ := strings.Cut(part, "=")
		n, err := strconv.Atoi(weight)
		if fields[name] == nil || err != nil {
			return fmt.Errorf("--mix: %q: want get, put, head or delete and a whole number", part)
		}
		*fields[name] = n
	}
	f.cfg.Mix = m
	return nil
}

// buildCommit is the commit this binary was built from, "" when the build did not record it.
func buildCommit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	commit := ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value + commit
		case s.Key == "vcs.modified" && s.Value == "true":
			commit += "+changes"
		}
	}
	return commit
}
