package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// lab is where the comparisons run.
type lab struct {
	weft, out             string
	near, far             string
	nearDevice, farDevice string
	qps, depth            int
	transfers, pings      int
	tcpTransfers          int

	dir     string // of secrets and stores, removed at the end
	running []*exec.Cmd
}

const (
	verbsPort = "7410"
	tcpPort   = "7411"
	nodePort  = "7412"
	s3Address = "127.0.0.1:9000"
)

// comparisons are the bars.
func (l *lab) comparisons() []*comparison {
	size, qps, depth, n := "1048576", strconv.Itoa(l.qps), strconv.Itoa(l.depth), strconv.Itoa(l.transfers)
	push := side{"weft-push", l.bench("push", "verbs", verbsPort), "verbs"}
	return []*comparison{
		{name: "write", unit: "MiB/s", bar: 0.85, least: true, ours: push,
			theirs: side{"ib_write_bw", l.perftest("ib_write_bw", 3, "-s", size, "-q", qps, "-t", depth, "-n", n), ""}},
		{name: "read", unit: "MiB/s", bar: 0.85, least: true, ours: side{"weft-pull", l.bench("pull", "verbs", verbsPort), "verbs"},
			theirs: side{"ib_read_bw", l.perftest("ib_read_bw", 3, "-s", size, "-q", qps, "-t", depth, "-n", n), ""}},
		{name: "latency", unit: "us", bar: 2.5, ours: side{"weft-ping", l.ping, "verbs"}, theirs: side{"twice-ib_send_lat", l.sendLat, ""}},
		{name: "tcp-push", unit: "MiB/s", bar: 0.85, least: true, ours: side{"weft-push-tcp", l.bench("push", "tcp", tcpPort), "tcp"},
			theirs: side{"iperf3", l.iperf3, ""}},
		{name: "tcp-pull", unit: "MiB/s", bar: 0.85, least: true, ours: side{"weft-pull-tcp", l.bench("pull", "tcp", tcpPort), "tcp"},
			theirs: side{"iperf3", l.iperf3, ""}},
		{name: "chunks", unit: "MiB/s", bar: 0.7, least: true, ours: side{"weft-chunks", l.chunks, "node"}, theirs: push},
	}
}

// sendLat is a round trip of 64 bytes: ib_send_lat tells half of one.
func (l *lab) sendLat(ctx context.Context) (float64, []byte, error) {
	v, raw, err := l.perftest("ib_send_lat", 4, "-s", "64", "-n", strconv.Itoa(l.pings))(ctx)
	return 2 * v, raw, err
}

// start brings up the answering ends that the comparisons need.
func (l *lab) start(ctx context.Context, list []*comparison) (err error) {
	if l.dir, err = os.MkdirTemp("", "fabric"); err != nil {
		return err
	}
	if err := os.WriteFile(l.secret(), []byte(rand.Text()+rand.Text()), 0o600); err != nil {
		return err
	}
	begun := map[string]bool{"": true}
	for _, c := range list {
		for _, s := range []side{c.ours, c.theirs} {
			if begun[s.needs] {
				continue
			}
			begun[s.needs] = true
			if s.needs == "node" {
				err = l.startNode(ctx)
			} else {
				port := map[string]string{"verbs": verbsPort, "tcp": tcpPort}[s.needs]
				err = l.serve(ctx, s.needs, port)
			}
			if err != nil {
				return fmt.Errorf("start %s: %w", s.needs, err)
			}
		}
	}
	return nil
}

func (l *lab) secret() string { return filepath.Join(l.dir, "secret") }

// background starts a weft process that runs until the end.
func (l *lab) background(env []string, args ...string) error {
	log, err := os.OpenFile(filepath.Join(l.out, args[0]+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(l.weft, args...) //nolint:gosec // the binary is this program's argument
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), env...), log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	l.running = append(l.running, cmd)
	return nil
}

func (l *lab) stop() {
	for _, cmd := range l.running {
		_ = cmd.Process.Signal(syscall.SIGTERM) // Wait tells
		_ = cmd.Wait()
	}
	os.RemoveAll(l.dir)
}

// serve runs the answering end of memory to memory.
func (l *lab) serve(ctx context.Context, transport, port string) error {
	err := l.background(nil, "fabric", "serve", "--secret-file", l.secret(), "--transport", transport, "--listen", l.far+":"+port, "--spin", "1ms")
	if err != nil {
		return err
	}
	return until(ctx, func() error {
		_, err := output(ctx, l.weft, "fabric", "ping", l.far+":"+port, "--secret-file", l.secret(), "--transport", transport, "--count", "1")
		return err
	})
}

// until tries again every now and then for a minute.
func until(ctx context.Context, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

// bench is memory to memory by weft fabric bench.
func (l *lab) bench(op, transport, port string) func(context.Context) (float64, []byte, error) {
	return func(ctx context.Context) (float64, []byte, error) {
		n := l.transfers
		if transport == "tcp" {
			n = l.tcpTransfers
		}
		return l.measure(ctx, n, l.far+":"+port, "--secret-file", l.secret(), "--transport", transport, "--op", op)
	}
}

// chunks is reads of chunks through the storage node, as many bytes.
func (l *lab) chunks(ctx context.Context) (float64, []byte, error) {
	return l.measure(ctx, l.transfers, "--cluster", l.clusterFile(), "--node", "n1", "--op", "chunks")
}

func (l *lab) measure(ctx context.Context, transfers int, args ...string) (float64, []byte, error) {
	args = append([]string{"fabric", "bench"}, args...)
	raw, err := output(ctx, l.weft, append(args, "--json", "--size", "1MiB", "--depth", strconv.Itoa(l.depth),
		"--lanes", strconv.Itoa(l.qps), "--transfers", strconv.Itoa(transfers))...)
	if err != nil {
		return 0, raw, err
	}
	v, err := benchRate(raw)
	return v, raw, err
}

// benchRate is the bandwidth of the one result, whose bytes must all be right.
func benchRate(raw []byte) (float64, error) {
	var r struct {
		Results []struct {
			Rate       float64 `json:"mib_per_second"`
			Mismatches uint64  `json:"mismatches"`
		}
	}
	if err := json.Unmarshal(withoutCommand(raw), &r); err != nil {
		return 0, err
	}
	if len(r.Results) != 1 || r.Results[0].Mismatches != 0 {
		return 0, errors.New("not one result, or wrong bytes")
	}
	return r.Results[0].Rate, nil
}

// ping is the median round trip of 64 bytes.
func (l *lab) ping(ctx context.Context) (float64, []byte, error) {
	raw, err := output(ctx, l.weft, "fabric", "ping", l.far+":"+verbsPort, "--secret-file", l.secret(), "--transport", "verbs",
		"--spin", "1ms", "--size", "64", "--count", strconv.Itoa(l.pings), "--json")
	if err != nil {
		return 0, raw, err
	}
	v, err := pingMedian(raw)
	return v, raw, err
}

func pingMedian(raw []byte) (float64, error) {
	var r []struct {
		Sizes []struct {
			P50 float64 `json:"p50_ns"`
		}
	}
	if err := json.Unmarshal(withoutCommand(raw), &r); err != nil {
		return 0, err
	}
	if len(r) != 1 || len(r[0].Sizes) != 1 {
		return 0, errors.New("not one result")
	}
	return r[0].Sizes[0].P50 / 1000, nil
}

func (l *lab) clusterFile() string { return filepath.Join(l.dir, "cluster.toml") }

// startNode runs a storage node with one target and a gateway, and stores objects.
func (l *lab) startNode(ctx context.Context) error {
	target := filepath.Join(l.dir, "target")
	if err := os.Mkdir(target, 0o750); err != nil {
		return err
	}
	spec := fmt.Sprintf("n1=%s:%s=%s", l.far, nodePort, target)
	if raw, err := output(ctx, l.weft, "cluster", "init", l.clusterFile(), "--layout", "stripe:1", "--node", spec); err != nil {
		return fmt.Errorf("%w: %s", err, raw)
	}
	node := []string{"node", "--cluster", l.clusterFile(), "--name", "n1", "--state", filepath.Join(l.dir, "n1")}
	if err := l.background(nil, node...); err != nil {
		return err
	}
	keys := credentials.NewStaticV4("fabric", rand.Text(), "")
	value, err := keys.GetWithContext(nil)
	if err != nil {
		return err
	}
	env := []string{"WEFT_ROOT_ACCESS_KEY=" + value.AccessKeyID, "WEFT_ROOT_SECRET_KEY=" + value.SecretAccessKey}
	gateway := []string{"gateway", "--cluster", l.clusterFile(), "--state", filepath.Join(l.dir, "gateway"), "--address", s3Address, "--memory", "128MiB"}
	if err := l.background(env, gateway...); err != nil {
		return err
	}
	client, err := minio.New(s3Address, &minio.Options{Creds: keys, Region: "us-east-1", BucketLookup: minio.BucketLookupPath})
	if err != nil {
		return err
	}
	return until(ctx, func() error { return fill(ctx, client) })
}

// fill stores two objects of 64 MiB.
func fill(ctx context.Context, client *minio.Client) error {
	resp, err := http.Get("http://" + s3Address + "/healthz/ready")
	if err != nil {
		return err
	}
	resp.Body.Close()
	const bucket, size = "fabric", 64 << 20
	if ok, err := client.BucketExists(ctx, bucket); err != nil || !ok {
		if err := client.MakeBucket(ctx, bucket, minio.MakeBucketOptions{}); err != nil {
			return err
		}
	}
	for i := range 2 {
		body := io.LimitReader(rand.Reader, size)
		_, err := client.PutObject(ctx, bucket, strconv.Itoa(i), body, size, minio.PutObjectOptions{DisableMultipart: true})
		if err != nil {
			return err
		}
	}
	return nil
}
