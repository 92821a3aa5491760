package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weftstore/weft/cmd/weft/internal/cluster"
	"github.com/weftstore/weft/cmd/weft/internal/fabric"
	"github.com/weftstore/weft/rdma"
)

func newFabricCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "fabric",
		Short: "Look at RDMA devices and measure the fabric",
		Long: `The fabric joins gateways and storage nodes: RDMA verbs where both ends have them,
else TCP. These commands show what a host has and what is wrong with it, and measure
between two hosts; docs/RDMA.md is the whole story.

ping and bench talk to a storage node, or to ` + "`weft fabric serve`" + ` on another host. Both
ends need the same secret: that of the cluster file, or --secret-file.`,
		Example: `  weft fabric devices
  weft fabric ping --node node3
  weft fabric serve --secret-file s        # on one host
  weft fabric bench 10.0.0.7:7410 --secret-file s   # on another`,
	}
	cmd.AddCommand(newFabricDevices(lookHere), newFabricPing(openTransport, lookHere), newFabricBench(openTransport), newFabricServe(openTransport))
	return cmd
}

func lookHere() *fabric.Host { return fabric.Look(fabric.LocalSource()) }

// opener makes a transport of a kind.
type opener func(kind string, o rdma.Options) (transport, error)

// endFlags are those of one end of the fabric.
type endFlags struct {
	open       opener
	cluster    string
	node       string
	secretFile string
	transport  string
	tls        bool
	huge       bool
	spin       time.Duration
	asJSON     bool
}

func (f *endFlags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.cluster, "cluster", defaultCluster, "cluster file: the secret and the settings of [fabric], which other flags change")
	fs.StringVar(&f.secretFile, "secret-file", "", "file with the secret of both ends, instead of a cluster file")
	fs.StringVar(&f.transport, "transport", "auto", "auto, verbs or tcp")
	fs.BoolVar(&f.tls, "tls", false, "encrypt what goes over TCP; both ends must")
	fs.BoolVar(&f.huge, "huge-pages", false, "take registered memory from huge pages")
	fs.DurationVar(&f.spin, "spin", 0, "how long to poll for an answer before sleeping (verbs), at most 1ms; 0 is the usual 20us")
	fs.BoolVar(&f.asJSON, "json", false, "print the result as JSON")
}

const noSecret = "both ends prove that they have the same secret: name the cluster file with --cluster, or a file with --secret-file " +
	"(make one with `(umask 077; head -c 48 /dev/urandom | base64 > FILE)` and copy it to the other host)"

// options are the settings of the cluster file, if there is one, with what the flags
// change.
func (f *endFlags) options(cmd *cobra.Command) (kind string, o rdma.Options, file *cluster.File, err error) {
	log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	set := cmd.Flags().Changed
	kind, o.Logger = f.transport, log
	if f.secretFile == "" || f.node != "" || set("cluster") {
		if file, err = cluster.Load(f.cluster); err != nil {
			if errors.Is(err, fs.ErrNotExist) && !set("cluster") {
				err = fmt.Errorf("%w; %s", err, noSecret)
			}
			return "", o, nil, err
		}
		o = file.Fabric.Options(nil, log)
		if !set("transport") {
			kind = file.Fabric.Transport
		}
	}
	if f.secretFile == "" {
		o.Secret, err = file.Secret()
	} else if o.Secret, err = cluster.ReadSecret(f.secretFile); err != nil {
		err = fmt.Errorf("--secret-file: %w; %s", err, noSecret)
	}
	if err != nil {
		return "", o, nil, err
	}
	if kind != "auto" && kind != "verbs" && kind != "tcp" {
		return "", o, nil, fmt.Errorf("--transport %q: want auto, verbs or tcp", kind)
	}
	if set("tls") {
		o.TLS = f.tls
	}
	if set("huge-pages") {
		o.HugePages = f.huge
	}
	if set("spin") {
		o.SpinFor = f.spin
	}
	return kind, o, file, nil
}

// peer is an end that was dialed.
type peer struct {
	transport
	conn rdma.Conn
	addr string
}

// dialTimeout bounds the way to the first lane, and then to all.
const dialTimeout = 15 * time.Second

// far is an end that is to be dialed, and how.
type far struct {
	kind    string
	options rdma.Options
	addrs   []string // HOST:PORT, one for each rail
}

// far is the end that args or --node name.
func (f *endFlags) far(cmd *cobra.Command, args []string) (*far, error) {
	if (len(args) == 0) == (f.node == "") {
		return nil, errors.New("name the other end: HOST:PORT, several addresses of it separated by commas, or --node NAME of the cluster file")
	}
	kind, o, file, err := f.options(cmd)
	if err != nil {
		return nil, err
	}
	if f.node != "" {
		n, ok := file.Node(f.node)
		if !ok {
			return nil, fmt.Errorf("--node: cluster file %s has no node %q; `weft cluster check %s` lists them", file.Path, f.node, file.Path)
		}
		return &far{kind, o, n.Addresses}, nil
	}
	to := &far{kind: kind, options: o}
	for a := range strings.SplitSeq(args[0], ",") {
		addr, ok := cluster.HostPort(strings.TrimSpace(a))
		if !ok {
			return nil, fmt.Errorf("address %q: want HOST or HOST:PORT", a)
		}
		to.addrs = append(to.addrs, addr)
	}
	return to, nil
}

// connect makes a transport and dials over so many lanes, at least one for each address.
func (f *endFlags) connect(ctx context.Context, to *far, lanes int) (*peer, error) {
	o := to.options
	o.Lanes = lanes
	t, err := f.open(to.kind, o)
	if err != nil {
		return nil, err
	}
	p, err := dial(ctx, t, strings.Join(to.addrs, ","))
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	if err := p.allUp(ctx, max(lanes, len(to.addrs))); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// dial connects; t stays the caller's when it fails.
func dial(ctx context.Context, t transport, addr string) (*peer, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := t.Dial(ctx, addr)
	switch {
	case err == nil:
		return &peer{t, conn, addr}, nil
	case errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("dial %s: no answer within %s", addr, dialTimeout)
	case !errors.Is(err, rdma.ErrPeer):
		return nil, err
	}
	return nil, fmt.Errorf("%w\n  this end has %s\n  Look whether the other end runs there (`weft admin status` on a node, or `weft fabric serve`), with "+
		"the same secret, --transport and --tls, and no firewall between; `weft fabric devices` on both tells what is wrong with RDMA",
		err, strings.Join(t.Describe(), "\n  and "))
}

// allUp waits until a connection has all its lanes: the first is enough to dial.
func (p *peer) allUp(ctx context.Context, lanes int) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		up := p.Stats().Connections
		if up >= int64(lanes) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d lanes to %s are up after %s: look at the log of the other end, or use fewer --lanes", up, lanes, p.addr, dialTimeout)
		case <-tick.C:
		}
	}
}

func (p *peer) Close() error { return errors.Join(p.conn.Close(), p.transport.Close()) }

// wires tells over which of them lanes are up.
func (p *peer) wires() []string {
	var up []string
	for _, w := range p.Wires() {
		if n := w.Stats().Connections; n > 0 {
			up = append(up, w.Name())
		}
	}
	return up
}

// over says for people which wires carry the connection, and what to do when RDMA
// was hoped for.
func (p *peer) over(to *far) string {
	up := p.wires()
	text := strings.Join(up, " and ")
	if to.kind == "auto" && !slices.Contains(up, "verbs") {
		text += "\n  " + strings.Join(p.Describe(), "\n  ") + "\n  RDMA is not used: --transport verbs tells why, and `weft fabric devices` on both hosts"
	}
	return text
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
