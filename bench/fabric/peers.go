package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// output runs a command to its end.
func output(ctx context.Context, name string, args ...string) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // this program's own arguments
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	raw := fmt.Appendf(nil, "# %s %s\n%s%s", name, strings.Join(args, " "), stdout.Bytes(), stderr.Bytes())
	if err != nil {
		return raw, fmt.Errorf("%s: %w", name, err)
	}
	return raw, nil
}

// untilServed runs a client again while its server, which serves one client and ends, has not begun to listen.
func untilServed(ctx context.Context, server, client []string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	srv := exec.CommandContext(ctx, server[0], server[1:]...) //nolint:gosec // likewise
	if err := srv.Start(); err != nil {
		return nil, err
	}
	defer func() {
		_ = srv.Process.Kill() // has ended if all went well
		_ = srv.Wait()
	}()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	late := time.Now().Add(time.Minute)
	for {
		<-tick.C
		raw, err := output(ctx, client[0], client[1:]...)
		if err == nil || ctx.Err() != nil || time.Now().After(late) {
			return raw, err
		}
	}
}

// perftest runs one of its tools between the two devices, connected by rdma_cm, and returns a column of the result.
func (l *lab) perftest(tool string, column int, args ...string) func(context.Context) (float64, []byte, error) {
	return func(ctx context.Context) (float64, []byte, error) {
		server := append([]string{tool, "-R", "-d", l.farDevice}, args...)
		client := append(append([]string{tool, "-R", "-d", l.nearDevice}, args...), l.far)
		raw, err := untilServed(ctx, server, client)
		if err != nil {
			return 0, raw, err
		}
		v, err := perftestColumn(raw, column)
		return v, raw, err
	}
}

// perftestColumn is a column, from 0, of the line after the one that names the columns.
func perftestColumn(raw []byte, column int) (float64, error) {
	_, after, ok := strings.Cut(string(raw), "\n #bytes")
	if !ok {
		return 0, errors.New("no result in the output")
	}
	lines := strings.SplitN(after, "\n", 3)
	if len(lines) < 2 {
		return 0, errors.New("the result is cut off")
	}
	f := strings.Fields(lines[1])
	if column >= len(f) {
		return 0, fmt.Errorf("the result has %d columns: %q", len(f), lines[1])
	}
	return strconv.ParseFloat(f[column], 64)
}

// iperf3 sends by so many streams, MiB/s. It sends as many bytes as the fabric does.
func (l *lab) iperf3(ctx context.Context) (float64, []byte, error) {
	server := []string{"iperf3", "--server", "--one-off", "--bind", l.far}
	client := []string{"iperf3", "--client", l.far, "--bind", l.near, "--json", "--parallel", strconv.Itoa(l.qps),
		"--bytes", fmt.Sprint(l.qps * l.tcpTransfers << 20), "--length", "1M"}
	raw, err := untilServed(ctx, server, client)
	if err != nil {
		return 0, raw, err
	}
	v, err := iperfRate(raw)
	return v, raw, err
}

func iperfRate(raw []byte) (float64, error) {
	var r struct {
		End struct {
			Received struct {
				Rate float64 `json:"bits_per_second"`
			} `json:"sum_received"`
		}
		Error string
	}
	if err := json.Unmarshal(withoutCommand(raw), &r); err != nil {
		return 0, err
	}
	if r.Error != "" {
		return 0, errors.New(r.Error)
	}
	return r.End.Received.Rate / 8 / (1 << 20), nil
}

// withoutCommand is raw output without the line that says what ran.
func withoutCommand(raw []byte) []byte {
	_, rest, _ := bytes.Cut(raw, []byte("\n"))
	return rest
}
