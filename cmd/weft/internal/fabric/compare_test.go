package fabric

import (
	"net/netip"
	"strings"
	"testing"
)

func TestRailsOfHost(t *testing.T) {
	src := tree(t, "common mlx5")
	src.Addrs = func(string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("192.168.10.5/24")} }
	rails := Rails(Look(src))
	if len(rails) != 1 || rails[0].Port != "mlx5_0/1" || rails[0].Netdev != "ens1f0np0" || rails[0].MTU != 9000 || rails[0].Protocol != "RoCE v2" || len(rails[0].Addrs) != 1 {
		t.Errorf("%+v", rails)
	}
	if r := Rails(Look(tree(t, "common ib"))); len(r) != 1 || r[0].Protocol != "InfiniBand" {
		t.Errorf("%+v", r)
	}
	if r := Rails(Look(tree(t, ""))); r == nil || len(r) != 0 {
		t.Errorf("%+v", r)
	}
}

func TestMismatches(t *testing.T) {
	rail := func(protocol string, mtu int, addrs ...string) Rail {
		r := Rail{Port: "mlx5_0/1", Netdev: "ens1", MTU: mtu, Protocol: protocol, Addrs: []netip.Prefix{netip.MustParsePrefix("fe80::1/64")}}
		for _, a := range addrs {
			r.Addrs = append(r.Addrs, netip.MustParsePrefix(a))
		}
		return r
	}
	here := []Rail{rail("RoCE v2", 9000, "10.0.0.1/24"), rail("RoCE v2", 9000, "10.1.0.1/24", "fd00::1/64")}
	addr := netip.MustParseAddr
	for name, c := range map[string]struct {
		there []Rail
		addr  netip.Addr
		want  []string
	}{
		"alike":              {[]Rail{rail("RoCE v2", 9000, "10.0.0.2/24"), rail("RoCE v2", 9000, "10.1.0.2/24")}, addr("10.1.0.2"), nil},
		"smaller there":      {[]Rail{rail("RoCE v2", 1500, "10.0.0.2/24")}, addr("10.0.0.2"), []string{"there: ip link set ens1 mtu 9000"}},
		"larger there":       {[]Rail{rail("RoCE v2", 9216, "fd00::2/64")}, netip.Addr{}, []string{"here: ip link set ens1 mtu 9216"}},
		"an older protocol":  {[]Rail{rail("RoCE v1", 9000, "10.0.0.2/24")}, addr("10.0.0.2"), []string{"cma_roce_mode"}},
		"another protocol":   {[]Rail{rail("iWARP", 9000, "10.0.0.2/24")}, addr("10.0.0.2"), []string{"devlink"}},
		"nothing there":      {nil, addr("10.0.0.2"), []string{"weft fabric devices"}},
		"an address beside":  {[]Rail{rail("RoCE v2", 9000, "10.0.0.2/24")}, addr("172.16.0.2"), []string{"use one of: 10.0.0.2"}},
		"networks of theirs": {[]Rail{rail("RoCE v2", 9000, "10.8.0.2/24")}, addr("10.8.0.2"), []string{"there: 10.8.0.2"}},
	} {
		got := Mismatches(here, c.there, c.addr)
		if len(got) != len(c.want) {
			t.Errorf("%s: %+v", name, got)
			continue
		}
		for i := range got {
			if !strings.Contains(got[i].Fix, c.want[i]) {
				t.Errorf("%s: %+v, want %s", name, got[i], c.want[i])
			}
		}
	}
	if got := Mismatches(nil, here, netip.Addr{}); len(got) != 0 {
		t.Errorf("a host without RDMA is told of networks: %+v", got)
	}
}
