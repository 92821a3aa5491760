package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// pathMTU is the payload of an RDMA packet on these devices.
const pathMTU = 4096

// meter is what the devices, the kernel and Weft have counted.
type meter struct {
	sent map[string]uint64  // packets, by device
	weft map[string]float64 // series of weft_fabric, summed over the processes
}

func (c *cluster) read() meter {
	c.t.Helper()
	m := meter{sent: map[string]uint64{}, weft: map[string]float64{}}
	files, err := filepath.Glob("/sys/class/infiniband/rxe*/ports/1/hw_counters/sent_pkts")
	if err != nil || len(files) == 0 {
		c.t.Fatalf("no hardware counters: %v", err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			c.t.Fatal(err)
		}
		n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
		if err != nil {
			c.t.Fatal(err)
		}
		m.sent[strings.Split(name, "/")[4]] = n
	}
	for _, p := range c.all() {
		if err := scrape(p.metrics, m.weft); err != nil {
			c.t.Fatal(err)
		}
	}
	return m
}

// scrape adds the fabric's series of one process to sum.
func scrape(addr string, sum map[string]float64) error {
	resp, err := http.Get("http://" + addr + "/metrics")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		series, value, ok := strings.Cut(lines.Text(), " ")
		if !ok || !strings.HasPrefix(series, "weft_fabric_") {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return fmt.Errorf("%s: %w", series, err)
		}
		sum[series] += v
	}
	return lines.Err()
}

// moved is payload that clients sent and got.
type moved struct{ put, got int64 }

// prove returns nil if the devices and Weft counted enough between two readings for the payload to have gone by RDMA, and
// nothing of it by TCP. Payload that no one counted, or that TCP carried, is in the error.
func prove(before, after meter, m moved, open []string) error {
	var errs []error
	lack := func(what string, have, want float64) {
		if have < want {
			errs = append(errs, fmt.Errorf("%s: %.0f, want at least %.0f", what, have, want))
		}
	}
	written := float64(m.put) * stored
	weft := func(name, transport string) float64 {
		series := fmt.Sprintf("weft_fabric_%s_total{transport=%q}", name, transport)
		return after.weft[series] - before.weft[series]
	}
	lack("bytes pulled by verbs", weft("pulled_bytes", "verbs"), written)
	lack("bytes pushed by verbs", weft("pushed_bytes", "verbs"), float64(m.got))
	for _, name := range []string{"pulled_bytes", "pushed_bytes", "calls"} {
		if n := weft(name, "tcp"); n != 0 {
			errs = append(errs, fmt.Errorf("%s over tcp: %.0f, want none", name, n))
		}
	}
	// The gateway's device sends what the nodes pull, theirs send what they push.
	var others float64
	for device, n := range after.sent {
		packets := float64(n - before.sent[device])
		if device == "rxe0" {
			lack("packets sent by the gateway's rxe0", packets, written/pathMTU)
			continue
		}
		others += packets
		lack("packets sent by "+device, packets, float64(m.got)/pathMTU/float64(2*len(after.sent)))
	}
	lack("packets sent by the nodes' devices", others, float64(m.got)/pathMTU)
	for _, c := range open {
		errs = append(errs, fmt.Errorf("a TCP connection on the fabric: %s", c))
	}
	return errors.Join(errs...)
}

// fabricSockets are the established TCP connections between addresses 10.x of the fabric; S3 and the metrics are on loopback.
func fabricSockets(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		// Addresses are little-endian in hexadecimal: 10.0.0.2 is 0200000A.
		if len(f) > 3 && f[3] == "01" && len(f[1]) > 8 && f[1][6:8] == "0A" {
			list = append(list, f[1]+" to "+f[2])
		}
	}
	return list
}
