package fabric

import (
	"net/netip"
	"testing"
)

// TestRails: two ports that both carry traffic, in networks of their own and in one.
func TestRails(t *testing.T) {
	const second = "sys/class/infiniband/mlx5_1/ports/1/"
	src := tree(t, "common mlx5", second+"state = 4: ACTIVE", second+"phys_state = 5: LinkUp",
		second+"gids/0 = 0000:0000:0000:0000:0000:ffff:c0a8:0b05", second+"gid_attrs/types/0 = RoCE v2", second+"gid_attrs/ndevs/0 = ens1f1np1",
		"sys/class/net/ens1f1np1/mtu = 9000", "sys/class/net/ens1f1np1/operstate = up")
	addrs := map[string][]netip.Prefix{}
	src.Addrs = func(netdev string) []netip.Prefix { return addrs[netdev] }
	at := func(first, second string) *Host {
		addrs["ens1f0np0"] = []netip.Prefix{netip.MustParsePrefix("fe80::1/64"), netip.MustParsePrefix(first)}
		addrs["ens1f1np1"] = []netip.Prefix{netip.MustParsePrefix("fe80::2/64"), netip.MustParsePrefix(second)}
		return Look(src)
	}
	var want Want
	for _, rail := range []string{"192.168.10.0/24", "192.168.11.0/24"} {
		want.Rails = append(want.Rails, netip.MustParsePrefix(rail))
	}
	expect(t, at("192.168.10.5/24", "192.168.11.5/24"), want)
	expect(t, at("192.168.10.5/24", "192.168.12.5/24"), want, "!rail 192.168.11.0/24 ~ ip addr add ADDRESS/24 dev ens1f1np1")
	addrs["ens1f1np1"] = nil
	addrs["ens1f0np0"] = append(addrs["ens1f0np0"], netip.MustParsePrefix("192.168.11.5/24"))
	expect(t, Look(src), want, "?rail 192.168.11.0/24 ~ port of its own")

	one := Want{Rails: want.Rails[:1]}
	same := at("192.168.10.5/24", "192.168.10.6/24")
	expect(t, same, one, "?ens1f1np1, ens1f0np0 ~ arp_ignore=1")
	plant(t, src.Root, "proc/sys/net/ipv4/conf/all/arp_ignore = 1")
	plant(t, src.Root, "proc/sys/net/ipv4/conf/ens1f0np0/arp_announce = 2")
	expect(t, Look(src), one, "?ens1f1np1, ens1f0np0 ~ arp_announce=2")
	plant(t, src.Root, "proc/sys/net/ipv4/conf/ens1f1np1/arp_announce = 2")
	expect(t, Look(src), one)
	plant(t, src.Root, "sys/class/net/ens1f1np1/mtu = 4500")
	expect(t, Look(src), one, "?ens1f1np1, ens1f0np0 ~ ip link set ens1f1np1 mtu 9000")
}
