package cluster

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/weftstore/weft/cmd/weft/internal/settings"
	"github.com/weftstore/weft/rdma"
)

// Limits of the fabric's settings.
const (
	maxLanes     = 64
	maxSlots     = 1024
	minStaging   = 2 * rdma.MaxBulk
	maxStaging   = 64 << 30
	minKeepAlive = 100 * time.Millisecond
	maxKeepAlive = time.Minute
	maxSpin      = time.Millisecond
)

// Fabric has the settings of the transport.
type Fabric struct {
	Transport string            `toml:"transport" json:"transport"` // "auto", "verbs" or "tcp"
	TLS       bool              `toml:"tls" json:"tls"`
	Lanes     int               `toml:"lanes" json:"lanes"`
	Slots     int               `toml:"slots" json:"slots"`
	Rails     []netip.Prefix    `toml:"rails" json:"rails,omitempty"`
	Staging   settings.Bytes    `toml:"staging" json:"staging"`
	HugePages bool              `toml:"huge-pages" json:"huge_pages"`
	KeepAlive settings.Duration `toml:"keep-alive" json:"keep_alive_ns"`
	Spin      settings.Duration `toml:"spin" json:"spin_ns"`
}

func defaultFabric() Fabric {
	return Fabric{
		Transport: "auto", Lanes: 2, Slots: 32, Staging: 64 << 20,
		KeepAlive: settings.Duration(5 * time.Second), Spin: settings.Duration(20 * time.Microsecond),
	}
}

// String is a line for people.
func (f *Fabric) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "fabric %s, %d lanes of %d slots, %s staging memory", f.Transport, f.Lanes, f.Slots, f.Staging)
	if f.HugePages {
		b.WriteString(", huge pages")
	}
	if f.TLS {
		b.WriteString(", TLS")
	}
	if len(f.Rails) > 0 {
		fmt.Fprintf(&b, ", rails %v", f.Rails)
	}
	return b.String()
}

func (f *Fabric) check(p *problems) {
	switch f.Transport {
	case "auto", "verbs", "tcp":
	default:
		p.add("fabric.transport %q: want auto, verbs or tcp", f.Transport)
	}
	if f.Lanes < 1 || f.Lanes > maxLanes {
		p.add("fabric.lanes %d: want 1 to %d", f.Lanes, maxLanes)
	}
	if f.Slots < 1 || f.Slots > maxSlots {
		p.add("fabric.slots %d: want 1 to %d", f.Slots, maxSlots)
	}
	if f.Staging < minStaging || f.Staging > maxStaging {
		p.add("fabric.staging %s: want %s to %s", f.Staging, settings.Bytes(minStaging), settings.Bytes(maxStaging))
	}
	if k := time.Duration(f.KeepAlive); k < minKeepAlive || k > maxKeepAlive {
		p.add("fabric.keep-alive %s: want %s to %s", k, minKeepAlive, maxKeepAlive)
	}
	if f.Spin < 0 || time.Duration(f.Spin) > maxSpin {
		p.add("fabric.spin %s: want 0 (never) to %s", time.Duration(f.Spin), maxSpin)
	}
	if len(f.Rails) > maxAddresses {
		p.add("fabric.rails: more than %d", maxAddresses)
		f.Rails = f.Rails[:maxAddresses]
	}
	for i, r := range f.Rails {
		f.Rails[i] = r.Masked()
		for _, other := range f.Rails[:i] {
			if other.Overlaps(r) {
				p.add("fabric.rails: %s and %s overlap: a rail is a network of its own", other, r)
			}
		}
	}
}

// checkRails: a node has one address in each rail and none elsewhere.
func (f *Fabric) checkRails(n *Node, p *problems) {
	if len(f.Rails) == 0 {
		return
	}
	seen := make([]int, len(f.Rails))
	for _, a := range n.Addresses {
		host, _, _ := net.SplitHostPort(a)
		ip, err := netip.ParseAddr(host)
		if err != nil {
			p.add("node %q: address %s: with fabric.rails want an IP address", n.Name, a)
			continue
		}
		found := false
		for i, r := range f.Rails {
			if r.Contains(ip) {
				seen[i]++
				found = true
			}
		}
		if !found {
			p.add("node %q: address %s is in none of fabric.rails", n.Name, a)
		}
	}
	for i, count := range seen {
		if count != 1 {
			p.add("node %q has %d addresses in rail %s: want one", n.Name, count, f.Rails[i])
		}
	}
}

// Options are the settings as package rdma takes them.
func (f *Fabric) Options(secret []byte, log *slog.Logger) rdma.Options {
	spin := time.Duration(f.Spin)
	if spin == 0 {
		spin = -1
	}
	return rdma.Options{
		SpinFor: spin, Secret: secret, Lanes: f.Lanes, Slots: f.Slots, Staging: int(f.Staging), KeepAlive: time.Duration(f.KeepAlive),
		TLS: f.TLS, HugePages: f.HugePages, Logger: log,
	}
}
